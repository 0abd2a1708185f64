//! Parity: does everyone who runs the exported files get the device's bits?
//!
//! In: the files of a run, N-way trials and engines. Out: a [`VerifyReport`] that counts what
//! differs, and for the first difference names the layer, channel and position where it arises.
//! Every pair of every trial goes through the pair graph as a whole, encoders included: nothing is
//! remembered from one pair to the next.

pub mod float;
pub mod locate;

use std::fmt;
use std::time::Instant;

use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::engine::float::Float;
use crate::engine::shared::Shared;
use crate::engine::{Embedder, Engine, EngineError, Graph, PairOutput, run_encoder, run_pairs};
use crate::evaluate::{Decision, EvaluateError, Pooling, check, decide, network_inputs};
pub use crate::export::Bundle as RunFiles;
use crate::export::{ReadError, ViewError};
use crate::float_net::FloatNetError;
use crate::trials::{Trial, TrialSet};
pub use locate::{Difference, LayerDifference};

/// Largest difference of probabilities between engines with equal logits.
pub const PROBABILITY_TOLERANCE: f64 = 1e-6;

/// Largest difference of logits between engines on the float network.
pub const FLOAT_TOLERANCE: f64 = 1e-4;

/// What was compared, and what differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// SHA-256 of `model.onelook`.
    pub model_sha256: String,
    /// How the trials were drawn.
    pub protocol: String,
    /// N-way decisions compared.
    pub trials: usize,
    /// Different images.
    pub images: usize,
    /// Pairs of a query and a support image.
    pub pairs: usize,
    /// Seconds that the device's own code took on this machine.
    pub seconds_shared: f64,
    /// The integer network, one entry per engine.
    pub engines: Vec<EngineReport>,
    /// The float network, one entry per engine.
    pub float: Vec<FloatReport>,
}

/// One engine on the integer network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineReport {
    /// Which engine.
    pub engine: String,
    /// Pairs whose logit is not the device's, bit for bit.
    pub differing_logits: usize,
    /// Images whose embedding is not the device's, bit for bit.
    pub differing_embeddings: usize,
    /// Trials in which another class wins.
    pub differing_decisions: usize,
    /// Largest difference of probabilities.
    pub max_probability_error: f64,
    /// Wall-clock seconds for all pairs and all images.
    pub seconds: f64,
    /// Where the first difference arises.
    pub first_difference: Option<Difference>,
}

/// One engine on the float network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FloatReport {
    /// Which engine.
    pub engine: String,
    /// Largest difference of logits to the float operators of `shared`.
    pub max_logit_error: f64,
    /// What is allowed.
    pub tolerance: f64,
    /// Trials in which another class wins, where they were decided.
    #[serde(default)]
    pub differing_decisions: Option<usize>,
    /// Wall-clock seconds for all pairs.
    pub seconds: f64,
}

/// Whether everyone agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Integer logits, embeddings and decisions are equal bit for bit, the rest within tolerance.
    Equal,
    /// Something differs, or nothing was compared.
    Different,
}

impl VerifyReport {
    /// Whether everyone agrees.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let compared = self.pairs > 0 && !(self.engines.is_empty() && self.float.is_empty());
        let engines = self.engines.iter().all(EngineReport::equal);
        let float = self.float.iter().all(FloatReport::equal);
        if compared && engines && float {
            Verdict::Equal
        } else {
            Verdict::Different
        }
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pairs,
            trials,
            images,
            ..
        } = self;
        writeln!(
            f,
            "{pairs} pairs of {trials} trials, {images} images, against shared:"
        )?;
        for engine in &self.engines {
            writeln!(f, "- {engine}")?;
        }
        for report in &self.float {
            writeln!(f, "- {report}")?;
        }
        let verdict = match self.verdict() {
            Verdict::Equal if self.engines.is_empty() => "equal, within the tolerance",
            Verdict::Equal => "equal, bit for bit",
            Verdict::Different => "DIFFERENT",
        };
        write!(f, "verdict: {verdict}")
    }
}

impl fmt::Display for EngineReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            engine,
            differing_logits,
            differing_embeddings,
            ..
        } = self;
        let Self {
            differing_decisions,
            max_probability_error,
            seconds,
            ..
        } = self;
        write!(
            f,
            "{engine}: {differing_logits} differing logits, {differing_embeddings} differing embeddings, {differing_decisions} differing decisions, largest probability difference {max_probability_error:.1e}, {seconds:.1} s"
        )?;
        let difference = self.first_difference.as_ref();
        difference.map_or(Ok(()), |difference| write!(f, "\n  first: {difference}"))
    }
}

