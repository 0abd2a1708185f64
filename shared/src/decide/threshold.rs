//! The threshold: what the best class must score before a mark is taken for it.
//!
//! In: the model's calibration, how many classes are enrolled, how near the second one is, and which
//! share of unknown marks may pass for one of them. Out: a logit. The share is of all unknown marks and
//! over all classes together, so that it holds however many classes there are.

use super::calibration::{Calibration, LOG_BITS, log2_classes};

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

    /// The least logit at which the best of `classes` is known when the next one has the logit
    /// `second`, in units of the model's logit; see [`Calibration::threshold`] for what lies between
    /// and beyond the measured numbers.
    #[must_use]
    pub fn at(&self, classes: usize, second: Option<i32>, policy: Policy) -> i32 {
        if policy.far_ppm == 0 {
            return NEVER_UNKNOWN;
        }
        let threshold = self.calibration.map_or(FALLBACK, |calibration| {
            let threshold = calibration.threshold(classes, policy.far_ppm);
            threshold.saturating_add(rise(classes, second))
        });
        threshold.saturating_add(policy.offset)
    }
}

/// Logits by which the second class raises the threshold: its logit times `log2(classes) / 16`.
///
/// A mark that is like two classes of many more often belongs to neither. With two classes there is
/// little to learn from the second, with twenty much.
#[must_use]
pub(super) fn rise(classes: usize, second: Option<i32>) -> i32 {
    let log = log2_classes(classes).cast_signed();
    // A logit below 2^24 leaves room for the factor, which is at most 6 · 2^5.
    let rise = (second.unwrap_or(0) >> 4).saturating_mul(log);
    rise >> LOG_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_calibration() {
        let thresholds = Thresholds::new(None);
        let at = |far_ppm, offset| thresholds.at(20, Some(900), Policy { far_ppm, offset });
        assert_eq!(thresholds.at(1, None, Policy::default()), FALLBACK);
        assert_eq!((at(1_000, 7), at(100_000, -7)), (7, -7));
        assert_eq!(at(1, i32::MAX), i32::MAX);
        assert_eq!(at(0, i32::MAX), NEVER_UNKNOWN);
    }

    #[test]
    fn a_near_second_raises_a_far_one_lowers() {
        assert_eq!(rise(20, None), 0);
        assert_eq!((rise(1, Some(1600)), rise(2, Some(1600))), (0, 100));
        // log2(20) = 4.32, rounded down to 4 10/32.
        assert_eq!((rise(20, Some(1600)), rise(20, Some(-1600))), (431, -432));
        assert_eq!(rise(64, Some((1 << 24) - 1)), 6 * ((1 << 20) - 1));
        assert!(rise(64, Some(i32::MAX)) > 0 && rise(64, Some(i32::MIN)) < 0);
    }
}
