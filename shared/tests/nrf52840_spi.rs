//! The camera's bus on the nRF52840: the firmware's own driver against a simulator of SPIM.
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

use spi_simulator::{LEN, bus, wire_up};

#[path = "../../firmware/src/board/nrf52840/pins.rs"]
mod pins;
#[path = "../../firmware/src/board/nrf52840/spi.rs"]
mod spi;
#[path = "../../firmware/src/board/nrf52840/spi_simulator.rs"]
mod spi_simulator;
#[path = "../../firmware/src/board/wire.rs"]
mod wire;

mod board {
    pub(crate) mod register {
        pub(crate) use crate::spi_simulator::Registers;
    }
}

mod dma {
    pub(crate) use crate::spi_simulator::{LEN as SPI_LEN, Window};
}

mod gpio {
    use crate::spi_simulator::bus;

    #[derive(Debug)]
    pub(crate) struct Pin(u8);

    impl Pin {
        pub(crate) fn output(number: u8) -> Self {
            bus(|bus| bus.outputs.push(number));
            Self(number)
        }

        pub(crate) fn floating(number: u8) -> Self {
            bus(|bus| bus.inputs.push(number));
            Self(number)
        }

        pub(crate) fn set(&mut self, high: bool) {
            assert_eq!(self.0, crate::pins::CAMERA_CS);
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
        let register = |offset: usize| bus.registers[offset / 4];
        // P0.14, P0.13, P0.15; 4 MHz, mode 0, highest bit first.
        assert_eq!([0x508, 0x50c, 0x510].map(register), [14, 13, 15]);
        assert_eq!((register(0x524), register(0x554)), (0x4000_0000, 0));
        assert_eq!(
            bus.outputs,
            [pins::CAMERA_SCK, pins::CAMERA_MOSI, pins::CAMERA_CS]
        );
        assert_eq!(bus.inputs, [pins::CAMERA_MISO]);
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
        Operation::Transfer(&mut [], &[40]),
        Operation::TransferInPlace(&mut in_place),
        Operation::Write(&[]),
    ])
    .unwrap();
    assert_eq!((read, longer, in_place), ([1; 3], [21, 31, 1], [8, 9]));
    spi.write(&[9]).unwrap();
    let sent = [1, 2, 0, 0, 0, 20, 30, 0, 40, 7, 8].map(Some);
    let expected = [&[None][..], &sent, &[None, Some(9), None]].concat();
    bus(|bus| {
        assert_eq!(bus.seen, expected);
        assert_eq!(bus.waited_ns, 500);
    });
}

#[test]
fn what_is_longer_than_the_window_goes_in_pieces_without_a_gap() {
    for len in [LEN - 1, LEN, LEN + 1, 3 * LEN + 7] {
        let mut spi = wire_up();
        let bytes: Vec<u8> = (0..len).map(|at| (at * 5) as u8).collect();
        let mut got = vec![0; len];
        spi.transfer(&mut got, &bytes).unwrap();
        let plus_one: Vec<u8> = bytes.iter().map(|byte| byte.wrapping_add(1)).collect();
        assert_eq!(got, plus_one);
        spi.read(&mut got).unwrap();
        assert_eq!(got, vec![1; len]);
        let sent = bytes.into_iter().chain(vec![0; len]).map(Some);
        let seen: Vec<_> = bus(|bus| bus.seen.iter().copied().filter(Option::is_some).collect());
        assert_eq!(seen, sent.collect::<Vec<_>>());
        // At first, and behind each of the two.
        assert_eq!(
            bus(|bus| bus.seen.iter().filter(|seen| seen.is_none()).count()),
            3
        );
    }
}

#[test]
fn a_bus_that_does_not_move_is_an_error_and_lets_the_device_go() {
    for stops in [true, false] {
        let mut spi = wire_up();
        bus(|bus| (bus.stuck_after, bus.stops) = (Some(3), stops));
        let mut bytes = [0; 8];
        assert!(spi.transfer_in_place(&mut bytes).is_err());
        bus(|bus| assert!(!bus.selected && bus.seen.len() < 8));
        // It may come back.
        bus(|bus| bus.stuck_after = None);
        assert!(spi.transfer_in_place(&mut bytes).is_ok());
    }
}
