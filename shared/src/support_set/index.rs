//! The samples in RAM: what they are, where their bytes lie, and what the last change was.
//!
//! In: changes, in the order in which they are in the log. Out: the samples after them. A call that
//! changes the set and a mount that reads the same change back end in the same index.

use super::record::{EmbeddingHead, Forget, LABEL_LEN, Label, SampleHead, label_text, sample_len};
use super::{MAX_SAMPLES, Sample};

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: u32,
    /// Payload of its record in flash, and in the copy that is under way; 0 for none.
    pub(super) at: u32,
    pub(super) copy: u32,
    /// Payload of the record with its newest embedding, if that is not in its own.
    pub(super) embedding_at: u32,
    pub(super) embedding_copy: u32,
    pub(super) capture_crc: u32,
    pub(super) h: u16,
    pub(super) w: u16,
    /// Of the embedding in its own record, and of the newest.
    pub(super) own_len: u16,
    pub(super) embedding_len: u16,
    pub(super) fingerprint: [u8; 16],
    pub(super) class: u8,
    /// Not forgotten.
    pub(super) alive: bool,
    /// Enrolled, forgotten or renamed by the last change.
    pub(super) touched: bool,
}

impl Entry {
    const NONE: Self = Self {
        id: 0,
        at: 0,
        copy: 0,
        embedding_at: 0,
        embedding_copy: 0,
        capture_crc: 0,
        h: 0,
        w: 0,
        own_len: 0,
        embedding_len: 0,
        fingerprint: [0; 16],
        class: 0,
        alive: false,
        touched: false,
    };

    fn new(head: &SampleHead, at: u32) -> Self {
        Self {
            id: head.id,
            at,
            capture_crc: head.capture_crc,
            h: head.h,
            w: head.w,
            own_len: head.embedding_len,
            embedding_len: head.embedding_len,
            fingerprint: head.fingerprint,
            alive: true,
            touched: true,
            ..Self::NONE
        }
    }

    pub(super) fn sample(&self) -> Sample {
        Sample {
            id: self.id,
            class: usize::from(self.class),
            h: self.h,
            w: self.w,
            embedding_len: self.embedding_len,
            fingerprint: self.fingerprint,
            capture_crc: self.capture_crc,
        }
    }

    /// Bytes of its record's payload.
    pub(super) fn payload_len(&self) -> u32 {
        sample_len(self.h, self.w, self.own_len)
    }

    /// Where its capture is, and how long.
    pub(super) fn capture(&self) -> (u32, u32) {
        let at = self.at.saturating_add(SampleHead::LEN as u32);
        (at, u32::from(self.h).saturating_mul(u32::from(self.w)))
    }

    /// Where its embedding is, and how long.
    pub(super) fn embedding(&self) -> (u32, u32) {
        let at = if self.embedding_at == 0 {
            let (at, len) = self.capture();
            at.saturating_add(len)
        } else {
            self.embedding_at.saturating_add(EmbeddingHead::LEN as u32)
        };
        (at, u32::from(self.embedding_len))
    }
}

/// What can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undo {
    Nothing,
    /// The touched sample was enrolled.
    Enrol,
    /// The touched samples were forgotten, and are still there, not alive.
    Forget,
    /// The touched samples had [`Index::old_label`].
    Rename,
}

/// All samples, those that can be brought back among them.
#[derive(Debug, Clone)]
pub(super) struct Index {
    /// In the order of their numbers; `len` of them.
    entries: [Entry; MAX_SAMPLES],
    len: usize,
    /// Classes of the living first, then those of the others alone.
    labels: [Label; MAX_SAMPLES],
    n_classes: usize,
    n_labels: usize,
    pub(super) next_id: u32,
    pub(super) undo: Undo,
    pub(super) old_label: Label,
}

