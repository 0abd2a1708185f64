//! A buffer with a place of its own in memory, handed out once.
//!
//! In: nothing. Out: zeros. Aligned, so that where it lies costs no kernel a cycle.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

/// A buffer that a board hands out.
#[repr(C, align(16))]
pub(super) struct Slot<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: `Slot::take` is the only access, and it is called once for each slot.
unsafe impl<T> Sync for Slot<T> {}

impl<T> Slot<T> {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Fills the buffer with zeros, which its section does not promise, and hands it out.
    ///
    /// # Safety
    /// 1. Called at most once for a slot.
    /// 2. A `T` may consist of zeros.
    #[expect(clippy::mut_from_ref, reason = "obligation 1 makes it the only one")]
    pub(super) unsafe fn take(&'static self) -> &'static mut T {
        let buffer = self.0.get().cast::<T>();
        // SAFETY: the pointer comes from a static of this very type; obligation 1 makes the
        // reference the only one, obligation 2 makes its target a `T`.
        unsafe {
            buffer.write_bytes(0, 1);
            &mut *buffer
        }
    }
}
