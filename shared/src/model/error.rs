//! Why a model file was refused: the errors of the table in `FORMAT.md`, in words.

use core::fmt;

use super::format::FORMAT_VERSION;
use crate::quant::MAX_SHIFT;
use crate::shape::ShapeError;

/// A field of the file, for error messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the fields in the format's tables")]
pub enum Field {
    NLayers,
    FileLen,
    Input,
    InputExponent,
    Framing,
    EmbeddingLen,
    LogitExponent,
    Reserved,
    Calibration,
    Operator,
    Kernel,
    COut,
    OutExponent,
}

/// Why an accumulator could leave 24 bits, or an engine could saturate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateError {
    /// A weight is larger than 64, so two products do not fit 16 bits.
    Weight {
        /// The weight.
        got: i8,
    },
    /// `|bias| + 255 Σ|w|` is not below 2^24.
    Bound {
        /// The bound.
        got: i64,
    },
    /// A right shift above 23.
    Shift {
        /// The shift.
        got: u8,
    },
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight { got } => write!(f, "weight {got} is not in -64..=64"),
            Self::Bound { got } => write!(f, "its sum can reach {got}, which is not below 2^24"),
            Self::Shift { got } => write!(f, "shift {got} is above {MAX_SHIFT}"),
        }
    }
}

/// Why a model file was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// The file does not start with `1LOK`: not a model, or erased flash.
    Magic {
        /// The first four bytes.
        got: [u8; 4],
    },
    /// Written for another version of the format.
    Version {
        /// The file's version.
        got: u16,
    },
    /// The file ends before its content does.
    Truncated {
        /// Bytes needed.
        expected: usize,
        /// Bytes there.
        got: usize,
    },
    /// The content is not what was written.
    Crc {
        /// CRC-32 in the header.
        expected: u32,
        /// CRC-32 of the content.
        got: u32,
    },
    /// A header field has an impossible value.
    Field(Field),
    /// A layer's field has an impossible value.
    Layer {
        /// Which layer.
        layer: u16,
        /// Which field.
        field: Field,
    },
    /// A layer does not fit the one before it.
    Shape {
        /// Which layer.
        layer: u16,
        /// What does not fit.
        error: ShapeError,
    },
    /// A data section is not directly behind the one before it.
    Offset {
        /// Where it must be.
        expected: usize,
        /// Where the file says it is.
        got: usize,
    },
    /// The arena is not the one that the layers need.
    Arena {
        /// Bytes needed.
        expected: usize,
        /// Bytes in the header.
        got: usize,
    },
    /// A sum could be inexact on some engine.
    Uncertified {
        /// Which layer; `None` is the head.
        layer: Option<u16>,
        /// Which output channel.
        channel: usize,
        /// Why.
        reason: CertificateError,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic { got } => {
                write!(
                    f,
                    "not an Onelook model: it starts with {got:02x?}, not with \"1LOK\""
                )
            }
            Self::Version { got } => write!(
                f,
                "format version {got}, this build reads version {FORMAT_VERSION}: export the model \
                 again with this release"
            ),
            Self::Truncated { expected, got } => {
                write!(f, "truncated: {got} bytes of at least {expected}")
            }
            Self::Crc { expected, got } => {
                write!(
                    f,
                    "damaged: its CRC-32 is {got:08x}, the header says {expected:08x}"
                )
            }
            Self::Field(field) => write!(f, "header field {field:?} has an impossible value"),
            Self::Layer { layer, field } => {
                write!(f, "layer {layer}: field {field:?} has an impossible value")
            }
            Self::Shape { layer, error } => write!(f, "layer {layer}: {error}"),
            Self::Offset { expected, got } => {
                write!(
                    f,
                    "a data section starts at {got}, it must start at {expected}"
                )
            }
            Self::Arena { expected, got } => {
                write!(
                    f,
                    "the header asks for an arena of {got} bytes, the layers need {expected}"
                )
            }
            Self::Uncertified {
                layer: Some(layer),
                channel,
                reason,
            } => {
                write!(
                    f,
                    "layer {layer}, channel {channel} is not certified: {reason}"
                )
            }
            Self::Uncertified {
                layer: None,
                reason,
                ..
            } => {
                write!(f, "the head is not certified: {reason}")
            }
        }
    }
}

impl core::error::Error for FormatError {}
