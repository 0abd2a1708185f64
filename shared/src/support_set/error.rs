//! Why a support set was not changed, or could not be read.

use core::fmt;

use super::{MAX_CAPTURE, MAX_EMBEDDING, MAX_LABEL, MAX_SAMPLES, StoreError};

/// Why a support set was not changed, or could not be read. `E` is the error of the flash driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupportSetError<E> {
    /// A label must have 1 to 32 bytes.
    Label,
    /// A capture must have pixels, as many as its rows times its columns, and no more than
    /// [`MAX_CAPTURE`].
    CaptureSize,
    /// An embedding must have at most [`MAX_EMBEDDING`] bytes.
    EmbeddingSize,
    /// There are [`MAX_SAMPLES`] already.
    TooManySamples,
    /// There is no room in flash. Nothing was written.
    Full {
        /// Bytes of flash that are needed.
        needed: u32,
        /// Bytes that there are.
        free: u32,
    },
    /// There is no sample of that number.
    NoSuchSample,
    /// There is no class of that name.
    NoSuchClass,
    /// There is nothing to take back.
    NothingToUndo,
    /// The log in flash cannot be read, or does not take what is written. What was there before is
    /// there still, and the next call tries again in the other bank.
    Store(StoreError<E>),
}

impl<E> From<StoreError<E>> for SupportSetError<E> {
    fn from(error: StoreError<E>) -> Self {
        match error {
            StoreError::Full { needed, free } => Self::Full { needed, free },
            other => Self::Store(other),
        }
    }
}

impl<E: fmt::Debug> fmt::Display for SupportSetError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label => write!(f, "a label must have 1 to {MAX_LABEL} bytes"),
            Self::CaptureSize => write!(
                f,
                "a capture must have rows times columns pixels, 1 to {MAX_CAPTURE}"
            ),
            Self::EmbeddingSize => {
                write!(f, "an embedding must have at most {MAX_EMBEDDING} bytes")
            }
            Self::TooManySamples => write!(f, "there are {MAX_SAMPLES} samples already"),
            Self::Full { needed, free } => {
                write!(f, "{needed} bytes of flash are needed, {free} are free")
            }
            Self::NoSuchSample => f.write_str("there is no such sample"),
            Self::NoSuchClass => f.write_str("there is no such class"),
            Self::NothingToUndo => f.write_str("there is nothing to take back"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for SupportSetError<E> {}
