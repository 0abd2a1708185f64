//! What the device says it is: descriptors, byte by byte.
//!
//! In: the product's name and the board's serial number. Out: bytes of a descriptor by their place, so that
//! strings need no buffer. The table of each is in the specification's section that is named there.

use super::{DATA, NOTIFY, NOTIFY_PACKET, PACKET};

/// pid.codes, which lends its number to open hardware and software.
pub const VENDOR: u16 = 0x1209;
/// The first of pid.codes' numbers for tests.
pub const PRODUCT: u16 = 0x0001;

/// From the device to the host.
const IN: u8 = 0x80;
/// Milliamperes that the board and its camera may take, in units of 2 mA.
const POWER: u8 = 500_u16.div_ceil(2) as u8;

/// The device descriptor (USB 2.0, 9.6.1). Class 0xef, 2, 1: functions of several interfaces are grouped by
/// interface association descriptors, which is what Windows wants to see before it looks for them.
pub const DEVICE: [u8; 18] = [
    18,
    kind::DEVICE,
    0x00, // USB 2.00
    0x02,
    0xef,
    0x02,
    0x01,
    PACKET as u8,
    VENDOR.to_le_bytes()[0],
    VENDOR.to_le_bytes()[1],
    PRODUCT.to_le_bytes()[0],
    PRODUCT.to_le_bytes()[1],
    0x00, // release 1.00
    0x01,
    text::MAKER,
    text::PRODUCT,
    text::SERIAL,
    1, // one configuration
];

/// The configuration descriptor with all that belongs to it (USB 2.0, 9.6.3; CDC 1.2, 5.2.3; PSTN 1.2, 5.3).
#[rustfmt::skip]
pub const CONFIGURATION: [u8; 75] = [
    // Configuration 1 of 75 bytes and 2 interfaces; powered by the bus.
    9, kind::CONFIGURATION, 75, 0, 2, 1, 0, 0x80, POWER,
    // Interfaces 0 and 1 are one function: communication, abstract control, no protocol.
    8, kind::ASSOCIATION, 0, 2, 0x02, 0x02, 0x00, 0,
    // Interface 0 with one endpoint.
    9, kind::INTERFACE, 0, 0, 1, 0x02, 0x02, 0x00, 0,
    // CDC 1.10; calls are not managed; line coding and line state are; interface 1 carries the data.
    5, kind::CS_INTERFACE, 0x00, 0x10, 0x01,
    5, kind::CS_INTERFACE, 0x01, 0x00, 1,
    4, kind::CS_INTERFACE, 0x02, 0x02,
    5, kind::CS_INTERFACE, 0x06, 0, 1,
    // Interrupt, asked every 16 ms.
    7, kind::ENDPOINT, NOTIFY | IN, 0x03, NOTIFY_PACKET as u8, 0, 16,
    // Interface 1 with two endpoints: data.
    9, kind::INTERFACE, 1, 0, 2, 0x0a, 0x00, 0x00, 0,
    // Bulk, out and in.
    7, kind::ENDPOINT, DATA, 0x02, PACKET as u8, 0, 0,
    7, kind::ENDPOINT, DATA | IN, 0x02, PACKET as u8, 0, 0,
];

/// Types of descriptors.
pub(super) mod kind {
    pub(in super::super) const DEVICE: u8 = 1;
    pub(in super::super) const CONFIGURATION: u8 = 2;
    pub(in super::super) const STRING: u8 = 3;
    pub(super) const INTERFACE: u8 = 4;
    pub(super) const ENDPOINT: u8 = 5;
    pub(super) const ASSOCIATION: u8 = 0x0b;
    pub(super) const CS_INTERFACE: u8 = 0x24;
}

/// Numbers of strings.
mod text {
    pub(super) const MAKER: u8 = 1;
    pub(super) const PRODUCT: u8 = 2;
    pub(super) const SERIAL: u8 = 3;
}

const MAKER: &str = "Onelook";
/// English, United States: the only language.
const LANGUAGES: [u8; 4] = [4, kind::STRING, 0x09, 0x04];

/// What is sent in a data stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Device,
    Configuration,
    Languages,
    /// ASCII, sent as UTF-16.
    Text(&'static str),
    /// Hexadecimal.
    Serial([u8; 16]),
    /// A short answer.
    Bytes([u8; 7], usize),
}

impl Source {
    /// The string of a number.
    pub(super) const fn string(
        number: u8,
        product: &'static str,
        serial: [u8; 16],
    ) -> Option<Self> {
        match number {
            0 => Some(Self::Languages),
            text::MAKER => Some(Self::Text(MAKER)),
            text::PRODUCT => Some(Self::Text(product)),
            text::SERIAL => Some(Self::Serial(serial)),
            _ => None,
        }
    }

    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Device => DEVICE.len(),
            Self::Configuration => CONFIGURATION.len(),
            Self::Languages => LANGUAGES.len(),
            Self::Text(text) => 2 + 2 * text.len(),
            Self::Serial(serial) => 2 + 2 * serial.len(),
            Self::Bytes(_, len) => *len,
        }
    }

    /// The byte at a place; 0 behind the end.
    pub(super) fn byte(&self, at: usize) -> u8 {
        let found = match self {
            Self::Device => DEVICE.get(at),
            Self::Configuration => CONFIGURATION.get(at),
            Self::Languages => LANGUAGES.get(at),
            Self::Text(text) => return self.wide(text.as_bytes(), at),
            Self::Serial(serial) => return self.wide(serial, at),
            Self::Bytes(bytes, _) => bytes.get(at),
        };
        found.copied().unwrap_or(0)
    }

    /// A byte of a string descriptor: its length, its type, then each letter and a zero.
    fn wide(&self, letters: &[u8], at: usize) -> u8 {
        match at {
            0 => u8::try_from(self.len()).unwrap_or(u8::MAX),
            1 => kind::STRING,
            _ if at.is_multiple_of(2) => letters.get(at / 2 - 1).copied().unwrap_or(0),
            _ => 0,
        }
    }
}
