//! Onelook, the device: enrols, remembers and recognises, on a board.
//!
//! In: the link, the camera, the flash, the time. Out: what [`shared::session`] makes of them; this
//! file only wires them together. The model is the newest in flash that this firmware can run, else
//! the file `model.onelook`.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware::board::{self, Devices, FLASH_MAP};
use shared::model::ModelView;
use shared::session::{Action, Identity, Session};
use shared::slots::Slots;

/// Microseconds without a byte after which the processor may sleep between ticks of the clock.
const AWAKE: u64 = 50_000;

#[entry]
fn main() -> ! {
    let Some(devices) = Devices::take() else {
        board::exit(Err(()))
    };
    match run(devices) {
        Some(()) => board::restart(),
        None => board::exit(Err(())),
    }
}

/// Lives until a restart is asked for; `None` when the flash holds what this firmware does not read.
fn run(devices: Devices) -> Option<()> {
    let Devices {
        mut flash,
        mut uart,
        mut camera,
        clock,
        mut watchdog,
        arena,
        pixels,
        file,
    } = devices;
    let slots = Slots::new(FLASH_MAP.slots);
    let mut committed = slots.committed(&mut flash).into_iter().flatten();
    let in_flash = committed.find_map(|slot| {
        let bytes = flash.model_in_place(slot)?;
        Some((ModelView::new_checked(bytes).ok()?, Some(slot.slot)))
    });
    let (model, in_use) = match in_flash {
        Some((model, slot)) => (Some(model), slot),
        None => (ModelView::new_checked(file).ok(), None),
    };
    let identity = Identity {
        board: board::NAME,
        firmware: env!("CARGO_PKG_VERSION"),
        store: FLASH_MAP.store,
        slots: Some(FLASH_MAP.slots),
        is_signed: board::IS_SIGNED,
    };
    let session = Session::start(identity, flash, model, in_use, arena, pixels);
    let mut session = match session {
        Ok(session) => session,
        Err(error) => {
            board::say(&error);
            return None;
        }
    };
    let mut last_byte = clock.now();
    loop {
        watchdog.feed();
        let now = clock.now();
        while let Some(byte) = uart.read_byte() {
            session.receive(&[byte]);
            last_byte = now;
        }
        while let Some(&byte) = session.outgoing().first()
            && uart.write_byte(byte)
        {
            session.sent(1);
        }
        match session.poll(now) {
            Action::Work => {}
            Action::Idle if now.saturating_sub(last_byte) < AWAKE => {}
            Action::Idle if session.outgoing().is_empty() => clock.sleep(),
            Action::Idle => {}
            Action::Capture => session.captured(|buffer| camera.capture(buffer)),
            Action::Restart => return Some(()),
        }
    }
}
