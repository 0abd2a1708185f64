//! Reading the model file: [`ModelView::new_checked`] and what it guarantees.
//!
//! In: any bytes. Out: a view whose layers fit each other, whose data lies inside the file without
//! overlap, whose arena is as long as the file says, and whose sums provably stay below 2^24, or
//! the first [`FormatError`].

use core::ops::Range;

use super::error::{CertificateError, Field, FormatError};
use super::format::{FORMAT_VERSION, MAGIC, MAX_LAYERS, field};
use super::plan::arena_len;
use super::record::{Layers, Record, Steps};
use crate::checksum::crc32;
use crate::decide::{CALIBRATION_LEN, Calibration, Decider, Thresholds};
use crate::image::Framing;
use crate::ops::l1_head::L1Head;
use crate::quant::{ACC_LIMIT, MAX_SHIFT, WEIGHT_LIMIT, bound};
use crate::shape::Hwc;

/// Codes of the two framings.
const PICTURE: u8 = Framing::Picture as u8;
const MARK: u8 = Framing::Mark as u8;

/// A model file whose every property was checked.
///
/// Owning one proves: after [`Self::new_checked`] no operator of it can fail, overflow or read out
/// of bounds. It does not prove who wrote the file.
#[derive(Debug, Clone, Copy)]
pub struct ModelView<'m> {
    bytes: &'m [u8],
    input: Hwc,
    input_exponent: u8,
    n_layers: u16,
    arena_len: usize,
    embedding_len: usize,
    decider: Decider<'m>,
    calibration: Option<Calibration<'m>>,
    provenance: &'m [u8],
}

impl<'m> ModelView<'m> {
    /// Checks everything there is to check about `bytes`, which may be longer than the file (a
    /// flash slot).
    ///
    /// # Errors
    /// The first [`FormatError`], in this order: magic, version, length, CRC, header fields,
    /// layers, head, calibration, arena.
    pub fn new_checked(bytes: &'m [u8]) -> Result<Self, FormatError> {
        let bytes = check_envelope(bytes)?;
        let input = read_input(bytes)?;
        let input_exponent = read_u8(bytes, field::INPUT_EXPONENT)?;
        let n_layers = read_u16(bytes, field::N_LAYERS)?;
        if !(1..=MAX_LAYERS).contains(&n_layers) {
            return Err(FormatError::Field(Field::NLayers));
        }
        let (output, mut sections) = check_layers(bytes, input, input_exponent, n_layers)?;

        let embedding_len = read_len(bytes, field::EMBEDDING_LEN)?;
        if embedding_len != output.len() {
            return Err(FormatError::Field(Field::EmbeddingLen));
        }
        let decider = read_head(bytes, embedding_len, &mut sections)?;
        let calibration = read_calibration(bytes, &mut sections)?;
        let text = sections.take(read_len(bytes, field::PROVENANCE)?, None)?;

        let arena = read_len(bytes, field::ARENA_LEN)?;
        let layers = Layers::new(bytes, n_layers, input, input_exponent);
        let planned = arena_len(input, Steps::new(layers));
        // A plan that saturates where `usize` has 32 bits must not pass for one that is this long.
        if arena != planned || planned >= MAX_ARENA {
            return Err(FormatError::Arena {
                expected: planned,
                got: arena,
            });
        }
        Ok(Self {
            bytes,
            input,
            input_exponent,
            n_layers,
            arena_len: arena,
            embedding_len,
            decider,
            calibration,
            provenance: text,
        })
    }

    /// Shape `[h][w][1]` of the network's input.
    #[must_use]
    pub const fn input(&self) -> Hwc {
        self.input
    }

    /// Real pixel = `q * 2^-input_exponent`.
    #[must_use]
    pub const fn input_exponent(&self) -> u8 {
        self.input_exponent
    }

    /// How an image becomes the input.
    #[must_use]
    pub fn framing(&self) -> Framing {
        match read_u8(self.bytes, field::FRAMING) {
            Ok(MARK) => Framing::Mark,
            _ => Framing::Picture,
        }
    }

