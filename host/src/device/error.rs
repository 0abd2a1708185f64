//! Why a device did not do as asked, each case apart from the others.
//!
//! In: what came over the line, or did not. Out: a message with the next step.

use super::refusal::Refusal;

/// Something between a request and its answer. The caller puts the port's name before it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// Not one byte came.
    #[error(
        "nothing answers: not a byte came within {seconds:.1} s\nnext: press the device's reset button and try again; look whether this is the right port, whether the firmware is flashed, and whether another program (a serial monitor, another onelook) holds the line"
    )]
    Silent {
        /// How long it was waited for.
        seconds: f32,
    },
    /// Bytes came, but no frames.
    #[error(
        "something is there, but it is no Onelook device: {received} bytes came and none of them were a message; they begin with {begin}\nnext: look whether this is the right port; if it is, flash the Onelook firmware, and set the serial line to 115200 baud"
    )]
    NotOurs {
        /// How many bytes.
        received: u64,
        /// The first of them, printable.
        begin: String,
    },
    /// The device speaks an older version.
    #[error(
        "the device's firmware is too old: it speaks version {device} of the protocol, this program {host}\nnext: flash the firmware that belongs to this program"
    )]
    TooOld {
        /// The device's version.
        device: u16,
        /// This program's.
        host: u16,
    },
    /// The device speaks a newer version.
    #[error(
        "this program is too old for the device: it speaks version {host} of the protocol, the device {device}\nnext: update onelook (`git pull`, then the same command)"
    )]
    TooNew {
        /// The device's version.
        device: u16,
        /// This program's.
        host: u16,
    },
    /// The line was closed under a request.
    #[error(
        "the link was lost while asking to {what}: {source}\nnext: look at the cable or whether the simulator still runs, then run the same command again; what was acknowledged is kept"
    )]
    LinkLost {
        /// The request.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The device was there, and then did not answer a request.
    #[error(
        "no answer to the request to {what}, asked {tries} times within {seconds:.1} s ({damaged} damaged frames)\nnext: press the device's reset button and run the same command again; damaged frames speak for a bad cable or a wrong baud rate"
    )]
    NoAnswer {
        /// The request.
        what: &'static str,
        /// How often it was sent.
        tries: u32,
        /// How long it was waited for.
        seconds: f32,
        /// Frames that could not be read meanwhile.
        damaged: u64,
    },
    /// An answer of another kind than the request's.
    #[error(
        "the device gave an answer of the wrong kind to the request to {what}\nnext: its firmware does not fit this program although it says so; flash the firmware that belongs to it"
    )]
    WrongAnswer {
        /// The request.
        what: &'static str,
    },
    /// A transfer that does not advance.
    #[error(
        "the transfer of {what} went astray at byte {at}: the device asks for another place every time\nnext: press the device's reset button and run the same command again"
    )]
    Astray {
        /// The transfer.
        what: &'static str,
        /// Where.
        at: u32,
    },
    /// A request that does not fit a message.
    #[error("the request to {what} does not fit a message\nnext: use a shorter label")]
    TooLong {
        /// The request.
        what: &'static str,
    },
    /// The device understood and said no.
    #[error(transparent)]
    Refused(Refusal),
}

impl DeviceError {
    /// What the device said, when it said no.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}
