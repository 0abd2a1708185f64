//! The step of the checklist that writes to flash: in the last sector, which holds nothing.
//!
//! In: that sector, and a slot to measure reads by. Out: verdicts on erasing, programming words within a page,
//! programming over them, what must be refused, and whether reads are as fast afterwards as before.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use firmware::board::flash_map::SECTOR;
use firmware::board::{Flash, Nor};

use super::{Report, Text};

/// A word within a page, two that go on in the next page, and the last of the sector.
const WORDS: [(u32, &[u8]); 3] = [
    (0x104, &[0x5a, 0x3c, 0x0f, 0xf0]),
    (0x3fc, &[1, 2, 3, 4, 5, 6, 7, 8]),
    (0xffc, &[0xaa, 0x55, 0xaa, 0x55]),
];
/// More than the cache holds (16 KiB), so that it is the flash which is read.
const READ_LEN: usize = 64 * 1024;

/// All of it.
pub(super) fn check(flash: &mut Flash, text: &mut Text<'_>, report: &mut Report) {
    let before = read_cycles(flash, text);
    let scratch = &mut flash.scratch;
    let erased = scratch.erase(0, SECTOR).is_ok() && holds(scratch, |_| 0xff);
    report.tell(
        text,
        "erase",
        verdict(erased),
        &"the last sector is all ones",
    );
    let programmed = WORDS
        .iter()
        .all(|(at, bytes)| scratch.write(*at, bytes).is_ok());
    let right = programmed && holds(scratch, expected);
    report.tell(
        text,
        "program",
        verdict(right),
        &"words within pages, and nothing beside them",
    );
    let cleared = scratch.write(0x104, &[0x0a; 4]).is_ok()
        && scratch.bytes().get(0x104..0x108) == Some(&[0x0a, 0x08, 0x0a, 0x00]);
    report.tell(
        text,
        "clear",
        verdict(cleared),
        &"ones become zeros, zeros stay",
    );
    let end = scratch.capacity() as u32;
    let refused = scratch.write(2, &[0; 4]).is_err()
        && scratch.write(end, &[0; 4]).is_err()
        && scratch.erase(0, SECTOR / 2).is_err();
    report.tell(
        text,
        "limits",
        verdict(refused),
        &"what does not fit is refused",
    );
    let clean = scratch.erase(0, SECTOR).is_ok() && holds(scratch, |_| 0xff);
    report.tell(text, "erase again", verdict(clean), &"all ones");
    let after = read_cycles(flash, text);
    // The cache and the port change it by some percent.
    let as_fast = after < before.saturating_add(before / 4);
    report.tell(
        text,
        "read speed",
        verdict(as_fast),
        &format_args!("{READ_LEN} bytes in {before} cycles before, {after} after"),
    );
}

const fn verdict(right: bool) -> Result<(), ()> {
    match right {
        true => Ok(()),
        false => Err(()),
    }
}

/// What a byte of the sector must be after [`WORDS`].
fn expected(at: u32) -> u8 {
    let byte = WORDS.iter().find_map(|(start, bytes)| {
        let place = at.checked_sub(*start)?;
        bytes.get(place as usize)
    });
    byte.copied().unwrap_or(0xff)
}

fn holds(part: &Nor, byte: impl Fn(u32) -> u8) -> bool {
    let bytes = part.bytes().iter();
    bytes.zip(0..).all(|(found, at)| *found == byte(at))
}

/// Cycles that reading a part of a model's slot takes.
fn read_cycles(flash: &Flash, text: &Text<'_>) -> u32 {
    let [slot, _] = &flash.models;
    let start = text.clock.cycles();
    let bytes = slot.bytes().get(..READ_LEN).unwrap_or(&[]);
    // Wanted by nobody, which the compiler must not know.
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    core::hint::black_box(sum);
    text.clock.cycles().wrapping_sub(start)
}
