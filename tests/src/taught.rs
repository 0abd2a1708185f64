//! What a device in QEMU was taught, as its host knows it, to be compared with what it still knows after
//! its power was gone.
//!
//! In: steps that a host asks for, and when the power went. Out: the one state that the device is in, or a
//! panic when it is none that it may be in.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "only tests call this"
)]

use std::collections::BTreeSet;

use host::device::DeviceError;
use host::device::images::Grey;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shared::link::Target;
use shared::model::ModelView;

use crate::life::Host;
use crate::nets::{random_mark, random_model, redrawn, tiny_net};

/// Rows and columns of the marks here.
pub const SIDE: usize = 64;

/// A small network.
#[must_use]
pub fn model(seed: u64) -> Vec<u8> {
    random_model(&tiny_net(24, 2), &mut ChaCha8Rng::seed_from_u64(seed))
}

/// A drawing of mark `class` on paper.
#[must_use]
pub fn picture(class: u64, drawing: u64) -> Grey {
    let mark = random_mark(SIDE, &mut ChaCha8Rng::seed_from_u64(class));
    let ink = redrawn(&mark, &mut ChaCha8Rng::seed_from_u64(class << 8 | drawing));
    let grey = ink.into_iter().map(|ink| 255 - ink).collect();
    Grey::new(SIDE, SIDE, grey).unwrap()
}

/// Teaches a mark; the sample's number.
pub fn enrol(host: &mut Host, label: &str, class: u64) -> u32 {
    host.write_capture(&picture(class, 0)).unwrap();
    host.enrol(label, true).unwrap().sample
}

/// What the host knows that the device must know.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    /// Sample numbers with label and mark.
    pub samples: BTreeSet<(u32, String, u64)>,
    /// Seed of the model.
    pub model: u64,
}

/// One thing that a host may do while the power goes.
#[derive(Debug, Clone)]
pub enum Step {
    /// Teach a mark under that label.
    Enrol(String, u64),
    /// Forget the sample of that number.
    ForgetSample(u32),
    /// Give a class another name.
    Rename(String, String),
    /// Teach several, as an import does.
    Import(Vec<(String, u64)>),
    /// Send the model of that seed.
    Update(u64),
}

/// Carries a step out as far as the power lets it. What is acknowledged is in `state` at once; where the
/// power went, the answer is the state that may be there instead.
pub fn carry_out(host: &mut Host, step: &Step, state: &mut State) -> Option<State> {
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
            settle(taken(host.forget(Target::Sample(*id))), after, state)
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
            settle(taken(host.rename(from, to)), after, state)
        }
        Step::Update(seed) => {
            let mut after = before;
            after.model = *seed;
            if !taken(host.send_model(&model(*seed), &mut |_, _| ())) {
                return Some(state.clone());
            }
            settle(taken(host.update_commit(None)), after, state)
        }
    }
}

/// Whether a device answered; one that refuses is at fault, one that is silent has no power.
fn taken<T>(answer: Result<T, DeviceError>) -> bool {
    if let Err(error) = &answer {
        assert!(error.refusal().is_none(), "{error}");
    }
    answer.is_ok()
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
    if !taken(host.write_capture(&picture(class, 0))) {
        return Some(state.clone());
    }
    let mut after = state.clone();
    match host.enrol(label, true) {
        Ok(enrolled) => {
            after.samples.insert((enrolled.sample, label.into(), class));
            settle(true, after, state)
        }
        // Its number is not known: it is found by its label.
        Err(error) => {
            assert!(error.refusal().is_none(), "{error}");
            after.samples.insert((0, label.into(), class));
            Some(after)
        }
    }
}

/// What the device says that it knows: samples with their labels, and the seed of its model.
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
pub fn settle_after_cut(
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

/// A sample's picture is what was taught, and its embedding is by the model in use: the picture against
/// itself has the logit of no difference.
pub fn check_answers(host: &mut Host, state: &State, rng: &mut ChaCha8Rng) {
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

/// The fingerprints of all models here, with their seeds.
#[must_use]
pub fn models() -> Vec<(String, u64)> {
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
