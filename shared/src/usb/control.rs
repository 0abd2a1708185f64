//! Endpoint 0: requests of the host, and what they change.
//!
//! In: a SETUP packet ([`Control::setup`]), that a packet has gone ([`Control::sent`]) or came
//! ([`Control::received`]), and resets of the bus. Out: one [`Step`] for each, and a [`Change`] now and then.
//! A request that the device does not know is refused, as chapter 9 wants it.

use super::descriptor::{Source, kind};
use super::{DATA, NOTIFY, PACKET};

/// A packet for the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    bytes: [u8; PACKET],
    len: usize,
}

impl Packet {
    /// What says that all is well.
    const EMPTY: Self = Self {
        bytes: [0; PACKET],
        len: 0,
    };

    /// Its bytes, [`PACKET`] at most.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

/// What the controller does next on endpoint 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing; the host is next.
    Wait,
    /// Send the first packet of an answer, and take the host's empty one whenever it comes: a host may end
    /// an answer early.
    Answer(Packet),
    /// Send a packet.
    Send(Packet),
    /// Take a packet.
    Receive,
    /// Refuse until the next SETUP packet.
    Stall,
    /// From now on the device has this address.
    Address(u8),
}

/// What changed for the other endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// They work from now on, each beginning with DATA0.
    Configured,
    /// They do not work any longer.
    Deconfigured,
    /// The next packet of this endpoint is DATA0; bit 7 says that it goes to the host.
    Restarted(u8),
    /// A program at the host opened the line, or has closed it.
    Line {
        /// Whether it is open.
        open: bool,
    },
}

/// Where a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    /// Bytes `at..len` of a source are still to go; after a full last packet that is shorter than what the
    /// host asked for goes an empty one.
    Answering {
        source: Source,
        at: usize,
        len: usize,
        and_empty: bool,
    },
    /// The line coding comes.
    LineCoding,
    /// An empty packet goes; then the address counts, if there is one.
    Ending(Option<u8>),
}

/// Endpoint 0 of a serial port.
#[derive(Debug)]
pub struct Control {
    product: &'static str,
    serial: [u8; 16],
    stage: Stage,
    configuration: u8,
    /// Bits per second, stop bits, parity, data bits: kept for who asks, and of no effect.
    line_coding: [u8; 7],
    is_open: bool,
    change: Option<Change>,
}

/// 115,200 bits per second, 8 data bits, no parity, one stop bit.
const LINE_CODING: [u8; 7] = [0x00, 0xc2, 0x01, 0x00, 0, 0, 8];

impl Control {
    /// Of a device with this name (ASCII, 125 letters at most) and serial number (ASCII).
    #[must_use]
    pub const fn new(product: &'static str, serial: [u8; 16]) -> Self {
        Self {
            product,
            serial,
            stage: Stage::Idle,
            configuration: 0,
            line_coding: LINE_CODING,
            is_open: false,
            change: None,
        }
    }

    /// The host has reset the bus: the device has no address and no configuration.
    pub const fn reset(&mut self) {
        self.stage = Stage::Idle;
        self.is_open = false;
        self.configuration = 0;
        self.change = Some(Change::Deconfigured);
    }

    /// What changed, once.
    pub const fn change(&mut self) -> Option<Change> {
        self.change.take()
    }

