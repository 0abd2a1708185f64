//! Which chip it is, by its factory registers (nRF52840 product specification, FICR).
//!
//! In: nothing. Out: its serial number; and its debug port left open.

use crate::board::register::Registers;

const FICR: usize = 0x1000_0000;
const DEVICEID: [usize; 2] = [0x60, 0x64];
/// Four letters, of which the second lowest byte is that of the build code.
const INFO_VARIANT: usize = 0x104;
/// From this one on a debugger is shut out at every reset until the program lets it in.
const FIRST_THAT_SHUTS: u32 = b'F' as u32;

const APPROTECT: usize = 0x4000_0000;
const APPROTECT_DISABLE: usize = 0x558;
const SW_DISABLE: u32 = 0x5a;

/// The chip's own number, which no other has.
pub(super) fn serial() -> [u8; 16] {
    // SAFETY: the address is the chip's, and its factory registers are only read.
    let ficr = unsafe { Registers::new(FICR) };
    let [low, high] = DEVICEID.map(|place| u64::from(ficr.read(place)));
    shared::usb::serial(high << 32 | low)
}

/// Lets a debugger in, where the boot loader has left the chip's own lock open (UICR.APPROTECT).
///
/// # Safety
/// Called once, before any other device is used.
pub(super) unsafe fn let_debugger_in() {
    // SAFETY: the addresses are the chip's; called once, nobody else uses the second.
    let (ficr, mut approtect) = unsafe { (Registers::new(FICR), Registers::new(APPROTECT)) };
    if ficr.read(INFO_VARIANT) >> 8 & 0xff >= FIRST_THAT_SHUTS {
        approtect.write(APPROTECT_DISABLE, SW_DISABLE);
    }
}
