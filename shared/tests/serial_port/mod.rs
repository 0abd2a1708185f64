//! A host of a serial port over USB, and what must be true of the port on every board.
//!
//! In: a simulator of a controller and the firmware's driver on it, which the test that holds this module brings.
//! Out: a host's packets, with everything that may happen between two of them; the bytes that arrive at either
//! end. The tests here run for each board.

use std::collections::VecDeque;

use crate::simulator::{
    TAKES_AN_EARLY_END, interrupts, plug_in, reset_bus, setup, token_in, token_out,
};
use crate::usb::Uart;

/// What a token is answered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// Nothing: another address, no such endpoint, or not plugged in.
    Silent,
    /// Later.
    Nak,
    /// Refused.
    Stall,
    /// A packet of the device, and whether it is DATA1.
    Data(Vec<u8>, bool),
    /// The host's packet was taken.
    Ack,
    /// The host's packet was dropped: DATA0 where DATA1 was due, or the other way round.
    OutOfOrder,
}

/// A host and a device that it is plugged into.
pub(crate) struct Host {
    pub(crate) uart: Uart,
    pub(crate) address: u32,
    /// Whether the next packet of the data endpoint is DATA1, to and from the device.
    out_data1: bool,
    in_data1: bool,
    /// What the device's program has read.
    pub(crate) read: Vec<u8>,
    /// What it wants to send.
    pub(crate) write: VecDeque<u8>,
    /// Whether it reads at all.
    pub(crate) reads: bool,
}

impl Host {
    pub(crate) fn new() -> Self {
        let mut host = Self {
            uart: plug_in(),
            address: 0,
            out_data1: false,
            in_data1: false,
            read: Vec::new(),
            write: VecDeque::new(),
            reads: true,
        };
        host.reset();
        host
    }

    pub(crate) fn reset(&mut self) {
        reset_bus();
        self.device();
        self.address = 0;
        (self.out_data1, self.in_data1) = (false, false);
    }

    /// Once around the device's own loop.
    pub(crate) fn device(&mut self) {
        if self.reads {
            while let Some(byte) = self.uart.read_byte() {
                self.read.push(byte);
            }
        }
        while let Some(&byte) = self.write.front()
            && self.uart.write_byte(byte)
        {
            self.write.pop_front();
        }
    }

    /// A token until the device does not put it off.
    fn until_ready(&mut self, token: impl Fn() -> Handshake) -> Handshake {
        for _ in 0..4 {
            let handshake = token();
            if handshake != Handshake::Nak {
                return handshake;
            }
            self.device();
        }
        Handshake::Nak
    }

    fn packet_in(&mut self, endpoint: usize, data1: bool) -> Option<Vec<u8>> {
        let address = self.address;
        match self.until_ready(|| token_in(address, endpoint)) {
            Handshake::Data(bytes, got) => {
                assert_eq!(got, data1, "the order of packets");
                Some(bytes)
            }
            Handshake::Stall => None,
            other => panic!("{other:?} at endpoint {endpoint}"),
        }
    }

    /// A control transfer to the host. `None`: refused.
    pub(crate) fn control_in(&mut self, packet: [u8; 8]) -> Option<Vec<u8>> {
        assert_eq!(setup(self.address, packet), Handshake::Ack);
        let asked = usize::from(u16::from_le_bytes([packet[6], packet[7]]));
        let (mut bytes, mut data1) = (Vec::new(), true);
        loop {
            let piece = self.packet_in(0, data1)?;
            data1 = !data1;
            bytes.extend_from_slice(&piece);
            if bytes.len() >= asked || piece.len() < 64 {
                break;
            }
        }
        let address = self.address;
        let end = self.until_ready(|| token_out(address, 0, &[], true));
        assert_eq!(end, Handshake::Ack);
        self.device();
        Some(bytes)
    }

