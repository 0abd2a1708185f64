//! What was enrolled: samples with label, capture and embedding, in flash; an index of them in RAM.
//!
//! In: a flash and where the log lies in it, samples to enrol, forget or rename. Out: the samples,
//! their classes, and their captures and embeddings as they are asked for: there is no copy of these
//! in RAM. Each call that returns `Ok` has its effect in flash, read back; one that is cut off by a
//! power failure has all of its effect or none.
//!
//! Classes are numbered from 0 in the order of their oldest samples, so that the numbers follow
//! from the samples alone, also after a restart.
//!
//! # A full flash
//!
//! Room is kept back for another embedding of every sample, so that a new model can always embed
//! what is there, and for one more record of the other kinds: forgetting, renaming and taking back
//! work at any time. When the bank in use is full, a call first moves what is still wanted to the
//! other one. [`SupportSet::maintain`] does so ahead, in small steps, when it pays.
//!
#![doc = include_str!("../STORE.md")]

use embedded_storage::nor_flash::NorFlash;

mod error;
mod flow;
mod index;
mod mount;
mod record;
mod snapshot;

pub use error::SupportSetError;
pub use mount::Report;

use crate::checksum::crc32;
use crate::link::{MAX_LABEL, Settings, Target};
use crate::store::{Layout, OnFlash, Store, StoreError};
use index::{Entry, Index, Undo};
use record::{EmbeddingHead, SampleHead, kind};

/// Most samples at a time.
pub const MAX_SAMPLES: usize = 64;

/// Most pixels of a capture.
pub const MAX_CAPTURE: usize = 128 * 128;

/// Most bytes of an embedding.
pub const MAX_EMBEDDING: usize = 1024;

/// What a call that changes the set on flash `F` gives.
type Changed<T, F> =
    Result<T, SupportSetError<<F as embedded_storage::nor_flash::ErrorType>::Error>>;

/// One sample, without its capture and its embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Its number, which is not given twice.
    pub id: u32,
    /// Its class, for [`SupportSet::label`].
    pub class: usize,
    /// Rows of its capture.
    pub h: u16,
    /// Columns of its capture.
    pub w: u16,
    /// Bytes of its embedding.
    pub embedding_len: u16,
    /// Of the model that made the embedding; zeros when the embedding was lost.
    pub fingerprint: [u8; 16],
    /// [`capture_crc`] of its capture.
    pub capture_crc: u32,
}

/// A sample to enrol.
#[derive(Debug, Clone, Copy)]
pub struct NewSample<'a> {
    /// Its class, new or known: 1 to 32 bytes.
    pub label: &'a str,
    /// Rows of the capture.
    pub h: u16,
    /// Columns of the capture.
    pub w: u16,
    /// Grey, `[h][w]`; at most [`MAX_CAPTURE`] pixels.
    pub capture: &'a [u8],
    /// At most [`MAX_EMBEDDING`] bytes.
    pub embedding: &'a [u8],
    /// Of the model that made the embedding.
    pub fingerprint: [u8; 16],
}

/// The samples in flash, and an index of them.
#[derive(Debug, Clone)]
pub struct SupportSet {
    store: Store,
    index: Index,
    settings: Option<Settings>,
    settings_at: u32,
    settings_copy: u32,
    /// Bytes of records that a later release wrote and this one keeps.
    foreign: u32,
    /// Records that were found damaged since the mount.
    lost: u32,
}

// What it takes of a device's RAM, whatever is enrolled.
const _: () = assert!(size_of::<SupportSet>() <= 5632 + 128);

/// What tells captures apart in [`SupportSet::find_capture`].
#[must_use]
pub fn capture_crc(capture: &[u8]) -> u32 {
    crc32(capture)
}

impl SupportSet {
    /// Enrols a sample and returns its number.
    ///
    /// # Errors
    /// [`SupportSetError::Label`], [`SupportSetError::CaptureSize`],
    /// [`SupportSetError::EmbeddingSize`], [`SupportSetError::TooManySamples`] or
    /// [`SupportSetError::Full`], before anything is written; what the flash reports.
    pub fn enrol<F: NorFlash>(&mut self, flash: &mut F, sample: &NewSample<'_>) -> Changed<u32, F> {
        let head = self.check_new(sample)?;
        self.admit_sample(&head)?;
        let bytes = head.emit();
        let parts: [&[u8]; 3] = [&bytes, sample.capture, sample.embedding];
        let needed = self.store.extent(head.payload_len());
        self.drop_undo_for(needed);
        let written = self.commit(flash, kind::SAMPLE, &parts)?;
        self.index.enrol(&head, written.at);
        Ok(head.id)
    }

