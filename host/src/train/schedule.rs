//! How far a run is, by steps or by the clock, and the learning rate that belongs to it.
//!
//! In: the steps done and the seconds they took. Out: a fraction between 0 and 1 that never falls.
//! With a number of steps, every step counts the same, so an interrupted run continues bit for bit.
//! With a time, the step's share is measured again every few seconds: the learning rate reaches
//! zero when the time is up, however busy the machine is.

use serde::{Deserialize, Serialize};

use super::optimizer::Pace;
use crate::config::{Config, PairOptimizer, TrainConfig};

/// Steps before the first measurement: the first ones are slow, libtorch is warming up.
const WARM_UP: usize = 10;
/// Seconds of training between two measurements.
const MEASURE_EVERY: f64 = 5.0;

/// Where a run stands between 0 (start) and 1 (end).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    fraction: f64,
    /// How much of the run one step is.
    per_step: f64,
    measured_step: usize,
    measured_seconds: f64,
}

impl Schedule {
    /// At the start.
    #[must_use]
    pub fn new(train: &TrainConfig) -> Self {
        let per_step = if train.steps > 0 {
            1.0 / train.steps as f64
        } else {
            0.0
        };
        Self {
            per_step,
            ..Self::default()
        }
    }

    /// Between 0 and 1.
    #[must_use]
    pub const fn fraction(&self) -> f64 {
        self.fraction.min(1.0)
    }

    /// Whether the run is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        // The sum of `steps` shares may stay a rounding error below 1.
        self.fraction >= 1.0 - 1e-9
    }

    /// One more step: `step` in all, `seconds` in all.
    pub fn advance(&mut self, train: &TrainConfig, step: usize, seconds: f64) {
        self.fraction += self.per_step;
        let due = step == WARM_UP || seconds - self.measured_seconds >= MEASURE_EVERY;
        if train.steps > 0 || step < WARM_UP || !due {
            return;
        }
        let steps = step.saturating_sub(self.measured_step).max(1) as f64;
        let seconds_per_step = (seconds - self.measured_seconds) / steps;
        // What is left of the run is spread over the steps that still fit; at least one does.
        let steps_left = (train.minutes * 60.0 - seconds) / seconds_per_step;
        self.per_step = (1.0 - self.fraction).max(0.0) / steps_left.max(1.0);
        (self.measured_step, self.measured_seconds) = (step, seconds);
    }

    /// A new sitting begins: what the machine did before says nothing about it.
    pub const fn resume(&mut self, step: usize, seconds: f64) {
        (self.measured_step, self.measured_seconds) = (step, seconds);
    }

    /// How far step `step` goes. Episodes: a linear rise over `warmup` steps, then half a cosine down to
    /// zero. Pairs: as their optimizer says.
    #[must_use]
    pub fn pace(&self, config: &Config, step: usize) -> Pace {
        let train = &config.train;
        let even = Pace {
            rate: train.learning_rate,
            risen: 1.0,
        };
        let fall = 0.5 * (1.0 + (std::f64::consts::PI * self.fraction()).cos());
        let Some(pairs) = &config.pairs else {
            let rise = ((step + 1) as f64 / train.warmup.max(1) as f64).min(1.0);
            return Pace {
                rate: train.learning_rate * rise * fall,
                ..even
            };
        };
        match pairs.optimizer {
            PairOptimizer::Adam { cosine: false, .. } => even,
            PairOptimizer::Adam { cosine: true, .. } => Pace {
                rate: train.learning_rate * fall,
                ..even
            },
            PairOptimizer::Momentum { rise, decay, .. } => {
                let epoch = (step / pairs.epoch().unwrap_or(1)) as f64;
                Pace {
                    rate: train.learning_rate * decay.powf(epoch),
                    risen: (epoch / rise.max(1) as f64).min(1.0),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_steps() {
        let train = TrainConfig {
            steps: 7,
            ..TrainConfig::default()
        };
        let mut schedule = Schedule::new(&train);
        let mut step = 0;
        while !schedule.is_over() {
            step += 1;
            schedule.advance(&train, step, 1e6);
        }
        assert_eq!(step, 7);
        let config = Config {
            train,
            ..Config::preset("micro").unwrap()
        };
        assert!(schedule.pace(&config, step).rate.abs() < 1e-9);
    }

    #[test]
    fn adam_keeps_its_rate_or_lets_it_fall() {
        let mut config = Config::preset("seed").unwrap();
        let schedule = Schedule {
            fraction: 0.5,
            ..Schedule::default()
        };
        let whole = config.train.learning_rate;
        assert_eq!(schedule.pace(&config, 7).rate, whole);
        let pairs = config.pairs.as_mut().unwrap();
        pairs.optimizer = PairOptimizer::Adam {
            cosine: true,
            l2: 0.0,
            l2_linear: 0.0,
        };
        assert!((schedule.pace(&config, 7).rate - whole / 2.0).abs() < 1e-12);
    }

    /// Koch et al. 2015, section 3.2.
    #[test]
    fn an_epoch_slows_down_and_momentum_rises() {
        let config = Config::preset("koch").unwrap();
        let schedule = Schedule::new(&config.train);
        let epoch = config.pairs.as_ref().unwrap().epoch().unwrap();
        let pace = |step| schedule.pace(&config, step);
        assert_eq!(pace(0), pace(epoch - 1));
        let (first, third) = (pace(0), pace(2 * epoch));
        assert!((third.rate / first.rate - 0.99 * 0.99).abs() < 1e-12);
        assert!(first.risen == 0.0 && (third.risen - 0.1).abs() < 1e-12);
        assert!((pace(40 * epoch).risen - 1.0).abs() < 1e-12);
    }

    /// A machine that is four times slower in the first half still ends in time.
    #[test]
    fn follows_the_clock() {
        let train = TrainConfig {
            steps: 0,
            minutes: 2.0,
            ..TrainConfig::default()
        };
        let mut schedule = Schedule::new(&train);
        let (mut step, mut seconds, mut last) = (0, 0.0, 0.0);
        while !schedule.is_over() {
            step += 1;
            seconds += if seconds < 60.0 { 0.4 } else { 0.1 };
            schedule.advance(&train, step, seconds);
            assert!(schedule.fraction() >= last);
            last = schedule.fraction();
        }
        assert!((117.0..=121.0).contains(&seconds), "{seconds}");
    }
}