impl EngineReport {
    /// Whether this engine computes what the device computes.
    #[must_use]
    pub fn equal(&self) -> bool {
        [
            self.differing_logits,
            self.differing_embeddings,
            self.differing_decisions,
        ] == [0; 3]
            && self.max_probability_error <= PROBABILITY_TOLERANCE
    }
}

impl FloatReport {
    /// Whether this engine is close enough. Not a number is not.
    #[must_use]
    pub fn equal(&self) -> bool {
        self.max_logit_error <= self.tolerance && self.differing_decisions.is_none_or(|n| n == 0)
    }
}

impl fmt::Display for FloatReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            engine,
            max_logit_error,
            tolerance,
            differing_decisions,
            seconds,
        } = self;
        write!(
            f,
            "{engine}, float network: largest logit difference {max_logit_error:.1e} (allowed {tolerance:.0e})"
        )?;
        if let Some(differing) = differing_decisions {
            write!(f, ", {differing} differing decisions")?;
        }
        write!(f, ", {seconds:.1} s")
    }
}

/// Runs every engine on every pair of every trial. `progress` counts pairs and images.
///
/// # Errors
/// [`VerifyError`] when something cannot run; what runs and differs is in the report.
pub fn verify(
    files: &RunFiles,
    set: &TrialSet,
    engines: &[&dyn Engine],
    progress: &ProgressBar,
) -> Result<VerifyReport, VerifyError> {
    check(set)?;
    let shared = Shared::new(files.view()?);
    let float = files.float_net()?;
    let images = network_inputs(&set.images, shared.input())?;
    let pairs = pairs(&set.trials);
    progress.set_length((engines.len() * (2 * pairs.len() + images.len())) as u64);

    let start = Instant::now();
    let reference = Reference::of(&shared, &images, &pairs)?;
    let seconds_shared = start.elapsed().as_secs_f64();
    let float = Reference::of(&Float::new(&float)?, &images, &pairs)?;

    let case = Case {
        set,
        shared,
        images,
        pairs,
    };
    let mut report = VerifyReport {
        model_sha256: files.model_sha256(),
        protocol: set.protocol.clone(),
        trials: set.trials.len(),
        images: case.images.len(),
        pairs: case.pairs.len(),
        seconds_shared,
        engines: Vec::new(),
        float: Vec::new(),
    };
    for &engine in engines {
        progress.set_message(engine.name().to_owned());
        report
            .engines
            .push(case.compare_int8(engine, &reference, progress)?);
        report
            .float
            .push(case.compare_float(engine, &float.logits, progress)?);
    }
    Ok(report)
}

/// Where each engine first differs from the device on network inputs `images`, encoder only: the
/// short way for networks that are no more than an operator.
///
/// # Errors
/// [`VerifyError`] when something cannot run.
pub fn first_differences(
    files: &RunFiles,
    images: &[Vec<u8>],
    engines: &[&dyn Engine],
) -> Result<Vec<Option<Difference>>, VerifyError> {
    let shared = Shared::new(files.view()?);
    let expected = images.iter().map(|image| shared.embed(image));
    let expected: Vec<Vec<u8>> = expected.collect::<Result<_, _>>()?;
    let locate = locate::Locate::new(&shared, images)?;
    let differences = engines.iter().map(|&engine| {
        let embeddings = run_encoder(engine, images, &ProgressBar::hidden())?;
        let wrong = locate.wrong_embeddings(&expected, &embeddings);
        let first = wrong.first();
        let difference = first.map(|&image| locate.difference(engine, &[image], None));
        Ok(difference.transpose()?)
    });
    differences.collect()
}

/// Query and support image of every pair: trial by trial, class by class, shot by shot.
fn pairs(trials: &[Trial]) -> Vec<[usize; 2]> {
    let pairs = trials.iter().flat_map(|trial| {
        let shots = trial.support.iter().flatten();
        shots.map(|&shot| [trial.query, shot])
    });
    pairs.collect()
}

/// What the reference says.
struct Reference<E: Embedder> {
    embeddings: Vec<E::Embedding>,
    logits: Vec<E::Logit>,
}

impl<E: Embedder> Reference<E> {
    fn of(engine: &E, images: &[Vec<u8>], pairs: &[[usize; 2]]) -> Result<Self, EngineError> {
        let embeddings = images.par_iter().map(|image| engine.embed(image));
        let embeddings = embeddings.collect::<Result<Vec<_>, _>>()?;
        let logits = pairs
            .par_iter()
            .map(|&[query, support]| engine.logit(&embeddings[query], &embeddings[support]));
        let logits = logits.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { embeddings, logits })
    }
}

