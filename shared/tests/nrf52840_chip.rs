//! The small devices of the nRF52840: the firmware's own drivers of clock, timer, watchdog and pins against a
//! simulator of them.
//!
//! In: time, resets and levels. Out: what the drivers make of them. The drivers and the simulator are the firmware's
//! files.
#![allow(
    dead_code,
    unsafe_code,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the firmware's files, and helpers of tests"
)]

use chip_simulator::{chip, power_on, start};
use embedded_hal::delay::DelayNs;

#[path = "../../firmware/src/board/nrf52840/chip_id.rs"]
mod chip_id;
#[path = "../../firmware/src/board/nrf52840/chip_simulator.rs"]
mod chip_simulator;
#[path = "../../firmware/src/board/nrf52840/clocks.rs"]
mod clocks;
#[path = "../../firmware/src/board/nrf52840/gpio.rs"]
mod gpio;
#[path = "../../firmware/src/board/nrf52840/pins.rs"]
mod pins;
#[path = "../../firmware/src/board/nrf52840/timer.rs"]
mod timer;
#[path = "../../firmware/src/board/nrf52840/watchdog.rs"]
mod watchdog;
#[path = "../../firmware/src/board/wire.rs"]
mod wire;

mod board {
    pub(crate) mod register {
        pub(crate) use crate::chip_simulator::Registers;
    }
}

#[test]
fn a_crystal_that_does_not_swing_is_seen_and_not_waited_for() {
    for swings in [true, false] {
        power_on();
        chip(|chip| chip.swings = swings);
        start::clocks();
        assert_eq!(clocks::is_crystal(), swings);
    }
}

#[test]
fn time_goes_on_when_the_counter_begins_again() {
    power_on();
    let (mut clock, _) = start::timer();
    // 16 MHz / 2^4, 32 bits.
    chip(|chip| assert_eq!((chip.get(0x4000_8510), chip.get(0x4000_8508)), (4, 3)));
    let mut before = clock.microseconds();
    let mut expected = before;
    for gone in [5, 1_000_000, 4_000_000_000, 4_000_000_000, 294_967_290, 20] {
        // The look itself takes one.
        chip(|chip| chip.time = chip.time.wrapping_add(gone - 1));
        expected += u64::from(gone);
        let now = clock.microseconds();
        assert_eq!(now, expected);
        assert!(now > before);
        before = now;
    }
    assert_eq!(
        u64::from(clock.milliseconds()),
        ((expected + 1) / 1000) & 0xffff_ffff
    );
}

#[test]
fn a_delay_is_never_shorter_than_it_should_be() {
    for start in [0, u32::MAX - 3] {
        for nanoseconds in [0, 1, 999, 1000, 1001, 50_000] {
            power_on();
            let (_, mut counter) = start::timer();
            chip(|chip| chip.time = start);
            counter.delay_ns(nanoseconds);
            let gone = chip(|chip| chip.time.wrapping_sub(start));
            assert!(
                u64::from(gone) * 1000 > u64::from(nanoseconds),
                "{nanoseconds}"
            );
        }
    }
}

#[test]
fn the_tick_comes_when_it_should_and_the_last_one_is_forgotten() {
    power_on();
    let (_, mut counter) = start::timer();
    chip(|chip| {
        chip.time = u32::MAX - 10;
        chip.set(0x4000_8144, 1);
    });
    counter.interrupt_in(10_000);
    chip(|chip| {
        assert_eq!(chip.get(0x4000_8544), 10_000 - 11);
        assert_eq!((chip.get(0x4000_8144), chip.get(0x4000_8304)), (0, 1 << 17));
    });
}

#[test]
fn the_watchdog_is_set_once_and_fed_whatever_it_was_set_to() {
    power_on();
    let mut watchdog = start::watchdog();
    assert!(!watchdog.has_bitten());
    watchdog.start(15_000);
    chip(|chip| {
        // 15 s of 32,768 Hz; it goes on in sleep and stands still under a debugger; one reload register.
        let [crv, rren, config] = [0x4001_0504, 0x4001_0508, 0x4001_050c].map(|at| chip.get(at));
        assert_eq!((crv, rren, config, chip.fed), (491_520, 1, 1, 1));
    });
    watchdog.feed();
    // A program that is started by a reset which the watchdog outlives.
    let mut watchdog = start::watchdog();
    watchdog.start(500);
    chip(|chip| assert_eq!((chip.get(0x4001_0504), chip.fed), (491_520, 3)));
}

#[test]
fn only_its_own_reset_is_a_bite_and_reasons_do_not_gather() {
    for (reason, bitten) in [
        (0, false),
        (1, false),
        (2, true),
        (3, false),
        (4, false),
        (6, true),
    ] {
        power_on();
        chip(|chip| chip.set(0x4000_0400, reason));
        assert_eq!(start::watchdog().has_bitten(), bitten, "{reason}");
        assert!(!start::watchdog().has_bitten());
    }
}

#[test]
fn a_pin_is_that_of_its_port_and_its_level_can_be_read() {
    power_on();
    let [mut led, mut matched, button, miso] = start::pins();
    chip(|chip| {
        // P1.15 and P0.26 drive, P1.02 is pulled up, P0.15 is not.
        assert_eq!(chip.get(0x5000_0300 + 0x700 + 4 * 15), 1);
        assert_eq!(chip.get(0x5000_0000 + 0x700 + 4 * 26), 1);
        assert_eq!(chip.get(0x5000_0300 + 0x700 + 4 * 2), 0xc);
        assert_eq!(chip.get(0x5000_0000 + 0x700 + 4 * 15), 0);
    });
    assert!(!led.is_high() && !matched.is_high() && button.is_high() && !miso.is_high());
    led.set(true);
    assert!(led.is_high() && !matched.is_high());
    matched.set(true);
    led.set(false);
    assert!(!led.is_high() && matched.is_high());
    chip(|chip| chip.low[1] = 1 << 2);
    assert!(!button.is_high());
}

#[test]
fn a_debugger_is_let_in_where_the_chip_shuts_it_out() {
    // Four letters: AAC0, AAD0, AAF0, and of a chip to come.
    for (letter, written) in [(b'C', 0), (b'D', 0), (b'F', 0x5a), (b'G', 0x5a)] {
        power_on();
        chip(|chip| chip.set(0x1000_0104, u32::from_be_bytes([b'A', b'A', letter, b'0'])));
        start::debugger();
        assert_eq!(chip(|chip| chip.get(0x4000_0558)), written);
    }
    chip(|chip| {
        chip.set(0x1000_0060, 0x89ab_cdef);
        chip.set(0x1000_0064, 0x0123_4567);
    });
    assert_eq!(&chip_id::serial(), b"0123456789ABCDEF");
}
