//! What an embedding is good for: the nearest class, or a new sample.
//!
//! In: the embedding of the picture in the capture buffer. Out: a verdict, or a sample in flash. Each
//! sample's embedding is read from flash, one at a time; one by another model takes no part.

use embedded_storage::nor_flash::NorFlash;

use super::Core;
use super::job::Label;
use crate::decide::{Decision, Policy, Scored, decide, looks_like};
use crate::link::{Candidate, Enrolled, Fault, Reply, Settings, Verdict};
use crate::model::ModelView;
use crate::shape::ShapeError;
use crate::slots::Mapped;
use crate::support_set::{MAX_CAPTURE, NewSample, SupportSetError};

impl<F: NorFlash + Mapped> Core<'_, F> {
    /// The logit of every sample against the embedding that was just made.
    fn compare(&mut self, model: &ModelView<'_>) -> Result<(), Fault<'static>> {
        let (len, id) = (model.embedding_len(), self.encoder_id());
        let query = self.embedding.get(..len).unwrap_or(&[]);
        let other = self.other.get_mut(..len).ok_or(Fault::NoModel)?;
        self.n_logits = 0;
        for (sample, place) in self.support.samples().zip(&mut self.logits) {
            // A sample that could not be embedded again takes no part.
            let mut logit = i32::MIN;
            if Some(sample.fingerprint) == id {
                self.support
                    .read_embedding(&mut self.flash, sample.id, other)
                    .map_err(|_| Fault::Flash)?;
                let head = model.decider().logit(query, other);
                logit = head.map_err(|_: ShapeError| Fault::NoModel)?;
            }
            *place = logit;
            self.n_logits += 1;
        }
        Ok(())
    }

    /// The class and the logit of every sample that was compared.
    fn logits(&self) -> impl Iterator<Item = (usize, i32)> {
        let samples = self.support.samples().zip(&self.logits);
        let logits = samples.map(|(sample, &logit)| (sample.class, logit));
        logits.filter(|&(_, logit)| logit != i32::MIN)
    }

    /// What a user has set, or what holds until then.
    pub(super) fn settings(&self) -> Settings {
        let policy = Policy::default();
        self.support.settings().unwrap_or(Settings {
            far_ppm: policy.far_ppm,
            offset: policy.offset,
        })
    }

    fn candidate(&self, scored: Scored) -> Candidate<'_> {
        Candidate {
            label: self.support.label(scored.class).unwrap_or(""),
            logit: scored.logit,
        }
    }

    /// Which class the embedding belongs to.
    pub(super) fn score(&mut self, model: &ModelView<'_>) -> Result<Verdict<'_>, Fault<'static>> {
        self.compare(model)?;
        let settings = self.settings();
        let policy = Policy {
            far_ppm: settings.far_ppm,
            offset: settings.offset,
        };
        let decision = decide(self.logits(), &model.thresholds(), policy);
        let Decision {
            known,
            best,
            second,
            threshold,
            ..
        } = decision.map_err(|_| Fault::NothingEnrolled)?;
        let (_, _, look) = self.picture.get().ok_or(Fault::NoCapture)?;
        Ok(Verdict {
            known,
            best: self.candidate(best),
            second: second.map(|second| self.candidate(second)),
            threshold,
            logit_exponent: model.decider().logit_exponent(),
            quality: look.quality(),
        })
    }

    /// Keeps the picture and its embedding.
    pub(super) fn enrol(
        &mut self,
        model: &ModelView<'_>,
        label: &Label,
        force: bool,
    ) -> Result<Reply<'_>, Fault<'_>> {
        self.compare(model)?;
        if !force && let Some(other) = self.other_class(model, label.text()) {
            return Err(Fault::LooksLike(self.candidate(other)));
        }
        let id = self.encoder_id().ok_or(Fault::NoModel)?;
        let embedding = self.embedding.get(..model.embedding_len()).unwrap_or(&[]);
        let (pixels, shape, look) = self.picture.get().ok_or(Fault::NoCapture)?;
        if !force && !self.picture.is_good() {
            return Err(Fault::Quality(look.quality()));
        }
        let sample = NewSample {
            label: label.text(),
            h: shape.h as u16,
            w: shape.w as u16,
            capture: pixels,
            embedding,
            fingerprint: id,
        };
        let sample = self.support.enrol(&mut self.flash, &sample);
        let sample = sample.map_err(|error| fault_of(&error))?;
        Ok(Reply::Enrolled(Enrolled {
            sample,
            quality: look.quality(),
            samples: self.support.len() as u16,
            classes: self.support.classes() as u16,
        }))
    }

    /// The class, other than `label`, that the embedding would be taken for.
    fn other_class(&self, model: &ModelView<'_>, label: &str) -> Option<Scored> {
        let own = self.support.class_of(label);
        let others = self.logits().filter(|&(class, _)| Some(class) != own);
        looks_like(others, &model.thresholds()).ok().flatten()
    }

    /// A name that no class has; `None` when a hundred marks were taught without a host.
    pub(super) fn fresh_label(&self) -> Option<Label> {
        let mut names = (1..=99).filter_map(Label::numbered);
        names.find(|name| self.support.class_of(name.text()).is_none())
    }
}

/// What a host is told when the support set refuses.
pub(super) const fn fault_of<E>(error: &SupportSetError<E>) -> Fault<'static> {
    match error {
        SupportSetError::Label => Fault::Label,
        SupportSetError::NoSuchSample => Fault::NoSuchSample,
        SupportSetError::NoSuchClass => Fault::NoSuchClass,
        SupportSetError::NothingToUndo => Fault::NothingToUndo,
        SupportSetError::TooManySamples | SupportSetError::Full { .. } => Fault::Full,
        SupportSetError::CaptureSize => Fault::CaptureSize {
            max: MAX_CAPTURE as u32,
        },
        // A model whose embedding is too long is not run: see `Session::start`.
        SupportSetError::EmbeddingSize | SupportSetError::Store(_) => Fault::Flash,
    }
}
