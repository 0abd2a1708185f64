//! Bytes of the model file, version 3: field offsets, and the writer.
//!
//! The format itself is normative in `FORMAT.md`, which [`crate::model`] shows.

use core::fmt;
use core::ops::Range;

use super::plan::arena_len;
use super::record::{Layers, Steps};
use crate::checksum::crc32;
use crate::decide::{CALIBRATION_LEN, CalibrationRepr};
use crate::image::Framing;
use crate::shape::{Hwc, ShapeError, Window};

/// The version this crate reads and writes.
pub const FORMAT_VERSION: u16 = 3;

/// Most layers a file may have.
pub const MAX_LAYERS: u16 = 32;

/// Largest kernel and stride of a window.
pub const MAX_KERNEL: u8 = 11;

pub(super) const MAGIC: [u8; 4] = *b"1LOK";

/// Offsets in the header and in a layer record: the only place where they stand.
pub(super) mod field {
    use super::Range;
    type Field = Range<usize>;

    pub(in crate::model) const MAGIC: Field = 0..4;
    pub(in crate::model) const VERSION: Field = 4..6;
    pub(in crate::model) const N_LAYERS: Field = 6..8;
    pub(in crate::model) const FILE_LEN: Field = 8..12;
    pub(in crate::model) const CRC: Field = 12..16;
    pub(in crate::model) const FINGERPRINT: Field = 16..32;
    pub(in crate::model) const INPUT_H: Field = 32..34;
    pub(in crate::model) const INPUT_W: Field = 34..36;
    pub(in crate::model) const INPUT_C: Field = 36..38;
    pub(in crate::model) const INPUT_EXPONENT: Field = 38..39;
    pub(in crate::model) const FRAMING: Field = 39..40;
    pub(in crate::model) const ARENA_LEN: Field = 40..44;
    pub(in crate::model) const EMBEDDING_LEN: Field = 44..48;
    pub(in crate::model) const HEAD_WEIGHT: Field = 48..52;
    pub(in crate::model) const HEAD_BIAS: Field = 52..56;
    pub(in crate::model) const LOGIT_EXPONENT: Field = 56..57;
    pub(in crate::model) const RESERVED: Field = 57..60;
    pub(in crate::model) const CALIBRATION: Field = 60..64;
    pub(in crate::model) const PROVENANCE: Field = 64..68;
    pub(in crate::model) const HEADER_LEN: usize = PROVENANCE.end;

    /// Offsets from the start of a layer record.
    pub(in crate::model) mod layer {
        use super::Field;
        pub(in crate::model) const OPERATOR: Field = 0..1;
        pub(in crate::model) const KERNEL: Field = 1..2;
        pub(in crate::model) const STRIDE: Field = 2..3;
        pub(in crate::model) const PAD: Field = 3..4;
        pub(in crate::model) const C_OUT: Field = 4..6;
        pub(in crate::model) const OUT_EXPONENT: Field = 6..7;
        pub(in crate::model) const RESERVED_8: Field = 7..8;
        pub(in crate::model) const WEIGHT: Field = 8..12;
        pub(in crate::model) const BIAS: Field = 12..16;
        pub(in crate::model) const SHIFT: Field = 16..20;
        pub(in crate::model) const RESERVED_32: Field = 20..24;
        pub(in crate::model) const LEN: usize = RESERVED_32.end;
    }
}

const _: () = assert!(field::HEADER_LEN.is_multiple_of(4) && field::layer::LEN.is_multiple_of(4));

/// Codes of the operators. A 1×1 convolution is a conv2d: the reader picks its kernel.
pub(super) mod code {
    pub(in crate::model) const CONV2D: u8 = 1;
    pub(in crate::model) const MAX_POOL2D: u8 = 2;
    pub(in crate::model) const DEPTHWISE_CONV2D: u8 = 3;
    pub(in crate::model) const LINEAR: u8 = 4;
    pub(in crate::model) const GLOBAL_AVERAGE_POOL: u8 = 5;
}

