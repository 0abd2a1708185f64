//! The nRF52840's flash: the firmware's own driver against a model of the controller and of four sectors.
//!
//! In: sectors to erase, words to program, and the loss of power at any of them. Out: a flash in which the words are
//! and nothing else has changed; no word that is programmed oftener than the chip allows. What stands around the
//! driver on the board is replaced here.
#![allow(
    dead_code,
    unreachable_pub,
    unsafe_code,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the firmware's file, and helpers of tests"
)]

use proptest::prelude::*;

use flash_simulator::{SECTOR, WORDS, chip, with};

#[path = "../../firmware/src/board/nrf52840/flash.rs"]
mod flash;
#[path = "../../firmware/src/board/nrf52840/flash_simulator.rs"]
mod flash_simulator;

#[path = "../../firmware/src/board/flash_map.rs"]
mod flash_map;

mod board {
    pub(crate) use crate::flash_map;

    pub(crate) mod register {
        pub(crate) use crate::flash_simulator::Registers;
    }
}

fn is_locked() -> bool {
    with(|model| model.config == 0 && (model.busy == 0 || model.hangs))
}

#[test]
fn an_erase_takes_one_sector_and_leaves_the_others() {
    let mut chip = chip(vec![0x1234_5678; WORDS]);
    chip.erase(8192).unwrap();
    assert!(is_locked());
    let erased = |word: usize| (2 * SECTOR..3 * SECTOR).contains(&word);
    with(|model| {
        for (index, word) in model.words.iter().enumerate() {
            assert_eq!(*word == u32::MAX, erased(index), "{index}");
        }
    });
}

#[test]
fn a_word_that_stays_as_it_is_costs_none_of_its_two() {
    let mut chip = chip(vec![u32::MAX; WORDS]);
    for _ in 0..9 {
        chip.program(64, &[0xff; 8]).unwrap();
        chip.program(64, &[0x5a, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])
            .unwrap();
    }
    with(|model| {
        assert_eq!(
            (model.count, model.words[16], model.words[17]),
            (1, 0x5a, u32::MAX)
        )
    });
    // The checklist clears ones of a word that is there.
    chip.program(64, &[0x0a, 0xff, 0xff, 0xff]).unwrap();
    with(|model| assert_eq!((model.count, model.words[16]), (2, 0x0a)));
}

#[test]
fn a_flash_that_hangs_is_an_error_and_is_locked_again() {
    let mut chip = chip(vec![u32::MAX; WORDS]);
    with(|model| model.hangs = true);
    assert!(chip.erase(0).is_err() && is_locked());
    with(|model| model.busy = 0);
    assert!(chip.program(0, &[1, 2, 3, 4]).is_err() && is_locked());
}

proptest! {
    #[test]
    fn words_are_written_in_order_and_nothing_beside_them(
        before in prop::collection::vec(prop_oneof![Just(u32::MAX), any::<u32>()], WORDS),
        words in prop::collection::vec(prop_oneof![Just(u32::MAX), any::<u32>()], 0..=300),
        place in 0..WORDS,
        power in 0..400_usize,
    ) {
        let place = place.min(WORDS - words.len());
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut expected = before.clone();
        let mut left = power;
        for (old, new) in expected[place..].iter_mut().zip(&words) {
            // A word that changes nothing is not programmed; from the cut on nothing is.
            if *old & new != *old {
                if left == 0 {
                    break;
                }
                (*old, left) = (*old & new, left - 1);
            }
        }
        let mut chip = chip(before);
        with(|model| model.power = Some(power));
        chip.program(4 * place as u32, &bytes).unwrap();
        prop_assert!(is_locked());
        prop_assert_eq!(with(|model| model.words.clone()), expected);
    }
}
