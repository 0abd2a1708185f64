//! Payloads of the records of a support set: the only place where their offsets stand.
//!
//! In: what is to be kept, or bytes whose checksum was right. Out: bytes, or what they mean; `None`
//! where they break a rule of the format.

use core::ops::Range;

use super::{MAX_CAPTURE, MAX_EMBEDDING, MAX_LABEL};
use crate::link::{Settings, Target};
use crate::store::{array, put, read_u32};

/// The version of every kind that this crate reads and writes.
pub(super) const VERSION: u8 = 1;

/// What a record is.
pub(super) mod kind {
    pub(crate) const SAMPLE: u8 = 1;
    pub(crate) const EMBEDDING: u8 = 2;
    pub(crate) const FORGET: u8 = 3;
    pub(crate) const RENAME: u8 = 4;
    pub(crate) const UNDO: u8 = 5;
    pub(crate) const SETTINGS: u8 = 6;
    pub(crate) const SNAPSHOT: u8 = 7;
    pub(crate) const LAST: u8 = SNAPSHOT;
}

/// Bytes of a label with its length before it.
pub(super) const LABEL_LEN: usize = MAX_LABEL + 1;

/// A label as it is in flash: its length, its bytes, zeros.
pub(super) type Label = [u8; LABEL_LEN];

/// `None` when it is empty or too long.
pub(super) fn label(text: &str) -> Option<Label> {
    if text.is_empty() || text.len() > MAX_LABEL {
        return None;
    }
    let mut label = [0; LABEL_LEN];
    put(&mut label, 0..1, &[u8::try_from(text.len()).ok()?]);
    put(&mut label, 1..text.len().checked_add(1)?, text.as_bytes());
    Some(label)
}

/// The text of a label; `None` when it is none.
pub(super) fn label_text(label: &Label) -> Option<&str> {
    let (len, bytes) = label.split_first()?;
    let (text, rest) = bytes.split_at_checked(usize::from(*len))?;
    let clean = !text.is_empty() && rest.iter().all(|byte| *byte == 0);
    core::str::from_utf8(text).ok().filter(|_| clean)
}

fn read_label(bytes: &[u8], field: Range<usize>) -> Option<Label> {
    array(bytes, field).filter(|label| label_text(label).is_some())
}

fn read_u16(bytes: &[u8], field: Range<usize>) -> Option<u16> {
    array(bytes, field).map(u16::from_le_bytes)
}

mod sample_field {
    use super::{LABEL_LEN, Range};
    type Field = Range<usize>;

    pub(super) const ID: Field = 0..4;
    pub(super) const H: Field = 4..6;
    pub(super) const W: Field = 6..8;
    pub(super) const EMBEDDING_LEN: Field = 8..10;
    pub(super) const CAPTURE_CRC: Field = 10..14;
    pub(super) const FINGERPRINT: Field = 14..30;
    pub(super) const LABEL: Field = 30..30 + LABEL_LEN;
    pub(super) const LEN: usize = LABEL.end;
}

/// What is before capture and embedding in a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SampleHead {
    pub(super) id: u32,
    pub(super) h: u16,
    pub(super) w: u16,
    pub(super) embedding_len: u16,
    pub(super) capture_crc: u32,
    pub(super) fingerprint: [u8; 16],
    pub(super) label: Label,
}

impl SampleHead {
    pub(super) const LEN: usize = sample_field::LEN;

    pub(super) fn parse(bytes: &[u8; Self::LEN], payload_len: u32) -> Option<Self> {
        let head = Self {
            id: read_u32(bytes, sample_field::ID)?,
            h: read_u16(bytes, sample_field::H)?,
            w: read_u16(bytes, sample_field::W)?,
            embedding_len: read_u16(bytes, sample_field::EMBEDDING_LEN)?,
            capture_crc: read_u32(bytes, sample_field::CAPTURE_CRC)?,
            fingerprint: array(bytes, sample_field::FINGERPRINT)?,
            label: read_label(bytes, sample_field::LABEL)?,
        };
        let pixels = usize::from(head.h).checked_mul(usize::from(head.w))?;
        let fits = (1..=MAX_CAPTURE).contains(&pixels)
            && usize::from(head.embedding_len) <= MAX_EMBEDDING
            && head.payload_len() == payload_len
            && head.id < u32::MAX;
        fits.then_some(head)
    }

    pub(super) fn emit(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        put(&mut bytes, sample_field::ID, &self.id.to_le_bytes());
        put(&mut bytes, sample_field::H, &self.h.to_le_bytes());
        put(&mut bytes, sample_field::W, &self.w.to_le_bytes());
        let len = self.embedding_len.to_le_bytes();
        put(&mut bytes, sample_field::EMBEDDING_LEN, &len);
        let crc = self.capture_crc.to_le_bytes();
        put(&mut bytes, sample_field::CAPTURE_CRC, &crc);
        put(&mut bytes, sample_field::FINGERPRINT, &self.fingerprint);
        put(&mut bytes, sample_field::LABEL, &self.label);
        bytes
    }

