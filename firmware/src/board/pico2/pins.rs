//! Which pin of the Raspberry Pi Pico 2 does what: the only place where it stands.
//!
//! In: nothing. Out: GPIO numbers, and the table that `cargo xtask firmware pins` prints. The module's
//! pins are counted as on its silkscreen, from 1 beside the USB socket, against the clock.

use super::wire::{Wire, are_distinct, wire};

/// SPI0 RX: from the camera.
pub const CAMERA_MISO: u8 = 16;
/// Chip select, low while the camera is spoken to.
pub const CAMERA_CS: u8 = 17;
/// SPI0 SCK.
pub const CAMERA_SCK: u8 = 18;
/// SPI0 TX: to the camera.
pub const CAMERA_MOSI: u8 = 19;
/// A button to ground; the pull-up is the chip's.
pub const BUTTON: u8 = 14;
/// High while a match is shown.
pub const MATCH: u8 = 15;
/// The lamp on the board.
pub const LED: u8 = 25;

/// Everything that is connected, in the order of the pins.
pub const WIRES: [Wire; 10] = [
    wire(
        "ground of the button",
        None,
        Some("18"),
        "any ground will do",
    ),
    wire(
        "button, to ground",
        Some(BUTTON),
        Some("19"),
        "short press asks, long press (0.8 s) learns",
    ),
    wire(
        "match output",
        Some(MATCH),
        Some("20"),
        "3.3 V for 2 s at a match, at most 4 mA",
    ),
    wire("camera MISO", Some(CAMERA_MISO), Some("21"), "SPI0 RX"),
    wire("camera CS", Some(CAMERA_CS), Some("22"), "low is selected"),
    wire("camera GND", None, Some("23"), "any ground will do"),
    wire(
        "camera SCK",
        Some(CAMERA_SCK),
        Some("24"),
        "SPI0 SCK, 7.5 MHz",
    ),
    wire("camera MOSI", Some(CAMERA_MOSI), Some("25"), "SPI0 TX"),
    wire("camera VCC", None, Some("36"), "3V3(OUT)"),
    wire("lamp", Some(LED), None, "on the board"),
];

/// A GPIO as the board's maker calls it.
#[must_use]
pub const fn name(gpio: u8) -> u8 {
    gpio
}

/// No GPIO has two tasks, and SPI0 is where the chip can have it: RX, SCK and TX on GPIOs 0, 2 and 3 of each
/// four, of those up to 23 that have it (RP2350 datasheet, GPIO functions, F1).
const _: () = {
    assert!(are_distinct(&WIRES), "a GPIO has two tasks");
    assert!(CAMERA_MISO == 16 || CAMERA_MISO == 0 || CAMERA_MISO == 4 || CAMERA_MISO == 20);
    assert!(CAMERA_SCK == 18 || CAMERA_SCK == 2 || CAMERA_SCK == 6 || CAMERA_SCK == 22);
    assert!(CAMERA_MOSI == 19 || CAMERA_MOSI == 3 || CAMERA_MOSI == 7 || CAMERA_MOSI == 23);
};
