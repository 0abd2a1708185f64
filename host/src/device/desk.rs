//! A device on the desk for tests: the session that every board runs, with flash that is memory.
//!
//! In: a model. Out: the host's end of its line; it restarts when it is asked to, as a board does, and
//! lives until the line is let go.

use std::io::{ErrorKind, Read, Write};
use std::thread::JoinHandle;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use shared::image::Framing;
use shared::model::{HeadRepr, LayerRepr, ModelRepr, ModelView};
use shared::session::{Action, Identity, Session};
use shared::shape::{Hwc, Window};
use shared::slots::{Mapped, choose};
use shared::store::Layout;

use super::fake::{End, line};

const BANK: u32 = 256 << 10;
const SLOT: usize = 64 << 10;
pub(super) const ARENA: usize = 64 << 10;

/// Flash that is memory.
#[derive(Debug)]
pub(super) struct Ram(Vec<u8>);

impl Ram {
    fn new(len: usize) -> Self {
        Self(vec![0xff; len])
    }

    fn part(&mut self, at: u32, len: usize) -> Result<&mut [u8], NorFlashErrorKind> {
        let rest = self.0.get_mut(at as usize..);
        rest.and_then(|rest| rest.get_mut(..len))
            .ok_or(NorFlashErrorKind::OutOfBounds)
    }
}

impl ErrorType for Ram {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Ram {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        bytes.copy_from_slice(self.part(offset, bytes.len())?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Ram {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.part(from, (to - from) as usize)?.fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let part = self.part(offset, bytes.len())?;
        for (kept, byte) in part.iter_mut().zip(bytes) {
            *kept &= byte;
        }
        Ok(())
    }
}

impl Mapped for Ram {
    fn mapped(&self, at: u32, len: u32) -> Option<&[u8]> {
        self.0.get(at as usize..)?.get(..len as usize)
    }
}

/// A model that compares what is left of a picture of 16×16.
pub(crate) fn model(seed: u8) -> Vec<u8> {
    let window = Window {
        kernel: 2,
        stride: 2,
        pad: 0,
    };
    let weight: Vec<i8> = (0..64).map(|index| -4 - (index % 3) as i8).collect();
    let model = ModelRepr {
        input: Hwc::new(16, 16, 1),
        input_exponent: 8,
        framing: Framing::Picture,
        layers: &[LayerRepr::MaxPool2d { window }],
        head: HeadRepr {
            weight: &weight,
            bias: 6000,
            logit_exponent: 12,
        },
        calibration: None,
        provenance: "a test",
    };
    let mut bytes = vec![0; model.buffer_len()];
    model.emit(&mut bytes, |_| [seed; 32]).unwrap();
    bytes
}

/// Starts a device that has `model` built in.
pub(crate) fn start(model: Vec<u8>) -> (End, JoinHandle<()>) {
    let (host, end) = line();
    let thread = std::thread::spawn(move || {
        let mut flash = Ram::new(2 * BANK as usize);
        let mut slots = [Ram::new(SLOT), Ram::new(SLOT)];
        let mut end = end;
        while let Some(kept) = live(&mut end, flash, slots, &model) {
            (flash, slots) = kept;
        }
    });
    (host, thread)
}

/// From a start to the next; `None` when the host has gone.
fn live(end: &mut End, flash: Ram, slots: [Ram; 2], built_in: &[u8]) -> Option<(Ram, [Ram; 2])> {
    let (in_use, spare) = choose(slots);
    // A copy, so that the slot can be given back while the session still borrows the model.
    let newest = in_use.model().map(|model| model.bytes().to_vec());
    let model = newest.unwrap_or_else(|| built_in.to_vec());
    let (mut arena, mut pixels) = (vec![0; ARENA], vec![0; shared::support_set::MAX_CAPTURE]);
    let identity = Identity {
        board: "desk",
        firmware: "0.0.0",
        store: Layout {
            at: 0,
            bank_len: BANK,
        },
        is_signed: None,
    };
    let model = ModelView::new_checked(&model).ok();
    let session = Session::start(identity, flash, model, Some(spare), &mut arena, &mut pixels);
    let mut session = session.unwrap();
    run(end, &mut session)?;
    let (flash, spare) = session.into_flash();
    Some((flash, [in_use.into_slot(), spare?]))
}

/// Serves the host until a restart.
fn run(end: &mut End, session: &mut Session<'_, Ram>) -> Option<()> {
    let mut buffer = [0; 256];
    let mut now = 0;
    loop {
        now += 1000;
        match session.poll(now) {
            Action::Restart => return Some(()),
            Action::Capture => session.captured(|_| Err(shared::link::CameraFault::Absent)),
            Action::Idle | Action::Work => {}
        }
        let bytes = session.outgoing().to_vec();
        if !bytes.is_empty() {
            end.write_all(&bytes).ok()?;
            session.sent(bytes.len());
        }
        match end.read(&mut buffer) {
            Ok(0) => return None,
            Ok(count) => session.receive(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::TimedOut => {}
            Err(_) => return None,
        }
    }
}