impl Index {
    pub(super) const fn new() -> Self {
        Self {
            entries: [Entry::NONE; MAX_SAMPLES],
            len: 0,
            labels: [[0; LABEL_LEN]; MAX_SAMPLES],
            n_classes: 0,
            n_labels: 0,
            next_id: 1,
            undo: Undo::Nothing,
            old_label: [0; LABEL_LEN],
        }
    }

    /// All, also those that were forgotten last.
    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().take(self.len)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().take(self.len)
    }

    /// Those that are not forgotten.
    pub(super) fn samples(&self) -> impl Iterator<Item = &Entry> {
        self.all().filter(|entry| entry.alive)
    }

    pub(super) fn n_samples(&self) -> usize {
        self.samples().count()
    }

    pub(super) const fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// The labels of [`Index::all`], as they are in flash.
    pub(super) fn labels(&self) -> &[Label] {
        self.labels.get(..self.n_labels).unwrap_or(&[])
    }

    pub(super) fn label(&self, class: usize) -> Option<&str> {
        label_text(self.labels().get(class)?)
    }

    /// The class of the living with that label.
    pub(super) fn class_of(&self, label: &Label) -> Option<usize> {
        self.find_label(label)
            .filter(|class| *class < self.n_classes)
    }

    fn find_label(&self, label: &Label) -> Option<usize> {
        self.labels().iter().position(|known| known == label)
    }

    pub(super) fn class_size(&self, label: &Label) -> usize {
        let class = self.class_of(label);
        self.samples()
            .filter(|entry| Some(usize::from(entry.class)) == class)
            .count()
    }

    /// How many samples that would concern.
    pub(super) fn count(&self, forget: &Forget) -> usize {
        match forget {
            Forget::Sample(id) => self.samples().filter(|entry| entry.id == *id).count(),
            Forget::Class(label) => self.class_size(label),
            Forget::All => self.n_samples(),
        }
    }

    /// `false` when there is no place for it.
    pub(super) fn enrol(&mut self, head: &SampleHead, at: u32) -> bool {
        self.settle();
        let entry = Entry::new(head, at);
        let pushed = self.push(entry, &head.label);
        self.undo = Undo::Enrol;
        self.tidy();
        pushed
    }

    pub(super) fn forget(&mut self, forget: &Forget) -> usize {
        self.settle();
        let class = match forget {
            Forget::Class(label) => self.class_of(label),
            _ => None,
        };
        let mut n = 0_usize;
        for entry in self.all_mut() {
            let hit = match forget {
                Forget::Sample(id) => entry.id == *id,
                Forget::Class(_) => class == Some(usize::from(entry.class)),
                Forget::All => true,
            };
            entry.touched = hit;
            entry.alive = !hit;
            n = n.saturating_add(usize::from(hit));
        }
        self.undo = Undo::Forget;
        self.tidy();
        n
    }

    pub(super) fn rename(&mut self, from: &Label, to: &Label) -> usize {
        self.settle();
        let class = self.class_of(from);
        let mut n = 0_usize;
        for entry in self.all_mut() {
            entry.touched = class == Some(usize::from(entry.class));
            n = n.saturating_add(usize::from(entry.touched));
        }
        self.relabel_touched(to);
        self.undo = Undo::Rename;
        self.old_label = *from;
        self.tidy();
        n
    }

    pub(super) fn undo(&mut self) -> usize {
        let n = self.all().filter(|entry| entry.touched).count();
        match self.undo {
            Undo::Nothing => {}
            Undo::Enrol => self.retain(|entry| !entry.touched),
            Undo::Forget => self.all_mut().for_each(|entry| entry.alive = true),
            Undo::Rename => {
                let label = self.old_label;
                self.relabel_touched(&label);
            }
        }
        self.settle();
        self.tidy();
        n
    }

    pub(super) fn set_embedding(&mut self, head: &EmbeddingHead, at: u32) {
        if let Some(entry) = self.all_mut().find(|entry| entry.id == head.id) {
            entry.embedding_at = at;
            entry.embedding_copy = 0;
            entry.embedding_len = head.embedding_len;
            entry.fingerprint = head.fingerprint;
        }
    }

    /// Lets go of what could be brought back.
    pub(super) fn settle(&mut self) {
        self.retain(|entry| entry.alive);
        self.all_mut().for_each(|entry| entry.touched = false);
        self.undo = Undo::Nothing;
        self.old_label = [0; LABEL_LEN];
        self.tidy();
    }

    /// Drops entries; [`Index::tidy`] must follow.
    pub(super) fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        let mut kept = 0_usize;
        for i in 0..self.len {
            let entry = self.entries.get(i).copied().unwrap_or(Entry::NONE);
            if keep(&entry) {
                set(&mut self.entries, kept, entry);
                kept = kept.saturating_add(1);
            }
        }
        self.len = kept;
    }

    /// Another label for a class; [`Index::tidy`] must follow.
    pub(super) fn set_label(&mut self, class: usize, label: Label) {
        set(&mut self.labels, class, label);
    }

    fn push(&mut self, entry: Entry, label: &Label) -> bool {
        let room = self.len < MAX_SAMPLES;
        if let Some(class) = self.find_or_add(label).filter(|_| room) {
            set(&mut self.entries, self.len, Entry { class, ..entry });
            self.len = self.len.saturating_add(1);
        }
        self.next_id = self.next_id.max(entry.id.saturating_add(1));
        room
    }

    fn find_or_add(&mut self, label: &Label) -> Option<u8> {
        let class = self.find_label(label).unwrap_or(self.n_labels);
        if class == self.n_labels && class < MAX_SAMPLES {
            set(&mut self.labels, class, *label);
            self.n_labels = class.saturating_add(1);
        }
        u8::try_from(class).ok().filter(|_| class < self.n_labels)
    }

    fn relabel_touched(&mut self, label: &Label) {
        // A class that moves as a whole takes its place along: there may be no other left.
        let Some(class) = self.all().find(|e| e.touched).map(|e| e.class) else {
            return;
        };
        let whole = !self
            .all()
            .any(|entry| entry.class == class && !entry.touched);
        if whole && self.find_label(label).is_none() {
            set(&mut self.labels, usize::from(class), *label);
        } else if let Some(class) = self.find_or_add(label) {
            let touched = self.all_mut().filter(|entry| entry.touched);
            touched.for_each(|entry| entry.class = class);
        }
    }

    /// Numbers the classes by their oldest samples, those with living samples first, and drops
    /// labels that nothing has.
    pub(super) fn tidy(&mut self) {
        const NONE: u8 = u8::MAX;
        let mut new = [NONE; MAX_SAMPLES];
        let mut next = 0_u8;
        for alive in [true, false] {
            for entry in self.entries.iter().take(self.len) {
                if let Some(new) = new.get_mut(usize::from(entry.class))
                    && entry.alive == alive
                    && *new == NONE
                {
                    *new = next;
                    next = next.saturating_add(1);
                }
            }
            if alive {
                self.n_classes = usize::from(next);
            }
        }
        for entry in self.all_mut() {
            let class = new.get(usize::from(entry.class)).copied();
            entry.class = class.unwrap_or(0);
        }
        // In place, as there may be little stack: what belongs at `to` is swapped there.
        for to in 0..next {
            let Some(from) = new.iter().position(|class| *class == to) else {
                continue;
            };
            swap(&mut self.labels, usize::from(to), from);
            swap(&mut new, usize::from(to), from);
        }
        self.n_labels = usize::from(next);
    }
}

fn set<T>(items: &mut [T], at: usize, item: T) {
    if let Some(place) = items.get_mut(at) {
        *place = item;
    }
}

fn swap<T: Copy>(items: &mut [T], a: usize, b: usize) {
    if let (Some(x), Some(y)) = (items.get(a).copied(), items.get(b).copied()) {
        set(items, a, y);
        set(items, b, x);
    }
}
