//! Where the room for a record comes from.
//!
//! In: a record to append. Out: the record in flash, behind a compaction if the bank was full; or
//! that there is no room, before anything is written.

use embedded_storage::nor_flash::NorFlash;

use super::index::{Entry, Index};
use super::mount::is_foreign;
use super::record::{
    EmbeddingHead, RENAME_LEN, SETTINGS_LEN, SampleHead, VERSION, embedding_len, kind,
};
use super::{Changed, OnFlash, StoreError, SupportSet, SupportSetError, snapshot};
use crate::store::{Record, Step};

impl SupportSet {
    /// Takes a compaction one step further, or begins one if that pays: when a quarter of the bank
    /// could be freed and less than a quarter is free, or when the log ends in something torn.
    /// A step erases one sector or copies one record. Returns whether there is more to do.
    ///
    /// To be called when there is nothing else to do. No other call waits for it: one that finds the
    /// bank full does all of it by itself.
    ///
    /// # Errors
    /// What the flash reports. [`SupportSetError::Full`] when so much was enrolled since it began
    /// that the copy is full: the next call begins anew.
    pub fn maintain<F: NorFlash>(&mut self, flash: &mut F) -> Changed<bool, F> {
        if !self.store.is_compacting() && !self.pays() {
            return Ok(false);
        }
        Ok(self.compact_step(flash)?)
    }

    fn pays(&self) -> bool {
        let quarter = self.store.capacity() / 4;
        let garbage = self.store.used().saturating_sub(self.compacted());
        self.store.is_dirty() || garbage >= quarter && self.store.room() < quarter
    }

    /// Bytes of flash for more samples.
    #[must_use]
    pub fn flash_free(&self) -> u32 {
        let kept = self.reserved(self.index.samples(), self.classes(), 0);
        self.store.capacity().saturating_sub(kept)
    }

    /// Writes a record, behind a compaction if there is no room.
    pub(super) fn commit<F: NorFlash>(
        &mut self,
        flash: &mut F,
        kind: u8,
        parts: &[&[u8]],
    ) -> Changed<Record, F> {
        let first = self.store.append(flash, kind, VERSION, parts);
        if !matches!(first, Err(StoreError::Full { .. })) {
            return Ok(first?);
        }
        self.compact(flash)?;
        Ok(self.store.append(flash, kind, VERSION, parts)?)
    }

    fn compact<F: NorFlash>(&mut self, flash: &mut F) -> OnFlash<(), F> {
        let first = self.finish_compaction(flash);
        if !matches!(first, Err(StoreError::Full { .. })) {
            return first;
        }
        // It was begun before records came that left the copy too little room: once more, from
        // the start.
        self.finish_compaction(flash)
    }

    fn finish_compaction<F: NorFlash>(&mut self, flash: &mut F) -> OnFlash<(), F> {
        while self.compact_step(flash)? {}
        Ok(())
    }

