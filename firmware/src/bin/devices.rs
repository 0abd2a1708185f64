//! Tries every device of the board, as a host asks it to.
//!
//! In: one letter at a time over the UART. Out: a line for each. `cargo xtask firmware devices` asks; on a new
//! board this is the first program to run.
//!
//! | letter | what it does                                       | answer                            |
//! |--------|----------------------------------------------------|-----------------------------------|
//! | `i`    | who is there                                       | `board an386 samples … models … …` |
//! | `t`    | reads the clock                                    | `time <microseconds> <milliseconds>` |
//! | `e`    | erases the first sector of every part of the flash | `erased`                          |
//! | `p`    | programs a pattern there, twice over another       | `programmed`                      |
//! | `f`    | looks whether the pattern or the erased is there   | `flash <pattern, erased or other>` |
//! | `b`    | breaks the flash's rules                           | `refused <how often, of 4>`       |
//! | `c`    | takes a picture                                    | `picture <h> <w> <sum>` or its fault |
//! | `d`    | feeds the watchdog for two seconds, 500 ms each    | `fed`                             |
//! | `w`    | feeds it no longer                                 | none: the board starts anew       |
//! | `s`    | sleeps until the next letter                       | `slept <how many ticks>`          |
//! | `m`    | takes a request in a frame                         | a reply in a frame, as [`reply`] says |
//! | `x`    | ends the emulator                                  | none                              |
//!
//! Other letters come back. At its start it says `hello`.
#![no_std]
#![no_main]

use core::fmt::{self, Write};

use cortex_m_rt::entry;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use firmware::board::flash_map::{SECTOR, WRITE};
use firmware::board::{self, Camera, Devices, Flash, Nor, Uart};
use shared::link::{
    Candidate, Command, Decoder, Fault, MAX_FRAME, Packet, Reply, Request, encode, parse,
    request_id,
};

/// Most pixels of a picture.
const MAX_PICTURE: usize = 320 * 240;
const PATTERN: u32 = 0x5a3c_0ff0;

#[entry]
fn main() -> ! {
    let Some(mut devices) = Devices::take() else {
        board::exit(Err(()))
    };
    let mut buffer = [0; MAX_PICTURE];
    let _ = writeln!(Text(&mut devices.uart), "hello");
    loop {
        let Some(letter) = devices.uart.read_byte() else {
            continue;
        };
        if answer(&mut devices, &mut buffer, letter).is_err() {
            let _ = writeln!(Text(&mut devices.uart), "failed {}", char::from(letter));
        }
    }
}

/// A UART that waits.
struct Text<'u>(&'u mut Uart);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            while !self.0.write_byte(byte) {}
        }
        Ok(())
    }
}

/// Does what a letter stands for.
fn answer(devices: &mut Devices, buffer: &mut [u8], letter: u8) -> fmt::Result {
    let Devices {
        uart,
        flash,
        camera,
        clock,
        watchdog,
        sleep,
        panel: _,
    } = devices;
    let mut text = Text(uart);
    match letter {
        b'i' => {
            let [model_0, model_1] = flash.models.each_ref().map(Nor::capacity);
            let (name, samples) = (board::NAME, flash.samples.capacity());
            writeln!(
                text,
                "board {name} samples {samples} models {model_0} {model_1}"
            )
        }
        b't' => {
            let (fine, coarse) = (clock.microseconds(), clock.milliseconds());
            writeln!(text, "time {fine} {coarse}")
        }
        b'e' | b'p' | b'f' | b'b' => try_flash(&mut text, flash, letter),
        b'c' => try_camera(&mut text, camera, buffer),
        b'd' => {
            watchdog.start(500);
            let start = clock.milliseconds();
            while clock.milliseconds().wrapping_sub(start) < 2000 {
                watchdog.feed();
            }
            writeln!(text, "fed")
        }
        b'w' => {
            watchdog.start(500);
            loop {
                core::hint::spin_loop();
            }
        }
        b's' => {
            let mut ticks = 0_u32;
            while text.0.read_byte().is_none() {
                sleep.until_byte_or_tick(text.0);
                ticks += 1;
            }
            // The last one was the letter.
            writeln!(text, "slept {}", ticks.saturating_sub(1))
        }
        b'm' => message(text.0).ok_or(fmt::Error),
        b'x' => board::exit(Ok(())),
        other => writeln!(text, "{}", char::from(other)),
    }
}

