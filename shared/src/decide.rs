//! From embeddings to a decision: one logit per support embedding, pooled by class; the largest wins
//! when it reaches the threshold, and the mark is unknown when it does not.
//!
//! In: the query's embedding and the support set's. Out: integer logits, a [`Decision`], and a
//! probability for showing. An N-way decision costs one encoder pass for the query and one of these
//! heads for each sample, never a pair pass. `docs/decision.md` says what was measured for it.

mod calibration;
mod likeness;
mod threshold;
mod verdict;

pub(crate) use calibration::CALIBRATION_LEN;
pub use calibration::{
    CALIBRATED_CLASSES, CALIBRATED_PPM, Calibration, CalibrationRepr, GENUINE_PERMILLE,
};
pub use likeness::{LIKENESS_PPM, looks_like};
pub use threshold::{DEFAULT_FAR_PPM, FALLBACK, NEVER_UNKNOWN, Policy, Thresholds};
pub use verdict::{DecideError, Decision, MAX_CLASSES, Scored, decide};

use crate::ops::l1_head::{L1Head, l1_head};
use crate::ops::sigmoid::sigmoid;
use crate::shape::ShapeError;

/// The head of a model with the exponent of its logits.
#[derive(Debug, Clone, Copy)]
pub struct Decider<'m> {
    pub(crate) head: L1Head<'m>,
    pub(crate) logit_exponent: u8,
}

impl Decider<'_> {
    /// How alike two embeddings are; the real value is `logit * 2^-logit_exponent`.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when an embedding is not `[d]` of this model.
    pub fn logit(&self, query: &[u8], support: &[u8]) -> Result<i32, ShapeError> {
        l1_head(&self.head, query, support)
    }

    /// Exponent of the logits: `real = logit * 2^-logit_exponent`.
    #[must_use]
    pub const fn logit_exponent(&self) -> u8 {
        self.logit_exponent
    }

    /// The probability that belongs to a logit.
    #[must_use]
    pub fn probability(&self, logit: i32) -> f32 {
        sigmoid(logit, self.logit_exponent)
    }
}

/// Index and value of the largest logit; the lowest index wins a tie. `None` when there is none.
pub fn nearest(logits: impl IntoIterator<Item = i32>) -> Option<(usize, i32)> {
    let mut best = None;
    for (index, logit) in logits.into_iter().enumerate() {
        if best.is_none_or(|(_, top)| logit > top) {
            best = Some((index, logit));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lowest_index() {
        assert_eq!(nearest([3, 7, 7, -1]), Some((1, 7)));
        assert_eq!(nearest([]), None);
        assert_eq!(nearest([i32::MIN]), Some((0, i32::MIN)));
    }
}
