//! The checklist of a new board: tries every part of it and says PASS or FAIL.
//!
//! In: a board with its camera, somebody at a terminal on its USB port who presses the button and looks at
//! the lamp. Out: a line for each step, and how many failed; `docs/hardware.md` says what each means. It
//! begins when a program opens the port, and again at every key. The last step restarts the board,
//! which tells the result when the port is opened again.
#![no_std]
#![no_main]

use core::fmt::{self, Write};

use cortex_m_rt::entry;
use firmware::board::{self, Buffers, Clock, Devices, Uart};
use shared::link::CameraFault;

mod flash;
mod steps;

/// Outlives the restart of the last step: this program was here, and how many steps had failed.
const NOTE: u32 = 0x0b11_0001;
/// How long a person has.
const PERSON_US: u64 = 15_000_000;

#[entry]
fn main() -> ! {
    let (Some(buffers), Some(mut devices)) = (Buffers::take(), Devices::take()) else {
        board::exit(Err(()))
    };
    let mut begin = !tell_restart(&mut devices);
    loop {
        if begin {
            wait_until_heard(&mut devices);
            // A terminal that was just opened may not show yet what comes at once.
            pause(&mut devices.uart, &mut devices.clock, 300_000);
            run(&mut devices, buffers.pixels);
        }
        // Any key begins again.
        begin = devices.uart.read_byte().is_some();
    }
}

/// All steps; the last one does not come back.
fn run(devices: &mut Devices, pixels: &mut [u8]) {
    let mut report = Report { failed: 0 };
    let Devices {
        uart,
        flash,
        camera,
        clock,
        panel,
        ..
    } = devices;
    let mut text = Text { uart, clock };
    text.line(&format_args!(
        "Onelook {} on {}: checklist",
        env!("CARGO_PKG_VERSION"),
        board::NAME
    ));
    // That this is read says that USB works.
    report.tell(&mut text, "usb", Ok(()), &"a port was opened");
    let clocks = steps::clock(text.clock);
    report.tell(&mut text, "clock", clocks.verdict, &clocks);
    flash::check(flash, &mut text, &mut report);
    steps::camera(camera, pixels, &mut text, &mut report);
    steps::panel(panel, &mut text, &mut report);
    let Report { failed } = report;
    text.line(&format_args!(
        "watchdog: the board restarts now; open the port again for the result"
    ));
    pause(text.uart, text.clock, 300_000);
    bite(devices, failed);
}

/// Stops feeding the watchdog. When nothing comes of that, the lamp says so.
fn bite(devices: &mut Devices, failed: u32) -> ! {
    board::note(devices, [NOTE, failed]);
    devices.watchdog.start(500);
    board::exit(Err(()))
}

/// After the restart of the last step: the result. `false` when the board was not restarted by it.
fn tell_restart(devices: &mut Devices) -> bool {
    let [note, failed] = board::notes(devices);
    if note != NOTE || !devices.watchdog.has_bitten() {
        return false;
    }
    board::note(devices, [0, 0]);
    wait_until_heard(devices);
    let Devices { uart, clock, .. } = devices;
    pause(uart, clock, 300_000);
    let mut text = Text { uart, clock };
    let mut report = Report { failed };
    report.tell(&mut text, "watchdog", Ok(()), &"it restarted the board");
    match report.failed {
        0 => text.line(&format_args!("all steps passed")),
        failed => text.line(&format_args!("{failed} steps failed")),
    }
    text.line(&format_args!("any key begins again"));
    true
}

fn wait_until_heard(devices: &mut Devices) {
    while !devices.uart.is_heard() {
        // Polls the port, which is what makes it appear at all.
        let _ = devices.uart.read_byte();
    }
}

/// Lets time go by and keeps the port alive.
fn pause(uart: &mut Uart, clock: &mut Clock, microseconds: u64) {
    let start = clock.microseconds();
    while clock.microseconds().saturating_sub(start) < microseconds {
        let _ = uart.read_byte();
    }
}

/// How many steps failed.
struct Report {
    failed: u32,
}

impl Report {
    /// Says a step's verdict and what was seen.
    fn tell(
        &mut self,
        text: &mut Text<'_>,
        step: &str,
        verdict: Result<(), ()>,
        seen: &dyn fmt::Display,
    ) {
        let word = match verdict {
            Ok(()) => "PASS",
            Err(()) => {
                self.failed += 1;
                "FAIL"
            }
        };
        text.line(&format_args!("{word} {step}: {seen}"));
    }
}

/// A terminal; it is waited for, but not for ever.
struct Text<'d> {
    uart: &'d mut Uart,
    clock: &'d mut Clock,
}

impl Text<'_> {
    fn line(&mut self, line: &fmt::Arguments<'_>) {
        // A terminal that reads nothing loses it.
        let _ = self.write_fmt(*line);
        let _ = self.write_str("\r\n");
    }

    /// A key within some time.
    fn key(&mut self, microseconds: u64) -> Option<u8> {
        let start = self.clock.microseconds();
        while self.clock.microseconds().saturating_sub(start) < microseconds {
            if let Some(key) = self.uart.read_byte() {
                return Some(key);
            }
        }
        None
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = self.clock.microseconds();
        for &byte in text.as_bytes() {
            while !self.uart.write_byte(byte) {
                if self.clock.microseconds().saturating_sub(start) > 1_000_000 {
                    return Err(fmt::Error);
                }
            }
        }
        Ok(())
    }
}

/// What is wrong with the camera, for a person.
fn words(fault: CameraFault) -> &'static str {
    match fault {
        CameraFault::Absent => "no answer: power, ground, MISO or CS",
        CameraFault::WrongChip => "another sensor than those of the Arducam Mega",
        CameraFault::Timeout => "it does not get ready: MOSI or SCK, or too little power",
        CameraFault::WrongFormat => "a picture of another length: SCK or MISO is noisy",
        CameraFault::Frozen => "twice the same picture",
        CameraFault::Black => "a black picture: the lens cap",
    }
}
