//! What the boot ROM looks for: an image definition in the first 4 KiB of flash.
//!
//! In: nothing. Out: a block of five words behind the vector table (RP2350 datasheet, chapter "Bootrom",
//! minimum Arm IMAGE_DEF). It names no vector table, so the boot ROM takes the one at the start of flash.

/// A block of one item, in a loop of one block.
#[repr(C)]
struct ImageDef {
    start: u32,
    item: u32,
    last: u32,
    next_block: u32,
    end: u32,
}

/// Image type (0x42), one word, flags 0x1021: an executable, secure, for Arm, for the RP2350.
const IMAGE_TYPE: u32 = 0x1021_0142;
/// The last item (0xff) counts the words of the items before it.
const LAST: u32 = 0x0000_01ff;

// SAFETY: `memory/pico2.x` keeps this section, behind the vector table and read by the boot ROM alone.
#[unsafe(link_section = ".start_block")]
#[used]
static IMAGE_DEF: ImageDef = ImageDef {
    start: 0xffff_ded3,
    item: IMAGE_TYPE,
    last: LAST,
    next_block: 0,
    end: 0xab12_3579,
};
