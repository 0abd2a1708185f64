//! Boards that a model may be meant for, and whether it fits.
//!
//! In: the bytes of a model file, of its arena and of an embedding. Out: the share of each board's
//! flash and RAM. Sizes are those of the makers' data sheets; the program takes some of both
//! (`cargo xtask firmware size`), so a model that just fits does not.

use serde::Serialize;

/// A board, by what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Board {
    /// Its name.
    pub name: &'static str,
    /// Its processor.
    pub core: &'static str,
    /// Bytes of flash.
    pub flash: usize,
    /// Bytes of RAM.
    pub ram: usize,
}

const KIB: usize = 1024;

/// From the smallest to the largest.
pub const BOARDS: [Board; 4] = [
    Board {
        name: "Raspberry Pi Pico (RP2040)",
        core: "Cortex-M0+",
        flash: 2048 * KIB,
        ram: 264 * KIB,
    },
    Board {
        name: "STM32F411 Black Pill",
        core: "Cortex-M4F",
        flash: 512 * KIB,
        ram: 128 * KIB,
    },
    Board {
        name: "nRF52840 DK",
        core: "Cortex-M4F",
        flash: 1024 * KIB,
        ram: 256 * KIB,
    },
    Board {
        name: "Raspberry Pi Pico 2 (RP2350)",
        core: "Cortex-M33",
        flash: 4096 * KIB,
        ram: 520 * KIB,
    },
];

/// What a model takes of a board.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Budget {
    /// The board.
    #[serde(flatten)]
    pub board: Board,
    /// Share of the flash that the model file takes.
    pub flash_share: f64,
    /// Share of the RAM that arena and one embedding take.
    pub ram_share: f64,
}

impl Budget {
    /// The budget of a model on `board`.
    #[must_use]
    pub fn new(board: Board, file_bytes: usize, ram_bytes: usize) -> Self {
        Self {
            board,
            flash_share: file_bytes as f64 / board.flash as f64,
            ram_share: ram_bytes as f64 / board.ram as f64,
        }
    }

    /// Whether model and arena are smaller than flash and RAM.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.flash_share < 1.0 && self.ram_share < 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_half_the_flash_fits() {
        let board = BOARDS[1];
        let budget = Budget::new(board, 256 * KIB, 32 * KIB);
        assert_eq!((budget.flash_share, budget.ram_share), (0.5, 0.25));
        assert!(budget.fits());
        assert!(!Budget::new(board, 10, 128 * KIB).fits());
    }
}
