//! Parity of a network that stays in floating point: do all engines decide alike, with nearly the same logits?
//!
//! In: the float network, N-way trials, engines. Out: a [`VerifyReport`] with one entry per engine. Rounding
//! differs from engine to engine, so a logit may differ by [`FLOAT_TOLERANCE`] and a decision not at all. Here
//! an image goes through an encoder once, because a network of the paper's size takes too long for every pair;
//! [`FloatCase::pair_graph`] runs the exported file itself on some pairs.

use std::time::Instant;

use indicatif::ProgressBar;

use super::{
    FLOAT_TOLERANCE, FloatReport, Reference, RunFiles, VerifyError, VerifyReport, largest, pairs,
};
use crate::engine::float::Float;
use crate::engine::{Embedder, Engine, Graph, Input, run_pairs};
use crate::evaluate::{Decision, Pooling, check, decide, network_inputs};
use crate::float_net::FloatNet;
use crate::trials::TrialSet;

/// Trials and what the float operators of `shared` say of them.
pub struct FloatCase<'a> {
    set: &'a TrialSet,
    images: Vec<Vec<u8>>,
    pairs: Vec<[usize; 2]>,
    expected: Vec<f64>,
    seconds: f64,
}

impl<'a> FloatCase<'a> {
    /// Runs `shared`.
    ///
    /// # Errors
    /// [`VerifyError`] when the trials cannot be decided or the network lacks weights.
    pub fn new(net: &FloatNet, set: &'a TrialSet) -> Result<Self, VerifyError> {
        check(set)?;
        let images = network_inputs(&set.images, Input::of_spec(&net.spec))?;
        let pairs = pairs(&set.trials);
        let start = Instant::now();
        let expected = Reference::of(&Float::new(net)?, &images, &pairs)?.logits;
        Ok(Self {
            set,
            images,
            pairs,
            expected,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// A report without engines.
    #[must_use]
    pub fn report(&self, files: &RunFiles) -> VerifyReport {
        VerifyReport {
            model_sha256: files.model_sha256(),
            protocol: self.set.protocol.clone(),
            trials: self.set.trials.len(),
            images: self.images.len(),
            pairs: self.pairs.len(),
            seconds_shared: self.seconds,
            engines: Vec::new(),
            float: Vec::new(),
        }
    }

    /// All trials in another engine.
    ///
    /// # Errors
    /// [`VerifyError::Engine`] when it gives no answer.
    pub fn compare<E: Embedder<Logit = f64>>(
        &self,
        engine: &E,
    ) -> Result<FloatReport, VerifyError> {
        let start = Instant::now();
        let got = Reference::of(engine, &self.images, &self.pairs)?.logits;
        Ok(FloatReport {
            engine: engine.name().to_owned(),
            max_logit_error: largest(got.iter().zip(&self.expected).map(|(a, b)| a - b)),
            tolerance: FLOAT_TOLERANCE,
            differing_decisions: Some(self.differing_decisions(&got)),
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// The exported pair graph on one pair of each trial: the query and the class that `shared` decides for.
    ///
    /// # Errors
    /// [`VerifyError::Engine`] when the engine gives no answer.
    pub fn pair_graph(
        &self,
        engine: &dyn Engine,
        progress: &ProgressBar,
    ) -> Result<FloatReport, VerifyError> {
        let k_shot = self.set.k_shot();
        let mut chosen = Vec::new();
        let mut at = 0;
        for (trial, class) in self.set.trials.iter().zip(self.decisions(&self.expected)) {
            chosen.push(at + class.unwrap_or(0) * k_shot);
            at += trial.support.len() * k_shot;
        }
        let pairs: Vec<[usize; 2]> = chosen.iter().map(|&at| self.pairs[at]).collect();
        progress.set_length(pairs.len() as u64);
        let start = Instant::now();
        let outputs = run_pairs(engine, Graph::FloatPair, &self.images, &pairs, progress)?;
        let errors = outputs.iter().zip(&chosen);
        let errors = errors.map(|(output, &at)| f64::from(output.logit) - self.expected[at]);
        Ok(FloatReport {
            engine: format!("model.onnx in {}, {} pairs", engine.name(), pairs.len()),
            max_logit_error: largest(errors),
            tolerance: FLOAT_TOLERANCE,
            differing_decisions: None,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    fn decisions(&self, logits: &[f64]) -> Vec<Option<usize>> {
        let k_shot = self.set.k_shot();
        let mut at = 0;
        let trials = self.set.trials.iter().map(|trial| {
            let len = trial.support.len() * k_shot;
            let shots = logits[at..at + len].chunks(k_shot).map(<[f64]>::to_vec);
            at += len;
            let decision: Option<Decision> = decide(&shots.collect::<Vec<_>>(), Pooling::Mean);
            decision.map(|decision| decision.class)
        });
        trials.collect()
    }

    /// Trials in which another class wins.
    fn differing_decisions(&self, logits: &[f64]) -> usize {
        let (expected, got) = (self.decisions(&self.expected), self.decisions(logits));
        expected.iter().zip(got).filter(|(a, b)| **a != *b).count()
    }
}
