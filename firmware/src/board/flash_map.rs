//! What lies where in the flash of every board: the only place where it stands.
//!
//! In: nothing. Out: constants, checked when they are compiled: a module for each map, with the same names.
//! `build.rs` makes the linker's map of them, and `cargo xtask firmware build` looks whether a program keeps to it.
//! Sectors are of 4 KiB and words of 4 bytes on all of them.

/// A part of the chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where it starts.
    pub start: u32,
    /// Its bytes.
    pub len: u32,
}

impl Part {
    /// Where the next one may start.
    #[must_use]
    pub const fn end(self) -> u32 {
        self.start + self.len
    }

    /// Two parts of this size, one behind the other.
    const fn twice(self) -> [Self; 2] {
        let behind = Self {
            start: self.end(),
            len: self.len,
        };
        [self, behind]
    }
}

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

/// Bytes that are erased together.
pub const SECTOR: u32 = 4 * KIB;
/// Bytes that are programmed together.
pub const WRITE: u32 = 4;

/// The parts lie one behind the other from `start` on, none beyond the end, each on whole sectors; the scratch sector
/// is the last one.
const fn check(parts: [Part; 4], bank: u32, scratch: Part, (start, end): (u32, u32)) {
    let (mut i, mut at) = (0, start);
    while i < parts.len() {
        assert!(parts[i].start == at, "a gap or an overlap");
        assert!(parts[i].len > 0, "an empty part");
        assert!(parts[i].len.is_multiple_of(SECTOR), "half a sector");
        at = parts[i].end();
        i += 1;
    }
    assert!(at <= scratch.start, "no room for the last sector");
    assert!(scratch.end() == end, "beyond the end of the chip");
    assert!(bank.is_multiple_of(SECTOR) && SECTOR.is_multiple_of(WRITE));
}

/// The Raspberry Pi Pico 2, and the boards of QEMU, which have its data and lay their programs elsewhere. The chip is
/// one of 4 MiB; offsets count from its start.
///
/// ```text
/// 0         1 MiB        2 MiB        3 MiB      3 MiB + 260 KiB   3 MiB + 520 KiB   4 MiB
/// ├─ program ─┼─ samples: bank 0 │ bank 1 ─┼─ model 0 ───┼─ model 1 ───┼─ free, scratch ┤
/// ```
pub mod pico2 {
    use super::{KIB, MIB, Part, SECTOR, check};

    /// Bytes of the chip.
    pub const CHIP: u32 = 4 * MIB;
    /// The firmware. On QEMU's boards it lies elsewhere, and this part of the chip is not there.
    pub const PROGRAM: Part = Part { start: 0, len: MIB };
    /// Bytes of one of the two banks of the support set.
    pub const BANK: u32 = MIB;
    /// The support set: two banks, one behind the other.
    pub const SAMPLES: Part = Part {
        start: PROGRAM.end(),
        len: 2 * BANK,
    };
    /// Bytes for one model: a sector for what the update writes last, and the file.
    pub const SLOT: u32 = 256 * KIB + SECTOR;
    /// Two models: the one in use and the next one.
    pub const MODELS: [Part; 2] = Part {
        start: SAMPLES.end(),
        len: SLOT,
    }
    .twice();
    /// The chip's last sector, which a board's checklist may write to.
    pub const SCRATCH: Part = Part {
        start: CHIP - SECTOR,
        len: SECTOR,
    };
    /// All that is not the program: what a QEMU board has, in its `NV` region.
    pub const DATA: Part = Part {
        start: PROGRAM.end(),
        len: CHIP - PROGRAM.end(),
    };

    const _: () = check(
        [PROGRAM, SAMPLES, MODELS[0], MODELS[1]],
        BANK,
        SCRATCH,
        (0, CHIP),
    );
}

/// The Adafruit Feather nRF52840 Express: between the radio's software and the boot loader, which both stay. Addresses
/// are the processor's. The boot loader starts what begins where S140 6 ends (`linker/nrf52840.ld` and
/// `dfu_types.h` of Adafruit_nRF52_Bootloader), and takes UF2 blocks below 0xad000 in its oldest releases
/// (`uf2cfg.h`).
///
/// ```text
/// 0x26000   0x66000                   0xd0000    0xe1000    0xf2000         0xf4000
/// ├─ program ─┼─ samples: bank 0 │ bank 1 ─┼─ model 0 ─┼─ model 1 ─┼─ free, scratch ┤
/// ```
///
/// A slot has room for networks of the size of `nano`, which is the one that ships with this board: with two of
/// `micro` a bank would hold three samples.
pub mod nrf52840 {
    use super::{KIB, Part, SECTOR, check};

    /// Behind the master boot record and S140 6, of Nordic's.
    pub const START: u32 = 0x2_6000;
    /// The boot loader.
    pub const END: u32 = 0xf_4000;
    /// The boot loader's oldest releases write no further.
    const WRITTEN: u32 = 0xa_d000;
    /// The firmware.
    pub const PROGRAM: Part = Part {
        start: START,
        len: 256 * KIB,
    };
    /// Bytes of one of the two banks of the support set.
    pub const BANK: u32 = 212 * KIB;
    /// What a sample takes at most: a picture of 128×128 and what is kept with it.
    const SAMPLE: u32 = 16 * KIB + KIB + 128;
    /// The support set: two banks, one behind the other.
    pub const SAMPLES: Part = Part {
        start: PROGRAM.end(),
        len: 2 * BANK,
    };
    /// Bytes for one model: a sector for what the update writes last, and the file.
    pub const SLOT: u32 = 64 * KIB + SECTOR;
    /// Two models: the one in use and the next one.
    pub const MODELS: [Part; 2] = Part {
        start: SAMPLES.end(),
        len: SLOT,
    }
    .twice();
    /// The last sector below the boot loader, which the checklist may write to.
    pub const SCRATCH: Part = Part {
        start: END - SECTOR,
        len: SECTOR,
    };

    const _: () = check(
        [PROGRAM, SAMPLES, MODELS[0], MODELS[1]],
        BANK,
        SCRATCH,
        (START, END),
    );
    const _: () = assert!(PROGRAM.end() <= WRITTEN);
    const _: () = assert!(BANK >= 12 * SAMPLE, "a dozen marks");
}
