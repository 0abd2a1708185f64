//! The training loop: schedule, validation, checkpoints, resume.
//!
//! In: a [`Session`] (configuration, data, folder). Out: [`Outcome`]. A run that was interrupted
//! and resumed computes the same bits as one that was not: every random draw is keyed by its step,
//! and the checkpoint holds all there is.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tch::Device;

use super::TrainError;
use super::batch::{Batch, Batches};
use super::metrics::{self, METRICS_FILE, Metrics};
use super::pairs::{PairBatch, Pairs};
use super::state::{Progress, State, Trained};
use super::validate::accuracy;
use crate::config::{Config, Selection};
use crate::dataset::Background;
use crate::trials::{self, TrialSet};

/// Name of the file that a run resumes from.
pub const RESUME_FILE: &str = "training.safetensors";
/// Steps of a sitting that its rate leaves out: libtorch is warming up.
const UNMEASURED_STEPS: usize = 10;
/// Resolution of the progress bar.
const BAR_LENGTH: u64 = 1000;
/// Time between two checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// Batches prepared ahead of libtorch.
const PREFETCH: usize = 4;
const VALIDATION_SEED: u64 = 0x0076_616c;

/// What a training run needs.
#[derive(Debug)]
pub struct Session<'a> {
    /// The resolved configuration.
    pub config: &'a Config,
    /// Alphabets to learn from and to choose the checkpoint with.
    pub background: &'a Background,
    /// Folder of the run.
    pub folder: &'a Path,
    /// Where to compute.
    pub device: Device,
    /// Becomes true when the user presses Ctrl-C.
    pub interrupted: &'a AtomicBool,
    /// Steps after which the run is validated and interrupted; `None` where only the user does.
    pub stop_at: Option<usize>,
}

/// What one step learns from.
#[derive(Debug)]
pub(super) enum Lesson {
    Episodes(Batch),
    Pairs(PairBatch),
}

