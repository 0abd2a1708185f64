//! What a person touches and sees, on a board with pins: a button, a lamp, and a pin that says when there is a match.
//!
//! In: pins of the chip, and signals. Out: presses, and levels by the time.

use shared::session::{Button, Lamp, Press, Signal};

use super::chip::gpio::Pin;
use super::chip::pins::{BUTTON, LED, MATCH};

/// The button, the lamp, and the pin that says when there is a match.
#[derive(Debug)]
pub struct Panel {
    button_pin: Pin,
    led: Pin,
    matched: Pin,
    button: Button,
    lamp: Lamp,
}

impl Panel {
    /// # Safety
    /// Called once, after the chip's pins were started.
    pub(super) unsafe fn new() -> Self {
        // SAFETY: called once, for three different pins, as `pins` asserts.
        unsafe {
            Self {
                button_pin: Pin::input(BUTTON),
                led: Pin::output(LED),
                matched: Pin::output(MATCH),
                button: Button::new(),
                lamp: Lamp::new(),
            }
        }
    }

    /// What was pressed since the last look; the lamp and the match pin follow the time.
    pub fn look(&mut self, now: u64) -> Option<Press> {
        self.led.set(self.lamp.is_lit(now));
        self.matched.set(self.lamp.is_match(now));
        self.button.look(self.is_down(), now)
    }

    /// Shows what came of a picture.
    pub const fn show(&mut self, signal: Signal, now: u64) {
        self.lamp.show(signal, now);
    }

    /// Whether the button is down at this moment.
    #[must_use]
    pub fn is_down(&self) -> bool {
        !self.button_pin.is_high()
    }

    /// Sets lamp and match pin, and says what levels they then have: for a board's checklist.
    pub fn levels(&mut self, led: bool, matched: bool) -> (bool, bool) {
        self.led.set(led);
        self.matched.set(matched);
        // The level passes two flip-flops before it can be read.
        super::chip::wait_cycles(150);
        (self.led.is_high(), self.matched.is_high())
    }
}