    /// Bytes of the whole payload.
    pub(super) fn payload_len(&self) -> u32 {
        sample_len(self.h, self.w, self.embedding_len)
    }
}

/// Bytes of a sample's payload.
pub(super) fn sample_len(h: u16, w: u16, embedding_len: u16) -> u32 {
    let pixels = u32::from(h).saturating_mul(u32::from(w));
    pixels
        .saturating_add(SampleHead::LEN as u32)
        .saturating_add(u32::from(embedding_len))
}

mod embedding_field {
    use super::Range;
    type Field = Range<usize>;

    pub(super) const ID: Field = 0..4;
    pub(super) const EMBEDDING_LEN: Field = 4..6;
    pub(super) const FINGERPRINT: Field = 6..22;
    pub(super) const LEN: usize = FINGERPRINT.end;
}

/// What is before the bytes of a new embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EmbeddingHead {
    pub(super) id: u32,
    pub(super) embedding_len: u16,
    pub(super) fingerprint: [u8; 16],
}

impl EmbeddingHead {
    pub(super) const LEN: usize = embedding_field::LEN;

    pub(super) fn parse(bytes: &[u8; Self::LEN], payload_len: u32) -> Option<Self> {
        let head = Self {
            id: read_u32(bytes, embedding_field::ID)?,
            embedding_len: read_u16(bytes, embedding_field::EMBEDDING_LEN)?,
            fingerprint: array(bytes, embedding_field::FINGERPRINT)?,
        };
        let fits = usize::from(head.embedding_len) <= MAX_EMBEDDING
            && embedding_len(head.embedding_len) == payload_len;
        fits.then_some(head)
    }

    pub(super) fn emit(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        put(&mut bytes, embedding_field::ID, &self.id.to_le_bytes());
        let len = self.embedding_len.to_le_bytes();
        put(&mut bytes, embedding_field::EMBEDDING_LEN, &len);
        put(&mut bytes, embedding_field::FINGERPRINT, &self.fingerprint);
        bytes
    }
}

/// Bytes of the payload of a new embedding.
pub(super) fn embedding_len(embedding_len: u16) -> u32 {
    u32::from(embedding_len).saturating_add(EmbeddingHead::LEN as u32)
}

mod forget_field {
    use super::{LABEL_LEN, Range};

    pub(super) const TARGET: usize = 0;
    pub(super) const ID: Range<usize> = 1..5;
    pub(super) const LABEL: Range<usize> = 5..5 + LABEL_LEN;
    pub(super) const LEN: usize = LABEL.end;
}

/// What to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forget {
    Sample(u32),
    Class(Label),
    All,
}

impl Forget {
    pub(super) const LEN: usize = forget_field::LEN;

    /// A label that cannot be one is that of no class.
    pub(super) fn new(target: &Target<'_>) -> Self {
        match target {
            Target::Sample(id) => Self::Sample(*id),
            Target::Class(text) => Self::Class(label(text).unwrap_or([0; LABEL_LEN])),
            Target::All => Self::All,
        }
    }

    pub(super) fn parse(bytes: &[u8; Self::LEN]) -> Option<Self> {
        match bytes.get(forget_field::TARGET)? {
            0 => read_u32(bytes, forget_field::ID).map(Self::Sample),
            1 => read_label(bytes, forget_field::LABEL).map(Self::Class),
            2 => Some(Self::All),
            _ => None,
        }
    }

    pub(super) fn emit(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let target = match self {
            Self::Sample(id) => {
                put(&mut bytes, forget_field::ID, &id.to_le_bytes());
                0
            }
            Self::Class(label) => {
                put(&mut bytes, forget_field::LABEL, label);
                1
            }
            Self::All => 2,
        };
        put(
            &mut bytes,
            forget_field::TARGET..forget_field::ID.start,
            &[target],
        );
        bytes
    }
}

/// Bytes of a renaming: the label as it was, the label as it is.
pub(super) const RENAME_LEN: usize = 2 * LABEL_LEN;

pub(super) fn parse_rename(bytes: &[u8; RENAME_LEN]) -> Option<(Label, Label)> {
    let from = read_label(bytes, 0..LABEL_LEN)?;
    Some((from, read_label(bytes, LABEL_LEN..RENAME_LEN)?))
}

/// Bytes of the settings.
pub(super) const SETTINGS_LEN: usize = 8;

pub(super) fn parse_settings(bytes: &[u8; SETTINGS_LEN]) -> Option<Settings> {
    Some(Settings {
        far_ppm: read_u32(bytes, 0..4)?,
        offset: i32::from_le_bytes(array(bytes, 4..8)?),
    })
}

pub(super) fn emit_settings(settings: &Settings) -> [u8; SETTINGS_LEN] {
    let mut bytes = [0; SETTINGS_LEN];
    put(&mut bytes, 0..4, &settings.far_ppm.to_le_bytes());
    put(&mut bytes, 4..8, &settings.offset.to_le_bytes());
    bytes
}
