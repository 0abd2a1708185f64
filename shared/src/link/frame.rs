//! Bytes to messages and back: COBS, CRC-32C and postcard.

use serde::Serialize;

use super::{MAX_FRAME, Packet, Request};

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// Longer than [`MAX_FRAME`].
    TooLong,
    /// Not COBS, shorter than a CRC, or another CRC.
    Damaged,
    /// Whole, but not a message of this version.
    NotUnderstood,
}

/// Collects bytes until a frame is whole.
#[derive(Debug)]
pub struct Decoder {
    buffer: [u8; MAX_FRAME],
    len: usize,
}

/// Writes `message` as one frame, its zero included.
///
/// # Errors
/// [`FrameError::TooLong`] when it does not fit `frame` or is longer than allowed.
pub fn encode<'f>(message: &impl Serialize, frame: &'f mut [u8]) -> Result<&'f [u8], FrameError> {
    let _ = (message, frame);
    Err(FrameError::TooLong)
}
