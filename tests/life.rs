//! The device's life in QEMU: the same on every board, and nothing taught is lost when the power goes.
//!
//! In: the device's ELF for each board, named by `ONELOOK_DEVICE_<BOARD>`, and a small network with random
//! weights. Out: the answers of a real host's client, and what is there after `kill -9` and after power
//! cuts at chosen stores into the flash.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use host::device::images::Grey;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shared::link::{Settings, Target};
use shared::model::ModelView;
use shared::session::selftest;
use tests::life::{Host, Life};
use tests::nets::{random_mark, random_model, redrawn, tiny_net};
use tools::Progress;
use tools::firmware::{AN386, BOARDS, Symbols};
use tools::icount::{Icount, Window};

/// Rows and columns of the marks here.
const SIDE: usize = 64;

fn model(seed: u64) -> Vec<u8> {
    random_model(&tiny_net(24, 2), &mut ChaCha8Rng::seed_from_u64(seed))
}

/// A drawing of mark `class` on paper.
fn picture(class: u64, drawing: u64) -> Grey {
    let mark = random_mark(SIDE, &mut ChaCha8Rng::seed_from_u64(class));
    let ink = redrawn(&mark, &mut ChaCha8Rng::seed_from_u64(class << 8 | drawing));
    let grey = ink.into_iter().map(|ink| 255 - ink).collect();
    Grey::new(SIDE, SIDE, grey).unwrap()
}

fn enrol(host: &mut Host, label: &str, class: u64) -> u32 {
    host.write_capture(&picture(class, 0)).unwrap();
    host.enrol(label, true).unwrap().sample
}

/// Everything that a user would do, as text.
fn transcript(life: &Life) -> Vec<String> {
    let (running, mut host) = life.start();
    let mut lines = vec![];
    let mut say = |line: String| lines.push(line);
    for class in 1..=4 {
        host.write_capture(&picture(class, 0)).unwrap();
        say(format!("{:?}", host.enrol(&format!("mark {class}"), true)));
    }
    for class in 1..=5 {
        say(format!(
            "{:?}",
            host.write_capture(&picture(class, 1)).unwrap()
        ));
        say(format!("{:?}", host.score().unwrap()));
        say(format!("{:?}", host.read_logits().unwrap()));
    }
    say(format!("{:?}", host.rename("mark 2", "two")));
    say(format!("{:?}", host.forget(Target::Class("mark 3"))));
    say(format!("{:?}", host.undo()));
    say(format!(
        "{:?}",
        host.forget(Target::Class("mark 9"))
            .map_err(|e| e.to_string())
    ));
    let settings = Settings {
        far_ppm: 1000,
        offset: 17,
    };
    say(format!("{:?}", host.configure(settings)));
    say(format!("{:08x}", host.selftest(7).unwrap()));
    running.kill();
    let (running, mut host) = life.start();
    say(format!("{:?}", host.list().unwrap()));
    say(format!("{:?}", host.settings().unwrap()));
    host.send_model(&model(2), &mut |_, _| ()).unwrap();
    host.update_commit(None).unwrap();
    running.kill();
    let (_running, mut host) = life.start();
    say(host.greeting().model.clone().unwrap());
    host.write_capture(&picture(4, 1)).unwrap();
    say(format!("{:?}", host.score().unwrap()));
    say(format!("{:?}", host.list().unwrap()));
    say(format!("{:08x}", host.selftest(7).unwrap()));
    lines
}

#[test]
fn every_board_says_the_same() {
    let transcripts = BOARDS.map(|board| transcript(&Life::new(board, &model(1))));
    for (line, first) in transcripts[0].iter().enumerate() {
        for (board, other) in BOARDS.iter().zip(&transcripts) {
            assert_eq!(&other[line], first, "{}", board.name);
        }
    }
    // And this computer computes the same.
    let file = model(2);
    let view = ModelView::new_checked(&file).unwrap();
    let (mut arena, mut a, mut b) = (vec![0; 64 << 10], [0; 1024], [0; 1024]);
    let digest = selftest::digest(&view, 7, &mut arena, &mut a, &mut b).unwrap();
    assert_eq!(transcripts[0].last(), Some(&format!("{digest:08x}")));
}

/// What the host knows that the device must know.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    /// Sample numbers with label and mark.
    samples: BTreeSet<(u32, String, u64)>,
    /// Seed of the model.
    model: u64,
}

/// One thing that a host may do while the power goes.
#[derive(Debug, Clone)]
enum Step {
    Enrol(String, u64),
    ForgetSample(u32),
    Rename(String, String),
    /// Everything is taught again, as an import does.
    Import(Vec<(String, u64)>),
    Update(u64),
}

