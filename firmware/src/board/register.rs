//! Registers of a device, 32 bits each.
//!
//! In: the device's address. Out: reads and writes that the compiler neither drops, doubles nor moves.

/// A device's registers.
#[derive(Debug)]
pub(super) struct Registers {
    base: usize,
}

impl Registers {
    /// The registers from `base` on.
    ///
    /// # Safety
    /// 1. A device of this board is there, with every register that `read` and `write` are given.
    /// 2. Nobody else uses it.
    pub(super) const unsafe fn new(base: usize) -> Self {
        Self { base }
    }

    pub(super) fn read(&self, offset: usize) -> u32 {
        let register = core::ptr::with_exposed_provenance::<u32>(self.base.wrapping_add(offset));
        // SAFETY: obligation 1 of `new`; registers are aligned words outside all memory of Rust's.
        unsafe { register.read_volatile() }
    }

    pub(super) fn write(&mut self, offset: usize, value: u32) {
        let register =
            core::ptr::with_exposed_provenance_mut::<u32>(self.base.wrapping_add(offset));
        // SAFETY: as for `read`.
        unsafe { register.write_volatile(value) };
    }
}
