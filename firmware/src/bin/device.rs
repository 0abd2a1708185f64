//! Onelook, the device: enrols, remembers and recognises, on a board.
//!
//! In: the link, the camera, the flash, the time. Out: what [`shared::session`] makes of them; this
//! file only wires them together. The model is the newest in flash that this firmware reads, else the one
//! that the board comes with ([`board::first_model`]).
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware::board::map::BANK;
use firmware::board::{self, Buffers, Clock, Devices, Uart};
use firmware::signature::IS_SIGNED;
use shared::session::{Action, Identity, Session};
use shared::slots::choose;
use shared::store::Layout;

/// What a host has for taking the last bytes before a restart.
const LAST_WORDS_US: u64 = 200_000;

#[entry]
fn main() -> ! {
    match (Buffers::take(), Devices::take()) {
        (Some(buffers), Some(devices)) => live(buffers, devices),
        _ => board::exit(Err(())),
    }
}

/// Lives until a restart is asked for.
fn live(buffers: Buffers, devices: Devices) -> ! {
    let Devices {
        mut uart,
        flash,
        mut camera,
        mut clock,
        mut watchdog,
        mut sleep,
        mut panel,
    } = devices;
    let (in_use, spare) = choose(flash.models);
    let model = in_use.model().or_else(|| board::first_model(buffers.model));
    let identity = Identity {
        board: board::NAME,
        firmware: env!("CARGO_PKG_VERSION"),
        store: Layout {
            at: 0,
            bank_len: BANK,
        },
        is_signed: IS_SIGNED,
    };
    let session = Session::start(
        identity,
        flash.samples,
        model,
        Some(spare),
        buffers.arena,
        buffers.pixels,
    );
    let mut session = match session {
        Ok(session) => session,
        Err(error) => {
            board::say(&format_args!("error support set: {error}"));
            board::exit(Err(()))
        }
    };
    watchdog.start(board::WATCHDOG_MS);
    loop {
        watchdog.feed();
        while let Some(byte) = uart.read_byte() {
            session.receive(&[byte]);
        }
        while let Some(&byte) = session.outgoing().first()
            && uart.write_byte(byte)
        {
            session.sent(1);
        }
        let now = clock.microseconds();
        if let Some(press) = panel.look(now) {
            session.press(press);
        }
        if let Some(signal) = session.signal() {
            panel.show(signal, now);
        }
        match session.poll(now) {
            Action::Idle if session.outgoing().is_empty() => sleep.until_byte_or_tick(&mut uart),
            Action::Idle | Action::Work => {}
            Action::Capture => session.captured(|buffer| {
                let picture = camera.capture(buffer)?;
                Ok((picture.h, picture.w))
            }),
            Action::Restart => {
                #[cfg(feature = "measure-stack")]
                board::say(&format_args!("stack {}", board::stack_depth()));
                restart(&mut uart, &mut clock)
            }
        }
    }
}

/// Starts again. The host shall have its answer first, if it wants it.
#[cold]
#[inline(never)]
fn restart(uart: &mut Uart, clock: &mut Clock) -> ! {
    let since = clock.microseconds();
    while !uart.is_empty() && clock.microseconds().saturating_sub(since) < LAST_WORDS_US {}
    board::restart()
}
