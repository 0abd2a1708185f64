//! Why a trials file was refused, or could not be written.

use core::fmt;

use super::{FORMAT_VERSION, MAGIC};
use crate::shape::Hwc;

/// A header field, for error messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the fields in the format's table")]
pub enum Field {
    FileLen,
    ImageH,
    ImageW,
    NImages,
    NTrials,
    NWay,
    KShot,
    Reserved,
}

impl Field {
    const fn name(self) -> &'static str {
        match self {
            Self::FileLen => "FILE_LEN",
            Self::ImageH => "IMAGE_H",
            Self::ImageW => "IMAGE_W",
            Self::NImages => "N_IMAGES",
            Self::NTrials => "N_TRIALS",
            Self::NWay => "N_WAY",
            Self::KShot => "K_SHOT",
            Self::Reserved => "reserved",
        }
    }
}

/// Why a trials file was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EpisodeError {
    /// The file does not start with `1TRI`: not a trials file.
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
    /// The file is not as long as its counts ask for.
    Length {
        /// Bytes that the counts ask for.
        expected: usize,
        /// Bytes that the header says.
        got: usize,
    },
    /// A trial names an image that is not in the file.
    Index {
        /// Which trial.
        trial: usize,
        /// The image it names.
        image: usize,
        /// Images in the file.
        n_images: usize,
    },
}

impl fmt::Display for EpisodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic { got } => write!(
                f,
                "not a trials file: it starts with {:08x}, not with {:08x} (\"1TRI\")",
                u32::from_be_bytes(*got),
                u32::from_be_bytes(MAGIC),
            ),
            Self::Version { got } => write!(
                f,
                "format version {got}, this build reads version {FORMAT_VERSION}: write the trials \
                 again with this release"
            ),
            Self::Truncated { expected, got } => {
                write!(f, "truncated: {got} bytes of at least {expected}")
            }
            Self::Crc { expected, got } => write!(
                f,
                "damaged: its CRC-32 is {got:08x}, the header says {expected:08x}"
            ),
            Self::Field(field) => {
                write!(f, "header field {} has an impossible value", field.name())
            }
            Self::Length { expected, got } => write!(
                f,
                "the header says {got} bytes, its counts ask for {expected}"
            ),
            Self::Index {
                trial,
                image,
                n_images,
            } => write!(
                f,
                "trial {trial} names image {image}, the file has {n_images}"
            ),
        }
    }
}

impl core::error::Error for EpisodeError {}

/// Why a trials file could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmitError {
    /// The buffer is not exactly [`super::EpisodeRepr::buffer_len`] long.
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
    /// The image data is not a whole number of images.
    Images {
        /// Shape of one image; it must have pixels and one channel.
        image: Hwc,
        /// Bytes given.
        got: usize,
    },
    /// A trial does not have `n_way * k_shot` supports.
    Supports {
        /// Which trial.
        trial: usize,
        /// `n_way * k_shot`.
        expected: usize,
        /// Supports given.
        got: usize,
    },
    /// The reader would refuse the file.
    Refused(EpisodeError),
    /// The writer left its own buffer: please report.
    Bug,
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffer { expected, got } => write!(
                f,
                "the buffer holds {got} bytes, the trials need {expected}"
            ),
            Self::TooLarge { value } => write!(f, "{value} does not fit its field in the file"),
            Self::Images { image, got } => write!(
                f,
                "{got} bytes are not a whole number of images of {}×{}×{}",
                image.h, image.w, image.c
            ),
            Self::Supports {
                trial,
                expected,
                got,
            } => write!(
                f,
                "trial {trial} has {got} supports, n_way * k_shot is {expected}"
            ),
            Self::Refused(error) => write!(f, "the file would be refused: {error}"),
            Self::Bug => f.write_str("the writer left its buffer; please report this"),
        }
    }
}

impl core::error::Error for EmitError {}
