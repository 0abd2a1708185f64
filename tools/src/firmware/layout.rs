//! Where a program for a real board lies, by the linker's own numbers, and what its hardware asks of it.
//!
//! In: an ELF file and its board. Out: a table of its sections and how much of flash and RAM they take; or the first
//! thing that this board could not run: a byte outside its memory, a vector table or an image definition that
//! the boot ROM would not find, a function in RAM that calls into flash.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use object::elf::FileHeader32;
use object::read::elf::{ElfFile, ProgramHeader, SectionHeader};
use object::{Endianness, Object, ObjectSymbol, elf};

use super::hardware::Hardware;
use super::uf2::Piece;
use crate::SetupError;

/// The block that the boot ROM looks for, and how far it looks: an executable for secure Arm.
const IMAGE_DEF: [u32; 5] = [0xffff_ded3, 0x1021_0142, 0x0000_01ff, 0, 0xab12_3579];
const IMAGE_DEF_WITHIN: usize = 4096;

/// A section in the board's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Where it is when the program runs.
    pub at: u32,
    /// Its bytes.
    pub len: u32,
}

/// What lies where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// In the order of their addresses.
    pub rows: Vec<Row>,
    /// Bytes of flash, from its start to the last one.
    pub flash: u32,
    /// Bytes of RAM without the stack.
    pub ram: u32,
    /// Bytes that there are of both.
    pub room: (u32, u32),
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Row { name, at, len } in &self.rows {
            writeln!(f, "  {at:#010x} {len:>9}  {name}")?;
        }
        let percent = |part: u32, whole: u32| f64::from(part) * 100.0 / f64::from(whole);
        let (flash, ram) = self.room;
        writeln!(
            f,
            "  flash {} of {flash} bytes for the program ({:.1} %)",
            self.flash,
            percent(self.flash, flash)
        )?;
        write!(
            f,
            "  RAM   {} of {ram} bytes ({:.1} %), {} are left for the stack",
            self.ram,
            percent(self.ram, ram),
            ram - self.ram
        )
    }
}

type Elf<'a> = ElfFile<'a, FileHeader32<Endianness>>;

/// Looks at a program for a board.
///
/// # Errors
/// The file cannot be read, is no ELF file for ARM, or the board could not run it.
pub(super) fn layout(hardware: &Hardware, path: &Path) -> Result<Layout, SetupError> {
    let bytes = std::fs::read(path).map_err(|e| SetupError::io("read", path, e))?;
    let elf = parse(hardware, path, &bytes)?;
    let found = measure(hardware, &elf).and_then(|layout| {
        check_image(hardware, &image(hardware, &elf)?)?;
        match hardware.away {
            Some(away) => check_away(hardware, away, &elf).map(|()| layout),
            None => Ok(layout),
        }
    });
    found.map_err(|reason| refuse(hardware, path, reason))
}

/// What goes into the flash.
///
/// # Errors
/// As [`layout`].
pub(super) fn pieces<'a>(
    hardware: &Hardware,
    path: &Path,
    bytes: &'a [u8],
) -> Result<Vec<Piece<'a>>, SetupError> {
    let elf = parse(hardware, path, bytes)?;
    loaded(hardware, &elf).map_err(|reason| refuse(hardware, path, reason))
}

fn parse<'a>(hardware: &Hardware, path: &Path, bytes: &'a [u8]) -> Result<Elf<'a>, SetupError> {
    let wrong = |error| format!("not an ELF file for ARM: {error}");
    Elf::parse(bytes).map_err(|error| refuse(hardware, path, wrong(error)))
}

fn refuse(hardware: &Hardware, path: &Path, reason: String) -> SetupError {
    SetupError::Missing {
        what: format!("{}: {reason}", path.display()),
        next: format!(
            "look at {} and firmware/src/board/flash_map.rs, and build it again",
            hardware.memory
        ),
    }
}

/// The segments with a content.
fn loaded<'a>(hardware: &Hardware, elf: &Elf<'a>) -> Result<Vec<Piece<'a>>, String> {
    let endian = elf.endian();
    let mut pieces = Vec::new();
    for header in elf.elf_program_headers() {
        if header.p_type(endian) != elf::PT_LOAD || header.p_filesz(endian) == 0 {
            continue;
        }
        let bytes = header
            .data(endian, elf.data())
            .map_err(|()| "a segment lies outside the file".to_owned())?;
        let at = header.p_paddr(endian);
        if !holds(&hardware.flash, at, bytes.len()) {
            return Err(format!(
                "{} bytes at {at:#x} are not in the program's flash {:#x?}",
                bytes.len(),
                hardware.flash
            ));
        }
        pieces.push(Piece { at, bytes });
    }
    Ok(pieces)
}

