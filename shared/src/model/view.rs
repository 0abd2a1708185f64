//! Reading the model file: [`ModelView::new_checked`] and what it guarantees.
//!
//! In: any bytes. Out: a view whose layers fit each other, whose data lies inside the file without
//! overlap, whose arena is as long as the file says, and whose sums provably stay below 2^24, or
//! the first [`FormatError`].

use core::ops::Range;

use super::error::{CertificateError, Field, FormatError};
use super::format::{
    CRC, FORMAT_VERSION, MAGIC, MAX_LAYERS, OPERATOR_CONV2D, OPERATOR_MAX_POOL2D, Preprocessing,
    field,
};
use super::plan::arena_len;
use crate::decide::Decider;
use crate::ops::conv2d::{Bias, Conv2d};
use crate::ops::l1_head::L1Head;
use crate::ops::max_pool2d::MaxPool2d;
use crate::quant::{ACC_LIMIT, MAX_SHIFT, WEIGHT_LIMIT, bound};
use crate::shape::{Hwc, ShapeError, Window};

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
    provenance: &'m str,
}

/// One layer of a checked model.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'m> {
    /// What it computes.
    pub operator: Operator<'m>,
    /// Real output = `q * 2^-out_exponent`.
    pub out_exponent: u8,
}

/// An operator with its weights.
#[derive(Debug, Clone, Copy)]
pub enum Operator<'m> {
    /// Convolution, requantize and ReLU.
    Conv2d(Conv2d<'m>),
    /// Max pooling.
    MaxPool2d(MaxPool2d),
}

impl Layer<'_> {
    /// Shape of the input.
    #[must_use]
    pub const fn input(&self) -> Hwc {
        match &self.operator {
            Operator::Conv2d(op) => op.input(),
            Operator::MaxPool2d(op) => op.input(),
        }
    }

    /// Shape of the output.
    #[must_use]
    pub const fn output(&self) -> Hwc {
        match &self.operator {
            Operator::Conv2d(op) => op.output(),
            Operator::MaxPool2d(op) => op.output(),
        }
    }

    /// The operator's name in ONNX' spelling.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match &self.operator {
            Operator::Conv2d(_) => "Conv",
            Operator::MaxPool2d(_) => "MaxPool",
        }
    }
}

impl<'m> ModelView<'m> {
    /// Checks everything there is to check about `bytes`, which may be longer than the file (a
    /// flash slot).
    ///
    /// # Errors
    /// The first [`FormatError`], in this order: magic, version, length, CRC, header fields,
    /// layers, head, arena.
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
        let text = sections.take(read_len(bytes, field::PROVENANCE)?, None)?;
        let provenance =
            core::str::from_utf8(text).map_err(|_| FormatError::Field(Field::Provenance))?;

        let arena = read_len(bytes, field::ARENA_LEN)?;
        let layers = Layers {
            bytes,
            index: 0,
            n_layers,
            shape: input,
            exponent: input_exponent,
        };
        let planned = arena_len(input, layers.map(|layer| layer.output()));
        if arena != planned {
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
            provenance: provenance.trim_end(),
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
    pub const fn preprocessing(&self) -> Preprocessing {
        Preprocessing::ResampleArea
    }

    /// The encoder's layers, first to last.
    #[must_use]
    pub const fn layers(&self) -> Layers<'m> {
        Layers {
            bytes: self.bytes,
            index: 0,
            n_layers: self.n_layers,
            shape: self.input,
            exponent: self.input_exponent,
        }
    }

    /// The head.
    #[must_use]
    pub const fn decider(&self) -> Decider<'m> {
        self.decider
    }

    /// Bytes of activations that [`crate::net::Encoder`] needs.
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

    /// Where the model comes from, as its writer put it.
    #[must_use]
    pub const fn provenance(&self) -> &'m str {
        self.provenance
    }
}

