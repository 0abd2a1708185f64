//! The wire between a device and its host: frames of bytes, messages in them.
//!
//! In: bytes as they come from a serial line, USB or a socket, lost, doubled or damaged as may be; or
//! a message to send. Out: messages that were sent, and bytes. `PROTOCOL.md` beside this crate is
//! normative.
//!
//! ```text
//! COBS( postcard(message) ‖ CRC-32C, little-endian ) ‖ 0x00
//! ```
//!
//! The host asks, the device answers: one request at a time, each with a number. A request that comes
//! again with the number of the last one is answered with the last answer and not carried out twice, so
//! that a host may repeat what it got no answer to. Events come at any time.

mod frame;
mod message;

pub use frame::{Decoder, FrameError, encode, parse, request_id};
pub use message::{
    CameraFault, Candidate, Captured, Command, Enrolled, Event, Fault, Hello, Info, Packet,
    Quality, Reply, Request, Sample, Settings, Target, UpdateFault, Verdict,
};

/// The version of messages that this crate speaks.
pub const PROTOCOL: u16 = 1;

/// Largest message in bytes, without its CRC.
pub const MAX_PAYLOAD: usize = 1024;

/// Largest piece of a capture, a sample or a model in one message.
pub const MAX_CHUNK: usize = 896;

/// Largest frame: a message, its CRC, one byte of COBS for each 254 begun, and the zero.
pub const MAX_FRAME: usize = MAX_PAYLOAD + 4 + (MAX_PAYLOAD + 4).div_ceil(254) + 1;

/// Longest label of a class, in bytes of UTF-8.
pub const MAX_LABEL: usize = 32;