fn random_step(state: &State, rng: &mut ChaCha8Rng, fresh: u64) -> Step {
    let samples: Vec<_> = state.samples.iter().collect();
    let any = |rng: &mut ChaCha8Rng| samples[rng.random_range(0..samples.len())];
    match rng.random_range(0..10) {
        0..4 if samples.len() < 50 => Step::Enrol(format!("mark {fresh}"), fresh),
        4..7 if !samples.is_empty() => Step::ForgetSample(any(rng).0),
        7 if !samples.is_empty() => {
            let from = any(rng).1.clone();
            Step::Rename(from, format!("renamed {fresh}"))
        }
        8 => Step::Update(1 + fresh % 7),
        _ if samples.len() < 50 => {
            let marks = (0..4).map(|i| (format!("import {fresh} {i}"), fresh * 10 + i));
            Step::Import(marks.collect())
        }
        _ => Step::ForgetSample(any(rng).0),
    }
}

/// Carries a step out as far as the power lets it. What is acknowledged is in `state` at once; where the
/// power went, the answer is the state that may be there instead.
fn carry_out(host: &mut Host, step: &Step, state: &mut State) -> Option<State> {
    let before = state.clone();
    match step {
        Step::Enrol(label, class) => teach(host, label, *class, state),
        Step::Import(marks) => {
            for (label, class) in marks {
                let unsure = teach(host, label, *class, state);
                if unsure.is_some() {
                    return unsure;
                }
            }
            None
        }
        Step::ForgetSample(id) => {
            let mut after = before;
            after.samples.retain(|sample| sample.0 != *id);
            let done = host.forget(Target::Sample(*id));
            settle(done.is_ok(), after, state)
        }
        Step::Rename(from, to) => {
            let mut after = before.clone();
            after.samples = before
                .samples
                .into_iter()
                .map(|(id, label, class)| {
                    (id, if &label == from { to.clone() } else { label }, class)
                })
                .collect();
            let done = host.rename(from, to);
            settle(done.is_ok(), after, state)
        }
        Step::Update(seed) => {
            let mut after = before;
            after.model = *seed;
            let sent = host.send_model(&model(*seed), &mut |_, _| ());
            if sent.is_err() {
                return Some(state.clone());
            }
            let done = host.update_commit(None);
            settle(done.is_ok(), after, state)
        }
    }
}

/// Whether it is sure that the state is now `after`; if not, it may be.
fn settle(sure: bool, after: State, state: &mut State) -> Option<State> {
    if sure {
        *state = after;
        None
    } else {
        Some(after)
    }
}

fn teach(host: &mut Host, label: &str, class: u64, state: &mut State) -> Option<State> {
    if host.write_capture(&picture(class, 0)).is_err() {
        return Some(state.clone());
    }
    let mut after = state.clone();
    match host.enrol(label, true) {
        Ok(enrolled) => {
            after.samples.insert((enrolled.sample, label.into(), class));
            settle(true, after, state)
        }
        // Its number is not known: it is found by its label.
        Err(_) => {
            after.samples.insert((0, label.into(), class));
            Some(after)
        }
    }
}

/// What the device says that it knows, with the marks of `known` by their labels' samples.
fn look(host: &mut Host, models: &[(String, u64)]) -> (BTreeSet<(u32, String)>, u64) {
    let fingerprint = host.greeting().model.clone().unwrap();
    let model = models
        .iter()
        .find(|(name, _)| *name == fingerprint)
        .expect("a model of ours")
        .1;
    let listed = host.list().unwrap();
    let samples = listed
        .into_iter()
        .map(|sample| (sample.sample, sample.label));
    (samples.collect(), model)
}

/// Finds out which of the two states it is; the pictures and the answers must be theirs.
fn settle_after_cut(
    host: &mut Host,
    state: State,
    unsure: Option<State>,
    models: &[(String, u64)],
) -> State {
    let (samples, model) = look(host, models);
    let fits = |candidate: &State| {
        let known: BTreeSet<_> = candidate
            .samples
            .iter()
            .map(|(id, label, _)| (*id, label.clone()))
            .collect();
        candidate.model == model && known == samples
    };
    if fits(&state) {
        return state;
    }
    let mut after =
        unsure.unwrap_or_else(|| panic!("lost: {samples:?} with model {model} is not {state:?}"));
    // A sample that was not acknowledged has a number that only the device knows.
    if let Some(unknown) = after.samples.iter().find(|sample| sample.0 == 0).cloned() {
        let number = samples.iter().map(|sample| sample.0).max().unwrap();
        after.samples.remove(&unknown);
        after.samples.insert((number, unknown.1, unknown.2));
    }
    assert!(
        fits(&after),
        "{samples:?} with model {model} is neither {state:?} nor {after:?}"
    );
    after
}