/// A layer to be written; the operators document shapes and layouts.
#[derive(Debug, Clone, Copy)]
pub enum LayerRepr<'a> {
    /// [`crate::ops::conv2d`], and with a window of one pixel [`crate::ops::pointwise`].
    Conv2d {
        /// Kernel, stride and padding.
        window: Window,
        /// Weights `[c_out][kernel][kernel][c_in]`, biases, shifts.
        filters: FiltersRepr<'a>,
    },
    /// [`crate::ops::depthwise_conv2d`].
    DepthwiseConv2d {
        /// Kernel, stride and padding.
        window: Window,
        /// Weights `[kernel][kernel][c]`, biases, shifts.
        filters: FiltersRepr<'a>,
    },
    /// [`crate::ops::linear`].
    Linear {
        /// Weights `[c_out][h][w][c_in]`, biases, shifts.
        filters: FiltersRepr<'a>,
    },
    /// [`crate::ops::max_pool2d`].
    MaxPool2d {
        /// Kernel, stride and padding.
        window: Window,
    },
    /// [`crate::ops::global_average_pool`].
    GlobalAveragePool {
        /// Real output = `q * 2^-out_exponent`.
        out_exponent: u8,
    },
}

/// Parameters of a layer's output channels.
#[derive(Debug, Clone, Copy)]
pub struct FiltersRepr<'a> {
    /// In the order of the operator.
    pub weight: &'a [i8],
    /// `[c_out]`.
    pub bias: &'a [i32],
    /// `[c_out]`.
    pub shift: &'a [u8],
    /// Real output = `q * 2^-out_exponent`.
    pub out_exponent: u8,
}

/// What a layer's record holds beside its data.
struct Head {
    operator: u8,
    window: Window,
    c_out: usize,
    out_exponent: u8,
}

/// The window fields of an operator that has none.
const NO_WINDOW: Window = Window {
    kernel: 0,
    stride: 0,
    pad: 0,
};

impl<'a> LayerRepr<'a> {
    /// Output shape of this layer on `input`.
    ///
    /// # Errors
    /// [`ShapeError::Window`] when the window does not fit.
    pub fn output(&self, input: Hwc) -> Result<Hwc, ShapeError> {
        match *self {
            Self::Conv2d { window, filters } => window.output(input, filters.shift.len()),
            Self::DepthwiseConv2d { window, .. } | Self::MaxPool2d { window } => {
                window.output(input, input.c)
            }
            Self::Linear { filters } => Ok(Hwc::new(1, 1, filters.shift.len())),
            Self::GlobalAveragePool { .. } => Ok(Hwc::new(1, 1, input.c)),
        }
    }

    const fn filters(&self) -> Option<&FiltersRepr<'a>> {
        match self {
            Self::Conv2d { filters, .. }
            | Self::DepthwiseConv2d { filters, .. }
            | Self::Linear { filters } => Some(filters),
            Self::MaxPool2d { .. } | Self::GlobalAveragePool { .. } => None,
        }
    }

    fn head(&self, output: Hwc, in_exponent: u8) -> Head {
        let (operator, window) = match *self {
            Self::Conv2d { window, .. } => (code::CONV2D, window),
            Self::DepthwiseConv2d { window, .. } => (code::DEPTHWISE_CONV2D, window),
            Self::MaxPool2d { window } => (code::MAX_POOL2D, window),
            Self::Linear { .. } => (code::LINEAR, NO_WINDOW),
            Self::GlobalAveragePool { .. } => (code::GLOBAL_AVERAGE_POOL, NO_WINDOW),
        };
        let out_exponent = match *self {
            Self::GlobalAveragePool { out_exponent } => out_exponent,
            _ => self.filters().map_or(in_exponent, |f| f.out_exponent),
        };
        Head {
            operator,
            window,
            c_out: output.c,
            out_exponent,
        }
    }

    fn data_len(&self) -> usize {
        self.filters().map_or(0, |filters| {
            padded(filters.weight.len()) + 4 * filters.bias.len() + padded(filters.shift.len())
        })
    }
}

/// The head to be written; see [`crate::ops::l1_head`].
#[derive(Debug, Clone, Copy)]
pub struct HeadRepr<'a> {
    /// `[embedding_len]`.
    pub weight: &'a [i8],
    /// Bias of the logit.
    pub bias: i32,
    /// Real logit = `logit * 2^-logit_exponent`.
    pub logit_exponent: u8,
}