    /// Returns whether there is more to do.
    fn compact_step<F: NorFlash>(&mut self, flash: &mut F) -> OnFlash<bool, F> {
        if !self.store.is_compacting() {
            self.note_copies(|_| 0);
        }
        let (index, settings_at) = (&self.index, self.settings_at);
        let keep = |record: &Record| keeps(index, settings_at, record);
        match self.store.compact_step(flash, keep)? {
            Step::Working => {}
            Step::Lost => self.lost = self.lost.saturating_add(1),
            Step::Moved { from, to } => {
                self.note_copies(|(at, copy)| if at == from.at { to.at } else { copy });
            }
            Step::Copied => {
                snapshot::append(&mut self.store, flash, &self.index)?;
                self.store.seal(flash)?;
                self.adopt_copies();
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives each record another copy, from where it is and what its copy was.
    fn note_copies(&mut self, copy: impl Fn((u32, u32)) -> u32) {
        for entry in self.index.all_mut() {
            entry.copy = copy((entry.at, entry.copy));
            entry.embedding_copy = copy((entry.embedding_at, entry.embedding_copy));
        }
        self.settings_copy = copy((self.settings_at, self.settings_copy));
    }

    /// The copies are what counts now; what has none was damaged since the mount.
    fn adopt_copies(&mut self) {
        self.index.retain(|entry| entry.copy != 0);
        for entry in self.index.all_mut() {
            entry.at = entry.copy;
            if entry.embedding_at != 0 && entry.embedding_copy == 0 {
                // That of its first model is left, which one that was is not known any more.
                entry.embedding_len = entry.own_len;
                entry.fingerprint = [0; 16];
            }
            entry.embedding_at = entry.embedding_copy;
        }
        self.index.tidy();
        self.settings_at = self.settings_copy;
    }

    pub(super) fn admit_sample<E>(&self, head: &SampleHead) -> Result<(), SupportSetError<E>> {
        let new_class = usize::from(self.index.class_of(&head.label).is_none());
        let needed = self
            .store
            .extent(head.payload_len())
            .saturating_add(self.store.extent(embedding_len(head.embedding_len)))
            .saturating_add(snapshot::len(1, new_class).saturating_sub(snapshot::len(0, 0)));
        let classes = self.classes();
        let kept = self.reserved(self.index.samples(), classes, head.embedding_len);
        self.admit(needed, kept)
    }

    pub(super) fn admit_embedding<E>(
        &self,
        head: &EmbeddingHead,
    ) -> Result<(), SupportSetError<E>> {
        let before = self.entry(head.id).map_or(0, longest_embedding);
        let extent = |len| self.store.extent(embedding_len(len));
        let needed = extent(head.embedding_len).saturating_sub(extent(before));
        let labels = self.index.labels().len();
        let kept = self.reserved(self.index.all(), labels, head.embedding_len);
        self.admit(needed, kept)
    }

    fn admit<E>(&self, needed: u32, kept: u32) -> Result<(), SupportSetError<E>> {
        let free = self.store.capacity().saturating_sub(kept);
        if needed <= free {
            Ok(())
        } else {
            Err(SupportSetError::Full { needed, free })
        }
    }

    /// Bytes that are spoken for: by `entries`, by another embedding of each, and by one more
    /// record of any kind but a sample, with an embedding of up to `longest` bytes.
    fn reserved<'a>(
        &self,
        entries: impl Iterator<Item = &'a Entry>,
        n_labels: usize,
        longest: u16,
    ) -> u32 {
        let (mut sum, mut n, mut longest) = (self.foreign, 0_usize, longest);
        for entry in entries {
            let embedding = longest_embedding(entry);
            sum = sum
                .saturating_add(self.store.extent(entry.payload_len()))
                .saturating_add(self.store.extent(embedding_len(embedding)));
            longest = longest.max(embedding);
            n = n.saturating_add(1);
        }
        let spare = embedding_len(longest).max(RENAME_LEN as u32);
        // The snapshot grows by whole units, and with every sample by less.
        sum.saturating_add(self.store.extent(spare))
            .saturating_add(self.store.extent(SETTINGS_LEN as u32))
            .saturating_add(self.store.extent(snapshot::len(n, n_labels)))
            .saturating_add(self.store.extent(0))
    }

    /// Bytes of the log behind a compaction.
    fn compacted(&self) -> u32 {
        let mut sum = self.foreign;
        let mut n = 0_usize;
        for entry in self.index.all() {
            sum = sum.saturating_add(self.store.extent(entry.payload_len()));
            if entry.embedding_at != 0 {
                let embedding = embedding_len(entry.embedding_len);
                sum = sum.saturating_add(self.store.extent(embedding));
            }
            n = n.saturating_add(1);
        }
        let labels = self.index.labels().len();
        sum.saturating_add(self.store.extent(SETTINGS_LEN as u32))
            .saturating_add(self.store.extent(snapshot::len(n, labels)))
    }

    /// Gives up what could be taken back, if even a compaction would leave less than `needed` bytes
    /// because of it.
    pub(super) fn drop_undo_for(&mut self, needed: u32) {
        let after = self.store.capacity().saturating_sub(self.compacted());
        if self.store.room() < needed && after < needed {
            self.index.settle();
        }
    }
}

/// Bytes to keep back for an embedding of that sample.
fn longest_embedding(entry: &Entry) -> u16 {
    entry.own_len.max(entry.embedding_len)
}

/// Whether a compaction keeps that record.
fn keeps(index: &Index, settings_at: u32, record: &Record) -> bool {
    is_foreign(record)
        || match record.kind {
            kind::SAMPLE => index.all().any(|entry| entry.at == record.at),
            kind::EMBEDDING => index.all().any(|entry| entry.embedding_at == record.at),
            kind::SETTINGS => settings_at == record.at,
            _ => false,
        }
}
