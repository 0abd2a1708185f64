//! What a person touches and sees on a board without a host: a button and a lamp.
//!
//! In: whether the button is down, what came of a picture ([`Signal`]), and the time in microseconds. Out: a
//! [`Press`], once for each, and whether the lamp is lit. Both only count time; the pins are the board's.

use super::Press;

/// What came of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// A class that was enrolled: a match.
    Known,
    /// A mark, but none that was enrolled.
    Unknown,
    /// The mark was learnt.
    Learnt,
    /// No verdict and nothing learnt: no picture, a bad one, or nothing to compare with.
    Refused,
}

impl Signal {
    /// Of a verdict.
    pub(super) const fn of(known: bool) -> Self {
        match known {
            true => Self::Known,
            false => Self::Unknown,
        }
    }
}

/// A level that stays so long is no bounce of the contact. Switches settle in 5 ms or less.
const SETTLE_US: u64 = 20_000;
/// A press of so long learns; one that ends before asks.
const LONG_US: u64 = 800_000;

/// A button: short asks, long learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Button {
    /// The level that counts.
    down: bool,
    /// Since when the level is the other one.
    other_since: Option<u64>,
    /// When the press began, until it was reported.
    pressed_at: Option<u64>,
}

impl Default for Button {
    fn default() -> Self {
        Self::new()
    }
}

impl Button {
    /// A button that is up.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            down: false,
            other_since: None,
            pressed_at: None,
        }
    }

    /// Takes a look at the button, at least every 10 ms. A long press is reported while the button is still
    /// down, so that a person feels that it was long enough; a short one when the button is let go.
    pub fn look(&mut self, down: bool, now: u64) -> Option<Press> {
        if down == self.down {
            self.other_since = None;
        } else {
            let since = *self.other_since.get_or_insert(now);
            if now.saturating_sub(since) >= SETTLE_US {
                self.down = down;
                self.other_since = None;
                if down {
                    self.pressed_at = Some(since);
                } else {
                    return self.pressed_at.take().map(|_| Press::Short);
                }
            }
        }
        let held = now.saturating_sub(self.pressed_at?);
        if self.down && self.other_since.is_none() && held >= LONG_US {
            self.pressed_at = None;
            return Some(Press::Long);
        }
        None
    }
}

/// One lit stretch of the lamp and the dark one behind it, in microseconds, and how often they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pattern {
    lit_us: u64,
    dark_us: u64,
    times: u64,
}

/// A lamp: two seconds of light for a match, one flash for an unknown mark, two for one that was learnt, five
/// quick ones when nothing came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lamp {
    shown: Option<(Signal, u64)>,
}

impl Default for Lamp {
    fn default() -> Self {
        Self::new()
    }
}

impl Lamp {
    /// A dark lamp.
    #[must_use]
    pub const fn new() -> Self {
        Self { shown: None }
    }

    /// Begins to show a signal, in place of the one before.
    pub const fn show(&mut self, signal: Signal, now: u64) {
        self.shown = Some((signal, now));
    }

    /// Whether it is lit now.
    #[must_use]
    pub const fn is_lit(&self, now: u64) -> bool {
        let Some((signal, since)) = self.shown else {
            return false;
        };
        let Pattern {
            lit_us,
            dark_us,
            times,
        } = pattern(signal);
        let gone = now.saturating_sub(since);
        let (Some(round), Some(phase)) = (
            gone.checked_div(lit_us + dark_us),
            gone.checked_rem(lit_us + dark_us),
        ) else {
            return false;
        };
        round < times && phase < lit_us
    }

    /// Whether a match is shown now: for a pin that switches something else than the lamp.
    #[must_use]
    pub const fn is_match(&self, now: u64) -> bool {
        matches!(self.shown, Some((Signal::Known, _))) && self.is_lit(now)
    }
}

const fn pattern(signal: Signal) -> Pattern {
    let (lit_us, dark_us, times) = match signal {
        Signal::Known => (2_000_000, 0, 1),
        Signal::Unknown => (150_000, 150_000, 1),
        Signal::Learnt => (400_000, 300_000, 2),
        Signal::Refused => (80_000, 120_000, 5),
    };
    Pattern {
        lit_us,
        dark_us,
        times,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every press that the levels give, each level held for so many milliseconds, looked at every 5 ms.
    fn presses(levels: &[(bool, u64)]) -> Vec<(u64, Press)> {
        let (mut button, mut now, mut found) = (Button::new(), 0, Vec::new());
        for &(down, milliseconds) in levels {
            for _ in 0..milliseconds / 5 {
                found.extend(button.look(down, now).map(|press| (now / 1000, press)));
                now += 5_000;
            }
        }
        found
    }

    #[test]
    fn a_short_press_comes_when_it_ends_and_a_long_one_while_it_lasts() {
        let short = presses(&[(false, 100), (true, 200), (false, 100)]);
        assert_eq!(short, [(320, Press::Short)]);
        let long = presses(&[(false, 100), (true, 2000), (false, 100)]);
        assert_eq!(long, [(900, Press::Long)]);
    }

    #[test]
    fn bounces_are_no_presses() {
        assert!(
            presses(&[
                (false, 50),
                (true, 15),
                (false, 50),
                (true, 10),
                (false, 90)
            ])
            .is_empty()
        );
        let bounce = [(true, 5), (false, 5), (true, 5), (false, 5)];
        let noisy: Vec<_> = bounce
            .into_iter()
            .chain([(true, 300)])
            .chain(bounce.map(|(down, time)| (!down, time)))
            .chain([(false, 200)])
            .collect();
        assert_eq!(presses(&noisy).len(), 1);
    }

    #[test]
    fn a_button_that_is_down_at_the_start_counts_from_there() {
        assert_eq!(presses(&[(true, 1000)]), [(800, Press::Long)]);
        assert!(presses(&[(true, 700)]).is_empty());
    }

    #[test]
    fn a_look_that_comes_late_loses_no_press() {
        let mut button = Button::new();
        assert_eq!(button.look(true, 0), None);
        assert_eq!(button.look(true, 3_000_000), Some(Press::Long));
        assert_eq!(button.look(false, 6_000_000), None);
        assert_eq!(button.look(false, 9_000_000), None);
        assert_eq!(button.look(true, 10_000_000), None);
    }

    #[test]
    fn each_signal_lights_the_lamp_in_its_own_way() {
        let flashes = |signal| {
            let (mut lamp, mut count, mut before) = (Lamp::new(), 0, false);
            assert!(!lamp.is_lit(0));
            lamp.show(signal, 1_000_000);
            for now in (1_000_000..6_000_000).step_by(10_000) {
                let lit = lamp.is_lit(now);
                count += u32::from(lit && !before);
                assert_eq!(lamp.is_match(now), lit && signal == Signal::Known);
                before = lit;
            }
            assert!(!before);
            count
        };
        let all = [
            Signal::Known,
            Signal::Unknown,
            Signal::Learnt,
            Signal::Refused,
        ];
        assert_eq!(all.map(flashes), [1, 1, 2, 5]);
        let mut lamp = Lamp::new();
        lamp.show(Signal::Known, 0);
        assert!(lamp.is_lit(1_999_999) && !lamp.is_lit(2_000_000));
        lamp.show(Signal::Unknown, 0);
        assert!(lamp.is_lit(149_999) && !lamp.is_lit(150_000));
    }
}
