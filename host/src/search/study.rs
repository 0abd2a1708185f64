//! A search as the sum of its events, and what is to be done next: asynchronous successive halving (Li et al. 2020).
//!
//! In: the [`Event`]s of a journal. Out: a [`Study`] of its [`Trial`]s, and the [`Step`] that a worker should take.
//!
//! A rung is a number of optimizer steps. Every trial trains up to the first rung and is validated there; of the
//! trials that have come to a rung the best 1 of `eta` train on to the next, from their checkpoint. Nobody waits
//! for a rung to be full, so that any number of workers always have something to do.

use serde::{Deserialize, Serialize};

use super::field::Value;
use super::sampler::Known;
use super::space::Space;

/// Version of the events.
pub const FORMAT: u32 = 1;

/// What decides the trials, apart from their results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// [`FORMAT`].
    pub format: u32,
    /// Of the sampler.
    pub seed: u64,
    /// Optimizer steps of each rung; the last one is the whole length of a training.
    pub rungs: Vec<usize>,
    /// Of so many trials at a rung one trains on.
    pub eta: usize,
    /// Hash of the configuration that the search starts from.
    pub base: String,
    /// Fingerprint of the drawings that teach, and of those that judge.
    pub data: [String; 2],
    /// What may change.
    pub space: Space,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The search begins; the first line, and no other.
    Search(Settings),
    /// So many trials are wanted; the last word counts.
    Wanted {
        /// How many, those that do not fit not counted.
        trials: usize,
    },
    /// Values for the next trial.
    Proposed {
        /// Its number, from 0.
        trial: usize,
        /// One for each parameter.
        values: Vec<Value>,
    },
    /// Its values do not go together: it is not trained.
    DoesNotFit {
        /// Which one.
        trial: usize,
        /// Why.
        why: String,
    },
    /// A worker trains it.
    Started {
        /// Which one.
        trial: usize,
        /// Up to which rung.
        rung: usize,
    },
    /// It has come to a rung.
    Scored {
        /// Which one.
        trial: usize,
        /// Which rung.
        rung: usize,
        /// How good it is there.
        score: Score,
    },
    /// Its loss is no longer a number, or libtorch refused it.
    Diverged {
        /// Which one.
        trial: usize,
        /// On the way to which rung.
        rung: usize,
        /// Where.
        why: String,
    },
}

/// How good a trial is at a rung.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Optimizer steps done; less than the rung's where training ended by itself.
    pub step: usize,
    /// One-shot accuracy on held-out background alphabets.
    pub accuracy: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Seconds of training so far.
    pub seconds: f64,
}

/// One set of values and how far it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// One for each parameter.
    pub values: Vec<Value>,
    /// At each rung that it has come to.
    pub scores: Vec<Score>,
    /// The rung that it was started for and has not come to.
    pub started: Option<usize>,
    /// Why it will not go on.
    pub failure: Option<Failure>,
}

/// Why a trial will not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It was never trained.
    DoesNotFit(String),
    /// On the way to the rung behind its last score.
    Diverged(String),
}

impl Trial {
    /// Whether it was or will be trained.
    #[must_use]
    pub const fn fits(&self) -> bool {
        !matches!(self.failure, Some(Failure::DoesNotFit(_)))
    }

    /// Its score at the highest rung; `None` where there is none, or where it diverged after it.
    #[must_use]
    pub fn standing(&self) -> Option<(usize, Score)> {
        let last = self.scores.len().checked_sub(1)?;
        match self.failure {
            None => Some((last, *self.scores.get(last)?)),
            Some(_) => None,
        }
    }
}

/// All trials of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// What decides them.
    pub settings: Settings,
    /// How many are wanted.
    pub wanted: usize,
    /// By their numbers.
    pub trials: Vec<Trial>,
}

/// What a worker should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Train this trial up to this rung.
    Train {
        /// Which one.
        trial: usize,
        /// Up to which rung.
        rung: usize,
    },
    /// Propose another trial.
    Propose,
    /// Nothing, unless a trial that others train turns out well.
    Wait,
    /// Nothing any more.
    Finish,
}

