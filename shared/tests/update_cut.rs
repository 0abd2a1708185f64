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

use flash::{Cut, RESIDUES, Residue};
use sha2::{Digest, Sha256};
use shared::image::Framing;
use shared::model::{HeadRepr, LayerRepr, ModelRepr, ModelView};
use shared::shape::{Hwc, Window};
use shared::slots::{Mapped, SlotError, Spare, choose};

/// Small sectors, so that a small file has several.
type Flash = flash::Flash<4, 512, 4>;

impl Mapped for Flash {
    fn mapped(&self, at: u32, len: u32) -> Option<&[u8]> {
        self.bytes.get(at as usize..)?.get(..len as usize)
    }
}

const SLOT_LEN: usize = 2560;
const PIECE: usize = 96;

/// A legal model of 1 KiB and more.
fn file(seed: usize) -> Vec<u8> {
    let window = Window {
        kernel: 2,
        stride: 2,
        pad: 0,
    };
    let weight: Vec<i8> = (0..900).map(|i| ((i * seed) % 5) as i8).collect();
    let model = ModelRepr {
        input: Hwc::new(60, 60, 1),
        input_exponent: 8,
        framing: Framing::Picture,
        layers: &[LayerRepr::MaxPool2d { window }],
        head: HeadRepr {
            weight: &weight,
            bias: 0,
            logit_exponent: 12,
        },
        calibration: None,
        provenance: &"x".repeat(100 * seed),
    };
    let mut bytes = vec![0; model.buffer_len()];
    model.emit(&mut bytes, |_| [seed as u8; 32]).unwrap();
    ModelView::new_checked(&bytes).unwrap();
    bytes
}

fn sha256(file: &[u8]) -> [u8; 32] {
    Sha256::digest(file).into()
}

fn update(spare: &mut Spare<Flash>, file: &[u8]) -> Result<(), SlotError> {
    let mut next = spare.begin(file.len() as u32, sha256(file))? as usize;
    while next < file.len() {
        let end = file.len().min(next + PIECE);
        next = spare.write(next as u32, &file[next..end])? as usize;
    }
    spare.verify()?;
    spare.commit()
}

/// What a start would use.
fn in_use(slots: &[Flash; 2]) -> Option<Vec<u8>> {
    let (in_use, _) = choose(slots.clone());
    in_use.model().map(|model| model.bytes().to_vec())
}

/// An update of everything; the slots afterwards.
fn updated(slots: [Flash; 2], file: &[u8]) -> ([Flash; 2], Result<(), SlotError>) {
    let (in_use, mut spare) = choose(slots);
    let done = update(&mut spare, file);
    ([in_use.into_slot(), spare.into_slot()], done)
}

/// Slots with `old` in use, after several updates, so that both hold something.
fn start(old: &[u8]) -> [Flash; 2] {
    let mut slots = [Flash::new(SLOT_LEN, 5), Flash::new(SLOT_LEN, 6)];
    for file in [&file(3), &file(4), old] {
        let done;
        (slots, done) = updated(slots, file);
        done.unwrap();
    }
    assert_eq!(in_use(&slots).unwrap(), old);
    slots
}

/// Cuts, checks, finishes; whether the power went.
fn cut_and_finish(before: &[Flash; 2], old: &[u8], new: &[u8], cut: Cut, residue: Residue) -> bool {
    let mut slots = before.clone();
    for slot in &mut slots {
        slot.cut(cut, residue);
    }
    let (mut slots, done) = updated(slots, new);
    if !slots.iter().any(Flash::is_dead) {
        done.unwrap();
        return false;
    }
    done.unwrap_err();
    slots.iter_mut().for_each(Flash::revive);
    let content = in_use(&slots).expect("a model");
    assert!(content == old || content == new, "{cut:?} {residue:?}");
    let (slots, done) = updated(slots, new);
    done.unwrap();
    assert_eq!(in_use(&slots).unwrap(), new, "{cut:?} {residue:?}");
    true
}

#[test]
fn a_cut_anywhere_leaves_a_model_and_an_update_that_can_be_finished() {
    let (old, new) = (file(1), file(2));
    let before = start(&old);
    let mut cuts = 0;
    for residue in RESIDUES {
        for cut in [Cut::Byte as fn(u64) -> Cut, Cut::Erase] {
            let cut_at = |n: &u64| cut_and_finish(&before, &old, &new, cut(*n), residue);
            cuts += (0..).take_while(cut_at).count();
        }
    }
    println!("{cuts} cuts");
    assert!(cuts > 5 * new.len());
}

#[test]
fn an_update_goes_on_where_it_was() {
    let (used, mut spare) = choose(start(&file(1)));
    let new = file(2);
    let len = new.len();
    assert_eq!(spare.begin(len as u32, sha256(&new)), Ok(0));
    assert_eq!(spare.write(0, &new[..600]), Ok(600));
    // After a restart: what was begun of a sector is written again.
    let (_, mut spare) = choose([used.into_slot(), spare.into_slot()]);
    assert_eq!(spare.write(600, &new[600..]), Err(SlotError::NotBegun));
    assert_eq!(spare.begin(len as u32, sha256(&new)), Ok(512));
    let wrong = spare.write(600, &new[600..]);
    assert_eq!(wrong, Err(SlotError::Offset { expected: 512 }));
    assert_eq!(spare.verify(), Err(SlotError::Incomplete { next: 512 }));
    assert_eq!(spare.write(512, &new[512..]), Ok(len as u32));
    // A piece that is there already is passed over.
    assert_eq!(spare.write(700, &new[700..800]), Ok(len as u32));
    assert_eq!(spare.verify(), Ok(sha256(&new)));
    spare.commit().unwrap();
    assert_eq!(spare.commit(), Err(SlotError::NotBegun));
}

#[test]
fn what_does_not_fit_or_is_not_what_it_says_is_refused() {
    let old = file(1);
    let (used, mut spare) = choose(start(&old));
    let max = spare.max_len();
    assert_eq!(
        spare.begin(max + 1, [0; 32]),
        Err(SlotError::TooLarge { max })
    );
    spare.begin(96, [1; 32]).unwrap();
    spare.write(0, &[5; 96]).unwrap();
    assert_eq!(spare.verify(), Err(SlotError::Digest));
    spare.abort();
    assert_eq!(spare.commit(), Err(SlotError::NotBegun));
    assert_eq!(used.model().unwrap().bytes(), old);
}
