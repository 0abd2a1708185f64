//! Functions of the boot ROM, looked up by their two letters.
//!
//! In: a function's code. Out: its address, or `None` from a ROM that has it not. RP2350 datasheet, sections
//! "Locating the API functions" and "API function listings".

/// Where the address of the lookup function stands, in 16 bits; the first of the ROMs had another place.
const LOOKUP: usize = 0x16;
/// A function for secure Arm code.
const SECURE_ARM: u32 = 0x4;

type Lookup = unsafe extern "C" fn(u32, u32) -> usize;
/// `connect_internal_flash`, `flash_exit_xip`, `flash_flush_cache`.
pub(super) type Plain = unsafe extern "C" fn();
/// `flash_range_erase`: offset and bytes in the chip, the size of a block, and the command that erases one.
pub(super) type Erase = unsafe extern "C" fn(u32, usize, u32, u8);
/// `flash_range_program`: offset in the chip, bytes in RAM, how many.
pub(super) type Program = unsafe extern "C" fn(u32, *const u8, usize);
type SysInfo = unsafe extern "C" fn(*mut u32, u32, u32) -> i32;

/// What the flash needs.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct FlashCalls {
    pub(super) connect: Plain,
    pub(super) exit_xip: Plain,
    pub(super) erase: Erase,
    pub(super) program: Program,
    pub(super) flush: Plain,
}

impl FlashCalls {
    pub(super) fn find() -> Option<Self> {
        let (connect, exit_xip, flush) = (find(b"IF")?, find(b"EX")?, find(b"FC")?);
        let (erase, program) = (find(b"RE")?, find(b"RP")?);
        // SAFETY: these are the addresses of functions with these signatures, as the datasheet lists them.
        unsafe {
            Some(Self {
                connect: core::mem::transmute::<usize, Plain>(connect),
                exit_xip: core::mem::transmute::<usize, Plain>(exit_xip),
                erase: core::mem::transmute::<usize, Erase>(erase),
                program: core::mem::transmute::<usize, Program>(program),
                flush: core::mem::transmute::<usize, Plain>(flush),
            })
        }
    }
}

/// The chip's own number, which no other has: 16 hexadecimal digits, zeros from a ROM that does not tell.
pub(super) fn serial() -> [u8; 16] {
    /// `get_sys_info`: which words are wanted. Of the chip: package, device, wafer.
    const CHIP_INFO: u32 = 1;
    let mut words = [0_u32; 4];
    if let Some(address) = find(b"GS") {
        // SAFETY: as in `FlashCalls::find`; the function writes as many words as it is given room for.
        unsafe {
            let sys_info = core::mem::transmute::<usize, SysInfo>(address);
            sys_info(words.as_mut_ptr(), words.len() as u32, CHIP_INFO);
        }
    }
    let [_, _, device, wafer] = words;
    shared::usb::serial(u64::from(wafer) << 32 | u64::from(device))
}

fn find(code: &[u8; 2]) -> Option<usize> {
    let place = core::ptr::with_exposed_provenance::<u16>(LOOKUP);
    // SAFETY: the ROM has the lookup function's address there, of this signature; it only reads the ROM.
    let address = unsafe {
        let lookup = core::mem::transmute::<usize, Lookup>(usize::from(place.read_volatile()));
        lookup(u32::from(u16::from_le_bytes(*code)), SECURE_ARM)
    };
    (address != 0).then_some(address)
}
