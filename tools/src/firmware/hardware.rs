//! What is known of the boards that one can buy: memory, boot loader, drive, probe.
//!
//! In: a board. Out: its [`Hardware`]. Where a program lies is the firmware's own flash map, compiled in.

use std::ops::Range;

use super::{Board, NRF52840, PICO2};
use crate::SetupError;

#[path = "../../../firmware/src/board/flash_map.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the firmware's own file, of which this needs a part"
)]
mod flash_map;

/// A board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hardware {
    /// The program's part of the flash, where it is mapped.
    pub(super) flash: Range<u32>,
    /// The RAM that a program may use.
    pub(super) ram: Range<u32>,
    /// Whether the boot ROM looks for an image definition.
    pub(super) has_image_def: bool,
    /// The function during which the flash cannot be read, where there is such a time.
    pub(super) away: Option<&'static str>,
    /// Of its UF2 files.
    pub(super) family: u32,
    /// The chip by probe-rs' name.
    pub(super) probe_chip: &'static str,
    /// Its drive's label, and what makes it appear.
    pub(super) drive: &'static str,
    pub(super) press: &'static str,
    /// What must stand in the drive's `INFO_UF2.TXT`, in small letters: one word of each line.
    pub(super) info: &'static [&'static [&'static str]],
    /// What that means.
    pub(super) wanted: &'static str,
    /// What the linker was told beside the flash map.
    pub(super) memory: &'static str,
}

const RP2350: Hardware = Hardware {
    // RP2350 datasheet, "Address map".
    flash: program(0x1000_0000, flash_map::pico2::PROGRAM),
    ram: 0x2000_0000..0x2008_2000,
    has_image_def: true,
    away: Some("onelook_flash_away"),
    // For secure Arm code of an RP2350 (datasheet, "UF2 targeting rules").
    family: 0xe48b_ff59,
    probe_chip: "RP235x",
    drive: "RP2350",
    press: "hold BOOTSEL while you plug the board in",
    info: &[&["rp2350"]],
    wanted: "a board with an RP2350",
    memory: "firmware/memory/pico2.x",
};

const FEATHER: Hardware = Hardware {
    flash: program(0, flash_map::nrf52840::PROGRAM),
    // All but what the master boot record keeps for itself.
    ram: 0x2000_0008..0x2004_0000,
    has_image_def: false,
    away: None,
    // Adafruit_nRF52_Bootloader, `uf2cfg.h`.
    family: 0xada5_2840,
    probe_chip: "nRF52840_xxAA",
    drive: "FTHR840BOOT",
    press: "press the board's reset button twice within half a second",
    // With another release of S140 the boot loader starts what begins elsewhere.
    info: &[
        &["feather nrf52840 express"],
        &["s140 6.", "s140 version 6."],
    ],
    wanted: "an Adafruit Feather nRF52840 Express with S140 6",
    memory: "firmware/memory/nrf52840.x",
};

const fn program(mapped: u32, part: flash_map::Part) -> Range<u32> {
    let start = mapped + part.start;
    start..start + part.len
}

/// What is known of a board; `None` of QEMU's.
pub(super) fn hardware(board: Board) -> Option<Hardware> {
    match board {
        PICO2 => Some(RP2350),
        NRF52840 => Some(FEATHER),
        _ => None,
    }
}

impl Board {
    /// Why nothing can be put into it.
    pub(super) fn is_simulated(self) -> SetupError {
        SetupError::Missing {
            what: format!("{} is a board of QEMU's", self.name),
            next: "name a board that one can buy".into(),
        }
    }
}

impl Hardware {
    /// Whether a drive with this `INFO_UF2.TXT` takes the board's programs.
    pub(super) fn takes(&self, info: &str) -> bool {
        let info = info.to_lowercase();
        let holds = |words: &&[&str]| words.iter().any(|word| info.contains(word));
        self.info.iter().all(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::REAL_BOARDS;

    #[test]
    fn every_board_that_one_can_buy_is_known_and_no_drive_takes_two() {
        // Of a board from a shop, of Adafruit's releases of before and after 0.4, and of Seeed's.
        let drives = [
            "Model: Raspberry Pi RP2350\r\nBoard-ID: RP2350\r\n",
            "UF2 Bootloader 0.2.6 s140 6.1.1\r\nModel: Adafruit Feather nRF52840 Express\r\n\
             Board-ID: NRF52-Bluefruit-v0\r\nBootloader: s140 6.1.1\r\n",
            "UF2 Bootloader 0.9.1\r\nModel: Adafruit Feather nRF52840 Express\r\n\
             Board-ID: nRF52840-Feather-revD\r\nSoftDevice: S140 version 6.1.1\r\n",
            "Model: Adafruit Feather nRF52840 Express\r\nSoftDevice: S140 version 7.3.0\r\n",
            "Model: Adafruit Feather nRF52840 Express\r\nSoftDevice: not found\r\n",
            "Model: Seeed XIAO nRF52840\r\nSoftDevice: S140 version 6.1.1\r\n",
            "Model: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n",
        ];
        let taken: Vec<Vec<bool>> = REAL_BOARDS
            .into_iter()
            .map(|board| {
                let hardware = hardware(board).unwrap();
                drives.iter().map(|info| hardware.takes(info)).collect()
            })
            .collect();
        assert_eq!(taken[0], [true, false, false, false, false, false, false]);
        assert_eq!(taken[1], [false, true, true, false, false, false, false]);
        assert!(hardware(crate::firmware::AN386).is_none());
    }

    #[test]
    fn programs_end_where_the_samples_begin() {
        assert_eq!(
            RP2350.flash.end,
            0x1000_0000 + flash_map::pico2::SAMPLES.start
        );
        assert_eq!(FEATHER.flash.end, flash_map::nrf52840::SAMPLES.start);
        assert_eq!(FEATHER.flash.start, 0x2_6000);
    }
}