/// A model to be written.
#[derive(Debug, Clone, Copy)]
pub struct ModelRepr<'a> {
    /// Input shape `[h][w][1]`.
    pub input: Hwc,
    /// Real pixel = `q * 2^-input_exponent`.
    pub input_exponent: u8,
    /// How an image becomes the input.
    pub framing: Framing,
    /// The encoder.
    pub layers: &'a [LayerRepr<'a>],
    /// The head.
    pub head: HeadRepr<'a>,
    /// Which logits unknown marks reach, where that was measured.
    pub calibration: Option<CalibrationRepr>,
    /// Free text: where the model comes from.
    pub provenance: &'a str,
}

impl ModelRepr<'_> {
    /// Bytes that [`Self::emit`] needs.
    #[must_use]
    pub fn buffer_len(&self) -> usize {
        field::HEADER_LEN
            + self.layers.len() * field::layer::LEN
            + self.layers.iter().map(LayerRepr::data_len).sum::<usize>()
            + padded(self.head.weight.len())
            + self.calibration.map_or(0, |_| CALIBRATION_LEN)
            + padded(self.provenance.len())
    }

    /// Writes the file into `buffer`, which must hold exactly [`Self::buffer_len`] bytes.
    ///
    /// `digest` is the SHA-256 of the bytes it is given; the fingerprint is its first half. What
    /// comes out is not yet known to be valid: [`super::ModelView::new_checked`] says.
    ///
    /// # Errors
    /// [`EmitError`] when the buffer has another length, a number does not fit its field, or the
    /// layers do not fit each other.
    pub fn emit(
        &self,
        buffer: &mut [u8],
        digest: impl FnOnce(&[u8]) -> [u8; 32],
    ) -> Result<(), EmitError> {
        let expected = self.buffer_len();
        if buffer.len() != expected {
            return Err(EmitError::Buffer {
                expected,
                got: buffer.len(),
            });
        }
        buffer.fill(0);
        let mut writer = Writer { buffer, at: 0 };
        writer.at = field::HEADER_LEN + self.layers.len() * field::layer::LEN;
        let mut input = self.input;
        let mut exponent = self.input_exponent;
        for (index, layer) in self.layers.iter().enumerate() {
            let output = layer.output(input).map_err(EmitError::Shape)?;
            let head = layer.head(output, exponent);
            writer.layer(index, &head, layer.filters())?;
            (input, exponent) = (output, head.out_exponent);
        }
        let head_weight = writer.section(self.head.weight.iter().map(|w| w.to_le_bytes()))?;
        let calibration = match &self.calibration {
            Some(calibration) => writer.section(calibration.words())?,
            None => 0,
        };
        let provenance = writer.at;
        writer.section(self.provenance.bytes().map(|byte| [byte]))?;
        let spaces = provenance + self.provenance.len()..expected;
        writer.buffer.get_mut(spaces).unwrap_or(&mut []).fill(b' ');
        self.emit_header(&mut writer, [head_weight, calibration, provenance])?;

        let content = writer.buffer.get(field::FINGERPRINT.end..).unwrap_or(&[]);
        let digest = digest(content);
        writer.put(field::FINGERPRINT, digest.get(..16).unwrap_or(&[]))?;
        let crc = crc32(writer.buffer.get(field::CRC.end..).unwrap_or(&[]));
        writer.put(field::CRC, &crc.to_le_bytes())
    }

    fn emit_header(
        &self,
        writer: &mut Writer<'_>,
        [head_weight, calibration, provenance]: [usize; 3],
    ) -> Result<(), EmitError> {
        let n_layers = narrow_u16(self.layers.len())?;
        let layers = Layers::new(
            writer.buffer,
            u16::from_le_bytes(n_layers),
            self.input,
            self.input_exponent,
        );
        let arena = arena_len(self.input, Steps::new(layers));
        let len = writer.buffer.len();
        writer.put(field::MAGIC, &MAGIC)?;
        writer.put(field::VERSION, &FORMAT_VERSION.to_le_bytes())?;
        writer.put(field::N_LAYERS, &n_layers)?;
        writer.put(field::FILE_LEN, &narrow_u32(len)?)?;
        writer.put(field::INPUT_H, &narrow_u16(self.input.h)?)?;
        writer.put(field::INPUT_W, &narrow_u16(self.input.w)?)?;
        writer.put(field::INPUT_C, &narrow_u16(self.input.c)?)?;
        writer.put(field::INPUT_EXPONENT, &[self.input_exponent])?;
        writer.put(field::FRAMING, &[self.framing as u8])?;
        writer.put(field::ARENA_LEN, &narrow_u32(arena)?)?;
        writer.put(field::EMBEDDING_LEN, &narrow_u32(self.head.weight.len())?)?;
        writer.put(field::HEAD_WEIGHT, &narrow_u32(head_weight)?)?;
        writer.put(field::HEAD_BIAS, &self.head.bias.to_le_bytes())?;
        writer.put(field::LOGIT_EXPONENT, &[self.head.logit_exponent])?;
        writer.put(field::CALIBRATION, &narrow_u32(calibration)?)?;
        writer.put(field::PROVENANCE, &narrow_u32(provenance)?)
    }
}

