//! The power goes while a model is replaced: at every byte that is written, and during every erase.
//!
//! In: an update in simulated flash. Out, after each cut: the model in use is whole and is the old one,
//! or the new one where its commit was begun; and the update can be finished.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

mod flash;

use flash::{Cut, RESIDUES, Random, Residue};
use sha2::{Digest, Sha256};
use shared::slots::{Layout, SlotError, Slots};

type Flash = flash::Flash<4, 512, 4>;

const LAYOUT: Layout = Layout {
    start: [0, 2560],
    len: 2560,
};
const PIECE: usize = 96;

/// Whether the new model was committed and acknowledged.
fn update(flash: &mut Flash, in_use: Option<usize>, file: &[u8]) -> Result<(), SlotError> {
    let mut slots = Slots::new(LAYOUT);
    let sha256 = Sha256::digest(file).into();
    let mut next = slots.begin(flash, in_use, file.len() as u32, sha256)? as usize;
    while next < file.len() {
        let end = file.len().min(next + PIECE);
        next = slots.write(flash, next as u32, &file[next..end])? as usize;
    }
    slots.verify(flash)?;
    slots.commit(flash)
}

/// The slot that a start would use, and its content.
fn in_use(flash: &mut Flash) -> Option<(usize, Vec<u8>)> {
    let newest = Slots::new(LAYOUT).committed(flash)[0]?;
    let content = flash.bytes[newest.at as usize..][..newest.len as usize].to_vec();
    Some((newest.slot, content))
}

fn file(seed: u64, len: usize) -> Vec<u8> {
    Random::new(seed).bytes(len)
}

/// Flash with `old` in use, after several updates, so that both slots hold something.
fn start(old: &[u8]) -> Flash {
    let mut flash = Flash::new(5120, 5);
    for earlier in [file(7, 900), file(8, 1000)] {
        let slot = in_use(&mut flash).map(|(slot, _)| slot);
        update(&mut flash, slot, &earlier).unwrap();
    }
    let slot = in_use(&mut flash).map(|(slot, _)| slot);
    update(&mut flash, slot, old).unwrap();
    assert_eq!(in_use(&mut flash).unwrap().1, old);
    flash
}

/// Cuts, checks, finishes; whether the power went.
fn cut_and_finish(before: &Flash, old: &[u8], new: &[u8], cut: Cut, residue: Residue) -> bool {
    let mut flash = before.clone();
    flash.cut(cut, residue);
    let (slot, _) = in_use(&mut flash).unwrap();
    let done = update(&mut flash, Some(slot), new);
    if !flash.is_dead() {
        done.unwrap();
        return false;
    }
    done.unwrap_err();
    flash.revive();
    let (slot, content) = in_use(&mut flash).expect("a model");
    assert!(content == old || content == new, "{cut:?} {residue:?}");
    update(&mut flash, Some(slot), new).unwrap();
    assert_eq!(in_use(&mut flash).unwrap().1, new, "{cut:?} {residue:?}");
    true
}

#[test]
fn a_cut_anywhere_leaves_a_model_and_an_update_that_can_be_finished() {
    let (old, new) = (file(1, 1100), file(2, 1222));
    let before = start(&old);
    let mut cuts = 0;
    for residue in RESIDUES {
        let bytes =
            (0..).take_while(|&n| cut_and_finish(&before, &old, &new, Cut::Byte(n), residue));
        cuts += bytes.count();
        let erases =
            (0..).take_while(|&n| cut_and_finish(&before, &old, &new, Cut::Erase(n), residue));
        cuts += erases.count();
    }
    println!("{cuts} cuts");
    assert!(cuts > 5 * new.len());
}

#[test]
fn an_update_goes_on_where_it_was() {
    let mut flash = start(&file(1, 1100));
    let new = file(2, 1222);
    let sha256 = Sha256::digest(&new).into();
    let mut slots = Slots::new(LAYOUT);
    let (slot, _) = in_use(&mut flash).unwrap();
    let begin = |slots: &mut Slots, flash: &mut Flash| slots.begin(flash, Some(slot), 1222, sha256);
    assert_eq!(begin(&mut slots, &mut flash), Ok(0));
    assert_eq!(slots.write(&mut flash, 0, &new[..600]), Ok(600));
    // After a restart: what was begun of a sector is written again.
    let mut slots = Slots::new(LAYOUT);
    assert_eq!(
        slots.write(&mut flash, 600, &new[600..]),
        Err(SlotError::NotBegun)
    );
    assert_eq!(begin(&mut slots, &mut flash), Ok(512));
    let wrong = slots.write(&mut flash, 600, &new[600..]);
    assert_eq!(wrong, Err(SlotError::Offset { expected: 512 }));
    assert_eq!(
        slots.verify(&mut flash),
        Err(SlotError::Incomplete { next: 512 })
    );
    assert_eq!(slots.write(&mut flash, 512, &new[512..]), Ok(1222));
    // A piece that is there already is passed over.
    assert_eq!(slots.write(&mut flash, 1000, &new[1000..1100]), Ok(1222));
    slots.verify(&mut flash).unwrap();
    slots.commit(&mut flash).unwrap();
    assert_eq!(in_use(&mut flash).unwrap().1, new);
}

#[test]
fn what_does_not_fit_or_is_not_what_it_says_is_refused() {
    let old = file(1, 1100);
    let mut flash = start(&old);
    let mut slots = Slots::new(LAYOUT);
    let (slot, _) = in_use(&mut flash).unwrap();
    let max = slots.max_len::<Flash>();
    let refused = slots.begin(&mut flash, Some(slot), max + 1, [0; 32]);
    assert_eq!(refused, Err(SlotError::TooLarge { max }));
    slots.begin(&mut flash, Some(slot), 96, [1; 32]).unwrap();
    slots.write(&mut flash, 0, &[5; 96]).unwrap();
    assert_eq!(slots.verify(&mut flash), Err(SlotError::Digest));
    assert_eq!(in_use(&mut flash).unwrap().1, old);
    slots.abort();
    assert_eq!(slots.commit(&mut flash), Err(SlotError::NotBegun));
}
