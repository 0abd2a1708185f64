//! What takes a picture or an embedding first: step by step, and what follows the last step.
//!
//! In: a [`Purpose`]. Out: the answer to the request that it came from, or an event. Samples whose
//! embedding is by another model are embedded again before anything is compared, so that no answer
//! comes from an old embedding.

use embedded_storage::nor_flash::NorFlash;

use super::line::Line;
use super::{Action, Core, Press, Signal};
use crate::capture::{Look, REVISION};
use crate::link::{CameraFault, Event, Fault, MAX_LABEL, Reply};
use crate::model::ModelView;
use crate::net::{Encoder, Stage};
use crate::shape::Hwc;
use crate::slots::Mapped;

/// A label by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    bytes: [u8; MAX_LABEL],
    len: usize,
}

impl Label {
    /// `None` when it is empty or too long.
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; MAX_LABEL];
        let place = bytes.get_mut(..text.len())?;
        for (place, byte) in place.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        let len = text.len();
        (len > 0).then_some(Self { bytes, len })
    }

    /// A name for what a person taught without one: `mark 01` to `mark 99`.
    pub(super) fn numbered(number: u8) -> Option<Self> {
        let mut text = *b"mark 00";
        let [.., high, low] = &mut text;
        (*high, *low) = (b'0' + number / 10 % 10, b'0' + number % 10);
        Self::new(core::str::from_utf8(&text).ok()?)
    }

    pub(super) fn text(&self) -> &str {
        let bytes = self.bytes.get(..self.len).unwrap_or(&[]);
        core::str::from_utf8(bytes).unwrap_or("")
    }
}

/// Why a picture is taken or embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The host asked for a picture, no more.
    Capture,
    /// It becomes a sample.
    Enrol { label: Label, force: bool },
    /// The host asked which class it is.
    Score,
    /// The host asked how long it takes.
    Bench,
    /// A person asked which class it is.
    Seen,
    /// A person wants it learnt.
    Learn,
    /// A sample's own picture, for a new model.
    Refresh { sample: u32 },
}

impl Purpose {
    /// Whether it began at the button.
    const fn is_a_persons(self) -> bool {
        matches!(self, Self::Seen | Self::Learn)
    }
}

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// Nothing.
    None,
    /// The board takes a picture.
    Capturing(Purpose),
    /// The encoder runs.
    Embedding {
        stage: Stage,
        purpose: Purpose,
        /// When it began, in microseconds.
        since: u64,
    },
}

