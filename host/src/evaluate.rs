//! How often the network decides right: N-way trials on one engine.
//!
//! In: a [`TrialSet`] and an [`Embedder`]. Out: an [`Evaluation`]. Every image is embedded once,
//! as the device does it; a trial is one head per class. With several shots per class their logits
//! are pooled by mean, by maximum and as a device does it.
//!
//! Reading order: this file, [`alphabets`] (which script a trial is of), [`figures`] (what comes
//! out, also as JSON) and [`tables`], [`confusions`] (the worst trials), [`open`] (unknown marks).

pub mod alphabets;
pub mod confusions;
pub mod embedded;
pub mod figures;
pub mod open;
pub mod tables;
pub mod verification;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use rayon::prelude::*;
use shared::decide::DecideError;
use shared::shape::ShapeError;

use crate::dataset::Drawing;
use crate::engine::{Embedder, EngineError, Input, Score, network_input};
use crate::trials::{Accuracy, Trial, TrialSet};

/// What one engine made of one set of trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// How the trials were drawn.
    pub protocol: String,
    /// Which engine decided.
    pub engine: String,
    /// Classes per trial.
    pub n_way: usize,
    /// Shots per class.
    pub k_shot: usize,
    /// The class with the largest mean logit.
    pub mean: Outcome,
    /// The class with the largest single logit; the same as `mean` with one shot.
    pub max: Outcome,
    /// The class by the device's rule, half way between both.
    pub device: Outcome,
    /// One hash for each trial over all its logits: trials whose logits are the same bits on two
    /// engines have the same.
    pub digests: Vec<u64>,
}

/// What came of the trials under one way of pooling shots.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Share of right decisions.
    pub accuracy: Accuracy,
    /// Trials in which several classes had the largest score; the lowest index was taken.
    pub ties: usize,
    /// The class chosen in each trial.
    pub decisions: Vec<usize>,
    /// Real logit of the right class less that of the best other one: below 0 where the decision is
    /// wrong. Infinite where there is no other.
    pub margins: Vec<f64>,
}

/// The logits of one trial: class by class, shot by shot.
pub type TrialLogits<L> = Vec<Vec<L>>;

/// How the logits of a class's shots become its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// By their mean.
    Mean,
    /// By the largest.
    Max,
    /// Half way between both, as a device does it.
    Device,
}

/// The class chosen in a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Index of the class.
    pub class: usize,
    /// Whether another class had the same score.
    pub tied: bool,
}

/// Decides every trial.
///
/// # Errors
/// [`EvaluateError`] naming the image or trial that cannot be used.
pub fn evaluate<E: Embedder>(set: &TrialSet, engine: &E) -> Result<Evaluation, EvaluateError> {
    check(set)?;
    let embeddings = embed(&set.images, engine)?;
    decide_all(set, engine, &embeddings.iter().collect::<Vec<_>>())
}

/// As [`evaluate`] for several sets; a drawing that several of them use is embedded once.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_all<E: Embedder>(
    sets: &[&TrialSet],
    engine: &E,
) -> Result<Vec<Evaluation>, EvaluateError> {
    let mut index = HashMap::new();
    let mut images = Vec::new();
    for set in sets {
        check(set)?;
        for drawing in &set.images {
            index.entry(Arc::as_ptr(drawing)).or_insert_with(|| {
                images.push(drawing.clone());
                images.len() - 1
            });
        }
    }
    let embeddings = embed(&images, engine)?;
    let evaluate = |set: &&TrialSet| {
        let of_set = set
            .images
            .iter()
            .map(|drawing| &embeddings[index[&Arc::as_ptr(drawing)]]);
        decide_all(set, engine, &of_set.collect::<Vec<_>>())
    };
    sets.iter().map(evaluate).collect()
}

fn embed<E: Embedder>(
    images: &[Arc<Drawing>],
    engine: &E,
) -> Result<Vec<E::Embedding>, EvaluateError> {
    let inputs = network_inputs(images, engine.input())?;
    let embeddings = inputs.par_iter().map(|input| engine.embed(input));
    Ok(embeddings.collect::<Result<_, _>>()?)
}

/// Decides every trial of a checked set; one embedding for each of its images.
fn decide_all<E: Embedder>(
    set: &TrialSet,
    engine: &E,
    embeddings: &[&E::Embedding],
) -> Result<Evaluation, EvaluateError> {
    let logits = set.trials.par_iter().map(|trial| {
        let query = embeddings[trial.query];
        let shots = trial.support.iter().map(|shots| {
            let logits = shots
                .iter()
                .map(|&shot| engine.logit(query, embeddings[shot]));
            logits.collect::<Result<Vec<_>, _>>()
        });
        shots.collect::<Result<Vec<_>, _>>()
    });
    let logits = logits.collect::<Result<Vec<_>, EngineError>>()?;
    Ok(tally(set, engine.name(), &logits, engine.unit()))
}

/// What follows from the logits of all trials of a checked set; `unit` is what one unit of them is
/// worth as a real logit.
#[must_use]
pub fn tally<L: Score>(
    set: &TrialSet,
    engine: &str,
    logits: &[TrialLogits<L>],
    unit: f64,
) -> Evaluation {
    let outcome = |pooling| outcome(&set.trials, logits, pooling, unit);
    Evaluation {
        protocol: set.protocol.clone(),
        engine: engine.to_owned(),
        n_way: set.n_way(),
        k_shot: set.k_shot(),
        mean: outcome(Pooling::Mean),
        max: outcome(Pooling::Max),
        device: outcome(Pooling::Device),
        digests: logits.iter().map(|logits| digest(logits, unit)).collect(),
    }
}