fn holds(memory: &Range<u32>, at: u32, len: usize) -> bool {
    let end = u64::from(at) + len as u64;
    at >= memory.start && end <= u64::from(memory.end)
}

fn measure(hardware: &Hardware, elf: &Elf<'_>) -> Result<Layout, String> {
    let endian = elf.endian();
    let (mut rows, mut ram) = (Vec::new(), hardware.ram.start);
    for section in elf.elf_section_table().iter() {
        let (at, len) = (section.sh_addr(endian), section.sh_size(endian));
        if !section.sh_flags(endian).contains(elf::SHF_ALLOC) || len == 0 {
            continue;
        }
        let name = elf.elf_section_table().section_name(endian, section);
        let name = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
        let in_ram = holds(&hardware.ram, at, len as usize);
        if !in_ram && !holds(&hardware.flash, at, len as usize) {
            return Err(format!("{name}: {len} bytes at {at:#x} are in no memory"));
        }
        if in_ram {
            ram = ram.max(at + len);
        }
        rows.push(Row { name, at, len });
    }
    rows.sort_by_key(|row| row.at);
    let ends = loaded(hardware, elf)?;
    let ends = ends.iter().map(|piece| piece.at + piece.bytes.len() as u32);
    let start = hardware.flash.start;
    let length = |range: &Range<u32>| range.end - range.start;
    Ok(Layout {
        rows,
        flash: ends.max().unwrap_or(start) - start,
        ram: ram - hardware.ram.start,
        room: (length(&hardware.flash), length(&hardware.ram)),
    })
}

/// The first bytes of the flash.
fn image(hardware: &Hardware, elf: &Elf<'_>) -> Result<Vec<u8>, String> {
    let mut image = vec![0xff; IMAGE_DEF_WITHIN];
    for piece in loaded(hardware, elf)? {
        let start = (piece.at - hardware.flash.start) as usize;
        for (place, byte) in image.iter_mut().skip(start).zip(piece.bytes) {
            *place = *byte;
        }
    }
    Ok(image)
}

/// What the boot ROM or the boot loader looks at.
fn check_image(hardware: &Hardware, image: &[u8]) -> Result<(), String> {
    let (words, _) = image.as_chunks::<4>();
    let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let &[stack, reset, ..] = words.as_slice() else {
        return Err("has no vector table".into());
    };
    if stack <= hardware.ram.start || stack > hardware.ram.end || !stack.is_multiple_of(8) {
        return Err(format!(
            "its stack begins at {stack:#x}, which is not in RAM"
        ));
    }
    if !hardware.flash.contains(&reset) || reset.is_multiple_of(2) {
        return Err(format!(
            "its first instruction is at {reset:#x}, which is no code in flash"
        ));
    }
    if !hardware.has_image_def {
        return Ok(());
    }
    match words
        .windows(IMAGE_DEF.len())
        .any(|block| block == IMAGE_DEF)
    {
        true => Ok(()),
        false => Err(
            "has no image definition in its first 4 KiB: the boot ROM would not start it".into(),
        ),
    }
}

/// The function is in RAM, and leaves it only through addresses that it is given.
fn check_away(hardware: &Hardware, away: &str, elf: &Elf<'_>) -> Result<(), String> {
    let symbol = elf.symbols().find(|symbol| symbol.name() == Ok(away));
    let symbol = symbol.ok_or_else(|| format!("has no function {away}"))?;
    let at = symbol.address() as u32 & !1;
    if !holds(&hardware.ram, at, symbol.size() as usize) {
        return Err(format!(
            "{away} is at {at:#x}, not in RAM: it could not be read while it runs"
        ));
    }
    let endian = elf.endian();
    for section in elf.elf_section_table().iter() {
        let (start, len) = (section.sh_addr(endian), section.sh_size(endian));
        if !(start..start + len).contains(&at) || section.sh_type(endian) != elf::SHT_PROGBITS {
            continue;
        }
        let bytes = section.data(endian, elf.data()).unwrap_or_default();
        let from = (at - start) as usize;
        let code = bytes.get(from..from + symbol.size() as usize);
        return check_code(away, code.unwrap_or_default());
    }
    Err(format!("{away} has no code"))
}