    /// Whether the other endpoints work.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        self.configuration != 0
    }

    /// A SETUP packet came: whatever was under way is over.
    pub fn setup(&mut self, packet: [u8; 8]) -> Step {
        self.stage = Stage::Idle;
        let [
            kind,
            request,
            value_low,
            value_high,
            index_low,
            index_high,
            length @ ..,
        ] = packet;
        let value = u16::from_le_bytes([value_low, value_high]);
        let index = u16::from_le_bytes([index_low, index_high]);
        let length = usize::from(u16::from_le_bytes(length));
        match (kind, request) {
            // GET_DESCRIPTOR
            (0x80, 6) => match self.descriptor(value) {
                Some(source) => self.answer(source, length),
                None => Step::Stall,
            },
            // GET_STATUS of device and interfaces: powered by the bus, does not wake the host.
            (0x80 | 0x81, 0) => self.answer(Source::Bytes([0; 7], 2), length),
            // GET_STATUS of an endpoint: none is ever halted.
            (0x82, 0) => self.answer(Source::Bytes([0; 7], 2), length),
            // SET_ADDRESS counts only after the host was told.
            (0x00, 5) => match u8::try_from(value).ok().filter(|address| *address < 128) {
                Some(address) => self.end(Some(address)),
                None => Step::Stall,
            },
            // GET_CONFIGURATION
            (0x80, 8) => self.answer(short(self.configuration), length),
            // SET_CONFIGURATION
            (0x00, 9) => self.configure(value),
            // GET_INTERFACE
            (0x81, 10) if index < 2 && self.is_configured() => self.answer(short(0), length),
            // SET_INTERFACE: there is one setting.
            (0x01, 11) if index < 2 && value == 0 && self.is_configured() => self.end(None),
            // CLEAR_FEATURE, ENDPOINT_HALT: nothing is halted, but the order of packets begins anew.
            (0x02, 1) if value == 0 && self.has_endpoint(index) => {
                self.change = Some(Change::Restarted(index_low));
                self.end(None)
            }
            // GET_LINE_CODING
            (0xa1, 0x21) if index == 0 => self.answer(Source::Bytes(self.line_coding, 7), length),
            // SET_LINE_CODING
            (0x21, 0x20) if index == 0 && length == LINE_CODING.len() => {
                self.stage = Stage::LineCoding;
                Step::Receive
            }
            // SET_CONTROL_LINE_STATE: bit 0 is DTR.
            (0x21, 0x22) if index == 0 => {
                let open = value & 1 != 0;
                if open != self.is_open {
                    self.is_open = open;
                    self.change = Some(Change::Line { open });
                }
                self.end(None)
            }
            // SEND_BREAK means nothing here.
            (0x21, 0x23) if index == 0 => self.end(None),
            _ => Step::Stall,
        }
    }

    /// The packet of the last [`Step::Answer`] or [`Step::Send`] has gone.
    pub fn sent(&mut self) -> Step {
        match self.stage {
            Stage::Answering {
                source,
                at,
                len,
                and_empty,
            } if at < len || and_empty => Step::Send(self.piece(source, at, len, and_empty)),
            Stage::Ending(address) => {
                self.stage = Stage::Idle;
                address.map_or(Step::Wait, Step::Address)
            }
            // The host's empty packet comes, which `Step::Answer` let in.
            Stage::Answering { .. } | Stage::LineCoding | Stage::Idle => Step::Wait,
        }
    }

    /// A packet of the host came.
    pub fn received(&mut self, bytes: &[u8]) -> Step {
        match self.stage {
            Stage::LineCoding => match <[u8; 7]>::try_from(bytes) {
                Ok(coding) => {
                    self.line_coding = coding;
                    self.end(None)
                }
                Err(_) => {
                    self.stage = Stage::Idle;
                    Step::Stall
                }
            },
            Stage::Answering { .. } => {
                self.stage = Stage::Idle;
                Step::Wait
            }
            Stage::Ending(_) | Stage::Idle => Step::Wait,
        }
    }

    fn descriptor(&self, value: u16) -> Option<Source> {
        let [number, which] = value.to_le_bytes();
        match (which, number) {
            (kind::DEVICE, 0) => Some(Source::Device),
            (kind::CONFIGURATION, 0) => Some(Source::Configuration),
            (kind::STRING, _) => Source::string(number, self.product, self.serial),
            // Among others that of high speed, which the device has not.
            _ => None,
        }
    }

    fn configure(&mut self, value: u16) -> Step {
        self.configuration = match value {
            0 => 0,
            1 => 1,
            _ => return Step::Stall,
        };
        self.is_open = false;
        self.change = Some(match self.is_configured() {
            true => Change::Configured,
            false => Change::Deconfigured,
        });
        self.end(None)
    }

    /// Whether an endpoint beside 0 has this address, with bit 7 for its direction.
    const fn has_endpoint(&self, address: u16) -> bool {
        const TO_HOST: u16 = 0x80;
        let known = [DATA as u16, DATA as u16 | TO_HOST, NOTIFY as u16 | TO_HOST];
        let [data_out, data_in, notify] = known;
        self.is_configured() && (address == data_out || address == data_in || address == notify)
    }

    fn answer(&mut self, source: Source, asked: usize) -> Step {
        if asked == 0 {
            return self.end(None);
        }
        let len = source.len().min(asked);
        let and_empty = len < asked && len.is_multiple_of(PACKET);
        Step::Answer(self.piece(source, 0, len, and_empty))
    }

    /// The packet that begins at `at`.
    fn piece(&mut self, source: Source, at: usize, len: usize, and_empty: bool) -> Packet {
        let count = len.saturating_sub(at).min(PACKET);
        let mut packet = Packet {
            len: count,
            ..Packet::EMPTY
        };
        for (place, byte) in packet.bytes.iter_mut().take(count).zip(at..) {
            *place = source.byte(byte);
        }
        self.stage = Stage::Answering {
            source,
            at: at + count,
            len,
            // An empty packet is the last.
            and_empty: and_empty && count > 0,
        };
        packet
    }

    /// All is done: the host is told by an empty packet.
    const fn end(&mut self, address: Option<u8>) -> Step {
        self.stage = Stage::Ending(address);
        Step::Send(Packet::EMPTY)
    }
}

/// An answer of one byte.
const fn short(value: u8) -> Source {
    Source::Bytes([value, 0, 0, 0, 0, 0, 0], 1)
}
