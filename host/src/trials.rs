//! N-way trials.

use std::sync::Arc;

use serde::Serialize;

use crate::dataset::Drawing;

/// Trials over one list of images.
#[derive(Debug, Clone)]
pub struct TrialSet {
    /// How the trials were drawn.
    pub protocol: String,
    /// Every image of every trial, once.
    pub images: Vec<Arc<Drawing>>,
    /// The trials.
    pub trials: Vec<Trial>,
}

/// One N-way decision.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Per class: indices of its shots in `images`.
    pub support: Vec<Vec<usize>>,
    /// Index of the query in `images`.
    pub query: usize,
    /// The true class.
    pub answer: usize,
}

impl TrialSet {
    /// Classes of the first trial.
    #[must_use]
    pub fn n_way(&self) -> usize {
        self.trials.first().map_or(0, |trial| trial.support.len())
    }

    /// Shots of the first class of the first trial.
    #[must_use]
    pub fn k_shot(&self) -> usize {
        let first = self.trials.first().and_then(|trial| trial.support.first());
        first.map_or(0, Vec::len)
    }
}

/// A share of right decisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Accuracy {
    /// Right decisions.
    pub correct: usize,
    /// All decisions.
    pub trials: usize,
    /// Their quotient.
    pub mean: f64,
    /// Binomial standard error of the mean.
    pub standard_error: f64,
    /// Wilson interval, 95 %.
    pub interval95: [f64; 2],
}

impl Accuracy {
    /// Of `trials` decisions, `correct` were right.
    #[must_use]
    pub fn of(correct: usize, trials: usize) -> Self {
        let n = trials.max(1) as f64;
        let mean = correct as f64 / n;
        let z = 1.96_f64;
        let centre = (mean + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (mean * (1.0 - mean) / n + z * z / (4.0 * n * n)).sqrt();
        Self {
            correct,
            trials,
            mean,
            standard_error: (mean * (1.0 - mean) / n).sqrt(),
            interval95: [centre - half, centre + half],
        }
    }
}