/// Iterator over the layers of a checked model.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'m> {
    bytes: &'m [u8],
    index: u16,
    n_layers: u16,
    shape: Hwc,
    exponent: u8,
}

impl<'m> Iterator for Layers<'m> {
    type Item = Layer<'m>;

    fn next(&mut self) -> Option<Layer<'m>> {
        if self.index == self.n_layers {
            return None;
        }
        // Always `Ok`: `new_checked` went through the same record.
        let record = Record::read(self.bytes, self.index).ok()?;
        let layer = record.layer(self.bytes, self.shape, self.exponent).ok()?;
        self.index += 1;
        self.shape = layer.output();
        self.exponent = layer.out_exponent;
        Some(layer)
    }
}

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
    let expected = read_u32(file, field::CRC)?;
    let got = CRC.checksum(file.get(field::CRC.end..).unwrap_or(&[]));
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
    if read_u8(bytes, field::PREPROCESSING)? != Preprocessing::ResampleArea as u8 {
        return Err(FormatError::Field(Field::Preprocessing));
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
        let layer = record.layer(bytes, shape, exponent)?;
        if let Operator::Conv2d(op) = &layer.operator {
            for (channel, (weight, bias, shift)) in op.channels().enumerate() {
                certify(weight, bias, shift, Some(index), channel)?;
            }
        }
        shape = layer.output();
        exponent = layer.out_exponent;
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
    certify(weight, bias, 0, None, 0)?;
    Ok(Decider {
        head: L1Head { weight, bias },
        logit_exponent,
    })
}

/// The certificate of one accumulator: whatever the input, `|bias| + 255 Σ|w| < 2^24`.
fn certify(
    weight: &[i8],
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
    let too_large = weight.iter().find(|&&w| i32::from(w).abs() > WEIGHT_LIMIT);
    if let Some(&got) = too_large {
        return refuse(CertificateError::Weight { got });
    }
    let bound = bound(weight, bias);
    if bound >= ACC_LIMIT {
        return refuse(CertificateError::Bound { got: bound });
    }
    if shift > MAX_SHIFT {
        return refuse(CertificateError::Shift { got: shift });
    }
    Ok(())
}

/// Hands out the data sections in file order, so that none can overlap another.
struct Sections<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> Sections<'m> {
    /// The section at `offset`, which must be the next multiple of 4 behind the one before it;
    /// without `len`, all that is left of the file.
    fn take(&mut self, offset: usize, len: Option<usize>) -> Result<&'m [u8], FormatError> {
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

/// A layer record as it stands in the file.
struct Record {
    index: u16,
    operator: u8,
    window: Window,
    c_out: usize,
    out_exponent: u8,
    weight: usize,
    bias: usize,
    shift: usize,
}

impl Record {
    fn read(bytes: &[u8], index: u16) -> Result<Self, FormatError> {
        use field::layer as f;
        let at = field::HEADER_LEN + usize::from(index) * f::LEN;
        let here = |field: Range<usize>| at + field.start..at + field.end;
        if read_u8(bytes, here(f::RESERVED_8))? != 0 || read_u32(bytes, here(f::RESERVED_32))? != 0
        {
            return Err(FormatError::Layer {
                layer: index,
                field: Field::Reserved,
            });
        }
        Ok(Self {
            index,
            operator: read_u8(bytes, here(f::OPERATOR))?,
            window: Window {
                kernel: usize::from(read_u8(bytes, here(f::KERNEL))?),
                stride: usize::from(read_u8(bytes, here(f::STRIDE))?),
                pad: usize::from(read_u8(bytes, here(f::PAD))?),
            },
            c_out: usize::from(read_u16(bytes, here(f::C_OUT))?),
            out_exponent: read_u8(bytes, here(f::OUT_EXPONENT))?,
            weight: read_len(bytes, here(f::WEIGHT))?,
            bias: read_len(bytes, here(f::BIAS))?,
            shift: read_len(bytes, here(f::SHIFT))?,
        })
    }