impl Study {
    /// A search of which nothing is known but its settings.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self {
            settings,
            wanted: 0,
            trials: Vec::new(),
        }
    }

    /// Takes an event in.
    ///
    /// # Errors
    /// Why the event cannot follow those before it.
    pub fn follow(&mut self, event: Event) -> Result<(), String> {
        let n_parameters = self.settings.space.parameters.len();
        match event {
            Event::Search(_) => return Err("a search begins twice".to_owned()),
            Event::Wanted { trials } => self.wanted = trials,
            Event::Proposed { trial, values } => {
                if trial != self.trials.len() || values.len() != n_parameters {
                    return Err(format!(
                        "trial {trial} cannot come here, or not with these values"
                    ));
                }
                self.trials.push(Trial {
                    values,
                    scores: Vec::new(),
                    started: None,
                    failure: None,
                });
            }
            Event::DoesNotFit { trial, why } => {
                self.open(trial, 0)?.failure = Some(Failure::DoesNotFit(why));
            }
            Event::Started { trial, rung } => self.open(trial, rung)?.started = Some(rung),
            Event::Scored { trial, rung, score } => {
                let trial = self.open(trial, rung)?;
                trial.started = None;
                trial.scores.push(score);
            }
            Event::Diverged { trial, rung, why } => {
                let trial = self.open(trial, rung)?;
                trial.started = None;
                trial.failure = Some(Failure::Diverged(why));
            }
        }
        Ok(())
    }

    /// A trial on its way to this rung.
    fn open(&mut self, trial: usize, rung: usize) -> Result<&mut Trial, String> {
        let in_range = rung < self.settings.rungs.len();
        let open = self
            .trials
            .get_mut(trial)
            .filter(|trial| in_range && trial.scores.len() == rung && trial.failure.is_none());
        open.ok_or_else(|| format!("trial {trial} is not on its way to rung {rung}"))
    }

    /// What a worker should do; `is_trained` says whether somebody trains a trial at this moment.
    #[must_use]
    pub fn next(&self, is_trained: impl Fn(usize) -> bool) -> Step {
        let mut others = false;
        for (number, trial) in self.trials.iter().enumerate() {
            let begun = trial
                .started
                .or_else(|| trial.scores.is_empty().then_some(0));
            let Some(rung) = begun.filter(|_| trial.failure.is_none()) else {
                continue;
            };
            match is_trained(number) {
                true => others = true,
                // Its worker is gone, or this one was interrupted.
                false => {
                    return Step::Train {
                        trial: number,
                        rung,
                    };
                }
            }
        }
        if let Some((trial, rung)) = self.promoted() {
            return Step::Train { trial, rung };
        }
        match self.trials.iter().filter(|trial| trial.fits()).count() < self.wanted {
            true => Step::Propose,
            false if others => Step::Wait,
            false => Step::Finish,
        }
    }

    /// A trial among the best of its rung that has not gone on, and the rung to which it should; the highest
    /// rung first.
    fn promoted(&self) -> Option<(usize, usize)> {
        let below_top = 0..self.settings.rungs.len().saturating_sub(1);
        below_top.rev().find_map(|rung| {
            let best = self.best_at(rung);
            let waits = |&number: &usize| {
                let trial = self.trials.get(number);
                trial.is_some_and(|trial| {
                    trial.scores.len() == rung + 1
                        && trial.started.is_none()
                        && trial.failure.is_none()
                })
            };
            best.into_iter().find(waits).map(|trial| (trial, rung + 1))
        })
    }

    /// Numbers of the best 1 of `eta` at a rung, the best first. Who diverged on the way there counts as one of
    /// the trials; of two equal ones the earlier is better.
    fn best_at(&self, rung: usize) -> Vec<usize> {
        let here = |trial: &Trial| trial.scores.get(rung).map(|score| score.accuracy);
        let mut ranked: Vec<(usize, f64)> = Vec::new();
        let mut arrived = 0;
        for (number, trial) in self.trials.iter().enumerate() {
            let lost =
                trial.scores.len() == rung && matches!(trial.failure, Some(Failure::Diverged(_)));
            arrived += usize::from(lost);
            if let Some(accuracy) = here(trial) {
                arrived += 1;
                ranked.push((number, accuracy));
            }
        }
        ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        ranked.truncate(arrived / self.settings.eta.max(1));
        ranked.into_iter().map(|(number, _)| number).collect()
    }

    /// What the sampler may learn from: trials that have a score, and those that failed. Who has come to a higher
    /// rung was among the best of the one below, and counts as better than all that stayed there.
    #[must_use]
    pub fn known(&self) -> Vec<Known<'_>> {
        let known = self.trials.iter().filter_map(|trial| {
            let score = match trial.standing() {
                Some((rung, score)) => rung as f64 + score.accuracy,
                None if trial.failure.is_some() => f64::NEG_INFINITY,
                None => return None,
            };
            Some(Known {
                values: &trial.values,
                score,
                trained: trial.fits(),
            })
        });
        known.collect()
    }

    /// Numbers of the trials that have a score, the best first: the higher rung, then the accuracy there.
    #[must_use]
    pub fn ranking(&self) -> Vec<usize> {
        let scored = self.trials.iter().enumerate();
        let scored = scored.filter_map(|(number, trial)| Some((number, trial.standing()?)));
        let mut scored: Vec<(usize, (usize, Score))> = scored.collect();
        scored.sort_by(|(_, (rung_a, a)), (_, (rung_b, b))| {
            rung_b.cmp(rung_a).then(b.accuracy.total_cmp(&a.accuracy))
        });
        scored.into_iter().map(|(number, _)| number).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
