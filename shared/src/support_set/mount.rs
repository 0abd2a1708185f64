//! From the log to the index.
//!
//! In: flash. Out: the support set as the last acknowledged call left it, and what was found on the
//! way. Nothing is written.

use embedded_storage::nor_flash::NorFlash;

use super::record::{self, EmbeddingHead, Forget, RENAME_LEN, SETTINGS_LEN, SampleHead, kind};
use super::{Index, Layout, OnFlash, Settings, Store, StoreError, SupportSet, snapshot};
use crate::store::Record;

/// What a mount found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Samples that there are.
    pub samples: usize,
    /// Classes that they belong to.
    pub classes: usize,
    /// Records that were damaged and passed over.
    pub damaged: u32,
    /// Records of a later release, which this one keeps without knowing what they mean.
    pub unknown: u32,
    /// Whether the last call before the start was cut off: the next one compacts first.
    pub interrupted: bool,
}

/// What the records so far amount to.
struct Replay {
    index: Index,
    settings: Option<Settings>,
    settings_at: u32,
    foreign: u32,
    unknown: u32,
    broken: u32,
}

/// Whether only a later release knows what it means.
pub(super) const fn is_foreign(record: &Record) -> bool {
    record.kind == 0 || record.kind > kind::LAST || record.version != record::VERSION
}

impl SupportSet {
    /// Reads what is in flash. Flash that holds no log is an empty set. Writes nothing.
    ///
    /// # Errors
    /// [`StoreError::Geometry`] when the flash or the layout does not suit, [`StoreError::Format`]
    /// when a later release wrote the log; what the flash reports.
    pub fn mount<F: NorFlash>(flash: &mut F, layout: Layout) -> OnFlash<(Self, Report), F> {
        let mut replay = Replay {
            index: Index::new(),
            settings: None,
            settings_at: 0,
            foreign: 0,
            unknown: 0,
            broken: 0,
        };
        let (store, scan) = Store::mount(flash, layout, |flash, record| {
            let whole = replay.visit(flash, &record)?;
            replay.broken = replay.broken.saturating_add(u32::from(!whole));
            Ok(())
        })?;
        let lost = scan.damaged.saturating_add(replay.broken);
        let report = Report {
            samples: replay.index.n_samples(),
            classes: replay.index.n_classes(),
            damaged: lost,
            unknown: replay.unknown,
            interrupted: scan.dirty,
        };
        let set = Self {
            store,
            index: replay.index,
            settings: replay.settings,
            settings_at: replay.settings_at,
            settings_copy: 0,
            foreign: replay.foreign,
            lost,
        };
        Ok((set, report))
    }

    /// Erases both banks: everything is forgotten for good, also what a later release wrote.
    ///
    /// # Errors
    /// [`StoreError::Geometry`], [`StoreError::NotErased`]; what the flash reports.
    pub fn format<F: NorFlash>(flash: &mut F, layout: Layout) -> Result<(), StoreError<F::Error>> {
        Store::format(flash, layout)
    }
}

impl Replay {
    /// `false` for a record that breaks a rule of its kind.
    fn visit<F: NorFlash>(&mut self, flash: &mut F, record: &Record) -> OnFlash<bool, F> {
        if is_foreign(record) {
            let extent = Store::extent_on::<F>(record.len);
            self.foreign = self.foreign.saturating_add(extent);
            self.unknown = self.unknown.saturating_add(1);
            return Ok(true);
        }
        Ok(match record.kind {
            kind::SAMPLE => {
                let head = fixed::<F, { SampleHead::LEN }>(flash, record)?;
                let head = head.and_then(|bytes| SampleHead::parse(&bytes, record.len));
                head.is_some_and(|head| self.index.enrol(&head, record.at))
            }
            kind::EMBEDDING => {
                let head = fixed::<F, { EmbeddingHead::LEN }>(flash, record)?;
                let head = head.and_then(|bytes| EmbeddingHead::parse(&bytes, record.len));
                head.map(|head| self.index.set_embedding(&head, record.at))
                    .is_some()
            }
            kind::FORGET => {
                let forget = exact::<F, { Forget::LEN }>(flash, record)?;
                let forget = forget.and_then(|bytes| Forget::parse(&bytes));
                forget.map(|forget| self.index.forget(&forget)).is_some()
            }
            kind::RENAME => {
                let rename = exact::<F, RENAME_LEN>(flash, record)?;
                let rename = rename.and_then(|bytes| record::parse_rename(&bytes));
                rename
                    .map(|(from, to)| self.index.rename(&from, &to))
                    .is_some()
            }
            kind::UNDO => record.len == 0 && Some(self.index.undo()).is_some(),
            kind::SETTINGS => {
                let settings = exact::<F, SETTINGS_LEN>(flash, record)?;
                let settings = settings.and_then(|bytes| record::parse_settings(&bytes));
                if settings.is_some() {
                    self.settings = settings;
                    self.settings_at = record.at;
                }
                settings.is_some()
            }
            _ => snapshot::restore(flash, record, &mut self.index)?,
        })
    }
}

/// The first `N` bytes of a payload; `None` when it is shorter.
fn fixed<F: NorFlash, const N: usize>(
    flash: &mut F,
    record: &Record,
) -> OnFlash<Option<[u8; N]>, F> {
    let mut bytes = [0; N];
    let n = record.read(flash, 0, &mut bytes)?;
    Ok((n == N).then_some(bytes))
}

/// A payload of `N` bytes; `None` when it is none.
fn exact<F: NorFlash, const N: usize>(
    flash: &mut F,
    record: &Record,
) -> OnFlash<Option<[u8; N]>, F> {
    let bytes = fixed(flash, record)?;
    Ok(bytes.filter(|_| record.len as usize == N))
}
