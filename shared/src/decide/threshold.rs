//! The threshold: what the best class must score before a mark is taken for it.
//!
//! In: the model's calibration, how many classes are enrolled, and which share of unknown marks may
//! pass for one of them. Out: a logit. The share is of all unknown marks and over all classes
//! together, so that it holds however many classes there are.

use crate::model::Calibration;

/// False accepts in a million unknown marks, unless a user chooses otherwise: 1 %.
pub const DEFAULT_FAR_PPM: u32 = 10_000;

/// The threshold of a model without calibration: a probability of one half, whatever the number of
/// classes and the rate.
pub const FALLBACK: i32 = 0;

/// The threshold that every score reaches.
pub const NEVER_UNKNOWN: i32 = i32::MIN;

/// What a user may set about unknown marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// False accepts in a million unknown marks, over all classes together; 0 for "never unknown".
    pub far_ppm: u32,
    /// Logits that are added to the threshold: stricter above 0.
    pub offset: i32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            far_ppm: DEFAULT_FAR_PPM,
            offset: 0,
        }
    }
}

/// What a mark must score to be known.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds<'m> {
    calibration: Option<Calibration<'m>>,
}

impl<'m> Thresholds<'m> {
    /// Thresholds of a model; without calibration always [`FALLBACK`].
    #[must_use]
    pub const fn new(calibration: Option<Calibration<'m>>) -> Self {
        Self { calibration }
    }

    /// The least logit at which one of `classes` is known, in units of the model's logit; see
    /// [`Calibration::threshold`] for what lies between and beyond the measured numbers.
    #[must_use]
    pub fn at(&self, classes: usize, policy: Policy) -> i32 {
        if policy.far_ppm == 0 {
            return NEVER_UNKNOWN;
        }
        let threshold = self.calibration.map_or(FALLBACK, |calibration| {
            calibration.threshold(classes, policy.far_ppm)
        });
        threshold.saturating_add(policy.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_calibration() {
        let thresholds = Thresholds::new(None);
        let at = |far_ppm, offset| thresholds.at(20, Policy { far_ppm, offset });
        assert_eq!(thresholds.at(1, Policy::default()), FALLBACK);
        assert_eq!((at(1_000, 7), at(100_000, -7)), (7, -7));
        assert_eq!(at(1, i32::MAX), i32::MAX);
        assert_eq!(at(0, i32::MAX), NEVER_UNKNOWN);
    }
}