    /// The encoder's layers, first to last.
    #[must_use]
    pub const fn layers(&self) -> Layers<'m> {
        Layers::new(self.bytes, self.n_layers, self.input, self.input_exponent)
    }

    /// What [`crate::net::Encoder::embed`] runs, first to last: the layers, some of them two in one.
    #[must_use]
    pub const fn steps(&self) -> Steps<'m> {
        Steps::new(self.layers())
    }

    /// The head.
    #[must_use]
    pub const fn decider(&self) -> Decider<'m> {
        self.decider
    }

    /// What unknown marks score, where that was measured.
    #[must_use]
    pub const fn calibration(&self) -> Option<Calibration<'m>> {
        self.calibration
    }

    /// What a mark must score to be known.
    #[must_use]
    pub const fn thresholds(&self) -> Thresholds<'m> {
        Thresholds::new(self.calibration)
    }

    /// Bytes of working memory that [`crate::net::Encoder::embed`] needs.
    #[must_use]
    pub const fn arena_len(&self) -> usize {
        self.arena_len
    }

    /// Values of an embedding.
    #[must_use]
    pub const fn embedding_len(&self) -> usize {
        self.embedding_len
    }

    /// The file's own bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// Identifies the content: the first half of its SHA-256.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 16] {
        array(self.bytes, field::FINGERPRINT).unwrap_or([0; 16])
    }

    /// Where the model comes from, as its writer put it; empty when that is no text.
    #[must_use]
    pub fn provenance(&self) -> &'m str {
        // Here and not when the file is read: a device that shows no text needs no Unicode.
        core::str::from_utf8(self.provenance.trim_ascii_end()).unwrap_or_default()
    }
}

/// No arena is this long: it could not be told from one that does not fit `ARENA_LEN`.
const MAX_ARENA: usize = u32::MAX as usize;

/// Magic, version, length, CRC. Returns the file's bytes without what lies behind it.
fn check_envelope(bytes: &[u8]) -> Result<&[u8], FormatError> {
    let got = bytes.len();
    let magic = array(bytes, field::MAGIC)?;
    if magic != MAGIC {
        return Err(FormatError::Magic { got: magic });
    }
    let version = read_u16(bytes, field::VERSION)?;
    if version != FORMAT_VERSION {
        return Err(FormatError::Version { got: version });
    }
    let expected = read_len(bytes, field::FILE_LEN)?;
    let file = bytes
        .get(..expected)
        .ok_or(FormatError::Truncated { expected, got })?;
    if !expected.is_multiple_of(4) {
        return Err(FormatError::Field(Field::FileLen));
    }
    // Said once, here: the compiler then leaves out the same question for each field.
    if expected < field::HEADER_LEN {
        return Err(FormatError::Truncated {
            expected: field::HEADER_LEN,
            got: expected,
        });
    }
    let expected = read_u32(file, field::CRC)?;
    let got = crc32(file.get(field::CRC.end..).unwrap_or(&[]));
    if got == expected {
        Ok(file)
    } else {
        Err(FormatError::Crc { expected, got })
    }
}

fn read_input(bytes: &[u8]) -> Result<Hwc, FormatError> {
    let input = Hwc::new(
        usize::from(read_u16(bytes, field::INPUT_H)?),
        usize::from(read_u16(bytes, field::INPUT_W)?),
        usize::from(read_u16(bytes, field::INPUT_C)?),
    );
    if input.is_empty() || input.c != 1 {
        return Err(FormatError::Field(Field::Input));
    }
    if read_u8(bytes, field::INPUT_EXPONENT)? > MAX_SHIFT {
        return Err(FormatError::Field(Field::InputExponent));
    }
    if !(PICTURE..=MARK).contains(&read_u8(bytes, field::FRAMING)?) {
        return Err(FormatError::Field(Field::Framing));
    }
    if array::<3>(bytes, field::RESERVED)? != [0; 3] {
        return Err(FormatError::Field(Field::Reserved));
    }
    Ok(input)
}

/// Checks every layer; returns the encoder's output shape and what is left of the file.
fn check_layers(
    bytes: &[u8],
    mut shape: Hwc,
    mut exponent: u8,
    n_layers: u16,
) -> Result<(Hwc, Sections<'_>), FormatError> {
    let table_end = field::HEADER_LEN + usize::from(n_layers) * field::layer::LEN;
    let mut sections = Sections {
        bytes,
        at: table_end,
    };
    for index in 0..n_layers {
        let record = Record::read(bytes, index)?;
        record.check(shape, exponent, &mut sections)?;
        let operator = record.operator(bytes, shape, exponent);
        let operator = match &operator {
            Ok(operator) => operator,
            Err(error) => {
                return Err(FormatError::Shape {
                    layer: index,
                    error: *error,
                });
            }
        };
        if let Some(filters) = operator.filters() {
            for (channel, c) in filters.channels().enumerate() {
                certify(c.weights(), c.bias, c.shift, Some(index), channel)?;
            }
        }
        shape = operator.output();
        exponent = record.out_exponent();
    }
    Ok((shape, sections))
}