    fn check_new<E>(&self, sample: &NewSample<'_>) -> Result<SampleHead, SupportSetError<E>> {
        let label = record::label(sample.label).ok_or(SupportSetError::Label)?;
        let pixels = usize::from(sample.h).saturating_mul(usize::from(sample.w));
        if pixels == 0 || pixels > MAX_CAPTURE || pixels != sample.capture.len() {
            return Err(SupportSetError::CaptureSize);
        }
        if sample.embedding.len() > MAX_EMBEDDING {
            return Err(SupportSetError::EmbeddingSize);
        }
        let last = self.index.next_id == u32::MAX;
        if self.index.n_samples() >= MAX_SAMPLES || last {
            return Err(SupportSetError::TooManySamples);
        }
        Ok(SampleHead {
            id: self.index.next_id,
            h: sample.h,
            w: sample.w,
            embedding_len: u16::try_from(sample.embedding.len()).unwrap_or(0),
            label,
            capture_crc: capture_crc(sample.capture),
            fingerprint: sample.fingerprint,
        })
    }

    /// Forgets a sample, a class or everything, and returns how many samples these were.
    ///
    /// # Errors
    /// [`SupportSetError::NoSuchSample`] or [`SupportSetError::NoSuchClass`], before anything is
    /// written; what the flash reports.
    pub fn forget<F: NorFlash>(&mut self, flash: &mut F, target: Target<'_>) -> Changed<usize, F> {
        let payload = record::Forget::new(&target);
        match (self.index.count(&payload), target) {
            (0, Target::Sample(_)) => return Err(SupportSetError::NoSuchSample),
            (0, Target::Class(_)) => return Err(SupportSetError::NoSuchClass),
            (0, Target::All) => return Ok(0),
            _ => {}
        }
        self.commit(flash, kind::FORGET, &[&payload.emit()])?;
        Ok(self.index.forget(&payload))
    }

    /// Gives the class `from` the name `to`, where it joins a class of that name, and returns how
    /// many samples it had.
    ///
    /// # Errors
    /// [`SupportSetError::NoSuchClass`] or [`SupportSetError::Label`], before anything is written;
    /// what the flash reports.
    pub fn rename<F: NorFlash>(
        &mut self,
        flash: &mut F,
        from: &str,
        to: &str,
    ) -> Changed<usize, F> {
        let to = record::label(to).ok_or(SupportSetError::Label)?;
        let known = record::label(from).filter(|from| self.index.class_of(from).is_some());
        let from = known.ok_or(SupportSetError::NoSuchClass)?;
        if from == to {
            return Ok(self.index.class_size(&from));
        }
        self.commit(flash, kind::RENAME, &[&from, &to])?;
        Ok(self.index.rename(&from, &to))
    }

    /// Takes back the last enrolment, forgetting or renaming, once, also after a restart, and
    /// returns how many samples it had concerned.
    ///
    /// # Errors
    /// [`SupportSetError::NothingToUndo`], before anything is written; what the flash reports.
    pub fn undo<F: NorFlash>(&mut self, flash: &mut F) -> Changed<usize, F> {
        if !self.can_undo() {
            return Err(SupportSetError::NothingToUndo);
        }
        self.commit(flash, kind::UNDO, &[])?;
        Ok(self.index.undo())
    }

    /// Whether there is something for [`SupportSet::undo`].
    #[must_use]
    pub fn can_undo(&self) -> bool {
        self.index.undo != Undo::Nothing
    }

    /// Gives a sample another embedding: that of another model. Nothing to take back.
    ///
    /// # Errors
    /// [`SupportSetError::NoSuchSample`], [`SupportSetError::EmbeddingSize`] or
    /// [`SupportSetError::Full`], before anything is written; what the flash reports.
    pub fn set_embedding<F: NorFlash>(
        &mut self,
        flash: &mut F,
        id: u32,
        embedding: &[u8],
        fingerprint: [u8; 16],
    ) -> Changed<(), F> {
        if embedding.len() > MAX_EMBEDDING {
            return Err(SupportSetError::EmbeddingSize);
        }
        let head = EmbeddingHead {
            id,
            embedding_len: u16::try_from(embedding.len()).unwrap_or(0),
            fingerprint,
        };
        self.entry(id).ok_or(SupportSetError::NoSuchSample)?;
        self.admit_embedding(&head)?;
        let written = self.commit(flash, kind::EMBEDDING, &[&head.emit(), embedding])?;
        self.index.set_embedding(&head, written.at);
        Ok(())
    }

