//! The serial port on the Pico 2's USB controller: the firmware's own driver against a simulator of the
//! controller, enumerated and used by a host.
//!
//! In: the host of `serial_port`. Out: its tests, on this controller. The driver and the simulator are the firmware's
//! files; what stands around the driver on the board is replaced here.
#![allow(
    dead_code,
    unsafe_code,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the firmware's files, and helpers of tests"
)]

mod serial_port;
#[path = "../../firmware/src/board/pico2/simulator.rs"]
mod simulator;
#[path = "../../firmware/src/board/pico2/usb.rs"]
mod usb;

mod board {
    pub(crate) mod register {
        pub(crate) use crate::simulator::Registers;
    }
}

mod clocks {
    pub(crate) mod block {
        pub(crate) const USBCTRL: u32 = 1 << 28;
    }

    pub(crate) const fn release(blocks: u32) {
        assert!(blocks == block::USBCTRL);
    }
}

mod rom {
    pub(crate) const fn serial() -> [u8; 16] {
        *b"0011223344556677"
    }
}

const fn wait_cycles(_: u32) {}
