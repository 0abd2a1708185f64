//! The steps of the checklist that are not the flash: clock, camera, button and lamp.
//!
//! In: one device each, and the terminal where a person is needed. Out: verdicts.

use core::fmt;

use firmware::board::{CYCLES_PER_US, Camera, Clock, Panel, pins};

use super::{PERSON_US, Report, Text, words};

/// How long the two clocks are compared.
const COMPARE_US: u64 = 100_000;

/// What the clocks' comparison gave.
pub(super) struct Clocks {
    cycles: u64,
    microseconds: u64,
    is_crystal: bool,
    pub(super) verdict: Result<(), ()>,
}

impl fmt::Display for Clocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cycles,
            microseconds,
            is_crystal,
            ..
        } = self;
        let source = if *is_crystal {
            ""
        } else {
            ", without the crystal"
        };
        write!(f, "{cycles} cycles in {microseconds} us{source}")
    }
}

/// The timer counts the crystal's microseconds, the processor the cycles that are made of them.
pub(super) fn clock(clock: &mut Clock) -> Clocks {
    let (start, first) = (clock.microseconds(), clock.cycles());
    while clock.microseconds().saturating_sub(start) < COMPARE_US {}
    let (end, last) = (clock.microseconds(), clock.cycles());
    let microseconds = end.saturating_sub(start);
    let cycles = u64::from(last.wrapping_sub(first));
    // Reading either takes less than a microsecond.
    let off = cycles.abs_diff(microseconds * CYCLES_PER_US);
    let is_crystal = clock.is_crystal();
    let verdict = match is_crystal && off < microseconds {
        true => Ok(()),
        false => Err(()),
    };
    Clocks {
        cycles,
        microseconds,
        is_crystal,
        verdict,
    }
}

/// Sensor, and two pictures: not black, not one grey, not the same twice.
pub(super) fn camera(
    camera: &mut Camera,
    pixels: &mut [u8],
    text: &mut Text<'_>,
    report: &mut Report,
) {
    match camera.set_up() {
        Ok(id) => report.tell(text, "camera", Ok(()), &format_args!("sensor {id:#04x}")),
        Err(fault) => {
            report.tell(text, "camera", Err(()), &words(fault));
            report.tell(text, "picture", Err(()), &"no camera");
            return;
        }
    }
    let mut taken = camera.capture(pixels);
    if taken.is_ok() {
        taken = camera.capture(pixels);
    }
    match taken {
        Ok(picture) => {
            let len = usize::from(picture.h) * usize::from(picture.w);
            let pixels = pixels.get(..len).unwrap_or(&[]);
            let darkest = pixels.iter().copied().min().unwrap_or(0);
            let lightest = pixels.iter().copied().max().unwrap_or(0);
            let sum: u32 = pixels.iter().map(|&pixel| u32::from(pixel)).sum();
            let mean = sum.checked_div(len as u32).unwrap_or(0);
            let verdict = match lightest.saturating_sub(darkest) {
                0..8 => Err(()),
                _ => Ok(()),
            };
            let (h, w) = (picture.h, picture.w);
            report.tell(
                text,
                "picture",
                verdict,
                &format_args!("{h} x {w}, grey {darkest} to {lightest}, {mean} on average"),
            );
        }
        Err(fault) => report.tell(text, "picture", Err(()), &words(fault)),
    }
}

/// Lamp and match pin follow the processor; a person sees the lamp and presses the button.
pub(super) fn panel(panel: &mut Panel, text: &mut Text<'_>, report: &mut Report) {
    let levels = [(false, false), (true, false), (false, true), (true, true)];
    let follows = levels
        .iter()
        .all(|&(led, matched)| panel.levels(led, matched) == (led, matched));
    let verdict = if follows { Ok(()) } else { Err(()) };
    let names = [pins::LED, pins::MATCH, pins::BUTTON].map(pins::name);
    let [led, matched, button] = names;
    report.tell(
        text,
        "outputs",
        verdict,
        &format_args!("GPIO {led} and {matched} have the levels that they were given"),
    );
    text.line(&format_args!(
        "lamp: it blinks until you press a key; y when you see it, n when not"
    ));
    let mut answer = None;
    for round in 0..PERSON_US / 200_000 {
        panel.levels(round % 2 == 0, false);
        answer = text.key(200_000);
        if answer.is_some() {
            break;
        }
    }
    panel.levels(false, false);
    match answer {
        Some(b'y' | b'Y') => report.tell(text, "lamp", Ok(()), &"seen"),
        Some(_) => report.tell(text, "lamp", Err(()), &"not seen"),
        None => report.tell(text, "lamp", Err(()), &"nobody said so"),
    }
    text.line(&format_args!("button: press it, GPIO {button} to ground"));
    let stuck = panel.is_down();
    let start = text.clock.microseconds();
    let (mut down, mut up_again) = (false, false);
    while !up_again && text.clock.microseconds().saturating_sub(start) < PERSON_US {
        let _ = text.uart.read_byte();
        let is_down = panel.is_down();
        down |= is_down;
        up_again = down && !is_down;
    }
    let (verdict, seen) = match (stuck, down, up_again) {
        (true, ..) => (Err(()), "down before it was pressed: a short to ground"),
        (_, _, true) => (Ok(()), "down, and up again"),
        (_, true, _) => (Err(()), "down, and not up again"),
        _ => (Err(()), "not pressed"),
    };
    report.tell(text, "button", verdict, &seen);
}
