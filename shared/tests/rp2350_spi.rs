//! The camera's bus on the Pico 2: the firmware's own driver against a simulator of ARM's PL022.
//!
//! In: transactions. Out: what a device on the bus sees, byte by byte, while its chip select is low; and an
//! error instead of a wait without end. What stands around the driver on the board is replaced here.
#![allow(
    dead_code,
    unreachable_pub,
    unsafe_code,
    unused_unsafe,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the firmware's files, and helpers of tests"
)]

use embedded_hal::spi::{Operation, SpiDevice};

use spi_simulator::{bus, wire_up};

#[path = "../../firmware/src/board/pico2/pins.rs"]
mod pins;
#[path = "../../firmware/src/board/pico2/spi.rs"]
mod spi;
#[path = "../../firmware/src/board/pico2/spi_simulator.rs"]
mod spi_simulator;
#[path = "../../firmware/src/board/wire.rs"]
mod wire;

mod board {
    pub(crate) mod register {
        pub(crate) use crate::spi_simulator::Registers;
    }
}

mod clocks {
    pub(crate) const SYSTEM_HZ: u32 = 150_000_000;
    pub(crate) mod block {
        pub(crate) const SPI0: u32 = 1 << 18;
    }

    pub(crate) const fn release(blocks: u32) {
        assert!(blocks == block::SPI0);
    }
}

mod gpio {
    use crate::spi_simulator::bus;

    pub(crate) enum Function {
        Spi,
    }

    pub(crate) fn connect(number: u8, function: Function, pad: u32) {
        assert!(matches!(function, Function::Spi) && pad == 0);
        bus(|bus| bus.connected.push(number));
    }

    #[derive(Debug)]
    pub(crate) struct Pin;

    impl Pin {
        pub(crate) fn output(number: u8) -> Self {
            assert_eq!(number, crate::pins::CAMERA_CS);
            Self
        }

        pub(crate) fn set(&mut self, high: bool) {
            bus(|bus| {
                bus.selected = !high;
                if high {
                    bus.seen.push(None);
                }
            });
        }
    }
}

mod timer {
    #[derive(Debug)]
    pub(crate) struct Counter;

    impl Counter {
        pub(crate) const fn new() -> Self {
            Self
        }
    }

    impl embedded_hal::delay::DelayNs for Counter {
        fn delay_ns(&mut self, nanoseconds: u32) {
            crate::spi_simulator::bus(|bus| bus.waited_ns += nanoseconds);
        }
    }
}

#[test]
fn the_bus_is_set_up_for_the_camera() {
    let _spi = wire_up();
    bus(|bus| {
        // 8 bits, mode 0, 150 MHz / (2 · (1 + 9)).
        assert_eq!(bus.registers[0], 9 << 8 | 7);
        assert_eq!(bus.registers[4], 2);
        let pins = [pins::CAMERA_MISO, pins::CAMERA_SCK, pins::CAMERA_MOSI];
        assert_eq!(bus.connected, pins);
        assert!(!bus.selected);
    });
}

#[test]
fn a_transaction_is_one_selection_and_every_operation_in_order() {
    let mut spi = wire_up();
    let (mut read, mut longer, mut in_place) = ([0; 3], [0; 3], [7, 8]);
    spi.transaction(&mut [
        Operation::Write(&[1, 2]),
        Operation::Read(&mut read),
        Operation::DelayNs(500),
        Operation::Transfer(&mut longer, &[20, 30]),
        Operation::TransferInPlace(&mut in_place),
    ])
    .unwrap();
    assert_eq!((read, longer, in_place), ([1; 3], [21, 31, 1], [8, 9]));
    spi.write(&[9]).unwrap();
    let sent = [1, 2, 0, 0, 0, 20, 30, 0, 7, 8].map(Some);
    let expected = [&[None][..], &sent, &[None, Some(9), None]].concat();
    bus(|bus| {
        assert_eq!(bus.seen, expected);
        assert_eq!(bus.waited_ns, 500);
    });
}

#[test]
fn a_bus_that_does_not_move_is_an_error_and_lets_the_device_go() {
    let mut spi = wire_up();
    bus(|bus| bus.stuck_after = Some(3));
    let mut bytes = [0; 8];
    assert!(spi.transfer_in_place(&mut bytes).is_err());
    bus(|bus| assert!(!bus.selected && bus.seen.len() < 8));
}
