//! The pins of a board as a table for its page.
//!
//! In: the firmware's own constants, compiled in. Out: Markdown, which `docs/hardware.md` holds word for word.

use std::fmt::Write;

#[path = "../../../firmware/src/board/pico2/pins.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the firmware's own file, of which this needs the table"
)]
mod pico2;

/// The table of the Raspberry Pi Pico 2.
#[must_use]
pub fn pins() -> String {
    let mut text = String::from("| pin | GPIO | what | note |\n|---:|---:|---|---|\n");
    for wire in pico2::WIRES {
        let number = |number: Option<u8>, none: &str| {
            number.map_or_else(|| none.to_owned(), |number| number.to_string())
        };
        let (pin, gpio) = (number(wire.pin, "–"), number(wire.gpio, ""));
        // Nothing can fail that writes to a `String`.
        let _ = writeln!(text, "| {pin} | {gpio} | {} | {} |", wire.what, wire.note);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo;

    #[test]
    fn the_page_has_the_table() {
        let page = std::fs::read_to_string(repo::root().join("docs/hardware.md")).unwrap();
        assert!(
            page.contains(&pins()),
            "put what `cargo xtask firmware pins` prints into docs/hardware.md:\n{}",
            pins()
        );
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
        let known: Vec<(u8, u8)> = left.chain(right).collect();
        let mut checked = 0;
        for wire in pico2::WIRES {
            if let (Some(pin), Some(gpio)) = (wire.pin, wire.gpio) {
                assert!(known.contains(&(pin, gpio)), "{wire:?}");
                checked += 1;
            }
        }
        assert_eq!(checked, 6);
    }
}
