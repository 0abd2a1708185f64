//! Everything that can go wrong, as one line for a person.

use core::ffi::CStr;
use core::fmt;

use firmware::board::FileError;
use shared::episode_file::EpisodeError;
use shared::model::FormatError;
use shared::shape::{Hwc, ShapeError};

/// Why the trials could not be answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Error {
    /// A file could not be read.
    File(&'static CStr, FileError),
    /// `model.onelook` was refused.
    Model(FormatError),
    /// `trials.bin` was refused.
    Trials(EpisodeError),
    /// The images are not the model's input.
    ImageShape { images: Hwc, input: Hwc },
    /// The model's activations do not fit.
    Arena { needed: usize, limit: usize },
    /// The embeddings of all images do not fit.
    Embeddings { needed: usize, limit: usize },
    /// The logits of one trial do not fit.
    Supports { needed: usize, limit: usize },
    /// The encoder or the head was given a buffer of the wrong length.
    Shape(ShapeError),
    /// The host does not take the text.
    Output,
    /// Cannot happen after the checks above.
    Bug,
}

impl From<fmt::Error> for Error {
    fn from(_: fmt::Error) -> Self {
        Self::Output
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(name, error) => {
                f.write_str(name.to_str().unwrap_or("?"))?;
                write!(f, ": {error}")
            }
            Self::Model(error) => write!(f, "model.onelook: {error}"),
            Self::Trials(error) => write!(f, "trials.bin: {error}"),
            Self::ImageShape { images, input } => write!(
                f,
                "trials.bin: its images are {}×{}, the model's input is {}×{}: write the trials \
                 again for this model",
                images.h, images.w, input.h, input.w
            ),
            Self::Arena { needed, limit } => write!(
                f,
                "model.onelook: needs an arena of {needed} bytes, this board has {limit}"
            ),
            Self::Embeddings { needed, limit } => write!(
                f,
                "trials.bin: the embeddings of its images need {needed} bytes, this board has \
                 {limit}: split the file"
            ),
            Self::Supports { needed, limit } => write!(
                f,
                "trials.bin: a trial has {needed} supports, this board takes {limit}"
            ),
            Self::Shape(error) => write!(f, "inference: {error}"),
            Self::Output => f.write_str("output: the host does not take it"),
            Self::Bug => f.write_str("a bug in the firmware: please report this"),
        }
    }
}
