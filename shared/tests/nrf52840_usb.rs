//! The serial port on the nRF52840's USB controller: the firmware's own driver against a simulator of the controller,
//! enumerated and used by a host.
//!
//! In: the host of `serial_port`, and its power, which comes and goes. Out: its tests, on this controller. The driver
//! and the simulator are the firmware's files; what stands around the driver on the board is replaced here.
#![allow(
    dead_code,
    unsafe_code,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the firmware's files, and helpers of tests"
)]

use proptest::prelude::*;

use serial_port::{Handshake, Host};
use simulator::{crystal, interrupts, is_shown, power, setup, start, token_in, token_out};

mod serial_port;
#[path = "../../firmware/src/board/nrf52840/simulator.rs"]
mod simulator;
#[path = "../../firmware/src/board/nrf52840/usb.rs"]
mod usb;
#[path = "../../firmware/src/board/nrf52840/usb_power.rs"]
mod usb_power;

mod board {
    pub(crate) mod register {
        pub(crate) use crate::simulator::Registers;
    }
}

mod clocks {
    pub(crate) use crate::simulator::is_crystal;
}

mod dma {
    use crate::simulator::{RAM, window};

    pub(crate) const USB_LEN: usize = 64;

    #[derive(Debug)]
    pub(crate) struct Window;

    impl Window {
        pub(crate) const fn usb() -> Self {
            Self
        }

        pub(crate) const fn address(&self) -> u32 {
            RAM
        }

        pub(crate) fn put(&mut self, bytes: &[u8]) {
            window(|ram| ram[..bytes.len()].copy_from_slice(bytes));
        }

        pub(crate) fn get(&self, bytes: &mut [u8]) {
            window(|ram| bytes.copy_from_slice(&ram[..bytes.len()]));
        }
    }
}

mod chip_id {
    pub(crate) const fn serial() -> [u8; 16] {
        *b"0011223344556677"
    }
}

#[test]
fn the_device_shows_itself_when_all_is_ready_and_not_before() {
    let mut uart = start();
    assert!(
        !is_shown() && !interrupts(),
        "what a boot loader left is gone"
    );
    let mut looks = |count: usize| {
        for _ in 0..count {
            assert_eq!(uart.read_byte(), None);
            assert!(uart.write_byte(1) && uart.is_empty() && !uart.has_something());
        }
        is_shown()
    };
    assert!(!looks(5), "there is no host");
    power(true, false);
    assert!(!looks(5), "its supply is not ready");
    crystal(false);
    power(true, true);
    assert!(!looks(5), "nothing swings");
    crystal(true);
    assert!(looks(1));
    // Pulled out, at any step, and plugged in again.
    for steps in 0..5 {
        power(false, false);
        assert!(!looks(2));
        power(true, true);
        looks(steps);
    }
    assert!(looks(4));
}

#[test]
fn a_cable_that_is_pulled_ends_everything_and_one_that_comes_begins_anew() {
    let mut host = Host::new();
    for round in 0..3 {
        host.enumerate();
        host.open(true);
        assert_eq!(host.send(b"hello"), Handshake::Ack);
        // Packets in both ways that nobody will take.
        host.reads = false;
        host.send(b"lost");
        host.write.extend([round; 200]);
        host.device();
        host.reads = true;
        power(false, false);
        host.uart.read_byte();
        assert_eq!(setup(host.address, [0; 8]), Handshake::Silent);
        assert!(!host.uart.is_heard() && host.uart.is_empty());
        assert!(!host.uart.has_something(), "it may sleep");
        host.device();
        assert!(host.write.is_empty(), "nobody listens");
        power(true, true);
        for _ in 0..4 {
            host.device();
        }
        host.reset();
        host.read.clear();
    }
    host.enumerate();
    host.open(true);
    host.write.extend(b"again");
    host.device();
    assert_eq!(host.receive(), [5]);
    assert_eq!(host.read, b"again");
}

#[test]
fn a_packet_that_went_before_a_request_says_nothing_of_its_answer() {
    let mut host = Host::new();
    host.enumerate();
    setup(23, [0x80, 0, 0, 0, 0, 0, 2, 0]);
    host.device();
    assert_eq!(token_in(23, 0), Handshake::Data(vec![0, 0], true));
    // The next request, before the device has seen that the packet went.
    setup(23, [0x80, 6, 0, 2, 0, 0, 255, 0]);
    host.device();
    host.device();
    let all = shared::usb::CONFIGURATION;
    let (first, second) = all.split_at(64);
    assert_eq!(token_in(23, 0), Handshake::Data(first.to_vec(), true));
    host.device();
    assert_eq!(token_in(23, 0), Handshake::Data(second.to_vec(), false));
    assert_eq!(token_out(23, 0, &[], true), Handshake::Nak, "not yet");
    host.device();
    assert_eq!(token_out(23, 0, &[], true), Handshake::Ack);
}

