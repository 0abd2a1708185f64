//! Which pin of the Adafruit Feather nRF52840 Express does what: the only place where it stands.
//!
//! In: nothing. Out: GPIO numbers (32 for each port, so that 47 is P1.15), and the table that `cargo xtask firmware
//! pins` prints. The module's pins are called as they are printed on it. Which GPIO is behind a name is Adafruit's
//! `variants/feather_nrf52840_express/variant.cpp`.

use core::fmt;

use super::wire::{Wire, are_distinct, wire};

/// From the camera.
pub const CAMERA_MISO: u8 = 15;
/// Chip select, low while the camera is spoken to.
pub const CAMERA_CS: u8 = 27;
/// The clock of the camera's bus.
pub const CAMERA_SCK: u8 = 14;
/// To the camera.
pub const CAMERA_MOSI: u8 = 13;
/// The switch on the board, to ground; the pull-up is the chip's.
pub const BUTTON: u8 = 32 + 2;
/// High while a match is shown.
pub const MATCH: u8 = 26;
/// The red lamp on the board.
pub const LED: u8 = 32 + 15;

/// Everything that is connected: the side of 12 pins, that of 16, the board itself.
pub const WIRES: [Wire; 9] = [
    wire(
        "match output",
        Some(MATCH),
        Some("9"),
        "3.3 V for 2 s at a match, at most 1 mA",
    ),
    wire("camera CS", Some(CAMERA_CS), Some("10"), "low is selected"),
    wire("camera SCK", Some(CAMERA_SCK), Some("SCK"), "SPIM2, 4 MHz"),
    wire("camera MOSI", Some(CAMERA_MOSI), Some("MO"), "SPIM2"),
    wire("camera MISO", Some(CAMERA_MISO), Some("MI"), "SPIM2"),
    wire("camera VCC", None, Some("3V"), "out"),
    wire("camera GND", None, Some("GND"), "any ground will do"),
    wire(
        "button",
        Some(BUTTON),
        None,
        "the user switch on the board: short press asks, long press (0.8 s) learns",
    ),
    wire("lamp", Some(LED), None, "the red one beside the USB socket"),
];

/// A GPIO as the chip's maker calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(u8);

/// The name of a GPIO.
#[must_use]
pub const fn name(gpio: u8) -> Name {
    Name(gpio)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{}.{:02}", self.0 / 32, self.0 % 32)
    }
}

/// No GPIO has two tasks, and all are there: 32 of port 0 and 16 of port 1.
const _: () = {
    assert!(are_distinct(&WIRES), "a GPIO has two tasks");
    let mut i = 0;
    while i < WIRES.len() {
        if let Some(gpio) = WIRES[i].gpio {
            assert!(gpio < 48, "there is no such GPIO");
        }
        i += 1;
    }
};
