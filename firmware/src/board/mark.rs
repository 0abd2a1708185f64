//! Marks around what is measured: an emulator finds them by their symbols.
//!
//! In: nothing. Out: `onelook_mark_start` and `onelook_mark_stop` are called in pairs, which may be
//! nested. Whoever counts instructions counts from one to the other. Neither is ever inlined or
//! merged with the other, and no access to memory moves across a mark.

use core::arch::asm;

/// From here on is measured.
///
/// It stores one word on the stack, so that the emulator sees how deep the stack is here.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn onelook_mark_start() {
    // SAFETY: the word goes to free stack and back into the same register.
    unsafe { asm!("push {{r0}}", "pop {{r0}}") };
}

/// Up to here is measured.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn onelook_mark_stop() {
    // SAFETY: it does nothing.
    unsafe { asm!("nop") };
}
