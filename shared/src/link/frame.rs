//! Bytes to messages and back: COBS, CRC-32C and postcard.
//!
//! In: a message, or bytes as they come. Out: a frame in a caller's buffer, or the messages that came
//! whole. Nothing is copied that need not be: a message is written into its frame byte by byte as
//! postcard produces it, and what is parsed borrows from the [`Decoder`].
//!
//! A zero ends a frame, whatever was before it, so a reader that lost its place has it again behind the
//! next zero; a zero too many is an empty frame, which means nothing. The crate `cobs` gives the two state
//! machines, which cannot panic; its functions over whole buffers can, and want a second buffer.

use core::fmt;

use cobs::{DecodeResult, DecoderState, EncoderState, PushResult};
use crc::{CRC_32_ISCSI, Crc, Digest, NoTable};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use super::MAX_PAYLOAD;

/// CRC-32C (iSCSI's), without a table: 1 KiB of a device's flash is worth more than its microseconds.
static CRC_32C: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISCSI);

/// Bytes of a CRC.
const CRC_LEN: usize = 4;

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// Longer than [`super::MAX_FRAME`].
    TooLong,
    /// Not COBS, no longer than a CRC, or another CRC.
    Damaged,
    /// Whole, but not a message of this version.
    NotUnderstood,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the message is longer than a frame may be",
            Self::Damaged => "the frame was damaged on its way",
            Self::NotUnderstood => "the frame is whole, but not a message of this version",
        })
    }
}

impl core::error::Error for FrameError {}

/// Writes `message` as one frame, its zero included.
///
/// # Errors
/// [`FrameError::TooLong`] when it does not fit `frame` or is longer than allowed.
pub fn encode<'f>(message: &impl Serialize, frame: &'f mut [u8]) -> Result<&'f [u8], FrameError> {
    let mut writer = Writer::new(frame);
    let len = postcard::serialize_with_flavor(message, &mut writer);
    let len = len.map_err(|_| FrameError::TooLong)?;
    frame.get(..len).ok_or(FrameError::TooLong)
}

/// The message in `bytes`, which a [`Decoder`] gave; its text and bytes borrow from them.
///
/// # Errors
/// [`FrameError::NotUnderstood`] when it is none of type `M`, or when anything stands behind it.
pub fn parse<'b, M: Deserialize<'b>>(bytes: &'b [u8]) -> Result<M, FrameError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::NotUnderstood),
    }
}

/// The number of the request in `bytes`, also when its command is of a later version: so that it can
/// be told that it was not understood.
#[must_use]
pub fn request_id(bytes: &[u8]) -> Option<u16> {
    let (id, _) = postcard::take_from_bytes(bytes).ok()?;
    Some(id)
}

/// A frame in the making: what is pushed goes into the CRC and, by COBS, into the buffer.
struct Writer<'f> {
    frame: &'f mut [u8],
    /// Where the next byte goes; the code byte of the run is before it.
    at: usize,
    /// The last byte filled its run: a code byte is due before the next one, but not at the end.
    run_full: bool,
    /// Bytes of the message, without its CRC.
    len: usize,
    cobs: EncoderState,
    crc: Digest<'static, u32, NoTable>,
}

impl<'f> Writer<'f> {
    fn new(frame: &'f mut [u8]) -> Self {
        Self {
            frame,
            at: 1,
            run_full: false,
            len: 0,
            cobs: EncoderState::default(),
            crc: CRC_32C.digest(),
        }
    }

    fn put(&mut self, at: usize, byte: u8) -> Result<(), postcard::Error> {
        let full = postcard::Error::SerializeBufferFull;
        *self.frame.get_mut(at).ok_or(full)? = byte;
        Ok(())
    }

    fn stuff(&mut self, byte: u8) -> Result<(), postcard::Error> {
        self.at = self.at.saturating_add(usize::from(self.run_full));
        self.run_full = false;
        match self.cobs.push(byte) {
            PushResult::AddSingle(byte) => self.put(self.at, byte)?,
            // The byte was a zero: its place is the next run's code byte.
            PushResult::ModifyFromStartAndSkip((code_at, code)) => self.put(code_at, code)?,
            PushResult::ModifyFromStartAndPushAndSkip((code_at, code, byte)) => {
                self.put(code_at, code)?;
                self.put(self.at, byte)?;
                self.run_full = true;
            }
        }
        self.at = self.at.saturating_add(1);
        Ok(())
    }
}

