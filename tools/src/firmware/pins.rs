//! The pins of a board as a table for its page.
//!
//! In: the firmware's own constants, compiled in. Out: Markdown, which `docs/hardware.md` holds word for word.

use std::fmt::{Display, Write};

use super::{Board, NRF52840, PICO2};
use crate::SetupError;

macro_rules! of_the_firmware {
    ($($name:ident: $path:literal),*) => {$(
        #[path = $path]
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "the firmware's own file, of which this needs the table"
        )]
        mod $name;
    )*};
}

of_the_firmware!(
    wire: "../../../firmware/src/board/wire.rs",
    pico2: "../../../firmware/src/board/pico2/pins.rs",
    nrf52840: "../../../firmware/src/board/nrf52840/pins.rs"
);

/// The table of a board.
///
/// # Errors
/// It is one of QEMU's.
pub fn pins(board: Board) -> Result<String, SetupError> {
    match board {
        PICO2 => Ok(table(&pico2::WIRES, pico2::name)),
        NRF52840 => Ok(table(&nrf52840::WIRES, nrf52840::name)),
        other => Err(other.is_simulated()),
    }
}

fn table<T: Display>(wires: &[wire::Wire], name: impl Fn(u8) -> T) -> String {
    let mut text = String::from("| pin | GPIO | what | note |\n|---:|---:|---|---|\n");
    for wire in wires {
        let pin = wire.pin.unwrap_or("–");
        let gpio = wire
            .gpio
            .map_or_else(String::new, |gpio| name(gpio).to_string());
        // Nothing can fail that writes to a `String`.
        let _ = writeln!(text, "| {pin} | {gpio} | {} | {} |", wire.what, wire.note);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::REAL_BOARDS;
    use crate::repo;

    #[test]
    fn the_page_has_the_tables() {
        let page = std::fs::read_to_string(repo::root().join("docs/hardware.md")).unwrap();
        for board in REAL_BOARDS {
            let table = pins(board).unwrap();
            let name = board.name;
            assert!(
                page.contains(&table),
                "put what `cargo xtask firmware pins --board {name}` prints into docs/hardware.md:\n{table}"
            );
        }
    }

    fn checked(wires: &[wire::Wire], known: &[(&str, u8)]) -> usize {
        let mut checked = 0;
        for wire in wires {
            if let (Some(pin), Some(gpio)) = (wire.pin, wire.gpio) {
                assert!(known.contains(&(pin, gpio)), "{wire:?}");
                checked += 1;
            }
        }
        checked
    }

    #[test]
    fn a_module_pin_is_where_the_maker_has_its_gpio() {
        // Raspberry Pi Pico 2 datasheet, pinout: on the left 14 GPIOs from pin 1, with ground on 3, 8, 13, 18;
        // on the right from pin 21, with ground on 23 and 28, RUN on 30.
        let side = |first: u8, skipped: &'static [u8]| {
            (first..=40).filter(move |pin| !skipped.contains(pin))
        };
        let left = side(1, &[3, 8, 13, 18]).zip(0..=15);
        let right = side(21, &[23, 28, 30]).zip((16..=22).chain(26..=28));
        let known: Vec<(String, u8)> = left
            .chain(right)
            .map(|(pin, gpio)| (pin.to_string(), gpio))
            .collect();
        let known: Vec<_> = known
            .iter()
            .map(|(pin, gpio)| (pin.as_str(), *gpio))
            .collect();
        assert_eq!(checked(&pico2::WIRES, &known), 6);
    }

    #[test]
    fn a_feather_pin_is_where_the_maker_has_its_gpio() {
        // Adafruit_nRF52_Arduino, variants/feather_nrf52840_express/variant.cpp.
        let known = [
            ("5", 40),
            ("6", 7),
            ("9", 26),
            ("10", 27),
            ("11", 6),
            ("12", 8),
            ("13", 41),
            ("SCK", 14),
            ("MO", 13),
            ("MI", 15),
        ];
        assert_eq!(checked(&nrf52840::WIRES, &known), 5);
        assert_eq!(nrf52840::name(nrf52840::LED).to_string(), "P1.15");
        assert_eq!(nrf52840::name(nrf52840::BUTTON).to_string(), "P1.02");
    }
}