    /// Shapes, exponents and sections; the numbers in the sections are certified separately.
    fn check(
        &self,
        input: Hwc,
        in_exponent: u8,
        sections: &mut Sections<'_>,
    ) -> Result<(), FormatError> {
        let refuse = |field| {
            Err(FormatError::Layer {
                layer: self.index,
                field,
            })
        };
        let output = self
            .window
            .output(input, self.c_out)
            .map_err(|error| self.shape(error))?;
        if output.is_empty() {
            return refuse(Field::COut);
        }
        if self.out_exponent > MAX_SHIFT {
            return refuse(Field::OutExponent);
        }
        match self.operator {
            OPERATOR_CONV2D => {
                let taps = Hwc::new(self.window.kernel, self.window.kernel, input.c).len();
                sections.take(self.weight, Some(taps.saturating_mul(self.c_out)))?;
                sections.take(self.bias, Some(4 * self.c_out))?;
                sections.take(self.shift, Some(self.c_out)).map(|_| ())
            }
            OPERATOR_MAX_POOL2D if self.c_out != input.c => refuse(Field::COut),
            OPERATOR_MAX_POOL2D if self.window.pad != 0 => refuse(Field::Pad),
            OPERATOR_MAX_POOL2D if self.out_exponent != in_exponent => refuse(Field::OutExponent),
            OPERATOR_MAX_POOL2D if [self.weight, self.bias, self.shift] != [0; 3] => {
                refuse(Field::Reserved)
            }
            OPERATOR_MAX_POOL2D => Ok(()),
            _ => refuse(Field::Operator),
        }
    }

    fn layer<'m>(
        &self,
        bytes: &'m [u8],
        input: Hwc,
        in_exponent: u8,
    ) -> Result<Layer<'m>, FormatError> {
        let section = |at: usize, len: usize| bytes.get(at..at.checked_add(len)?);
        let operator = match self.operator {
            OPERATOR_CONV2D => {
                let taps = Hwc::new(self.window.kernel, self.window.kernel, input.c).len();
                let weight = section(self.weight, taps.saturating_mul(self.c_out));
                let bias = section(self.bias, 4 * self.c_out)
                    .unwrap_or(&[])
                    .as_chunks::<4>()
                    .0;
                let shift = section(self.shift, self.c_out).unwrap_or(&[]);
                let weight = bytemuck::cast_slice(weight.unwrap_or(&[]));
                let op = Conv2d::new(input, self.window, weight, Bias::new(bias), shift);
                Operator::Conv2d(op.map_err(|error| self.shape(error))?)
            }
            _ => {
                let op = MaxPool2d::new(input, self.window.kernel, self.window.stride);
                Operator::MaxPool2d(op.map_err(|error| self.shape(error))?)
            }
        };
        let out_exponent = match operator {
            Operator::Conv2d(_) => self.out_exponent,
            Operator::MaxPool2d(_) => in_exponent,
        };
        Ok(Layer {
            operator,
            out_exponent,
        })
    }

    const fn shape(&self, error: ShapeError) -> FormatError {
        FormatError::Shape {
            layer: self.index,
            error,
        }
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

fn read_u8(bytes: &[u8], field: Range<usize>) -> Result<u8, FormatError> {
    array::<1>(bytes, field).map(|[byte]| byte)
}

fn read_u16(bytes: &[u8], field: Range<usize>) -> Result<u16, FormatError> {
    array(bytes, field).map(u16::from_le_bytes)
}

fn read_u32(bytes: &[u8], field: Range<usize>) -> Result<u32, FormatError> {
    array(bytes, field).map(u32::from_le_bytes)
}

/// A `u32` used as a length or offset; `usize` has at least 32 bits wherever this runs.
fn read_len(bytes: &[u8], field: Range<usize>) -> Result<usize, FormatError> {
    read_u32(bytes, field).map(|value| usize::try_from(value).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests;
