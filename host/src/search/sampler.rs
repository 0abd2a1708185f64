//! The next values to try: a tree-structured Parzen estimator (Bergstra et al. 2011), by the crate `tpe`.
//!
//! In: a [`Space`], a seed, a number k, what is known of the trials so far. Out: values for trial k. Nothing else
//! decides them, so that whoever has the journal has the same proposals. No other file knows the crate.
//!
//! The first trials that are trained are drawn evenly over the space. After that the best tenth of the trials and the
//! rest are two densities in each parameter, and of some draws from the first the one that the second makes least
//! likely is proposed. Only the order of the trials counts. Parameters are drawn apart from each other.
//!
//! `tpe` (MIT; it needs `rand` alone, which is here already) was chosen over `parzen` and `optimizer` (MIT),
//! which bring a second `rand` or a random generator of their own, with storage and threads that a journal makes
//! superfluous.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tpe::density_estimation::DefaultEstimatorBuilder;
use tpe::{TpeOptimizerBuilder, histogram_estimator, parzen_estimator};

use super::field::Value;
use super::space::{Range, Space};

/// Keeps these draws apart from those of a training with the same seed.
const SEARCH_SEED: u64 = 0x7365_6172;
/// Trained trials that are drawn evenly before anything is learnt from them.
pub const EVEN_TRIALS: usize = 8;
/// Share of the trials with a score that counts as good.
const GOOD: f64 = 0.1;
/// Draws of which the best is proposed.
const CANDIDATES: usize = 24;
/// Digits of a number that is proposed: people read and type them.
const DIGITS: usize = 4;

/// What is known of a trial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known<'t> {
    /// Its values.
    pub values: &'t [Value],
    /// The more, the better; the worst is minus infinity.
    pub score: f64,
    /// Whether it cost a training: values that do not fit are known without one.
    pub trained: bool,
}

/// Values for trial `k`, one for each parameter.
#[must_use]
pub fn propose(space: &Space, seed: u64, k: usize, known: &[Known<'_>]) -> Vec<Value> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ SEARCH_SEED);
    rng.set_stream(k as u64);
    let n_trained = known.iter().filter(|trial| trial.trained).count();
    // Failures are no part of what the best tenth is a tenth of: where most proposals do not fit, they would fill it.
    let n_scored = known.iter().filter(|trial| trial.score.is_finite()).count();
    let parameters = space.parameters.iter().enumerate();
    let value = |(index, parameter): (usize, &super::space::Parameter)| {
        let scale = Scale::of(&parameter.range);
        let position = match n_trained < EVEN_TRIALS || n_scored == 0 {
            true => None,
            false => scale.estimate(index, known, good_share(n_scored, known.len()), &mut rng),
        };
        // The crate refuses nothing that a checked space holds; if it did, the draw would be even.
        let position = position.unwrap_or_else(|| rng.random_range(scale.low..scale.high));
        scale.value(position)
    };
    parameters.map(value).collect()
}

/// Share of all known trials that the best of the scored ones are. The crate rounds up: half a trial less is exactly as
/// many.
fn good_share(n_scored: usize, n_known: usize) -> f64 {
    let good = (GOOD * n_scored as f64).ceil();
    (good - 0.5) / n_known.max(1) as f64
}

/// A range as an interval of numbers, the upper end left out.
struct Scale<'r> {
    range: &'r Range,
    low: f64,
    high: f64,
}

impl<'r> Scale<'r> {
    fn of(range: &'r Range) -> Self {
        let (low, high) = match range {
            Range::Log { low, high } => (low.ln(), high.ln()),
            Range::Linear { low, high } => (*low, *high),
            Range::Integer { low, high, step } => (0.0, ((high - low) / step + 1) as f64),
            Range::Choice { values } => (0.0, values.len() as f64),
        };
        Self { range, low, high }
    }

    /// From where the crate knows a trial.
    fn position(&self, value: &Value) -> Option<f64> {
        let position = match (self.range, value) {
            (Range::Log { .. }, Value::Real(number)) => number.ln(),
            (Range::Linear { .. }, Value::Real(number)) => *number,
            // The middle of the cell that stands for it.
            (Range::Integer { low, step, .. }, Value::Whole(number)) => {
                ((number - low) / step) as f64 + 0.5
            }
            (Range::Choice { values }, _) => {
                values.iter().position(|choice| choice == value)? as f64 + 0.5
            }
            _ => return None,
        };
        Some(position.clamp(self.low, self.high.next_down()))
    }

    fn value(&self, position: f64) -> Value {
        let position = position.clamp(self.low, self.high);
        let cell = |most: usize| (position.max(0.0) as usize).min(most);
        match self.range {
            Range::Log { low, high } => Value::Real(rounded(position.exp(), [*low, *high])),
            Range::Linear { low, high } => Value::Real(rounded(position, [*low, *high])),
            Range::Integer { low, high, step } => {
                let most = ((high - low) / step) as usize;
                Value::Whole(low + cell(most) as i64 * step)
            }
            Range::Choice { values } => {
                let choice = values.get(cell(values.len().saturating_sub(1)));
                choice.cloned().unwrap_or(Value::Flag(false))
            }
        }
    }

