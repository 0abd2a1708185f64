//! What lies where in the flash: the only place where it stands.
//!
//! In: nothing. Out: constants, checked when they are compiled. The chip is one of 4 MiB with sectors of 4 KiB,
//! as on a Raspberry Pi Pico 2; offsets count from its start.
//!
//! ```text
//! 0         1 MiB        2 MiB        3 MiB      3 MiB + 260 KiB   3 MiB + 520 KiB   4 MiB
//! ├─ program ─┼─ samples: bank 0 │ bank 1 ─┼─ model 0 ───┼─ model 1 ───┼─ free, scratch ┤
//! ```

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
}

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

/// Bytes of the chip.
pub const CHIP: u32 = 4 * MIB;
/// Bytes that are erased together.
pub const SECTOR: u32 = 4 * KIB;
/// Bytes that are programmed together.
pub const WRITE: u32 = 4;

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
pub const MODELS: [Part; 2] = [
    Part {
        start: SAMPLES.end(),
        len: SLOT,
    },
    Part {
        start: SAMPLES.end() + SLOT,
        len: SLOT,
    },
];
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

/// The parts lie one behind the other, none beyond the end, each on whole sectors.
const _: () = {
    let parts = [PROGRAM, SAMPLES, MODELS[0], MODELS[1]];
    let (mut i, mut end) = (0, 0);
    while i < parts.len() {
        assert!(parts[i].start == end, "a gap or an overlap");
        assert!(parts[i].len > 0, "an empty part");
        assert!(parts[i].len.is_multiple_of(SECTOR), "half a sector");
        end = parts[i].end();
        i += 1;
    }
    assert!(end <= SCRATCH.start, "no room for the last sector");
    assert!(SCRATCH.end() == CHIP, "beyond the end of the chip");
    assert!(BANK.is_multiple_of(SECTOR) && SECTOR.is_multiple_of(WRITE));
};
