//! The decision: nearest class, the one behind it, and whether the nearest is near enough.
//!
//! In: one logit for each sample, with the number of its class. Out: a [`Decision`]. A class scores
//! half way between the mean and the largest of its samples' logits. By the largest it would gain by
//! having more samples, known or not; by the mean it would lose; half way it does neither, so that one
//! threshold holds for any number of samples.

use core::fmt;

use super::threshold::{Policy, Thresholds, rise};

/// Most classes that a decision is between.
pub const MAX_CLASSES: usize = 64;

/// Samples of one class that count: 127 logits below 2^24 add up in 32 bits.
const MAX_POOLED: i32 = 127;

/// A class and its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scored {
    /// The class's number, as the caller gave it.
    pub class: usize,
    /// Its score, in units of the model's logit.
    pub logit: i32,
}

/// Which class a mark belongs to, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether `best` reaches the threshold; if not, the mark is unknown.
    pub known: bool,
    /// The nearest class; of equally near ones the one with the lowest number.
    pub best: Scored,
    /// The nearest but one, where there are two.
    pub second: Option<Scored>,
    /// What `best` must reach, the nearness of `second` considered.
    pub threshold: i32,
    /// How many classes the decision was between.
    pub classes: usize,
}

impl Decision {
    /// What a calibration counts: the logit of `best`, less what `second` adds to the threshold.
    #[must_use]
    pub fn score(&self) -> i32 {
        let second = self.second.map(|second| second.logit);
        self.best.logit.saturating_sub(rise(self.classes, second))
    }

    /// How much nearer the nearest class is than the next one.
    #[must_use]
    pub fn margin(&self) -> Option<i32> {
        let second = self.second?;
        Some(self.best.logit.saturating_sub(second.logit))
    }
}

/// Decides between the classes that `logits` mentions; it holds, for each sample, the number of its
/// class (below [`MAX_CLASSES`]) and the logit of query and sample, in any order.
///
/// Of one class the first 127 samples count.
///
/// # Errors
/// [`DecideError`] when there is no logit, or when a class has too large a number.
pub fn decide(
    logits: impl IntoIterator<Item = (usize, i32)>,
    thresholds: &Thresholds<'_>,
    policy: Policy,
) -> Result<Decision, DecideError> {
    let mut pools = [Pool::EMPTY; MAX_CLASSES];
    for (class, logit) in logits {
        let pool = pools.get_mut(class);
        pool.ok_or(DecideError::Class { got: class })?.add(logit);
    }
    let (mut classes, mut best, mut second) = (0, None::<Scored>, None::<Scored>);
    for (class, pool) in pools.iter().enumerate() {
        let Some(logit) = pool.score() else { continue };
        classes += 1;
        let scored = Scored { class, logit };
        if best.is_none_or(|best| logit > best.logit) {
            (best, second) = (Some(scored), best);
        } else if second.is_none_or(|second| logit > second.logit) {
            second = Some(scored);
        }
    }
    let best = best.ok_or(DecideError::Nothing)?;
    let threshold = thresholds.at(classes, second.map(|second| second.logit), policy);
    Ok(Decision {
        known: best.logit >= threshold,
        best,
        second,
        threshold,
        classes,
    })
}

/// The samples of one class so far.
#[derive(Debug, Clone, Copy)]
struct Pool {
    sum: i32,
    count: i32,
    largest: i32,
}

impl Pool {
    const EMPTY: Self = Self {
        sum: 0,
        count: 0,
        largest: i32::MIN,
    };

    fn add(&mut self, logit: i32) {
        if self.count < MAX_POOLED {
            self.sum = self.sum.saturating_add(logit);
            self.count += 1;
            self.largest = self.largest.max(logit);
        }
    }

    /// Half way between the mean and the largest.
    fn score(&self) -> Option<i32> {
        // Only a count of 0 has no quotient: `count` is never −1.
        let mean = self.sum.checked_div_euclid(self.count)?;
        Some(mean.midpoint(self.largest))
    }
}

/// Why there is no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecideError {
    /// There is no sample to compare with.
    Nothing,
    /// A class has a number of [`MAX_CLASSES`] or more.
    Class {
        /// The number.
        got: usize,
    },
}

impl fmt::Display for DecideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing is enrolled"),
            Self::Class { got } => {
                write!(f, "class number {got}, a decision is between {MAX_CLASSES}")
            }
        }
    }
}

