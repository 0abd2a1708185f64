//! A serial port over USB (CDC-ACM): what the device answers, without the controller that carries it.
//!
//! In: SETUP packets, and that packets came or went ([`Control`]); bytes for the host ([`Outbox`]) and its packets
//! ([`Inbox`]). Out: what the controller shall do on endpoint 0 ([`Step`]), what changed for the other endpoints
//! ([`Change`]), and packets and bytes. Nothing waits and nothing touches a register, so a desktop tests it as a
//! host would see it.
//!
//! Numbers are those of "Universal Serial Bus Specification" 2.0, chapter 9, and of "USB Class Definitions for
//! Communications Devices" 1.2 with its PSTN subclass. The device is full speed and powered by the bus.
//! Vendor and product are 0x1209:0x0001, which pid.codes gives to everybody for tests; who sells a device
//! takes a product number of their own.

mod control;
mod descriptor;

pub use control::{Change, Control, Packet, Step};
pub use descriptor::{CONFIGURATION, DEVICE, PRODUCT, VENDOR};

/// Largest packet of endpoint 0 and of the data endpoints, in bytes.
pub const PACKET: usize = 64;
/// The endpoint that tells of the line's state; nothing is ever told, but the class asks for it.
pub const NOTIFY: u8 = 1;
/// Its largest packet, in bytes.
pub const NOTIFY_PACKET: usize = 8;
/// The endpoint that bytes go through, one in each direction.
pub const DATA: u8 = 2;

/// Bytes on their way to the host, in packets.
///
/// A host's driver hands bytes on when a packet is shorter than [`PACKET`]. So a full packet that nothing
/// follows is followed by an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outbox {
    bytes: [u8; PACKET],
    len: usize,
    /// The packet before was full.
    full_before: bool,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Outbox {
    /// Without bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; PACKET],
            len: 0,
            full_before: false,
        }
    }

    /// Takes a byte; `false` when there is no room before the next packet goes.
    pub fn push(&mut self, byte: u8) -> bool {
        let Some(place) = self.bytes.get_mut(self.len) else {
            return false;
        };
        *place = byte;
        self.len += 1;
        true
    }

    /// The next packet, for a controller that has none; it counts as sent.
    pub fn take(&mut self) -> Option<&[u8]> {
        if self.is_empty() {
            return None;
        }
        self.full_before = self.len == PACKET;
        let packet = self.bytes.get(..self.len);
        self.len = 0;
        packet
    }

    /// Whether nothing is left to be sent, not even an empty packet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0 && !self.full_before
    }

    /// Forgets what waits: nobody listens.
    pub const fn clear(&mut self) {
        (self.len, self.full_before) = (0, false);
    }
}

/// The host's last packet, and how much of it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inbox {
    bytes: [u8; PACKET],
    len: usize,
    read: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Inbox {
    /// Without a packet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; PACKET],
            len: 0,
            read: 0,
        }
    }

    /// Takes a packet in the place of the one before. What is longer than [`PACKET`] is cut, and no host sends it.
    pub fn put(&mut self, packet: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().zip(packet) {
            *place = *byte;
        }
        (self.len, self.read) = (packet.len().min(PACKET), 0);
    }

    /// The next byte, if there is one.
    pub fn take(&mut self) -> Option<u8> {
        let byte = self.bytes.get(..self.len)?.get(self.read)?;
        self.read += 1;
        Some(*byte)
    }

    /// Whether all of it was read, so that the next one may come.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.read >= self.len
    }

    /// Forgets what was not read.
    pub const fn clear(&mut self) {
        (self.len, self.read) = (0, 0);
    }
}

/// A chip's own number as a serial number: 16 hexadecimal digits.
#[must_use]
pub fn serial(number: u64) -> [u8; 16] {
    let mut rest = number;
    let mut digits = [b'0'; 16];
    for place in digits.iter_mut().rev() {
        let value = (rest & 0xf) as u8;
        *place = if value < 10 { b'0' } else { b'A' - 10 } + value;
        rest >>= 4;
    }
    digits
}

#[cfg(test)]
mod tests;