impl Flavor for &mut Writer<'_> {
    /// Bytes of the frame.
    type Output = usize;

    fn try_push(&mut self, byte: u8) -> Result<(), postcard::Error> {
        if self.len >= MAX_PAYLOAD {
            return Err(postcard::Error::SerializeBufferFull);
        }
        self.len = self.len.saturating_add(1);
        self.crc.update(&[byte]);
        self.stuff(byte)
    }

    fn finalize(self) -> Result<usize, postcard::Error> {
        for byte in self.crc.clone().finalize().to_le_bytes() {
            self.stuff(byte)?;
        }
        if !self.run_full {
            let (code_at, code) = self.cobs.clone().finalize();
            self.put(code_at, code)?;
        }
        self.put(self.at, 0)?;
        Ok(self.at.saturating_add(1))
    }
}

/// Collects bytes until a frame is whole.
#[derive(Debug)]
pub struct Decoder {
    /// The message and its CRC, without COBS.
    buffer: [u8; MAX_PAYLOAD + CRC_LEN],
    len: usize,
    overlong: bool,
    cobs: DecoderState,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Nothing came yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffer: [0; MAX_PAYLOAD + CRC_LEN],
            len: 0,
            overlong: false,
            cobs: DecoderState::Idle,
        }
    }

    /// Takes one byte. At the zero that ends a frame gives what the frame held: the bytes of a message
    /// for [`parse`], or [`FrameError::Damaged`] or [`FrameError::TooLong`]. Empty frames give nothing.
    pub fn push(&mut self, byte: u8) -> Option<Result<&[u8], FrameError>> {
        let ended = self.take(byte)?;
        Some(ended.and_then(|()| self.checked()))
    }

    /// Takes `bytes` from the front up to the end of a frame, which is given as by [`Self::push`], and
    /// leaves those behind it. `None`: all were taken, and no frame has ended.
    ///
    /// ```
    /// # use shared::link::{Command, Decoder, MAX_FRAME, Request, encode, parse};
    /// # let request = Request { id: 1, command: Command::Info };
    /// # let mut frame = [0; MAX_FRAME];
    /// # let mut bytes = encode(&request, &mut frame)?;
    /// # let mut decoder = Decoder::new();
    /// while let Some(frame) = decoder.push_bytes(&mut bytes) {
    ///     let request = parse::<Request<'_>>(frame?)?;
    ///     assert_eq!(request.command, Command::Info);
    /// }
    /// # Ok::<(), shared::link::FrameError>(())
    /// ```
    pub fn push_bytes(&mut self, bytes: &mut &[u8]) -> Option<Result<&[u8], FrameError>> {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            if let Some(ended) = self.take(byte) {
                return Some(ended.and_then(|()| self.checked()));
            }
        }
        None
    }

    /// Whether `byte` ends a frame, and how.
    fn take(&mut self, byte: u8) -> Option<Result<(), FrameError>> {
        let result = match self.cobs.feed(byte) {
            Ok(DecodeResult::NoData) => return None,
            Ok(DecodeResult::DataStart) => {
                (self.len, self.overlong) = (0, false);
                return None;
            }
            Ok(DecodeResult::DataContinue(byte)) => {
                match self.buffer.get_mut(self.len) {
                    Some(place) => {
                        *place = byte;
                        self.len = self.len.saturating_add(1);
                    }
                    None => self.overlong = true,
                }
                return None;
            }
            Ok(DecodeResult::DataComplete) => Ok(()),
            // A zero where there must be none; the state machine is back at its start.
            Err(_) => Err(FrameError::Damaged),
        };
        Some(if self.overlong {
            Err(FrameError::TooLong)
        } else {
            result
        })
    }

    /// The message of a frame that has ended, when its CRC is right.
    fn checked(&self) -> Result<&[u8], FrameError> {
        let bytes = self.buffer.get(..self.len).unwrap_or(&[]);
        let (message, crc) = bytes.split_last_chunk().ok_or(FrameError::Damaged)?;
        // The CRC of nothing is 0, so that without this four zeros were a message of no bytes.
        if !message.is_empty() && CRC_32C.checksum(message) == u32::from_le_bytes(*crc) {
            Ok(message)
        } else {
            Err(FrameError::Damaged)
        }
    }
}