/// No call or jump to a fixed address, and no constant from beside the code (Armv8-M Architecture Reference
/// Manual: BL, B T4, LDR literal T1 and T2).
fn check_code(away: &str, code: &[u8]) -> Result<(), String> {
    let (halves, _) = code.as_chunks::<2>();
    if halves.is_empty() {
        return Err(format!("{away} has no code"));
    }
    let mut halves = halves.iter().map(|half| u16::from_le_bytes(*half));
    let mut calls = 0;
    while let Some(first) = halves.next() {
        let wrong = if first >> 11 >= 0b11101 {
            let second = halves.next().unwrap_or(0);
            let branch = first & 0xf800 == 0xf000 && second & 0x9000 == 0x9000;
            let literal = first & 0xff7f == 0xf85f;
            branch || literal
        } else {
            calls += usize::from(first & 0xff87 == 0x4780);
            first & 0xf800 == 0x4800
        };
        if wrong {
            return Err(format!(
                "{away} leaves RAM while the flash cannot be read ({first:#06x})"
            ));
        }
    }
    match calls {
        0 => Err(format!("{away} calls nothing, so it changes no flash")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::hardware::hardware;
    use crate::firmware::{NRF52840, PICO2};

    fn image_with(stack: u32, reset: u32, block_at: usize) -> Vec<u8> {
        let mut image = vec![0; IMAGE_DEF_WITHIN];
        image[..4].copy_from_slice(&stack.to_le_bytes());
        image[4..8].copy_from_slice(&reset.to_le_bytes());
        for (index, word) in IMAGE_DEF.into_iter().enumerate() {
            let at = block_at + 4 * index;
            if let Some(place) = image.get_mut(at..at + 4) {
                place.copy_from_slice(&word.to_le_bytes());
            }
        }
        image
    }

    #[test]
    fn what_the_boot_rom_would_not_start_is_refused() {
        let pico2 = hardware(PICO2).unwrap();
        let end = pico2.ram.end;
        check_image(&pico2, &image_with(end, 0x1000_0101, 0x100)).unwrap();
        let cases = [
            (image_with(0x2008_2008, 0x1000_0101, 0x100), "stack"),
            (image_with(end, 0x1000_0100, 0x100), "first instruction"),
            (image_with(end, 0x1010_0001, 0x100), "first instruction"),
            (image_with(end, 0x1000_0101, 4096 - 16), "image definition"),
        ];
        for (image, words) in cases {
            let error = check_image(&pico2, &image).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_boot_loader_wants_a_vector_table_and_nothing_else() {
        let feather = hardware(NRF52840).unwrap();
        check_image(&feather, &image_with(0x2004_0000, 0x2_6101, 4096)).unwrap();
        for (stack, reset) in [
            (0x2004_0008, 0x2_6101),
            (0x2004_0000, 0x2_5fff),
            (8, 0x2_6101),
        ] {
            assert!(check_image(&feather, &image_with(stack, reset, 4096)).is_err());
        }
    }

    #[test]
    fn code_that_leaves_ram_is_refused() {
        // push {r4, lr}; ldr r4, [r0]; blx r4; movw r1, #4; pop {r4, pc}
        let good = [
            0x10, 0xb5, 0x04, 0x68, 0xa0, 0x47, 0x40, 0xf2, 0x04, 0x01, 0x10, 0xbd,
        ];
        check_code("away", &good).unwrap();
        let cases: [&[u8]; 5] = [
            &[0xff, 0xf7, 0xfe, 0xff],             // bl
            &[0xff, 0xf7, 0xfe, 0xbf],             // b.w
            &[0x00, 0x4c, 0xa0, 0x47],             // ldr r4, [pc]
            &[0xdf, 0xf8, 0x00, 0x40, 0xa0, 0x47], // ldr.w r4, [pc]
            &[0x70, 0x47],                         // bx lr, and no call
        ];
        for code in cases {
            assert!(check_code("away", code).is_err(), "{code:x?}");
        }
        assert!(check_code("away", &[]).is_err());
    }

    #[test]
    fn memory_ends_where_it_ends() {
        let flash = hardware(PICO2).unwrap().flash;
        assert!(holds(&flash, flash.end - 4, 4) && !holds(&flash, flash.end - 4, 5));
    }
}
