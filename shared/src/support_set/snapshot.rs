//! The record that ends a compaction: which samples there are, their labels, and what can be taken
//! back.
//!
//! In: the index, or such a record. Out: a record that stands for all changes before it, or the
//! index after it: the samples of the records before it, but for those that it does not name.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use super::MAX_SAMPLES;
use super::index::{Index, Undo};
use super::record::{LABEL_LEN, Label, VERSION, kind, label_text};
use crate::store::{OnFlash, Record, Store, array, put, read_u32};

mod field {
    use super::{LABEL_LEN, Range};
    type Field = Range<usize>;

    pub(super) const NEXT_ID: Field = 0..4;
    pub(super) const N_SAMPLES: Field = 4..6;
    pub(super) const N_LABELS: Field = 6..8;
    pub(super) const UNDO: usize = 8;
    pub(super) const OLD_LABEL: Field = 9..9 + LABEL_LEN;
    pub(super) const LEN: usize = OLD_LABEL.end;

    /// In a sample.
    pub(super) const ID: Field = 0..4;
    pub(super) const CLASS: usize = 4;
    pub(super) const FLAGS: usize = 5;
    pub(super) const SAMPLE_LEN: usize = 6;
}

const ALIVE: u8 = 1;
const TOUCHED: u8 = 2;

/// Bytes of the payload.
pub(super) const fn len(n_samples: usize, n_labels: usize) -> u32 {
    let labels = n_labels.saturating_mul(LABEL_LEN);
    let samples = n_samples.saturating_mul(field::SAMPLE_LEN);
    field::LEN.saturating_add(labels).saturating_add(samples) as u32
}

/// Adds it to a finished copy.
pub(super) fn append<F: NorFlash>(
    store: &mut Store,
    flash: &mut F,
    index: &Index,
) -> OnFlash<(), F> {
    let mut samples = [0; MAX_SAMPLES * field::SAMPLE_LEN];
    let mut n = 0_usize;
    for (bytes, entry) in samples.chunks_exact_mut(field::SAMPLE_LEN).zip(index.all()) {
        let alive = if entry.alive { ALIVE } else { 0 };
        let touched = if entry.touched { TOUCHED } else { 0 };
        put(bytes, field::ID, &entry.id.to_le_bytes());
        let class_flags = [entry.class, alive | touched];
        put(bytes, field::CLASS..field::SAMPLE_LEN, &class_flags);
        n = n.saturating_add(1);
    }
    let labels = index.labels();
    let mut head = [0; field::LEN];
    put(&mut head, field::NEXT_ID, &index.next_id.to_le_bytes());
    put(&mut head, field::N_SAMPLES, &(n as u16).to_le_bytes());
    put(
        &mut head,
        field::N_LABELS,
        &(labels.len() as u16).to_le_bytes(),
    );
    let undo = match index.undo {
        Undo::Nothing => 0,
        Undo::Enrol => 1,
        Undo::Forget => 2,
        Undo::Rename => 3,
    };
    put(&mut head, field::UNDO..field::OLD_LABEL.start, &[undo]);
    put(&mut head, field::OLD_LABEL, &index.old_label);
    let samples = samples.get(..n.saturating_mul(field::SAMPLE_LEN));
    let parts: [&[u8]; 3] = [&head, labels.as_flattened(), samples.unwrap_or(&[])];
    store
        .append_copy(flash, kind::SNAPSHOT, VERSION, &parts)
        .map(|_| ())
}

/// Makes the index what the record says; `false`, and the index as it was, when it breaks a rule.
pub(super) fn restore<F: NorFlash>(
    flash: &mut F,
    record: &Record,
    index: &mut Index,
) -> OnFlash<bool, F> {
    let mut head = [0; field::LEN];
    record.read(flash, 0, &mut head)?;
    let Some(head) = Head::parse(&head, record.len) else {
        return Ok(false);
    };
    let mut samples = [0; MAX_SAMPLES * field::SAMPLE_LEN];
    let samples_len = head.n_samples.saturating_mul(field::SAMPLE_LEN);
    let samples = samples.get_mut(..samples_len).unwrap_or_default();
    record.read(flash, len(0, head.n_labels), samples)?;
    let (samples, _) = samples.as_chunks::<{ field::SAMPLE_LEN }>();
    let mut valid = samples.iter().all(|sample| head.allows(sample));
    for class in 0..head.n_labels {
        valid &= label_text(&read_label(flash, record, class)?).is_some();
    }
    if !valid {
        return Ok(false);
    }
    apply(&head, samples, index);
    for class in 0..head.n_labels {
        index.set_label(class, read_label(flash, record, class)?);
    }
    index.tidy();
    Ok(true)
}

/// All but the labels.
fn apply(head: &Head, samples: &[[u8; field::SAMPLE_LEN]], index: &mut Index) {
    let find = |id: u32| {
        let mut samples = samples.iter();
        samples.find(|sample| read_u32(*sample, field::ID) == Some(id))
    };
    index.retain(|entry| find(entry.id).is_some());
    for entry in index.all_mut() {
        let sample = find(entry.id).copied().unwrap_or_default();
        let flags = flags(&sample);
        entry.class = class(&sample);
        entry.alive = flags & ALIVE != 0;
        entry.touched = flags & TOUCHED != 0;
    }
    index.next_id = index.next_id.max(head.next_id);
    index.undo = head.undo;
    index.old_label = head.old_label;
}

struct Head {
    next_id: u32,
    n_samples: usize,
    n_labels: usize,
    undo: Undo,
    old_label: Label,
}

impl Head {
    fn parse(bytes: &[u8; field::LEN], payload_len: u32) -> Option<Self> {
        let undo = match bytes.get(field::UNDO)? {
            0 => Undo::Nothing,
            1 => Undo::Enrol,
            2 => Undo::Forget,
            3 => Undo::Rename,
            _ => return None,
        };
        let count = |at| array(bytes, at).map(|n| usize::from(u16::from_le_bytes(n)));
        let head = Self {
            next_id: read_u32(bytes, field::NEXT_ID)?,
            n_samples: count(field::N_SAMPLES)?,
            n_labels: count(field::N_LABELS)?,
            undo,
            old_label: array(bytes, field::OLD_LABEL)?,
        };
        let named = label_text(&head.old_label).is_some();
        let fits = head.n_samples.max(head.n_labels) <= MAX_SAMPLES
            && len(head.n_samples, head.n_labels) == payload_len
            && (named || undo != Undo::Rename);
        fits.then_some(head)
    }

    fn allows(&self, sample: &[u8; field::SAMPLE_LEN]) -> bool {
        let (class, flags) = (usize::from(class(sample)), flags(sample));
        // Only what was forgotten last is there without being alive.
        let reason = flags & ALIVE != 0 || self.undo == Undo::Forget && flags & TOUCHED != 0;
        class < self.n_labels && flags <= ALIVE | TOUCHED && reason
    }
}

fn class(sample: &[u8; field::SAMPLE_LEN]) -> u8 {
    sample.get(field::CLASS).copied().unwrap_or(0)
}

fn flags(sample: &[u8; field::SAMPLE_LEN]) -> u8 {
    sample.get(field::FLAGS).copied().unwrap_or(0)
}

fn read_label<F: NorFlash>(flash: &mut F, record: &Record, class: usize) -> OnFlash<Label, F> {
    let mut label = [0; LABEL_LEN];
    record.read(flash, len(0, class), &mut label)?;
    Ok(label)
}
