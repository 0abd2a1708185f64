//! The power of a device in QEMU is cut at chosen stores into its flash.
//!
//! In: the device's ELF for AN386, a small network, and flash that a desktop or the device itself has
//! filled. Out: every cut came at its store, and behind it what was acknowledged is there and goes on.
//! `ONELOOK_STORE_CUTS` says how many places are tried in each test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tests::clutter::{BANK, clutter, mount, teach_directly};
use tests::flash::FlashImage;
use tests::life::Life;
use tests::taught::{
    State, Step, carry_out, check_answers, enrol, model, models, settle_after_cut,
};
use tools::Progress;
use tools::firmware::{AN386, FLASH_LEN, Symbols};
use tools::icount::{Icount, Window};

/// Samples that are kept when the flash is tidied up.
const KEPT: u32 = 20;

/// Stores into the flash, from the first to about the last of a script.
fn places(last: u64) -> impl Iterator<Item = u64> {
    let cuts: u64 = std::env::var("ONELOOK_STORE_CUTS").map_or(3, |n| n.parse().unwrap());
    (0..cuts).map(move |n| 1 + n * last / cuts)
}

/// Counts stores into the flash of `life`'s board.
fn watch(life: &Life) -> Icount {
    let symbols = Symbols::read(life.elf()).unwrap();
    let first = symbols.address("_onelook_nv_start").unwrap();
    let icount = Icount::provide(&Progress::quiet()).unwrap();
    icount.count_stores(Window {
        first,
        end: first + FLASH_LEN as u64,
    })
}

/// The cut came, and where it was asked for.
#[track_caller]
fn assert_cut(counts: &Path, cut: u64) {
    assert_eq!(Icount::read(counts).unwrap().cut, Some(cut));
}

#[test]
fn while_it_is_taught() {
    let models = models();
    let base = Life::new(AN386, &model(8));
    let mut start = State {
        model: 8,
        ..State::default()
    };
    let (running, mut host) = base.start();
    // The first write erases a bank: here that is over.
    start
        .samples
        .insert((enrol(&mut host, "zero", 10), "zero".into(), 10));
    assert_eq!(host.info().unwrap().flash_bank, BANK);
    running.kill();
    let script = [
        Step::Enrol("one".into(), 1),
        Step::Enrol("two".into(), 2),
        Step::ForgetSample(1),
        Step::Rename("two".into(), "zwei".into()),
        Step::Enrol("three".into(), 3),
    ];
    // A sample takes 1,090 words.
    for cut in places(3 * 1_080) {
        let life = base.copy();
        let counts = life.folder().join("counts");
        let run = watch(&life).cut_at(cut).attach(life.run(), &counts);
        let (running, mut host) = life.start_as(&run);
        let mut state = start.clone();
        let unsure = script
            .iter()
            .find_map(|step| carry_out(&mut host, step, &mut state));
        drop(running);
        assert_cut(&counts, cut);
        let (_running, mut host) = life.start();
        let state = settle_after_cut(&mut host, state, unsure, &models);
        check_answers(&mut host, &state, &mut ChaCha8Rng::seed_from_u64(cut));
        // It goes on: what was not done can be done.
        enrol(&mut host, "after", 77);
        assert_eq!(host.list().unwrap().len(), state.samples.len() + 1);
    }
}

/// Fills a bank as a desktop can: `KEPT` samples that the device has to embed, and forgotten ones, until it
/// pays to tidy up.
fn fill(flash: &mut FlashImage, state: &mut State) {
    let mut set = mount(flash);
    for class in 0..KEPT {
        let id = teach_directly(&mut set, flash, class.into());
        let label = format!("mark {class}");
        state.samples.insert((id, label, class.into()));
    }
    clutter(flash);
}

/// The device embeds what a desktop left it, and then tidies up: it erases a bank and copies.
#[test]
fn while_it_embeds_and_tidies_up() {
    let models = models();
    let base = Life::new(AN386, &model(8));
    let mut state = State {
        model: 8,
        ..State::default()
    };
    FlashImage::change(&base.flash(), |flash| fill(flash, &mut state));
    // Embeddings, a bank of words, and the samples once more.
    let stores = u64::from(BANK / 4 + KEPT * 1_080);
    for cut in places(stores) {
        let life = base.copy();
        let counts = life.folder().join("counts");
        let run = watch(&life).cut_at(cut).attach(life.run(), &counts);
        let mut running = run.spawn().unwrap();
        let begin = Instant::now();
        while !running.has_ended().unwrap() {
            assert!(
                begin.elapsed() < Duration::from_secs(240),
                "no cut at {cut}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(running);
        assert_cut(&counts, cut);
        let (_running, mut host) = life.start();
        settle_after_cut(&mut host, state.clone(), None, &models);
        check_answers(&mut host, &state, &mut ChaCha8Rng::seed_from_u64(cut));
        enrol(&mut host, "after", 277);
        assert_eq!(host.list().unwrap().len(), state.samples.len() + 1);
    }
}
