//! The device's life, without a device: what it does when bytes come, a picture is there, a button is
//! pressed, time goes by.
//!
//! In: bytes of the link ([`Session::receive`]), pictures ([`Session::captured`]), the button
//! ([`Session::press`]) and the time ([`Session::poll`]). Out: bytes for the link
//! ([`Session::outgoing`]), what the board shall do ([`Action`]) and show ([`Session::signal`]). Never waits: one call makes one
//! step of an embedding at most, so that the link is served in between. What is kept goes to a flash
//! that the session owns. The same code runs on every board and on a desktop.
//!
//! | file        | what it holds                                                        |
//! |-------------|----------------------------------------------------------------------|
//! | `line`      | frames in and out, repeated requests                                 |
//! | `command`   | what is answered at once                                             |
//! | `job`       | what takes a picture or an embedding first                           |
//! | `answer`    | what an embedding is good for: a verdict or a new sample             |
//! | `picture`   | the capture buffer                                                   |
//! | `panel`     | a button and a lamp, for who has no host at hand                     |
//! | `selftest`  | the digest that a host computes as well                              |

use embedded_storage::nor_flash::NorFlash;

use crate::link::{CameraFault, Event};
use crate::model::ModelView;
use crate::slots::{Mapped, Spare};
use crate::store::{self, StoreError};
use crate::support_set::{MAX_CAPTURE, MAX_EMBEDDING, MAX_SAMPLES, SupportSet};

mod answer;
mod command;
mod job;
mod line;
mod panel;
mod picture;
pub mod selftest;

use job::{Job, Purpose};
use line::Line;
use picture::Picture;

pub use panel::{Button, Lamp, Signal};

/// What the board shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Wait for the next event; there is nothing to do.
    Idle,
    /// Poll again soon: work is under way.
    Work,
    /// Take a picture and call [`Session::captured`].
    Capture,
    /// Start again, as after power-on.
    Restart,
}

/// What a press of the button means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    /// What is this? Answered by [`Event::Seen`].
    Short,
    /// Learn this, as a class with a name of its own.
    Long,
}

/// What a device is, beside its memory.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// The board's name.
    pub board: &'static str,
    /// The firmware's version.
    pub firmware: &'static str,
    /// Where in its flash the support set lies.
    pub store: store::Layout,
    /// Checks a new model's signature; without it every model is taken.
    pub is_signed: Option<IsSigned>,
}

/// Whether the second is a signature of the first, a model's SHA-256, by who may send models.
pub type IsSigned = fn(&[u8; 32], &[u8]) -> bool;

/// The device's life.
pub struct Session<'m, F> {
    line: Line,
    core: Core<'m, F>,
}

/// All but the link.
pub(crate) struct Core<'m, F> {
    identity: Identity,
    flash: F,
    model: Option<ModelView<'m>>,
    /// Where the next model goes.
    spare: Option<Spare<F>>,
    support: SupportSet,
    damaged: u16,
    arena: &'m mut [u8],
    picture: Picture<'m>,
    embedding: [u8; MAX_EMBEDDING],
    /// Embeddings and pieces that come from flash, one at a time.
    other: [u8; MAX_EMBEDDING],
    logits: [i32; MAX_SAMPLES],
    n_logits: usize,
    job: Job,
    /// What is to be done as soon as every sample has an embedding by this model.
    waiting: Option<Purpose>,
    /// An embedding could not be written: samples stay stale.
    blocked: bool,
    /// The flash failed when it was tidied up: not again before the next start, which would wear it.
    worn: bool,
    restart: bool,
    /// What a person shall see, until [`Session::signal`] hands it out.
    signal: Option<Signal>,
    now: u64,
}

impl<'m, F: NorFlash + Mapped> Session<'m, F> {
    /// Starts: reads the support set.
    ///
    /// `model` is left out when it does not fit: an embedding longer than [`MAX_EMBEDDING`], or an
    /// `arena` that cannot hold its working memory and a picture beside its input. `spare` takes the next
    /// one. `pixels` becomes the capture buffer.
    ///
    /// # Errors
    /// [`StoreError`] when the flash holds a support set that this firmware does not read, or fails.
    pub fn start(
        identity: Identity,
        mut flash: F,
        model: Option<ModelView<'m>>,
        spare: Option<Spare<F>>,
        arena: &'m mut [u8],
        pixels: &'m mut [u8],
    ) -> Result<Self, StoreError<F::Error>> {
        let (support, report) = SupportSet::mount(&mut flash, identity.store)?;
        let model = model.filter(|model| fits(model, arena.len()));
        let mut session = Self {
            line: Line::new(),
            core: Core {
                identity,
                flash,
                model,
                spare,
                damaged: u16::try_from(report.damaged).unwrap_or(u16::MAX),
                support,
                arena,
                picture: Picture::new(pixels),
                embedding: [0; MAX_EMBEDDING],
                other: [0; MAX_EMBEDDING],
                logits: [0; MAX_SAMPLES],
                n_logits: 0,
                job: Job::None,
                waiting: None,
                blocked: false,
                worn: false,
                restart: false,
                signal: None,
                now: 0,
            },
        };
        let samples = session.core.support.len() as u16;
        let damaged = session.core.damaged;
        session.line.tell(&Event::Started { samples, damaged });
        Ok(session)
    }

    /// Takes bytes from the link. Whole requests are carried out, or begun.
    pub fn receive(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.line.receive(byte, &mut self.core);
        }
    }

    /// Makes a step of whatever is under way. `now` is in microseconds since the start.
    pub fn poll(&mut self, now: u64) -> Action {
        self.core.now = now;
        let action = self.core.step(&mut self.line);
        if self.core.restart && self.outgoing().is_empty() {
            return Action::Restart;
        }
        action
    }

    /// Bytes that wait to be sent.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.line.outgoing()
    }

    /// `count` of them were sent.
    pub fn sent(&mut self, count: usize) {
        self.line.sent(count);
    }

    /// Answers [`Action::Capture`]: `fill` writes a grey picture `[h][w]` into the buffer and says
    /// `(h, w)`, or why there is none.
    pub fn captured(&mut self, fill: impl FnOnce(&mut [u8]) -> Result<(u16, u16), CameraFault>) {
        self.core.captured(fill, &mut self.line);
    }

    /// The button was pressed. Nothing happens while other work is under way.
    pub fn press(&mut self, press: Press) {
        self.core.press(press);
    }

    /// What came of the last picture, once: for a lamp, or a pin that switches something.
    pub const fn signal(&mut self) -> Option<Signal> {
        self.core.signal.take()
    }

    /// Gives the flash and the spare slot back, as at power-off.
    pub fn into_flash(self) -> (F, Option<F>) {
        (self.core.flash, self.core.spare.map(Spare::into_slot))
    }
}

/// Whether a model can be run with an arena of so many bytes: see [`Session::start`].
fn fits(model: &ModelView<'_>, arena: usize) -> bool {
    let refresh = model.input().len().saturating_add(MAX_CAPTURE);
    model.embedding_len() <= MAX_EMBEDDING && model.arena_len().max(refresh) <= arena
}