    /// What was configured last; `None` when nothing ever was.
    #[must_use]
    pub const fn settings(&self) -> Option<Settings> {
        self.settings
    }

    /// Keeps other settings. Nothing to take back.
    ///
    /// # Errors
    /// What the flash reports.
    pub fn configure<F: NorFlash>(&mut self, flash: &mut F, settings: Settings) -> Changed<(), F> {
        let bytes = record::emit_settings(&settings);
        let written = self.commit(flash, kind::SETTINGS, &[&bytes])?;
        self.settings = Some(settings);
        self.settings_at = written.at;
        self.settings_copy = 0;
        Ok(())
    }

    /// The samples in the order of their enrolment.
    pub fn samples(&self) -> impl Iterator<Item = Sample> + '_ {
        self.index.samples().map(Entry::sample)
    }

    /// The sample of that number.
    #[must_use]
    pub fn sample(&self, id: u32) -> Option<Sample> {
        self.entry(id).map(Entry::sample)
    }

    /// Number of samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.n_samples()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of classes.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.index.n_classes()
    }

    /// Name of class number `class`.
    #[must_use]
    pub fn label(&self, class: usize) -> Option<&str> {
        let known = class < self.classes();
        self.index.label(class).filter(|_| known)
    }

    /// Number of the class of that name.
    #[must_use]
    pub fn class_of(&self, label: &str) -> Option<usize> {
        self.index.class_of(&record::label(label)?)
    }

    /// The oldest sample with a capture of that [`capture_crc`].
    #[must_use]
    pub fn find_capture(&self, crc: u32) -> Option<u32> {
        let mut samples = self.samples();
        samples.find(|s| s.capture_crc == crc).map(|s| s.id)
    }

    /// Number of samples whose embedding is by another model than that of `fingerprint`.
    #[must_use]
    pub fn stale(&self, fingerprint: &[u8; 16]) -> usize {
        self.samples()
            .filter(|sample| sample.fingerprint != *fingerprint)
            .count()
    }

    /// Reads the capture of a sample from pixel `offset` on into `out`, and returns how many pixels
    /// there were: fewer than `out` is long at the capture's end.
    ///
    /// # Errors
    /// [`SupportSetError::NoSuchSample`]; what the flash reports.
    pub fn read_capture<F: NorFlash>(
        &self,
        flash: &mut F,
        id: u32,
        offset: u32,
        out: &mut [u8],
    ) -> Changed<usize, F> {
        let entry = self.entry(id).ok_or(SupportSetError::NoSuchSample)?;
        let (at, len) = entry.capture();
        Ok(read_part(flash, at, len, offset, out)?)
    }

    /// Reads the embedding of a sample into `out`, and returns its length: as much of it as `out`
    /// has room for.
    ///
    /// # Errors
    /// [`SupportSetError::NoSuchSample`]; what the flash reports.
    pub fn read_embedding<F: NorFlash>(
        &self,
        flash: &mut F,
        id: u32,
        out: &mut [u8],
    ) -> Changed<usize, F> {
        let entry = self.entry(id).ok_or(SupportSetError::NoSuchSample)?;
        let (at, len) = entry.embedding();
        Ok(read_part(flash, at, len, 0, out)?)
    }

    /// Most samples at a time.
    #[must_use]
    pub const fn max_samples(&self) -> usize {
        MAX_SAMPLES
    }

    /// How often a bank was begun.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.store.epoch()
    }

    /// Where the banks lie.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.store.layout()
    }

    /// Damaged records that were passed over since the mount, with those that the mount found.
    #[must_use]
    pub const fn damaged(&self) -> u32 {
        self.lost
    }

    fn entry(&self, id: u32) -> Option<&Entry> {
        self.index.samples().find(|entry| entry.id == id)
    }
}

/// Reads from `offset` on of the `len` bytes at `at`.
fn read_part<F: NorFlash>(
    flash: &mut F,
    at: u32,
    len: u32,
    offset: u32,
    out: &mut [u8],
) -> OnFlash<usize, F> {
    let n = (len.saturating_sub(offset) as usize).min(out.len());
    let out = out.get_mut(..n).unwrap_or_default();
    crate::store::read(flash, at.saturating_add(offset), out)?;
    Ok(n)
}
