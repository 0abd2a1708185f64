//! Words as pages, as the Pico 2's flash is written: the firmware's own file against a model of the chip.
//!
//! In: writes of every length and place. Out: a flash in which the words are and nothing else has changed.

use proptest::prelude::*;

use page::{PAGE, split};

#[path = "../../firmware/src/board/pico2/page.rs"]
#[allow(dead_code, unreachable_pub, reason = "the firmware's file")]
mod page;

/// Four pages whose bits are only ever cleared.
struct Chip(Vec<u8>);

impl Chip {
    fn program(&mut self, at: u32, page: &[u8; PAGE]) {
        assert_eq!(at as usize % PAGE, 0, "pages begin where pages begin");
        for (cell, byte) in self.0[at as usize..].iter_mut().zip(page) {
            *cell &= byte;
        }
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> usize {
        let (mut at, mut rest, mut pages) = (at, bytes, 0);
        while let Some(split) = split(at, rest) {
            self.program(split.at, &split.page);
            (at, rest, pages) = (split.next, split.rest, pages + 1);
        }
        pages
    }
}

#[test]
fn a_write_takes_as_many_pages_as_it_touches() {
    let mut chip = Chip(vec![0xff; 4 * PAGE]);
    assert_eq!(chip.write(0, &[]), 0);
    assert_eq!(chip.write(252, &[1; 4]), 1);
    assert_eq!(chip.write(252, &[1; 8]), 2);
    assert_eq!(chip.write(0, &[1; 4 * PAGE]), 4);
    assert_eq!(chip.write(4, &[1; 2 * PAGE]), 3);
}

proptest! {
    #[test]
    fn words_are_written_and_nothing_beside_them(
        before in prop::collection::vec(any::<u8>(), 4 * PAGE),
        words in prop::collection::vec(any::<[u8; 4]>(), 0..=256),
        place in 0..256_usize,
    ) {
        let place = place.min(256 - words.len());
        let bytes = words.as_flattened();
        let mut expected = before.clone();
        for (cell, byte) in expected[4 * place..].iter_mut().zip(bytes) {
            *cell &= byte;
        }
        let mut chip = Chip(before);
        chip.write(4 * place as u32, bytes);
        prop_assert_eq!(chip.0, expected);
    }
}
