//! Memory that a device of the chip reads and writes by itself (EasyDMA): windows into RAM, one for each device.
//!
//! In: bytes that a device shall read. Out: bytes that it has written. A window is never freed and never borrowed: what
//! a device may do late hits nothing else. A device cannot read the flash, so what it sends is always copied.

use crate::board::slot::Slot;

/// Bytes of the window that the camera's bus has, and the USB controller.
pub(super) const SPI_LEN: usize = 256;
pub(super) const USB_LEN: usize = 64;

/// A window.
#[derive(Debug)]
pub(super) struct Window {
    start: *mut u8,
    len: usize,
}

impl Window {
    /// The camera's bus's.
    ///
    /// # Safety
    /// Called once.
    pub(super) unsafe fn spi() -> Self {
        static BYTES: Slot<[u8; SPI_LEN]> = Slot::new();
        // SAFETY: called once, and bytes may be zero.
        Self::new(unsafe { BYTES.take() })
    }

    /// The USB controller's.
    ///
    /// # Safety
    /// Called once.
    pub(super) unsafe fn usb() -> Self {
        static BYTES: Slot<[u8; USB_LEN]> = Slot::new();
        // SAFETY: called once, and bytes may be zero.
        Self::new(unsafe { BYTES.take() })
    }

    fn new(bytes: &'static mut [u8]) -> Self {
        Self {
            start: bytes.as_mut_ptr(),
            len: bytes.len(),
        }
    }

    /// Where it is, for the device.
    pub(super) fn address(&self) -> u32 {
        self.start.expose_provenance() as u32
    }

    /// Fills its start; what does not fit is left out.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        for (at, &byte) in (0..self.len).zip(bytes) {
            // SAFETY: the byte is in the window, which only `self` and its device use; volatile, because a device
            // may read it at any time.
            unsafe { self.start.wrapping_add(at).write_volatile(byte) };
        }
        // It is there before the device is told.
        cortex_m::asm::dmb();
    }

    /// Copies its start.
    pub(super) fn get(&self, bytes: &mut [u8]) {
        cortex_m::asm::dmb();
        for (at, byte) in (0..self.len).zip(bytes) {
            // SAFETY: as for `put`.
            *byte = unsafe { self.start.wrapping_add(at).read_volatile() };
        }
    }
}