fn read_head<'m>(
    bytes: &'m [u8],
    embedding_len: usize,
    sections: &mut Sections<'m>,
) -> Result<Decider<'m>, FormatError> {
    let weight = sections.take(read_len(bytes, field::HEAD_WEIGHT)?, Some(embedding_len))?;
    let weight: &[i8] = bytemuck::cast_slice(weight);
    let bias = i32::from_le_bytes(array(bytes, field::HEAD_BIAS)?);
    let logit_exponent = read_u8(bytes, field::LOGIT_EXPONENT)?;
    if logit_exponent > MAX_SHIFT {
        return Err(FormatError::Field(Field::LogitExponent));
    }
    certify(weight.iter().copied(), bias, 0, None, 0)?;
    Ok(Decider {
        head: L1Head { weight, bias },
        logit_exponent,
    })
}

fn read_calibration<'m>(
    bytes: &'m [u8],
    sections: &mut Sections<'m>,
) -> Result<Option<Calibration<'m>>, FormatError> {
    match read_len(bytes, field::CALIBRATION)? {
        0 => Ok(None),
        offset => {
            let section = sections.take(offset, Some(CALIBRATION_LEN))?;
            let calibration = Calibration::new_checked(section);
            let refused = FormatError::Field(Field::Calibration);
            calibration.ok_or(refused).map(Some)
        }
    }
}

/// The certificate of one accumulator: whatever the input, `|bias| + 255 Σ|w| < 2^24`.
fn certify(
    mut weights: impl Iterator<Item = i8> + Clone,
    bias: i32,
    shift: u8,
    layer: Option<u16>,
    channel: usize,
) -> Result<(), FormatError> {
    let refuse = |reason| {
        Err(FormatError::Uncertified {
            layer,
            channel,
            reason,
        })
    };
    let bound = bound(weights.clone(), bias);
    if let Some(got) = weights.find(|&w| i32::from(w).abs() > WEIGHT_LIMIT) {
        return refuse(CertificateError::Weight { got });
    }
    if bound >= ACC_LIMIT {
        return refuse(CertificateError::Bound { got: bound });
    }
    if shift > MAX_SHIFT {
        return refuse(CertificateError::Shift { got: shift });
    }
    Ok(())
}

/// Hands out the data sections in file order, so that none can overlap another.
pub(super) struct Sections<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> Sections<'m> {
    /// The section at `offset`, which must be the next multiple of 4 behind the one before it;
    /// without `len`, all that is left of the file.
    pub(super) fn take(
        &mut self,
        offset: usize,
        len: Option<usize>,
    ) -> Result<&'m [u8], FormatError> {
        if offset != self.at.next_multiple_of(4) {
            return Err(FormatError::Offset {
                expected: self.at.next_multiple_of(4),
                got: offset,
            });
        }
        let end = len.map_or(self.bytes.len(), |len| offset.saturating_add(len));
        let truncated = FormatError::Truncated {
            expected: end,
            got: self.bytes.len(),
        };
        self.at = end;
        self.bytes.get(offset..end).ok_or(truncated)
    }
}

fn array<const N: usize>(bytes: &[u8], field: Range<usize>) -> Result<[u8; N], FormatError> {
    let truncated = FormatError::Truncated {
        expected: field.end,
        got: bytes.len(),
    };
    let field = bytes.get(field).ok_or(truncated)?;
    field.try_into().map_err(|_| truncated)
}

pub(super) fn read_u8(bytes: &[u8], field: Range<usize>) -> Result<u8, FormatError> {
    array::<1>(bytes, field).map(|[byte]| byte)
}

pub(super) fn read_u16(bytes: &[u8], field: Range<usize>) -> Result<u16, FormatError> {
    array(bytes, field).map(u16::from_le_bytes)
}

pub(super) fn read_u32(bytes: &[u8], field: Range<usize>) -> Result<u32, FormatError> {
    array(bytes, field).map(u32::from_le_bytes)
}

/// A `u32` used as a length or offset; `usize` has at least 32 bits wherever this runs.
pub(super) fn read_len(bytes: &[u8], field: Range<usize>) -> Result<usize, FormatError> {
    read_u32(bytes, field).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests;
