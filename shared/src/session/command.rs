//! What is answered at once, and which commands begin a job.
//!
//! In: a [`Command`]. Out: an [`Answer`]. Whatever is answered with success is in flash and was read
//! back. Text and pieces are borrowed from the session's own buffers.

use embedded_storage::nor_flash::NorFlash;

use super::answer::fault_of;
use super::job::{Job, Label, Purpose};
use super::line::Answer;
use super::{Core, selftest};
use crate::link::{
    Command, Fault, Hello, Info, MAX_CHUNK, PROTOCOL, Reply, Sample, Settings, Target, UpdateFault,
};
use crate::model::ModelView;
use crate::slots::{Mapped, SlotError, Spare};
use crate::support_set::{MAX_SAMPLES, SupportSetError, capture_crc};

/// One million in a million: everything is accepted anyway.
const MAX_PPM: u32 = 1_000_000;

type Result<'a> = core::result::Result<Reply<'a>, Fault<'a>>;

impl<F: NorFlash + Mapped> Core<'_, F> {
    /// Whether a command must wait until what a person began at the button is done.
    pub(super) fn refuses(&self, command: &Command<'_>) -> bool {
        let disturbs = matches!(
            command,
            Command::Capture
                | Command::WriteCapture { .. }
                | Command::Enrol { .. }
                | Command::Score
                | Command::Bench
                | Command::Selftest { .. }
        );
        disturbs && self.serves_a_person()
    }

    /// Carries a command out, or begins to.
    pub(super) fn handle(&mut self, command: &Command<'_>) -> Answer<'_> {
        let purpose = match *command {
            Command::Capture => Ok(Purpose::Capture),
            Command::Enrol { label, force } => self.may_enrol(label, force),
            Command::Score => self.may_score(),
            Command::Bench => self.has_picture().map(|()| Purpose::Bench),
            _ => return Answer::Now(self.answer(command)),
        };
        match purpose {
            Ok(Purpose::Capture) => self.job = Job::Capturing(Purpose::Capture),
            Ok(purpose) => self.waiting = Some(purpose),
            Err(fault) => return Answer::Now(Err(fault)),
        }
        Answer::Later
    }

    fn has_picture(&self) -> core::result::Result<(), Fault<'static>> {
        self.model.ok_or(Fault::NoModel)?;
        self.picture.get().map(|_| ()).ok_or(Fault::NoCapture)
    }

    /// What speaks against an enrolment before anything is embedded.
    fn may_enrol(&self, label: &str, force: bool) -> core::result::Result<Purpose, Fault<'static>> {
        let label = Label::new(label).ok_or(Fault::Label)?;
        self.has_picture()?;
        let (pixels, _, look) = self.picture.get().ok_or(Fault::NoCapture)?;
        // First: a host that forces what speaks against a picture must not enrol it twice.
        if let Some(sample) = self
            .support
            .find_capture(capture_crc(pixels))
            .filter(|_| !force)
        {
            return Err(Fault::Duplicate { sample });
        }
        if !force && !self.picture.is_good() {
            return Err(Fault::Quality(look.quality()));
        }
        if self.support.len() >= MAX_SAMPLES {
            return Err(Fault::Full);
        }
        Ok(Purpose::Enrol { label, force })
    }

    fn may_score(&self) -> core::result::Result<Purpose, Fault<'static>> {
        self.has_picture()?;
        if self.support.is_empty() {
            return Err(Fault::NothingEnrolled);
        }
        Ok(Purpose::Score)
    }

    /// What takes no job.
    fn answer(&mut self, command: &Command<'_>) -> Result<'_> {
        match *command {
            Command::Hello { .. } => Ok(Reply::Hello(self.hello())),
            Command::Info => Ok(Reply::Info(self.info())),
            Command::ReadCapture { offset } => {
                let (pixels, _, _) = self.picture.get().ok_or(Fault::NoCapture)?;
                chunk(pixels, offset)
            }
            Command::WriteCapture {
                h,
                w,
                offset,
                bytes,
            } => self.write_capture((h, w), offset, bytes),
            Command::ReadLogits { offset } => self.read_logits(offset),
            Command::List { index } => self.list(usize::from(index)),
            Command::ReadSample { sample, offset } => self.read_sample(sample, offset),
            Command::Forget { target } => self.forget(target),
            Command::Rename { from, to } => self.rename(from, to),
            Command::Undo => done(self.support.undo(&mut self.flash)),
            Command::Settings => Ok(Reply::Settings(self.settings())),
            Command::Configure { settings } => self.configure(settings),
            Command::UpdateBegin { len, sha256 } => self.update_begin(len, sha256),
            Command::UpdateWrite { offset, bytes } => {
                let spare = self.spare.as_mut().ok_or(UNSUPPORTED)?;
                let next = spare.write(offset, bytes);
                next.map(|next| Reply::Written { next })
                    .map_err(update_fault)
            }
            Command::UpdateCommit { signature } => self.update_commit(signature),
            Command::UpdateAbort => {
                self.spare.as_mut().ok_or(UNSUPPORTED)?.abort();
                Ok(Reply::Done { samples: 0 })
            }
            Command::Selftest { seed } => self.selftest(seed),
            Command::Restart => {
                self.restart = true;
                Ok(Reply::Done { samples: 0 })
            }
            // These begin a job: `handle` took them.
            Command::Capture | Command::Enrol { .. } | Command::Score | Command::Bench => {
                Err(Fault::Busy)
            }
        }
    }

    fn hello(&self) -> Hello<'static> {
        Hello {
            protocol: PROTOCOL,
            board: self.identity.board,
            firmware: self.identity.firmware,
            model: self.model.map_or([0; 16], |model| model.fingerprint()),
        }
    }

    fn info(&self) -> Info {
        let input = self.model.map(|model| model.input());
        Info {
            input: input.map_or([0; 2], |input| [input.h as u16, input.w as u16]),
            max_capture: self.picture.limit(),
            samples: self.support.len() as u16,
            classes: self.support.classes() as u16,
            max_samples: MAX_SAMPLES as u16,
            flash_free: self.support.flash_free(),
            flash_bank: self.identity.store.bank_len,
            flash_epoch: self.support.epoch(),
            damaged: self.damaged,
            stale: self.stale() as u16,
            max_model: self.spare.as_ref().map_or(0, Spare::max_len),
            uptime: u32::try_from(self.now / 1000).unwrap_or(u32::MAX),
        }
    }

    fn write_capture(&mut self, size: (u16, u16), offset: u32, bytes: &[u8]) -> Result<'static> {
        let next = offset.saturating_add(bytes.len() as u32);
        Ok(match self.picture.write(size, offset, bytes)? {
            Some(captured) => Reply::Captured(captured),
            None => Reply::Written { next },
        })
    }

    fn read_logits(&mut self, offset: u32) -> Result<'_> {
        let logits = self.logits.get(..self.n_logits).unwrap_or(&[]);
        let bytes = self.other.as_chunks_mut::<4>().0;
        for (place, logit) in bytes.iter_mut().zip(logits) {
            *place = logit.to_le_bytes();
        }
        chunk(self.other.get(..4 * self.n_logits).unwrap_or(&[]), offset)
    }

    fn list(&self, index: usize) -> Result<'_> {
        let found = self.support.samples().nth(index);
        let sample = found.ok_or(Fault::NoSuchSample)?;
        Ok(Reply::Sample(Sample {
            sample: sample.id,
            label: self.support.label(sample.class).unwrap_or(""),
            h: sample.h,
            w: sample.w,
            fresh: self.encoder_id() == Some(sample.fingerprint),
        }))
    }

    fn read_sample(&mut self, id: u32, offset: u32) -> Result<'_> {
        let sample = self.support.sample(id).ok_or(Fault::NoSuchSample)?;
        let total = u32::from(sample.h) * u32::from(sample.w);
        let rest = total.saturating_sub(offset) as usize;
        let bytes = self
            .other
            .get_mut(..rest.min(MAX_CHUNK))
            .ok_or(Fault::NoSuchSample)?;
        self.support
            .read_capture(&mut self.flash, id, offset, bytes)
            .map_err(|error| fault_of(&error))?;
        Ok(Reply::Chunk {
            offset,
            total,
            bytes,
        })
    }

    fn forget(&mut self, target: Target<'_>) -> Result<'static> {
        done(self.support.forget(&mut self.flash, target))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<'static> {
        done(self.support.rename(&mut self.flash, from, to))
    }

    fn configure(&mut self, settings: Settings) -> Result<'static> {
        if settings.far_ppm > MAX_PPM {
            return Err(Fault::Settings);
        }
        let kept = self.support.configure(&mut self.flash, settings);
        kept.map_err(|error| fault_of(&error))?;
        Ok(Reply::Settings(settings))
    }

    fn update_begin(&mut self, len: u32, sha256: [u8; 32]) -> Result<'static> {
        let spare = self.spare.as_mut().ok_or(UNSUPPORTED)?;
        let next = spare.begin(len, sha256);
        next.map(|next| Reply::Written { next })
            .map_err(update_fault)
    }

    /// Takes the model that was written, if it is whole, signed by who must sign it, one of this
    /// version, and fits.
    fn update_commit(&mut self, signature: Option<&[u8]>) -> Result<'static> {
        let spare = self.spare.as_mut().ok_or(UNSUPPORTED)?;
        let sha256 = spare.verify().map_err(update_fault)?;
        if let Some(is_signed) = self.identity.is_signed
            && !signature.is_some_and(|signature| is_signed(&sha256, signature))
        {
            return Err(Fault::Update(UpdateFault::Signature));
        }
        let model = ModelView::new_checked(spare.file().unwrap_or(&[]));
        let model = model.map_err(|_| Fault::Update(UpdateFault::Model))?;
        if !super::fits(&model, self.arena.len()) {
            return Err(Fault::Update(UpdateFault::Memory));
        }
        spare.commit().map_err(update_fault)?;
        let samples = self.support.len() as u16;
        Ok(Reply::Done { samples })
    }

    fn selftest(&mut self, seed: u32) -> Result<'static> {
        let model = self.model.ok_or(Fault::NoModel)?;
        // A sample that is being embedded again starts over: the arena is needed.
        self.job = Job::None;
        let digest = selftest::digest(
            &model,
            seed,
            self.arena,
            &mut self.embedding,
            &mut self.other,
        );
        let digest = digest.map_err(|_| Fault::NoModel)?;
        Ok(Reply::Selftest { digest })
    }
}

const UNSUPPORTED: Fault<'static> = Fault::Update(UpdateFault::Unsupported);

/// A piece of something longer.
fn chunk(whole: &[u8], offset: u32) -> Result<'_> {
    let rest = whole.get(offset as usize..).unwrap_or(&[]);
    Ok(Reply::Chunk {
        offset,
        total: whole.len() as u32,
        bytes: rest.get(..MAX_CHUNK).unwrap_or(rest),
    })
}

fn done<E>(samples: core::result::Result<usize, SupportSetError<E>>) -> Result<'static> {
    let samples = samples.map_err(|error| fault_of(&error))? as u16;
    Ok(Reply::Done { samples })
}

const fn update_fault(error: SlotError) -> Fault<'static> {
    Fault::Update(match error {
        SlotError::TooLarge { max } => UpdateFault::TooLarge { max },
        SlotError::NotBegun => UpdateFault::NotBegun,
        SlotError::Offset { expected } => return Fault::Offset { expected },
        SlotError::Incomplete { next } => UpdateFault::Incomplete { next },
        SlotError::Digest => UpdateFault::Digest,
        SlotError::Flash => return Fault::Flash,
    })
}