/// Writes sections one behind the other, and fields where they belong.
struct Writer<'b> {
    buffer: &'b mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, field: Range<usize>, value: &[u8]) -> Result<(), EmitError> {
        let target = self
            .buffer
            .get_mut(field)
            .filter(|target| target.len() == value.len());
        target.ok_or(EmitError::Bug)?.copy_from_slice(value);
        Ok(())
    }

    /// Appends values, pads to 4 bytes, and returns where the section starts.
    fn section<const N: usize>(
        &mut self,
        values: impl Iterator<Item = [u8; N]>,
    ) -> Result<usize, EmitError> {
        let start = self.at;
        for value in values {
            self.put(self.at..self.at + N, &value)?;
            self.at += N;
        }
        self.at = padded(self.at);
        Ok(start)
    }

    fn layer(
        &mut self,
        index: usize,
        head: &Head,
        filters: Option<&FiltersRepr<'_>>,
    ) -> Result<(), EmitError> {
        use field::layer as f;
        let at = field::HEADER_LEN + index * f::LEN;
        let here = |field: Range<usize>| field.start + at..field.end + at;
        let Window {
            kernel,
            stride,
            pad,
        } = head.window;
        self.put(here(f::OPERATOR), &[head.operator])?;
        self.put(here(f::KERNEL), &narrow_u8(kernel)?)?;
        self.put(here(f::STRIDE), &narrow_u8(stride)?)?;
        self.put(here(f::PAD), &narrow_u8(pad)?)?;
        self.put(here(f::C_OUT), &narrow_u16(head.c_out)?)?;
        self.put(here(f::OUT_EXPONENT), &[head.out_exponent])?;
        let Some(filters) = filters else {
            return Ok(());
        };
        let weight = self.section(filters.weight.iter().map(|w| w.to_le_bytes()))?;
        self.put(here(f::WEIGHT), &narrow_u32(weight)?)?;
        let bias = self.section(filters.bias.iter().map(|b| b.to_le_bytes()))?;
        self.put(here(f::BIAS), &narrow_u32(bias)?)?;
        let shift = self.section(filters.shift.iter().map(|&s| [s]))?;
        self.put(here(f::SHIFT), &narrow_u32(shift)?)
    }
}

const fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}

fn narrow_u8(value: usize) -> Result<[u8; 1], EmitError> {
    u8::try_from(value)
        .map(|v| [v])
        .map_err(|_| EmitError::TooLarge { value })
}

fn narrow_u16(value: usize) -> Result<[u8; 2], EmitError> {
    u16::try_from(value)
        .map(u16::to_le_bytes)
        .map_err(|_| EmitError::TooLarge { value })
}

fn narrow_u32(value: usize) -> Result<[u8; 4], EmitError> {
    u32::try_from(value)
        .map(u32::to_le_bytes)
        .map_err(|_| EmitError::TooLarge { value })
}

/// Why a model could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmitError {
    /// The buffer is not exactly [`ModelRepr::buffer_len`] long.
    Buffer {
        /// Bytes needed.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// A number does not fit its field.
    TooLarge {
        /// The number.
        value: usize,
    },
    /// A layer does not fit the one before it.
    Shape(ShapeError),
    /// The writer left its own buffer: please report.
    Bug,
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffer { expected, got } => {
                write!(
                    f,
                    "the buffer holds {got} bytes, the model needs {expected}"
                )
            }
            Self::TooLarge { value } => write!(f, "{value} does not fit its field in the file"),
            Self::Shape(error) => write!(f, "the layers do not fit each other: {error}"),
            Self::Bug => f.write_str("the writer left its buffer; please report this"),
        }
    }
}

impl core::error::Error for EmitError {}