    /// A control transfer to the device. `None`: refused.
    pub(crate) fn control_out(&mut self, packet: [u8; 8], bytes: &[u8]) -> Option<()> {
        assert_eq!(setup(self.address, packet), Handshake::Ack);
        let address = self.address;
        if !bytes.is_empty() {
            match self.until_ready(|| token_out(address, 0, bytes, true)) {
                Handshake::Ack => {}
                Handshake::Stall => return None,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(self.packet_in(0, true)?, []);
        self.device();
        Some(())
    }

    pub(crate) fn enumerate(&mut self) {
        let first = self.control_in([0x80, 6, 0, 1, 0, 0, 64, 0]).unwrap();
        assert_eq!(first, shared::usb::DEVICE);
        self.control_out([0, 5, 23, 0, 0, 0, 0, 0], &[]).unwrap();
        assert_eq!(setup(0, [0x80, 6, 0, 1, 0, 0, 18, 0]), Handshake::Silent);
        self.address = 23;
        let all = self.control_in([0x80, 6, 0, 2, 0, 0, 255, 0]).unwrap();
        assert_eq!(all, shared::usb::CONFIGURATION);
        self.control_out([0, 9, 1, 0, 0, 0, 0, 0], &[]).unwrap();
        (self.out_data1, self.in_data1) = (false, false);
    }

    /// A program opens the port, or closes it.
    pub(crate) fn open(&mut self, open: bool) {
        self.control_out([0x21, 0x22, u8::from(open), 0, 0, 0, 0, 0], &[])
            .unwrap();
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Handshake {
        let (address, data1) = (self.address, self.out_data1);
        let handshake = self.until_ready(|| token_out(address, 2, bytes, data1));
        if handshake == Handshake::Ack {
            self.out_data1 = !self.out_data1;
        }
        self.device();
        handshake
    }

    /// Packets until the device has none, or one is short.
    pub(crate) fn receive(&mut self) -> Vec<usize> {
        let mut lengths = Vec::new();
        while let Handshake::Data(bytes, data1) = {
            let address = self.address;
            self.until_ready(|| token_in(address, 2))
        } {
            assert_eq!(data1, self.in_data1, "the order of packets");
            self.in_data1 = !self.in_data1;
            self.read_by_host(&bytes);
            lengths.push(bytes.len());
        }
        lengths
    }

    fn read_by_host(&mut self, bytes: &[u8]) {
        self.read.extend_from_slice(bytes);
    }
}

#[test]
fn a_host_finds_the_port_and_bytes_go_both_ways() {
    let mut host = Host::new();
    host.enumerate();
    // The device's name, as the system shows it.
    let name = host.control_in([0x80, 6, 2, 3, 9, 4, 255, 0]).unwrap();
    assert_eq!(usize::from(name[0]), name.len());
    let coding = [0, 0xc2, 1, 0, 0, 0, 8];
    host.control_out([0x21, 0x20, 0, 0, 0, 0, 7, 0], &coding)
        .unwrap();
    host.open(true);
    // Out, in packets of every length.
    let mut sent = Vec::new();
    for len in 0..=64_usize {
        let bytes: Vec<u8> = (0..len).map(|at| (at * 3 + len) as u8).collect();
        assert_eq!(host.send(&bytes), Handshake::Ack, "{len}");
        sent.extend_from_slice(&bytes);
    }
    assert_eq!(host.read, sent);
    // In: full packets, and one that is short; after 128 bytes an empty one.
    for (len, lengths) in [
        (200, vec![64, 64, 64, 8]),
        (128, vec![64, 64, 0]),
        (1, vec![1]),
    ] {
        host.read.clear();
        let bytes: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
        host.write.extend(&bytes);
        host.device();
        assert_eq!(host.receive(), lengths);
        assert_eq!(host.read, bytes);
    }
    host.device();
    assert!(
        !interrupts(),
        "all is dealt with, so the processor may sleep"
    );
}

#[test]
fn a_program_that_does_not_read_puts_the_host_off_and_loses_nothing() {
    let mut host = Host::new();
    host.enumerate();
    host.open(true);
    host.reads = false;
    // One packet is in the controller; the device looks at nothing.
    assert_eq!(host.send(&[1; 64]), Handshake::Ack);
    assert_eq!(host.send(&[2; 64]), Handshake::Nak);
    host.reads = true;
    host.device();
    assert_eq!(host.send(&[2; 64]), Handshake::Ack);
    assert_eq!(host.read, [[1; 64], [2; 64]].concat());
}

#[test]
fn bytes_that_nobody_hears_are_gone_and_the_device_does_not_wait() {
    let mut host = Host::new();
    host.write.extend([1; 300]);
    host.device();
    assert!(host.write.is_empty(), "before there is a host");
    host.enumerate();
    host.write.extend([2; 300]);
    host.device();
    assert!(
        host.write.is_empty(),
        "before a program has opened the port"
    );
    host.open(true);
    host.write.extend([3; 300]);
    host.device();
    assert!(!host.write.is_empty(), "a host that is slow loses nothing");
    host.open(false);
    host.device();
    assert!(host.write.is_empty(), "after the port was closed");
    // A program that never sets DTR, and sends.
    assert_eq!(host.send(b"hello"), Handshake::Ack);
    host.read.clear();
    host.receive();
    host.read.clear();
    host.write.extend([4; 10]);
    host.device();
    host.receive();
    assert_eq!(host.read, [4; 10]);
}

#[test]
fn a_host_may_change_its_mind_at_any_packet() {
    let mut host = Host::new();
    host.enumerate();
    let whole = [0x80, 6, 0, 2, 0, 0, 75, 0];
    // Refused, and then something else.
    assert_eq!(host.control_in([0xc0, 0x55, 0, 0, 0, 0, 8, 0]), None);
    assert!(host.control_in(whole).is_some());
    let refused = host.control_out([0x21, 0x20, 0, 0, 0, 0, 8, 0], &[0; 8]);
    assert_eq!(refused, None);
    assert!(host.control_in(whole).is_some());
    // Ended after one of two packets.
    assert_eq!(setup(host.address, whole), Handshake::Ack);
    assert_eq!(host.packet_in(0, true).unwrap().len(), 64);
    let end = host.until_ready(|| token_out(23, 0, &[], true));
    // A controller that does not take it leaves the host to give up, and to begin anew.
    let expected = if TAKES_AN_EARLY_END {
        Handshake::Ack
    } else {
        Handshake::Nak
    };
    assert_eq!(end, expected);
    assert!(host.control_in(whole).is_some());
    // Begun anew while the first packet of the answer waits. The device must look before the host asks, or that
    // packet goes: a host gives a transfer up only after seconds in which it has asked for it.
    for looks in 0..3 {
        assert_eq!(setup(host.address, whole), Handshake::Ack);
        for _ in 0..looks {
            host.device();
        }
        let status = [0x80, 0, 0, 0, 0, 0, 2, 0];
        assert_eq!(setup(host.address, status), Handshake::Ack);
        host.device();
        assert_eq!(host.packet_in(0, true).unwrap(), [0, 0]);
        let end = host.until_ready(|| token_out(23, 0, &[], true));
        assert_eq!(end, Handshake::Ack);
    }
    // A line coding that never comes.
    assert_eq!(
        setup(host.address, [0x21, 0x20, 0, 0, 0, 0, 7, 0]),
        Handshake::Ack
    );
    host.device();
    assert!(host.control_in(whole).is_some());
}

#[test]
fn endpoints_begin_anew_when_the_host_says_so_and_after_a_reset() {
    let mut host = Host::new();
    host.enumerate();
    host.open(true);
    host.send(&[1]);
    host.write.push_back(9);
    host.device();
    assert_eq!(host.receive(), [1]);
    assert!(host.out_data1 && host.in_data1);
    // CLEAR_FEATURE(ENDPOINT_HALT), with a packet on its way, which may be lost.
    host.write.push_back(8);
    host.device();
    for endpoint in [0x02, 0x82] {
        host.control_out([2, 1, 0, 0, endpoint, 0, 0, 0], &[])
            .unwrap();
    }
    (host.out_data1, host.in_data1) = (false, false);
    assert_eq!(host.send(&[5]), Handshake::Ack);
    host.read.clear();
    host.write.push_back(7);
    host.device();
    assert_eq!(host.receive(), [1]);
    assert_eq!(host.read, [7]);
    // A reset and the first request behind it, before the device has looked.
    reset_bus();
    // The address goes by itself or when the device has looked: that is the controller's affair.
    let heard = [0, 23].map(|address| setup(address, [0x80, 0, 0, 0, 0, 0, 2, 0]));
    assert!(heard.contains(&Handshake::Ack));
    host.device();
    host.address = 0;
    assert_eq!(host.packet_in(0, true).unwrap(), [0, 0]);
    // The cable is pulled and plugged in again, at another moment each time.
    for bytes in 0..5 {
        host.write.extend(vec![6; bytes * 40]);
        host.device();
        host.reset();
        assert_eq!(token_in(0, 2), Handshake::Silent);
        host.write.clear();
        host.enumerate();
        host.open(true);
        host.read.clear();
        assert_eq!(host.send(b"again"), Handshake::Ack);
        assert_eq!(host.read, b"again");
    }
}
