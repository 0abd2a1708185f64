//! What a desktop writes into a device's flash while its power is off: samples, without an embedding, and
//! room that is taken by what was forgotten.
//!
//! In: the flash. Out: the flash, in which it pays to tidy up.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "only tests call this"
)]

use shared::link::Target;
use shared::store::Layout;
use shared::support_set::{NewSample, SupportSet};

use crate::flash::FlashImage;
use crate::taught::{SIDE, picture};

/// Bytes of a bank, as `firmware/src/board/flash_map.rs` has it; a test compares it with the device's word.
pub const BANK: u32 = 1 << 20;

/// The support set in `flash`.
#[must_use]
pub fn mount(flash: &mut FlashImage) -> SupportSet {
    let layout = Layout {
        at: 0,
        bank_len: BANK,
    };
    SupportSet::mount(flash, layout).unwrap().0
}

/// Teaches mark `class` under the label `mark {class}`; the sample's number. The device has to embed it.
pub fn teach_directly(set: &mut SupportSet, flash: &mut FlashImage, class: u64) -> u32 {
    let (label, picture) = (format!("mark {class}"), picture(class, 0));
    let sample = NewSample {
        label: &label,
        h: SIDE as u16,
        w: SIDE as u16,
        capture: &picture.pixels,
        embedding: &[],
        fingerprint: [0; 16],
    };
    set.enrol(flash, &sample).unwrap()
}

/// Teaches and forgets until the next sample would find the bank full: a device that wakes up with it tidies
/// up. What it was taught stays.
pub fn clutter(flash: &mut FlashImage) {
    let mut tried = flash.clone();
    let mut set = mount(&mut tried);
    let epoch = set.epoch();
    let mut fit = 0;
    while teach_and_forget(&mut set, &mut tried) == epoch {
        fit += 1;
    }
    let mut set = mount(flash);
    for _ in 1..fit {
        teach_and_forget(&mut set, flash);
    }
    assert_eq!(set.epoch(), epoch, "nothing was tidied up yet");
}

fn teach_and_forget(set: &mut SupportSet, flash: &mut FlashImage) -> u32 {
    let id = teach_directly(set, flash, 99);
    set.forget(flash, Target::Sample(id)).unwrap();
    set.epoch()
}