/// A sample's picture is what was taught, and the answer to another drawing of it is that of the model
/// in use: no stale embedding.
fn check_answers(host: &mut Host, state: &State, rng: &mut ChaCha8Rng) {
    let samples: Vec<_> = state.samples.iter().collect();
    if samples.is_empty() {
        return;
    }
    let (id, _, class) = samples[rng.random_range(0..samples.len())];
    let side = SIDE as u16;
    assert_eq!(
        host.read_sample(*id, side, side).unwrap(),
        picture(*class, 0)
    );
    host.write_capture(&picture(*class, 0)).unwrap();
    host.score().unwrap();
    let logits = host.read_logits().unwrap();
    let own = samples.iter().position(|sample| sample.0 == *id).unwrap();
    // A picture against itself: the head's bias, which each model has its own of.
    let file = model(state.model);
    let view = ModelView::new_checked(&file).unwrap();
    let zeros = vec![0; view.embedding_len()];
    let same = view.decider().logit(&zeros, &zeros).unwrap();
    assert_eq!(logits[own], same);
    assert!(host.list().unwrap().iter().all(|sample| sample.fresh));
}

fn models() -> Vec<(String, u64)> {
    (1..=8)
        .map(|seed| {
            let file = model(seed);
            let fingerprint = ModelView::new_checked(&file).unwrap().fingerprint();
            let hex: String = fingerprint
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            (hex, seed)
        })
        .collect()
}

/// `ONELOOK_KILLS`: how often QEMU is killed.
#[test]
fn what_was_acknowledged_outlives_kill_9() {
    let kills = std::env::var("ONELOOK_KILLS").map_or(6, |n| n.parse().unwrap());
    let mut rng = ChaCha8Rng::seed_from_u64(0x0dead);
    let models = models();
    let life = Life::new(AN386, &model(8));
    let mut state = State {
        model: 8,
        ..State::default()
    };
    let (mut unsure, mut steps, mut fresh) = (None, 0, 1);
    // How long a step takes here, so that the power goes in the midst of one, whatever the machine does.
    let mut per_step = Duration::from_millis(100);
    for kill in 0..=kills {
        let (running, mut host) = life.start();
        state = settle_after_cut(&mut host, state, unsure.take(), &models);
        check_answers(&mut host, &state, &mut rng);
        if kill == kills {
            let epoch = host.info().unwrap().flash_epoch;
            println!("{kills} kills, {steps} acknowledged steps, epoch {epoch}, {state:?}");
            return;
        }
        let delay = per_step.mul_f64(rng.random_range(0.05..6.0));
        let pid = running.pid();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(delay);
            Command::new("kill")
                .args(["-9", &pid.to_string()])
                .status()
                .unwrap();
        });
        let booted = state.model;
        while unsure.is_none() {
            fresh += 1;
            let step = random_step(&state, &mut rng, fresh);
            let begin = Instant::now();
            unsure = carry_out(&mut host, &step, &mut state);
            if unsure.is_none() {
                steps += 1;
                per_step = (per_step * 3 + begin.elapsed()) / 4;
            }
            // A model is used from the next start on: until then no other one is sent.
            if state.model != booted && unsure.is_none() {
                break;
            }
        }
        killer.join().unwrap();
        drop(running);
    }
}

/// `ONELOOK_STORE_CUTS`: how many stores into the flash the power is cut at, spread over the script.
#[test]
fn what_was_acknowledged_outlives_a_cut_at_a_store() {
    let cuts: u64 = std::env::var("ONELOOK_STORE_CUTS").map_or(4, |n| n.parse().unwrap());
    let models = models();
    let icount = Icount::provide(&Progress::quiet()).unwrap();
    let life = Life::new(AN386, &model(8));
    let start = Symbols::read(life.elf())
        .unwrap()
        .address("_onelook_nv_start")
        .unwrap();
    let window = Window {
        first: start,
        end: start + (3 << 20),
    };
    let icount = icount.count_stores(window);
    let script = [
        Step::Enrol("one".into(), 1),
        Step::Enrol("two".into(), 2),
        Step::ForgetSample(1),
        Step::Rename("two".into(), "zwei".into()),
        Step::Enrol("three".into(), 3),
    ];
    // About 1,200 words for each picture, and a few for the rest.
    let most = 3 * 1_200;
    for cut in (0..cuts).map(|n| 1 + n * most / cuts.max(1)) {
        let life = Life::new(AN386, &model(8));
        let out = life.folder().join("counts");
        let run = icount.clone().cut_at(cut).attach(life.run(), &out);
        let (running, mut host) = life.start_as(&run);
        let mut state = State {
            model: 8,
            ..State::default()
        };
        let unsure = script
            .iter()
            .find_map(|step| carry_out(&mut host, step, &mut state));
        drop(running);
        let (_running, mut host) = life.start();
        let state = settle_after_cut(&mut host, state, unsure, &models);
        check_answers(&mut host, &state, &mut ChaCha8Rng::seed_from_u64(cut));
        // It goes on: what was not done can be done.
        enrol(&mut host, "after", 77);
        assert_eq!(host.list().unwrap().len(), state.samples.len() + 1);
    }
}