impl Lesson {
    /// Images that the network sees.
    fn images(&self) -> usize {
        match self {
            Self::Episodes(batch) => batch.n_drawers * batch.n_classes,
            Self::Pairs(batch) => 2 * batch.same.len(),
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// All steps done.
    Finished(Trained),
    /// Stopped by the user, or at the limit, after this many steps; the checkpoint is written.
    Interrupted {
        /// Steps done.
        step: usize,
    },
}

impl Session<'_> {
    /// Trains from the start, or from the folder's checkpoint.
    ///
    /// # Errors
    /// [`TrainError`]; what was trained until then is in the checkpoint.
    pub fn run(&self, resume: bool) -> Result<Outcome, TrainError> {
        let n_labels = Batches::n_labels(self.background.training(), &self.config.augment);
        let mut state = State::new(self.config, n_labels, self.device)?;
        let path = self.folder.join(RESUME_FILE);
        if resume && path.exists() {
            state.restore(&path)?;
            metrics::keep_until(&self.folder.join(METRICS_FILE), state.progress.step)?;
        } else {
            crate::files::write_whole(&self.folder.join(METRICS_FILE), b"")?;
        }
        let mut lesson = self.lessons()?;
        let first = state.progress.step;
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(PREFETCH);
            scope.spawn(move || {
                // Ends when the receiver is gone.
                let mut step = first;
                while sender.send(lesson(step)).is_ok() {
                    step += 1;
                }
            });
            self.steps(&mut state, receiver)
        })
    }

    /// The best network so far of an interrupted run, as if the run had ended there.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] when the folder holds no checkpoint, or none that was validated.
    pub fn best_so_far(&self) -> Result<Trained, TrainError> {
        let n_labels = Batches::n_labels(self.background.training(), &self.config.augment);
        let mut state = State::new(self.config, n_labels, self.device)?;
        let path = self.folder.join(RESUME_FILE);
        state.restore(&path)?;
        match state.progress.best_step {
            0 => Err(TrainError::Checkpoint {
                path,
                message: "it was never validated: there is no best network yet".to_owned(),
            }),
            _ => state.finish(),
        }
    }

    /// What step `k` learns from, for any `k`.
    fn lessons(&self) -> Result<Box<dyn FnMut(usize) -> Lesson + Send + '_>, TrainError> {
        let Config { train, augment, .. } = self.config;
        let network = self.config.network()?;
        let data = self.background.training();
        Ok(match &self.config.pairs {
            Some(pairs) => {
                let pairs = Pairs::new(data, pairs, train.seed, augment, &network);
                let mut pairs = pairs.ok_or(TrainError::NothingToPair)?;
                Box::new(move |step| Lesson::Pairs(pairs.batch(step)))
            }
            None => {
                let mut batches = Batches::new(data, train, augment, &network);
                Box::new(move |step| Lesson::Episodes(batches.batch(step)))
            }
        })
    }

    fn steps(&self, state: &mut State, lessons: Receiver<Lesson>) -> Result<Outcome, TrainError> {
        let bar = progress_bar();
        let mut sitting = Sitting::new(&state.progress);
        while !state.progress.schedule.is_over() && !self.is_out_of_patience(&state.progress) {
            // At the limit the checkpoint is written already, behind the validation.
            if self.is_at_limit(&state.progress) {
                bar.finish_and_clear();
                return Ok(Outcome::Interrupted {
                    step: state.progress.step,
                });
            }
            if self.interrupted.load(Ordering::Relaxed) {
                state.save(&self.folder.join(RESUME_FILE))?;
                bar.abandon();
                return Ok(Outcome::Interrupted {
                    step: state.progress.step,
                });
            }
            let started = Instant::now();
            let lesson = lessons.recv().map_err(|_| TrainError::Batches)?;
            let before = state.progress.schedule.fraction();
            let loss = state.step(&lesson, self.config)?;
            let took = started.elapsed();
            sitting.count(&mut state.progress, lesson.images(), loss, took);
            let Progress { step, seconds, .. } = state.progress;
            state
                .progress
                .schedule
                .advance(&self.config.train, step, seconds);
            let after = state.progress.schedule.fraction();
            bar.set_position((after * BAR_LENGTH as f64) as u64);
            bar.set_message(sitting.message(&state.progress));
            if self.validation_is_due(&state.progress, [before, after]) {
                let metrics = self.validate(state, &mut sitting)?;
                bar.suspend(|| eprintln!("{metrics}"));
                state.save(&self.folder.join(RESUME_FILE))?;
                sitting.saved = Instant::now();
            } else if sitting.saved.elapsed() > CHECKPOINT_EVERY {
                state.save(&self.folder.join(RESUME_FILE))?;
                sitting.saved = Instant::now();
            }
        }
        bar.finish_and_clear();
        state.finish().map(Outcome::Finished)
    }

    fn is_at_limit(&self, progress: &Progress) -> bool {
        self.stop_at.is_some_and(|limit| progress.step >= limit)
    }

    /// Evenly spread over the run, the last one at its end; with pairs after so many steps, and at the end. Also
    /// at the limit.
    fn validation_is_due(&self, progress: &Progress, [before, after]: [f64; 2]) -> bool {
        if self.is_at_limit(progress) {
            return true;
        }
        if let Some(pairs) = &self.config.pairs {
            let due = progress.step.is_multiple_of(pairs.validation_interval());
            return due || progress.schedule.is_over();
        }
        let done = |fraction: f64| (fraction * self.config.train.validations as f64 + 1e-6) as u64;
        done(after) > done(before)
    }

    /// Whether validations have not become better for long enough.
    fn is_out_of_patience(&self, progress: &Progress) -> bool {
        let patience = self.config.pairs.as_ref().map_or(0, |pairs| pairs.patience);
        patience > 0 && progress.since_best >= patience
    }

    fn validate(&self, state: &mut State, sitting: &mut Sitting) -> Result<Metrics, TrainError> {
        let trials = self.trials()?;
        let validated = accuracy(state.deployed(), &trials, self.device)?;
        let unaveraged = match state.is_averaged() {
            true => Some(accuracy(&state.net, &trials, self.device)?.mean),
            false => None,
        };
        state.keep_if_best(validated.mean)?;
        let progress = &state.progress;
        let metrics = Metrics {
            step: progress.step,
            loss: sitting.take_mean_loss(),
            learning_rate: progress.schedule.pace(self.config, progress.step).rate,
            validation_accuracy: validated.mean,
            validation_standard_error: validated.standard_error,
            unaveraged_accuracy: unaveraged,
            seconds: progress.seconds,
            images_per_second: progress.images_per_second,
        };
        metrics::append(&self.folder.join(METRICS_FILE), &metrics)?;
        Ok(metrics)
    }

    fn trials(&self) -> Result<TrialSet, TrainError> {
        let n_trials = self.config.train.validation_trials;
        let held_out = self.background.validation();
        let selection = self.config.pairs.as_ref().map(|pairs| pairs.selection);
        Ok(match selection {
            None => trials::within_alphabet(held_out, 20, 1, n_trials, VALIDATION_SEED),
            Some(Selection::Runs) => trials::runs(held_out, 20, n_trials, VALIDATION_SEED),
            Some(Selection::Mixed) => trials::mixed(held_out, 20, 1, n_trials, VALIDATION_SEED),
        }?)
    }
}

/// What one sitting of a run measures.
struct Sitting {
    started: Instant,
    seconds_before: f64,
    steps: usize,
    images: usize,
    busy: Duration,
    losses: Vec<f64>,
    saved: Instant,
}

impl Sitting {
    fn new(progress: &Progress) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            seconds_before: progress.seconds,
            steps: 0,
            images: 0,
            busy: Duration::ZERO,
            losses: Vec::new(),
            saved: now,
        }
    }

    /// Counts one step and the time it took, waiting for its batch included.
    fn count(&mut self, progress: &mut Progress, images: usize, loss: f64, took: Duration) {
        self.steps += 1;
        self.losses.push(loss);
        progress.seconds = self.seconds_before + self.started.elapsed().as_secs_f64();
        if self.steps > UNMEASURED_STEPS {
            self.images += images;
            self.busy += took;
            progress.images_per_second = self.images as f64 / self.busy.as_secs_f64();
        }
    }

    fn take_mean_loss(&mut self) -> f64 {
        let losses = std::mem::take(&mut self.losses);
        losses.iter().sum::<f64>() / losses.len().max(1) as f64
    }

    fn message(&self, progress: &Progress) -> String {
        let loss = self.losses.last().copied().unwrap_or_default();
        let Progress {
            step,
            images_per_second,
            ..
        } = progress;
        format!("step {step}  {images_per_second:.0} images/s  loss {loss:.3}")
    }
}

fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template(
        "training {bar:30} {percent} %  {msg}  {elapsed} elapsed, {eta} left",
    );
    let bar = ProgressBar::new(BAR_LENGTH);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
