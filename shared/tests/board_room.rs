//! How many marks a board remembers: its flash map, its camera's pictures, the network that it comes with.
//!
//! In: the firmware's flash map and the networks that ship. Out: samples that are enrolled, forgotten and enrolled again
//! until no more fit: as many as `docs/hardware.md` says. A slot takes the board's own network.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test file")]

mod flash;

use flash::{Flash, Random};
use shared::link::Target;
use shared::model::ModelView;
use shared::store::Layout;
use shared::support_set::{MAX_CAPTURE, NewSample, SupportSet, SupportSetError};

#[path = "../../firmware/src/board/flash_map.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the firmware's own file, of which this needs a part"
)]
mod flash_map;

#[repr(align(16))]
struct Aligned<T>(T);

type Nor = Flash<{ flash_map::WRITE as usize }, { flash_map::SECTOR as usize }, 1>;

/// Enrols until the flash is full; how many there are then.
fn fill(set: &mut SupportSet, flash: &mut Nor, embedding_len: usize, random: &mut Random) -> usize {
    for seed in 0.. {
        let label = format!("mark {seed:02}");
        let sample = NewSample {
            label: &label,
            h: 128,
            w: 128,
            capture: &random.bytes(MAX_CAPTURE),
            embedding: &random.bytes(embedding_len),
            fingerprint: [1; 16],
        };
        match set.enrol(flash, &sample) {
            Ok(_) => {}
            Err(SupportSetError::Full { .. }) => break,
            Err(other) => panic!("{other}"),
        }
    }
    set.len()
}

fn room(bank_len: u32, embedding_len: usize) -> usize {
    let mut random = Random::new(7);
    let mut flash = Nor::blank(2 * bank_len as usize, 3);
    let (mut set, _) = SupportSet::mount(&mut flash, Layout { at: 0, bank_len }).unwrap();
    let at_first = fill(&mut set, &mut flash, embedding_len, &mut random);
    // What is forgotten makes room for as many, every time.
    for _ in 0..3 {
        set.forget(&mut flash, Target::All).unwrap();
        let again = fill(&mut set, &mut flash, embedding_len, &mut random);
        assert_eq!(again, at_first);
    }
    at_first
}

#[test]
fn boards_remember_what_their_page_says() {
    let micro = Aligned(*include_bytes!("../../models/micro.onelook"));
    let nano = Aligned(*include_bytes!("../../models/nano.onelook"));
    let len = |bytes| ModelView::new_checked(bytes).unwrap().embedding_len();
    let pico2 = room(flash_map::pico2::BANK, len(&micro.0));
    let feather = room(flash_map::nrf52840::BANK, len(&nano.0));
    assert_eq!((pico2, feather), (59, 12));
}