/// What a host may do next, sensible or not.
#[derive(Debug, Clone)]
enum Act {
    /// The device looks.
    Look,
    Setup([u8; 8]),
    In(usize),
    Out(usize, Vec<u8>, bool),
    Reset,
    Enumerate,
    Open(bool),
    Write(Vec<u8>),
    Read(bool),
    /// The cable.
    Power(bool, bool),
}

fn act() -> impl Strategy<Value = Act> {
    let known = prop::sample::select(vec![
        [0x80, 6, 0, 1, 0, 0, 18, 0],
        [0x80, 6, 0, 2, 0, 0, 255, 0],
        [0x80, 6, 3, 3, 9, 4, 255, 0],
        [0, 5, 23, 0, 0, 0, 0, 0],
        [0, 9, 1, 0, 0, 0, 0, 0],
        [0, 9, 0, 0, 0, 0, 0, 0],
        [2, 1, 0, 0, 0x82, 0, 0, 0],
        [2, 1, 0, 0, 0x02, 0, 0, 0],
        [0x21, 0x20, 0, 0, 0, 0, 7, 0],
        [0x21, 0x22, 1, 0, 0, 0, 0, 0],
        [0x21, 0x22, 0, 0, 0, 0, 0, 0],
        [0xa1, 0x21, 0, 0, 0, 0, 7, 0],
    ]);
    let bytes = || prop::collection::vec(any::<u8>(), 0..=64);
    prop_oneof![
        6 => Just(Act::Look),
        4 => prop_oneof![3 => known, 1 => any::<[u8; 8]>()].prop_map(Act::Setup),
        6 => (0..4_usize).prop_map(Act::In),
        6 => (0..4_usize, bytes(), any::<bool>()).prop_map(|(n, b, d)| Act::Out(n, b, d)),
        1 => Just(Act::Reset),
        2 => Just(Act::Enumerate),
        1 => any::<bool>().prop_map(Act::Open),
        2 => prop::collection::vec(any::<u8>(), 0..=200).prop_map(Act::Write),
        1 => any::<bool>().prop_map(Act::Read),
        1 => any::<(bool, bool)>().prop_map(|(vbus, ready)| Act::Power(vbus, ready)),
    ]
}

impl Host {
    /// The cable is in, and the bus is reset.
    fn plug_in(&mut self) {
        power(true, true);
        for _ in 0..5 {
            self.device();
        }
        self.reset();
    }

    fn act(&mut self, act: Act, answers: &mut bool) {
        match act {
            Act::Look => self.device(),
            Act::Setup(packet) => {
                if setup(self.address, packet) == Handshake::Ack {
                    *answers = packet[0] & 0x80 != 0;
                }
            }
            Act::In(number) => {
                token_in(self.address, number);
            }
            // Behind an answer a host has nothing to say on endpoint 0 but that it has it.
            Act::Out(0, ..) if *answers => {
                token_out(self.address, 0, &[], true);
            }
            Act::Out(number, bytes, data1) => {
                token_out(self.address, number, &bytes, data1);
            }
            Act::Reset => self.reset(),
            // A program that does not read does not look at the port at all.
            Act::Enumerate => {
                self.reads = true;
                self.plug_in();
                self.enumerate();
                *answers = false;
            }
            // The address that a random request has given is nobody's concern here.
            Act::Open(open) => {
                let packet = [0x21, 0x22, u8::from(open), 0, 0, 0, 0, 0];
                self.act(Act::Setup(packet), answers);
                self.device();
                token_in(self.address, 0);
            }
            Act::Write(bytes) => self.write.extend(bytes),
            Act::Read(reads) => self.reads = reads,
            Act::Power(vbus, ready) => power(vbus, ready),
        }
    }
}

proptest! {
    /// Whatever a host has done: after a reset the port works, and no register was used as it must not be.
    #[test]
    fn no_host_can_break_the_port(acts in prop::collection::vec(act(), 0..120)) {
        let mut host = Host::new();
        let mut answers = false;
        for act in acts {
            host.act(act, &mut answers);
        }
        host.reads = true;
        host.plug_in();
        host.enumerate();
        host.write.clear();
        host.open(true);
        host.read.clear();
        prop_assert_eq!(host.send(b"hello"), Handshake::Ack);
        prop_assert_eq!(host.read.as_slice(), b"hello");
        host.read.clear();
        host.write.extend(b"again");
        host.device();
        host.receive();
        prop_assert_eq!(host.read.as_slice(), b"again");
    }
}
