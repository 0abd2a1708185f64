//! The nRF52840's flash: the firmware's own driver against a model of the controller and of four sectors.
//!
//! In: sectors to erase, words to program, and the loss of power at any of them. Out: a flash in which the words are and
//! nothing else has changed; no word that is programmed oftener than the chip allows. What stands around the
//! driver on the board is replaced here.
#![allow(
    dead_code,
    unreachable_pub,
    unsafe_code,
    unused_unsafe,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the firmware's file, and helpers of tests"
)]

use std::cell::RefCell;

use proptest::prelude::*;

use flash::Chip;

#[path = "../../firmware/src/board/nrf52840/flash.rs"]
mod flash;

#[path = "../../firmware/src/board/flash_map.rs"]
mod flash_map;

mod board {
    pub(crate) use crate::flash_map;

    pub(crate) mod register {
        pub(crate) use crate::Registers;
    }
}

/// Words of a sector, and of all four, from address 0 on.
const SECTOR: usize = 1024;
const WORDS: usize = 4 * SECTOR;
/// What a word may be programmed, between two erases (nWRITE).
const MOST: u8 = 2;

#[derive(Default)]
struct Model {
    words: Vec<u32>,
    programmed: Vec<u8>,
    /// CONFIG: read only, programming, erasing.
    config: u32,
    /// Looks until it is ready.
    busy: u32,
    /// It never gets ready again.
    hangs: bool,
    /// Words that are programmed until the power goes.
    power: Option<usize>,
    /// Words that were programmed at all.
    count: usize,
}

thread_local! {
    static MODEL: RefCell<Model> = RefCell::default();
}

fn with<T>(what: impl FnOnce(&mut Model) -> T) -> T {
    MODEL.with_borrow_mut(what)
}

#[derive(Debug)]
pub(crate) struct Registers(usize);

impl Registers {
    pub(crate) const unsafe fn new(base: usize) -> Self {
        Self(base)
    }

    pub(crate) fn read(&self, offset: usize) -> u32 {
        with(|model| match (self.0, offset) {
            (0, _) => model.words[offset / 4],
            (0x4001_e000, 0x400) => {
                model.busy = model.busy.saturating_sub(u32::from(!model.hangs));
                u32::from(model.busy == 0)
            }
            other => panic!("{other:x?} is not read"),
        })
    }

    pub(crate) fn write(&mut self, offset: usize, value: u32) {
        with(|model| match (self.0, offset) {
            (0x4001_e000, 0x504) => {
                assert!(value == 0 || model.busy == 0, "it is busy");
                model.config = value;
            }
            (0x4001_e000, 0x508) => {
                assert_eq!((model.config, model.busy), (2, 0), "erasing is not allowed");
                let start = value as usize / 4;
                assert!(start.is_multiple_of(SECTOR), "a sector begins elsewhere");
                model.words[start..start + SECTOR].fill(u32::MAX);
                model.programmed[start..start + SECTOR].fill(0);
                model.busy = 3;
            }
            (0, _) => {
                assert_eq!(
                    (model.config, model.busy),
                    (1, 0),
                    "programming is not allowed"
                );
                assert!(offset.is_multiple_of(4));
                let word = offset / 4;
                model.programmed[word] += 1;
                assert!(model.programmed[word] <= MOST, "programmed too often");
                if model.power.is_none_or(|words| model.count < words) {
                    model.words[word] &= value;
                }
                (model.count, model.busy) = (model.count + 1, 2);
            }
            other => panic!("{other:x?} is not written"),
        });
    }
}

fn chip(words: Vec<u32>) -> Chip {
    with(|model| {
        *model = Model {
            words,
            programmed: vec![0; WORDS],
            ..Model::default()
        };
    });
    // SAFETY: the registers are the model's, of this thread alone.
    unsafe { Chip::new() }
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