/// A hash over the real logits of a trial.
fn digest<L: Score>(logits: &TrialLogits<L>, unit: f64) -> u64 {
    let mut hasher = DefaultHasher::new();
    for logit in logits.iter().flatten() {
        (logit.value() * unit).to_bits().hash(&mut hasher);
    }
    hasher.finish()
}

/// Every drawing as the network sees it.
///
/// # Errors
/// [`EvaluateError::Image`] naming the one that cannot be resampled.
pub fn network_inputs(
    drawings: &[Arc<Drawing>],
    input: Input,
) -> Result<Vec<Vec<u8>>, EvaluateError> {
    let images = drawings.par_iter().enumerate();
    let images = images.map(|(index, drawing)| {
        network_input(drawing, input).map_err(|source| EvaluateError::Image { index, source })
    });
    images.collect()
}

/// The class with the largest pooled logit; `logits[class][shot]`.
#[must_use]
pub fn decide<L: Score>(logits: &[Vec<L>], pooling: Pooling) -> Option<Decision> {
    nearest(&scores(logits, pooling)?)
}

/// Every class's score; `None` when one has no shot.
///
/// The mean is taken as a sum, which needs equally many shots per class: [`check`] sees to it.
fn scores<L: Score>(logits: &[Vec<L>], pooling: Pooling) -> Option<Vec<L>> {
    let larger = |a: L, b: L| if b > a { b } else { a };
    let pooled = logits.iter().map(|shots| match pooling {
        Pooling::Mean => shots.iter().copied().reduce(L::plus),
        Pooling::Max => shots.iter().copied().reduce(larger),
        Pooling::Device => L::device_score(shots),
    });
    pooled.collect()
}

fn nearest<L: Score>(scores: &[L]) -> Option<Decision> {
    let (class, score) = L::nearest(scores)?;
    let tied = scores.iter().filter(|&&other| other == score).count() > 1;
    Some(Decision { class, tied })
}

fn outcome<L: Score>(
    trials: &[Trial],
    logits: &[TrialLogits<L>],
    pooling: Pooling,
    unit: f64,
) -> Outcome {
    let judged = trials.iter().zip(logits).filter_map(|(trial, logits)| {
        let scores = scores(logits, pooling)?;
        let margin = margin(&scores, trial.answer)? * unit;
        // A sum over shots stands for their mean.
        let shots = logits.first().map_or(1, Vec::len).max(1);
        let share = if pooling == Pooling::Mean { shots } else { 1 };
        Some((nearest(&scores)?, margin / share as f64))
    });
    let (decisions, margins): (Vec<Decision>, Vec<f64>) = judged.unzip();
    let right = trials.iter().zip(&decisions);
    let correct = right
        .filter(|(trial, decision)| trial.answer == decision.class)
        .count();
    Outcome {
        accuracy: Accuracy::of(correct, trials.len()),
        ties: decisions.iter().filter(|decision| decision.tied).count(),
        decisions: decisions.iter().map(|decision| decision.class).collect(),
        margins,
    }
}

/// The score of the right class less that of the best other one.
fn margin<L: Score>(scores: &[L], answer: usize) -> Option<f64> {
    let right = scores.get(answer)?.value();
    let others = scores
        .iter()
        .enumerate()
        .filter(|(class, _)| *class != answer);
    let best = others
        .map(|(_, score)| score.value())
        .fold(f64::NEG_INFINITY, f64::max);
    Some(right - best)
}

/// Checks that every trial can be decided: images exist, the answer is a class, and all classes
/// have equally many shots, at least one.
///
/// # Errors
/// [`EvaluateError`] naming the first trial that cannot.
pub fn check(set: &TrialSet) -> Result<(), EvaluateError> {
    if set.trials.is_empty() {
        return Err(EvaluateError::Empty);
    }
    let k_shot = set.k_shot();
    for (
        trial,
        Trial {
            support,
            query,
            answer,
        },
    ) in set.trials.iter().enumerate()
    {
        let shots = support.iter().map(Vec::len);
        if k_shot == 0 || shots.clone().any(|shots| shots != k_shot) {
            return Err(EvaluateError::Shots { trial, k_shot });
        }
        if *answer >= support.len() {
            return Err(EvaluateError::Answer {
                trial,
                answer: *answer,
                n_way: support.len(),
            });
        }
        let mut images = support.iter().flatten().chain([query]);
        if let Some(&image) = images.find(|&&image| image >= set.images.len()) {
            return Err(EvaluateError::Index {
                trial,
                image,
                images: set.images.len(),
            });
        }
    }
    Ok(())
}

/// Why trials cannot be decided.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// There is no trial.
    #[error("the trial set is empty")]
    Empty,
    /// Classes with different numbers of shots.
    #[error("trial {trial}: every class must have {k_shot} shots (at least 1), as in trial 0")]
    Shots {
        /// Which trial.
        trial: usize,
        /// Shots of the first class of the first trial.
        k_shot: usize,
    },
    /// The true class does not exist.
    #[error("trial {trial}: the answer is class {answer} of {n_way}")]
    Answer {
        /// Which trial.
        trial: usize,
        /// Its answer.
        answer: usize,
        /// Its classes.
        n_way: usize,
    },
    /// A trial names an image that does not exist.
    #[error("trial {trial}: image {image} of {images} does not exist")]
    Index {
        /// Which trial.
        trial: usize,
        /// Which image.
        image: usize,
        /// Images there are.
        images: usize,
    },
    /// An image cannot be resampled.
    #[error("image {index}: {source}")]
    Image {
        /// Which image.
        index: usize,
        /// Why.
        source: ShapeError,
    },
    /// The engine gave no answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The device's decision was refused.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

#[cfg(test)]
mod tests;