impl core::error::Error for DecideError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Calibration, CalibrationRepr};
    use proptest::prelude::*;

    fn decided(logits: &[(usize, i32)]) -> Result<Decision, DecideError> {
        decide(
            logits.iter().copied(),
            &Thresholds::new(None),
            Policy::default(),
        )
    }

    fn scored(class: usize, logit: i32) -> Scored {
        Scored { class, logit }
    }

    #[test]
    fn best_and_second_in_any_order() {
        let logits = [(3, 10), (0, -4), (7, 10), (9, 2)];
        let decision = decided(&logits).unwrap();
        assert_eq!((decision.known, decision.threshold), (true, 0));
        assert_eq!(decision.best, scored(3, 10));
        assert_eq!(decision.second, Some(scored(7, 10)));
        assert_eq!(decision.margin(), Some(0));
        let alone = decided(&[(63, -1)]).unwrap();
        assert_eq!((alone.best, alone.second), (scored(63, -1), None));
        assert_eq!((alone.known, alone.margin()), (false, None));
    }

    #[test]
    fn half_way_between_mean_and_largest() {
        let decision = decided(&[(0, 10), (1, 9), (0, 2), (1, 7), (0, 12), (2, 9)]).unwrap();
        assert_eq!(decision.best, scored(0, 10));
        assert_eq!(decision.second, Some(scored(2, 9)));
        assert_eq!(decision.classes, 3);
        let negative = decided(&[(0, -10), (0, -21)]).unwrap();
        assert_eq!(negative.best.logit, -13, "of -16 and -10");
    }

    #[test]
    fn no_decision() {
        assert_eq!(decided(&[]), Err(DecideError::Nothing));
        let refused = decided(&[(0, 1), (MAX_CLASSES, 1)]);
        assert_eq!(refused, Err(DecideError::Class { got: MAX_CLASSES }));
    }

    #[test]
    fn score_and_threshold_agree() {
        let repr = CalibrationRepr {
            draws: 1,
            pairs: 1,
            thresholds: core::array::from_fn(|row| [400 * row as i32; 5]),
            genuine: [0; 16],
        };
        let bytes: Vec<u8> = repr.words().flatten().collect();
        let calibration = Calibration::new_checked(&bytes).unwrap();
        let thresholds = Thresholds::new(Some(calibration));
        // Four classes: 800, raised by an eighth of the second.
        for (best, second, threshold, known) in [
            (900, 800, 900, true),
            (899, 800, 900, false),
            (700, -800, 700, true),
            (699, -800, 700, false),
        ] {
            let logits = [(0, best), (1, second), (2, -5000), (3, -6000)];
            let decision = decide(logits, &thresholds, Policy::default()).unwrap();
            assert_eq!((decision.threshold, decision.known), (threshold, known));
            assert_eq!(decision.score() >= 800, known);
        }
    }

    #[test]
    fn zero_is_never_unknown() {
        let policy = Policy {
            far_ppm: 0,
            offset: i32::MAX,
        };
        let decision = decide([(0, i32::MIN)], &Thresholds::new(None), policy).unwrap();
        assert!(decision.known);
    }

    proptest! {
        /// Whatever the logits and the order: no panic, and the same as sorting.
        #[test]
        fn as_sorted(
            logits in prop::collection::vec((0..6_usize, any::<i32>()), 1..40),
            many in 0..300_usize,
        ) {
            let small = logits.iter().map(|&(class, logit)| (class, logit >> 8));
            let small: Vec<_> = small.collect();
            let mut scores: Vec<(i32, usize)> = (0..6).filter_map(|class| {
                let own = small.iter().filter(|&&(c, _)| c == class).map(|&(_, logit)| logit);
                let own: Vec<i32> = own.collect();
                let count = i32::try_from(own.len()).unwrap();
                let mean = own.iter().sum::<i32>().checked_div_euclid(count)?;
                Some((mean.midpoint(*own.iter().max()?), class))
            }).collect();
            scores.sort_by_key(|&(score, class)| (core::cmp::Reverse(score), class));
            let decision = decided(&small).unwrap();
            prop_assert_eq!(decision.best, scored(scores[0].1, scores[0].0));
            prop_assert_eq!(decision.second, scores.get(1).map(|&(score, class)| scored(class, score)));
            let repeated = logits.iter().copied().cycle().take(many.max(1));
            let decision = decided(&repeated.collect::<Vec<_>>());
            prop_assert!(decision.is_ok());
        }
    }
}