/// What all engines are given.
struct Case<'a> {
    set: &'a TrialSet,
    shared: Shared<'a>,
    images: Vec<Vec<u8>>,
    pairs: Vec<[usize; 2]>,
}

impl Case<'_> {
    fn compare_int8(
        &self,
        engine: &dyn Engine,
        reference: &Reference<Shared<'_>>,
        progress: &ProgressBar,
    ) -> Result<EngineReport, VerifyError> {
        let start = Instant::now();
        let outputs = run_pairs(engine, Graph::Int8Pair, &self.images, &self.pairs, progress)?;
        let embeddings = run_encoder(engine, &self.images, progress)?;
        let seconds = start.elapsed().as_secs_f64();

        let decider = self.shared.decider();
        let scale = (-f32::from(decider.logit_exponent())).exp2();
        // Exact: |logit| < 2^24, and the scale is a power of two.
        let expected: Vec<f32> = reference.logits.iter().map(|&q| q as f32 * scale).collect();
        let differs =
            |(expected, output): &(&f32, &PairOutput)| !same_bits(**expected, output.logit);
        let pairs = expected.iter().zip(&outputs);
        let probability_errors = outputs
            .iter()
            .zip(&reference.logits)
            .map(|(output, &logit)| {
                f64::from(output.probability) - f64::from(decider.probability(logit))
            });
        let locate = locate::Locate::new(&self.shared, &self.images)?;
        let wrong = locate.wrong_embeddings(&reference.embeddings, &embeddings);
        let first_pair = pairs.clone().position(|pair| differs(&pair));
        let images = first_pair.map(|pair| self.pairs[pair].to_vec());
        let images = images.or_else(|| wrong.first().map(|&image| vec![image]));
        let mut first_difference = None;
        if let Some(images) = images {
            let logits = first_pair.map(|pair| [expected[pair], outputs[pair].logit]);
            first_difference = Some(locate.difference(engine, &images, logits)?);
        }
        Ok(EngineReport {
            engine: engine.name().to_owned(),
            differing_logits: pairs.filter(differs).count(),
            differing_embeddings: wrong.len(),
            differing_decisions: self.differing_decisions(&reference.logits, &outputs),
            max_probability_error: largest(probability_errors),
            seconds,
            first_difference,
        })
    }

    fn compare_float(
        &self,
        engine: &dyn Engine,
        expected: &[f64],
        progress: &ProgressBar,
    ) -> Result<FloatReport, VerifyError> {
        let start = Instant::now();
        let outputs = run_pairs(
            engine,
            Graph::FloatPair,
            &self.images,
            &self.pairs,
            progress,
        )?;
        let errors = outputs.iter().zip(expected);
        let errors = errors.map(|(output, expected)| f64::from(output.logit) - expected);
        Ok(FloatReport {
            engine: engine.name().to_owned(),
            max_logit_error: largest(errors),
            tolerance: FLOAT_TOLERANCE,
            differing_decisions: None,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Trials in which the engine's logits lead to another class.
    fn differing_decisions(&self, expected: &[i32], outputs: &[PairOutput]) -> usize {
        let k_shot = self.set.k_shot();
        let mut at = 0;
        let mut differing = 0;
        for trial in &self.set.trials {
            let len = trial.support.len() * k_shot;
            let range = at..at + len;
            at += len;
            let expected: Vec<Vec<i32>> = expected[range.clone()]
                .chunks(k_shot)
                .map(<[i32]>::to_vec)
                .collect();
            let reals = outputs[range].iter().map(|output| f64::from(output.logit));
            let reals: Vec<f64> = reals.collect();
            let reals: Vec<Vec<f64>> = reals.chunks(k_shot).map(<[f64]>::to_vec).collect();
            let class = |decision: Option<Decision>| decision.map(|decision| decision.class);
            let expected = class(decide(&expected, Pooling::Mean));
            differing += usize::from(expected != class(decide(&reals, Pooling::Mean)));
        }
        differing
    }
}

/// Bit for bit, except that zero has two signs.
fn same_bits(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a == 0.0 && b == 0.0)
}

/// The largest magnitude; not a number wins.
fn largest(errors: impl Iterator<Item = f64>) -> f64 {
    errors.fold(0.0, |largest, error| {
        let error = error.abs();
        if error > largest || error.is_nan() {
            error
        } else {
            largest
        }
    })
}

/// Why a comparison did not take place.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The trials cannot be decided.
    #[error(transparent)]
    Trials(#[from] EvaluateError),
    /// An engine gave no answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The files are damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The model is damaged.
    #[error(transparent)]
    Model(#[from] ViewError),
    /// The float network lacks weights.
    #[error(transparent)]
    Float(#[from] FloatNetError),
}

#[cfg(test)]
mod tests;
