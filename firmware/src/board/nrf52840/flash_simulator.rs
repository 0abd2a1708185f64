//! The nRF52840's controller of non-volatile memory, and four sectors of its flash: for tests on a desktop.
//!
//! In: what a driver writes to its registers and to the flash. Out: what the driver reads, and what the flash holds. No
//! part of the firmware: `shared/tests/nrf52840_flash.rs` compiles it beside `flash.rs`. It is strict where the chip is:
//! what is not allowed at the moment or comes while it is busy is an error, and so is a word that is programmed too
//! often.

use std::cell::RefCell;

use super::flash::Chip;

/// Words of a sector, and of all four, from address 0 on.
pub(crate) const SECTOR: usize = 1024;
pub(crate) const WORDS: usize = 4 * SECTOR;
/// What a word may be programmed, between two erases (nWRITE).
const MOST: u8 = 2;

/// The controller and the flash.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) words: Vec<u32>,
    pub(crate) programmed: Vec<u8>,
    /// CONFIG: read only, programming, erasing.
    pub(crate) config: u32,
    /// Looks until it is ready.
    pub(crate) busy: u32,
    /// It never gets ready again.
    pub(crate) hangs: bool,
    /// Words that are programmed until the power goes.
    pub(crate) power: Option<usize>,
    /// Words that were programmed at all.
    pub(crate) count: usize,
}

thread_local! {
    static MODEL: RefCell<Model> = RefCell::default();
}

pub(crate) fn with<T>(what: impl FnOnce(&mut Model) -> T) -> T {
    MODEL.with_borrow_mut(what)
}

/// Registers that are the simulator's, and the flash, from address 0 on.
#[derive(Debug)]
pub(crate) struct Registers(usize);

impl Registers {
    /// # Safety
    /// None: it has the signature of the firmware's.
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

/// A flash that holds this, and the driver on it.
pub(crate) fn chip(words: Vec<u32>) -> Chip {
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