    fn estimate(
        &self,
        index: usize,
        known: &[Known<'_>],
        good: f64,
        rng: &mut ChaCha8Rng,
    ) -> Option<f64> {
        let estimator: DefaultEstimatorBuilder = match self.range {
            Range::Choice { .. } => histogram_estimator(),
            _ => parzen_estimator(),
        };
        let range = tpe::range(self.low, self.high).ok()?;
        let mut builder = TpeOptimizerBuilder::new();
        let builder = builder.gamma(good).candidates(CANDIDATES);
        let mut optimizer = builder.build(estimator, range).ok()?;
        for trial in known {
            let position = self.position(trial.values.get(index)?)?;
            // It looks for the least.
            optimizer.tell(position, -trial.score).ok()?;
        }
        optimizer.ask(rng).ok()
    }
}

/// To a few digits, and within the range.
fn rounded(number: f64, [low, high]: [f64; 2]) -> f64 {
    let short = format!("{number:.*e}", DIGITS - 1)
        .parse()
        .unwrap_or(number);
    short.clamp(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::space::Parameter;

    fn space() -> Space {
        let parameter = |field: &str, range| Parameter {
            field: field.to_owned(),
            range,
        };
        let values = ["a", "b", "c"]
            .map(|word| Value::Word(word.to_owned()))
            .into();
        Space {
            parameters: vec![
                parameter(
                    "log",
                    Range::Log {
                        low: 1e-4,
                        high: 1e-1,
                    },
                ),
                parameter(
                    "linear",
                    Range::Linear {
                        low: -1.0,
                        high: 1.0,
                    },
                ),
                parameter(
                    "integer",
                    Range::Integer {
                        low: 16,
                        high: 256,
                        step: 16,
                    },
                ),
                parameter("choice", Range::Choice { values }),
            ],
        }
    }

    /// Best at 0.004, 0.3, 96, b.
    fn toy(values: &[Value]) -> f64 {
        let [
            Value::Real(log),
            Value::Real(linear),
            Value::Whole(integer),
            Value::Word(word),
        ] = values
        else {
            panic!("{values:?}")
        };
        let squares = (log / 0.004).log10().powi(2)
            + (linear - 0.3).powi(2)
            + ((*integer as f64 - 96.0) / 160.0).powi(2);
        -squares - if word == "b" { 0.0 } else { 0.2 }
    }

    /// Scores of `n` trials; with `even` nothing is learnt from them.
    fn trials(seed: u64, n: usize, even: bool) -> Vec<(Vec<Value>, f64)> {
        let space = space();
        let mut trials: Vec<(Vec<Value>, f64)> = Vec::new();
        for k in 0..n {
            let known = trials.iter().map(|(values, score)| Known {
                values,
                score: *score,
                trained: true,
            });
            let known: Vec<_> = if even { Vec::new() } else { known.collect() };
            let values = propose(&space, seed, k, &known);
            let score = toy(&values);
            trials.push((values, score));
        }
        trials
    }

    #[test]
    fn proposals_follow_from_seed_number_and_trials() {
        assert_eq!(trials(1, 20, false), trials(1, 20, false));
        assert_ne!(trials(1, 3, false), trials(2, 3, false));
        let twice = trials(1, 2, false);
        assert_ne!(twice[0], twice[1]);
    }

    #[test]
    fn proposals_are_in_their_ranges() {
        for (values, _) in trials(3, 60, false) {
            let [
                Value::Real(log),
                Value::Real(linear),
                Value::Whole(integer),
                Value::Word(_),
            ] = &values[..]
            else {
                panic!("{values:?}")
            };
            assert!((1e-4..=1e-1).contains(log) && (-1.0..=1.0).contains(linear));
            assert!((16..=256).contains(integer) && integer % 16 == 0);
        }
    }

    #[test]
    fn learning_beats_chance() {
        let best = |even| {
            let of = |seed| {
                trials(seed, 40, even)
                    .into_iter()
                    .map(|(_, score)| score)
                    .fold(f64::MIN, f64::max)
            };
            (1..=20).map(of).sum::<f64>() / 20.0
        };
        let (learnt, chance) = (best(false), best(true));
        assert!(learnt > 0.7 * chance, "{learnt} and {chance}");
    }

    /// Differ in the first alone.
    fn values(log: f64) -> Vec<Value> {
        let word = Value::Word("a".to_owned());
        vec![Value::Real(log), Value::Real(0.0), Value::Whole(16), word]
    }

    #[test]
    fn a_failed_trial_is_no_example() {
        let space = space();
        let (bad, good) = (values(1e-1), values(1e-4));
        let mut known = vec![
            Known {
                values: &bad,
                score: f64::NEG_INFINITY,
                trained: true
            };
            20
        ];
        known.extend(
            [Known {
                values: &good,
                score: 0.5,
                trained: true,
            }; 8],
        );
        let low = (0..50).filter(
            |&k| matches!(propose(&space, 1, k, &known)[0], Value::Real(log) if log < 3e-3),
        );
        assert!(low.count() > 40);
    }

    /// Where most proposals do not fit, what is learnt is still which of the others are good.
    #[test]
    fn failures_do_not_fill_the_best_tenth() {
        let space = space();
        let (misfit, poor, good) = (values(1e-2), values(1e-1), values(1e-4));
        let known = |values, score, trained| Known {
            values,
            score,
            trained,
        };
        let mut all = vec![known(&misfit, f64::NEG_INFINITY, false); 90];
        all.extend([known(&poor, 0.1, true); 9]);
        all.push(known(&good, 0.5, true));
        let low = (0..50)
            .filter(|&k| matches!(propose(&space, 1, k, &all)[0], Value::Real(log) if log < 1e-3));
        assert!(low.count() > 40);
    }
}