impl<F: NorFlash + Mapped> Core<'_, F> {
    /// Makes a step.
    pub(super) fn step(&mut self, line: &mut Line) -> Action {
        match self.job {
            Job::None => self.next(line),
            Job::Capturing(_) => Action::Capture,
            Job::Embedding {
                mut stage,
                purpose,
                since,
            } => {
                self.job = Job::None;
                let Some(model) = self.model else {
                    line.answer(Err(Fault::NoModel));
                    return Action::Work;
                };
                match Encoder::new(model).advance(&mut stage, self.arena) {
                    Ok(true) => {
                        self.job = Job::Embedding {
                            stage,
                            purpose,
                            since,
                        };
                    }
                    Ok(false) => self.embedded(&model, &stage, purpose, since, line),
                    Err(_) => line.answer(Err(Fault::NoModel)),
                }
                Action::Work
            }
        }
    }

    /// Begins the next job.
    fn next(&mut self, line: &mut Line) -> Action {
        if let Some(sample) = self.stale_sample() {
            if self.begin_refresh(sample).is_none() {
                self.block(line);
            }
            return Action::Work;
        }
        if let Some(purpose) = self.waiting.take() {
            if self.begin(purpose).is_none() {
                line.answer(Err(Fault::NoCapture));
            }
            return Action::Work;
        }
        if self.worn {
            return Action::Idle;
        }
        match self.support.maintain(&mut self.flash) {
            Ok(true) => Action::Work,
            Ok(false) => Action::Idle,
            Err(_) => {
                self.worn = true;
                line.tell(&Event::Log("the flash could not be tidied up"));
                Action::Idle
            }
        }
    }

    /// Gives up what a host asked for; what a person did, and what is kept anyway, goes on.
    pub(super) fn cancel(&mut self) {
        if self.serves_a_person() {
            return;
        }
        self.waiting = None;
        if !matches!(
            self.job,
            Job::Embedding {
                purpose: Purpose::Refresh { .. },
                ..
            }
        ) {
            self.job = Job::None;
        }
    }

    /// Whether what began at the button is under way. It needs the picture and the arena for itself.
    pub(super) fn serves_a_person(&self) -> bool {
        let job = match self.job {
            Job::None => None,
            Job::Capturing(purpose) | Job::Embedding { purpose, .. } => Some(purpose),
        };
        let mut purposes = job.into_iter().chain(self.waiting);
        purposes.any(Purpose::is_a_persons)
    }

    /// Identifies what makes embeddings: the model, and what a picture becomes before.
    pub(super) fn encoder_id(&self) -> Option<[u8; 16]> {
        let mut id = self.model?.fingerprint();
        if let Some(last) = id.last_mut() {
            *last = last.wrapping_add(REVISION);
        }
        Some(id)
    }

    /// Samples that wait for an embedding by this model.
    pub(super) fn stale(&self) -> usize {
        let id = self.encoder_id();
        id.map_or(0, |id| self.support.stale(&id))
    }

    fn stale_sample(&self) -> Option<u32> {
        let id = self.encoder_id().filter(|_| !self.blocked)?;
        let mut samples = self.support.samples();
        samples.find(|s| s.fingerprint != id).map(|s| s.id)
    }

    /// Embeds the picture in the capture buffer.
    fn begin(&mut self, purpose: Purpose) -> Option<()> {
        let model = self.model?;
        let (pixels, shape, look) = self.picture.get()?;
        let (_, tail) = self.arena.split_at_mut_checked(model.input().len())?;
        let place = tail.get_mut(..shape.len())?;
        for (place, pixel) in place.iter_mut().zip(pixels) {
            *place = *pixel;
        }
        self.begin_at(&model, shape, &look, purpose)
    }

    /// Embeds a sample's own picture, as it is looked at today.
    fn begin_refresh(&mut self, sample: u32) -> Option<()> {
        let model = self.model?;
        let found = self.support.sample(sample)?;
        let shape = Hwc::new(usize::from(found.h), usize::from(found.w), 1);
        let (_, tail) = self.arena.split_at_mut_checked(model.input().len())?;
        let pixels = tail.get_mut(..shape.len())?;
        self.support
            .read_capture(&mut self.flash, sample, 0, pixels)
            .ok()?;
        let look = Look::at(pixels, shape);
        self.begin_at(&model, shape, &look, Purpose::Refresh { sample })
    }

    /// Develops the picture that lies in the arena, behind the room for the network's input, frames it and
    /// begins.
    fn begin_at(
        &mut self,
        model: &ModelView<'_>,
        shape: Hwc,
        look: &Look,
        purpose: Purpose,
    ) -> Option<()> {
        let input = model.input();
        let (head, tail) = self.arena.split_at_mut_checked(input.len())?;
        let pixels = tail.get_mut(..shape.len())?;
        look.develop(pixels);
        let framing = model.framing();
        framing.resample(pixels, shape, head, input).ok()?;
        // The input is where `begin` wants it.
        let stage = Encoder::new(*model).begin(self.arena, |_| Ok(())).ok()?;
        self.job = Job::Embedding {
            stage,
            purpose,
            since: self.now,
        };
        Some(())
    }

    /// No further attempt to embed samples again until the next start.
    fn block(&mut self, line: &mut Line) {
        self.blocked = true;
        line.tell(&Event::Log("samples could not be embedded again"));
    }

    /// The last step was made.
    fn embedded(
        &mut self,
        model: &ModelView<'_>,
        stage: &Stage,
        purpose: Purpose,
        since: u64,
        line: &mut Line,
    ) {
        let len = model.embedding_len();
        let taken = self
            .embedding
            .get_mut(..len)
            .map(|embedding| Encoder::new(*model).finish(stage, self.arena, embedding));
        if taken != Some(Ok(())) {
            line.answer(Err(Fault::NoModel));
            return;
        }
        match purpose {
            Purpose::Refresh { sample } => self.refreshed(sample, line),
            Purpose::Enrol { label, force } => {
                let result = self.enrol(model, &label, force);
                line.answer(result);
            }
            Purpose::Learn => {
                let label = self.fresh_label();
                let result = label.as_ref().map(|label| self.enrol(model, label, false));
                let (text, signal) = match result {
                    Some(Ok(_)) => ("learnt", Signal::Learnt),
                    _ => (
                        "not learnt: empty, faint, cut off, known already, or no room",
                        Signal::Refused,
                    ),
                };
                line.tell(&Event::Log(text));
                self.signal = Some(signal);
            }
            Purpose::Score => {
                let signal = match self.score(model) {
                    Ok(verdict) => {
                        line.answer(Ok(Reply::Scored(verdict)));
                        Signal::of(verdict.known)
                    }
                    Err(fault) => {
                        line.answer(Err(fault));
                        Signal::Refused
                    }
                };
                self.signal = Some(signal);
            }
            Purpose::Seen => {
                let signal = match self.score(model) {
                    Ok(verdict) => {
                        line.tell(&Event::Seen(verdict));
                        Signal::of(verdict.known)
                    }
                    Err(_) => {
                        line.tell(&Event::Log("nothing is enrolled"));
                        Signal::Refused
                    }
                };
                self.signal = Some(signal);
            }
            Purpose::Bench | Purpose::Capture => {
                let took = self.now.saturating_sub(since);
                let microseconds = u32::try_from(took).unwrap_or(u32::MAX);
                line.answer(Ok(Reply::Bench { microseconds }));
            }
        }
    }

    fn refreshed(&mut self, sample: u32, line: &mut Line) {
        let (Some(id), Some(model)) = (self.encoder_id(), self.model) else {
            return;
        };
        if self.support.sample(sample).is_none() {
            // It was forgotten meanwhile.
            return;
        }
        let embedding = self.embedding.get(..model.embedding_len()).unwrap_or(&[]);
        let kept = self
            .support
            .set_embedding(&mut self.flash, sample, embedding, id);
        if kept.is_err() {
            self.block(line);
        }
        let total = self.support.len();
        let done = total.saturating_sub(self.stale());
        line.tell(&Event::Embedding {
            done: done as u16,
            total: total as u16,
        });
    }

    /// The board took a picture, or could not.
    pub(super) fn captured(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> Result<(u16, u16), CameraFault>,
        line: &mut Line,
    ) {
        let Job::Capturing(purpose) = self.job else {
            return;
        };
        self.job = Job::None;
        let result = self.picture.take(fill);
        match (purpose, result) {
            (Purpose::Capture, result) => line.answer(result.map(Reply::Captured)),
            (purpose, Ok(_)) => self.waiting = Some(purpose),
            (_, Err(_)) => {
                line.tell(&Event::Log("the camera gave no picture"));
                self.signal = Some(Signal::Refused);
            }
        }
    }

    pub(super) fn press(&mut self, press: Press) {
        if self.job == Job::None && self.waiting.is_none() && self.model.is_some() {
            self.job = Job::Capturing(match press {
                Press::Short => Purpose::Seen,
                Press::Long => Purpose::Learn,
            });
        }
    }
}
