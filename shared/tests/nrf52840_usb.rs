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

use serial_port::{Handshake, Host};
use simulator::{crystal, interrupts, is_shown, power, setup, start};

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
    pub(crate) use crate::simulator::Window;
    pub(crate) const USB_LEN: usize = 64;
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