/// Erases, programs, looks, or breaks the rules.
fn try_flash(text: &mut Text<'_>, flash: &mut Flash, letter: u8) -> fmt::Result {
    let [model_0, model_1] = &mut flash.models;
    let mut parts = [&mut flash.samples, model_0, model_1];
    match letter {
        b'e' => {
            for part in &mut parts {
                part.erase(0, SECTOR).map_err(|_| fmt::Error)?;
            }
            writeln!(text, "erased")
        }
        b'p' => {
            for part in &mut parts {
                program(part).ok_or(fmt::Error)?;
            }
            writeln!(text, "programmed")
        }
        b'f' => {
            let all = |word: u32| parts.iter().all(|part| holds(part, word));
            let found = match (all(PATTERN), all(u32::MAX)) {
                (true, _) => "pattern",
                (_, true) => "erased",
                _ => "other",
            };
            writeln!(text, "flash {found}")
        }
        _ => writeln!(text, "refused {}", refused(&mut flash.samples)),
    }
}

/// How many of four requests that no flash takes are refused.
fn refused(part: &mut Nor) -> usize {
    let end = part.capacity() as u32;
    let refused = [
        part.write(2, &[0; 4]).is_err(),
        part.write(end, &[0; 4]).is_err(),
        part.erase(0, SECTOR / 2).is_err(),
        part.read(end, &mut [0]).is_err(),
    ];
    refused.iter().filter(|refused| **refused).count()
}

fn try_camera(text: &mut Text<'_>, camera: &mut Camera, buffer: &mut [u8]) -> fmt::Result {
    match camera.capture(buffer) {
        Ok(picture) => {
            let len = usize::from(picture.h) * usize::from(picture.w);
            let sum: u32 = buffer.iter().take(len).map(|&pixel| u32::from(pixel)).sum();
            writeln!(text, "picture {} {} {sum}", picture.h, picture.w)
        }
        Err(fault) => writeln!(text, "{fault:?}"),
    }
}

/// Reads frames up to the first request, and answers it.
fn message(uart: &mut Uart) -> Option<()> {
    let mut decoder = Decoder::new();
    loop {
        let Some(byte) = uart.read_byte() else {
            continue;
        };
        let Some(Ok(message)) = decoder.push(byte) else {
            continue;
        };
        let id = request_id(message)?;
        let result = reply(parse(message).ok());
        let mut frame = [0; MAX_FRAME];
        for &byte in encode(&Packet::Reply { id, result }, &mut frame).ok()? {
            while !uart.write_byte(byte) {}
        }
        return Some(());
    }
}

/// The bytes of a picture come back, and the label of a mark; everything else is [`Fault::Busy`].
fn reply<'a>(request: Option<Request<'a>>) -> Result<Reply<'a>, Fault<'a>> {
    match request.map(|request| request.command) {
        Some(Command::WriteCapture { offset, bytes, .. }) => Ok(Reply::Chunk {
            offset,
            total: bytes.len() as u32,
            bytes,
        }),
        Some(Command::Enrol { label, .. }) => Err(Fault::LooksLike(Candidate { label, logit: -1 })),
        Some(_) => Err(Fault::Busy),
        None => Err(Fault::NotUnderstood),
    }
}

/// Clears bits in two steps, of which the second sets none again.
fn program(part: &mut Nor) -> Option<()> {
    let (first, second) = (PATTERN | 0x0000_ffff, PATTERN | 0xffff_0000);
    for word in [first, second] {
        for offset in (0..SECTOR).step_by(WRITE as usize) {
            part.write(offset, &word.to_le_bytes()).ok()?;
        }
    }
    Some(())
}

/// Whether the first sector is `word` over and over.
fn holds(part: &Nor, word: u32) -> bool {
    let (words, _) = part.bytes().as_chunks::<4>();
    let mut sector = words.iter().take((SECTOR / WRITE) as usize);
    sector.all(|bytes| u32::from_le_bytes(*bytes) == word)
}
