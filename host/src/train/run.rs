//! The training loop: schedule, validation, checkpoints, resume.
//!
//! In: a [`Session`] (configuration, data, folder). Out: [`Outcome`]. A run that was interrupted
//! and resumed computes the same bits as one that was not: every random draw is keyed by its step,
//! and the checkpoint holds all there is.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use super::batch::{Batch, Batches};
use super::net::{Mode, Net, values};
use super::optimizer::AdamW;
use super::schedule::Schedule;
use super::{TrainError, checkpoint, loss::loss};
use crate::config::{Config, Precision};
use crate::dataset::Background;
use crate::engine::network_input;
use crate::float_net::FloatNet;
use crate::trials::{self, Accuracy, TrialSet};

/// Name of the file that a run resumes from.
pub const RESUME_FILE: &str = "training.safetensors";
/// Name of the file with one line of figures per validation.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// Steps of a sitting that its rate leaves out: libtorch is warming up.
const UNMEASURED_STEPS: usize = 10;
/// Resolution of the progress bar.
const BAR_LENGTH: u64 = 1000;
/// Time between two checkpoints.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// Images in one forward pass of validation.
const VALIDATION_BATCH: usize = 256;
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
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// All steps done.
    Finished(Trained),
    /// Stopped by the user after this many steps; the checkpoint is written.
    Interrupted {
        /// Steps done.
        step: usize,
    },
}

/// A finished run.
#[derive(Debug)]
pub struct Trained {
    /// The network of the best validation.
    pub net: FloatNet,
    /// Where the run stands: at its end.
    pub progress: Progress,
    /// Precision that was used.
    pub precision: Precision,
}

/// Where a run stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// How far that is.
    pub schedule: Schedule,
    /// Seconds spent in training, all sittings together.
    pub seconds: f64,
    /// Accuracy of the best validation.
    pub best_accuracy: f64,
    /// Its step.
    pub best_step: usize,
    /// Images per second of the last sitting, data pipeline included.
    pub images_per_second: f64,
    /// Hash of the configuration, so that a checkpoint is not continued with another.
    pub config: String,
}

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Metrics {
    /// Steps done.
    pub step: usize,
    /// Mean training loss since the last line.
    pub loss: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Within-alphabet 20-way one-shot accuracy on the held-out background alphabets.
    pub validation_accuracy: f64,
    /// Its standard error.
    pub validation_standard_error: f64,
    /// Seconds spent in training so far.
    pub seconds: f64,
    /// Images per second of this sitting.
    pub images_per_second: f64,
}

impl std::fmt::Display for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            step,
            loss,
            seconds,
            images_per_second,
            ..
        } = self;
        let (mean, error) = (
            100.0 * self.validation_accuracy,
            100.0 * self.validation_standard_error,
        );
        write!(
            f,
            "{seconds:>6.0} s  step {step:>6}  {images_per_second:.0} images/s  loss {loss:.4}  validation {mean:.2} % ± {error:.2}"
        )
    }
}

impl Session<'_> {
    /// Trains from the start, or from the folder's checkpoint.
    ///
    /// # Errors
    /// [`TrainError`]; what was trained until then is in the checkpoint.
    pub fn run(&self, resume: bool) -> Result<Outcome, TrainError> {
        let mut state = State::new(self)?;
        let path = self.folder.join(RESUME_FILE);
        if resume && path.exists() {
            state.restore(&path)?;
            keep_metrics_until(&self.folder.join(METRICS_FILE), state.progress.step)?;
        } else {
            crate::files::write_whole(&self.folder.join(METRICS_FILE), b"")?;
        }
        let train = &self.config.train;
        let side = self.config.network()?.input_side;
        let mut batches = Batches::new(
            self.background.training(),
            train,
            &self.config.augment,
            side,
        );
        let first = state.progress.step;
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(PREFETCH);
            scope.spawn(move || {
                // Ends when the receiver is gone.
                let mut step = first;
                while sender.send(batches.batch(step)).is_ok() {
                    step += 1;
                }
            });
            self.steps(&mut state, receiver)
        })
    }

    fn steps(&self, state: &mut State, batches: Receiver<Batch>) -> Result<Outcome, TrainError> {
        let bar = progress_bar();
        let mut sitting = Sitting::new(&state.progress);
        while !state.progress.schedule.is_over() {
            if self.interrupted.load(Ordering::Relaxed) {
                state.save(&self.folder.join(RESUME_FILE))?;
                bar.abandon();
                return Ok(Outcome::Interrupted {
                    step: state.progress.step,
                });
            }
            let started = Instant::now();
            let batch = batches.recv().map_err(|_| TrainError::Batches)?;
            let before = state.progress.schedule.fraction();
            let loss = state.step(&batch, self.config)?;
            sitting.count(
                &mut state.progress,
                2 * batch.n_classes,
                loss,
                started.elapsed(),
            );
            let Progress { step, seconds, .. } = state.progress;
            state
                .progress
                .schedule
                .advance(&self.config.train, step, seconds);
            let after = state.progress.schedule.fraction();
            bar.set_position((after * BAR_LENGTH as f64) as u64);
            bar.set_message(sitting.message(&state.progress));
            if self.validation_is_due(before, after) {
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

    /// Evenly spread over the run, the last one at its end.
    fn validation_is_due(&self, before: f64, after: f64) -> bool {
        let done = |fraction: f64| (fraction * self.config.train.validations as f64 + 1e-6) as u64;
        done(after) > done(before)
    }

    fn validate(&self, state: &mut State, sitting: &mut Sitting) -> Result<Metrics, TrainError> {
        let accuracy = accuracy(&state.net, &self.trials()?, self.device)?;
        let progress = &mut state.progress;
        if accuracy.mean >= progress.best_accuracy {
            progress.best_accuracy = accuracy.mean;
            progress.best_step = progress.step;
            copy(&state.net.state(), &state.best)?;
        }
        let metrics = Metrics {
            step: progress.step,
            loss: sitting.take_mean_loss(),
            learning_rate: progress
                .schedule
                .learning_rate(&self.config.train, progress.step),
            validation_accuracy: accuracy.mean,
            validation_standard_error: accuracy.standard_error,
            seconds: progress.seconds,
            images_per_second: progress.images_per_second,
        };
        append_line(&self.folder.join(METRICS_FILE), &metrics)?;
        Ok(metrics)
    }

    fn trials(&self) -> Result<TrialSet, TrainError> {
        let n_trials = self.config.train.validation_trials;
        Ok(trials::within_alphabet(
            self.background.validation(),
            20,
            1,
            n_trials,
            VALIDATION_SEED,
        )?)
    }
}

/// Network, optimizer and progress: what a checkpoint holds.
struct State {
    net: Net,
    optimizer: AdamW,
    /// Copy of the network at its best validation.
    best: Vec<(String, Tensor)>,
    progress: Progress,
    precision: Precision,
    device: Device,
}

impl State {
    fn new(session: &Session<'_>) -> Result<Self, TrainError> {
        let train = &session.config.train;
        if train.threads > 0 {
            tch::set_num_threads(i32::try_from(train.threads).unwrap_or(i32::MAX));
        }
        tch::manual_seed(train.seed.cast_signed());
        let precision = train.precision.resolve();
        let net = Net::new(&session.config.network()?, precision, session.device)?;
        let best = net
            .state()
            .into_iter()
            .map(|(name, tensor)| (format!("best.{name}"), tensor.detach().copy()));
        Ok(Self {
            best: best.collect(),
            optimizer: AdamW::new(net.parameters(), train.weight_decay),
            net,
            progress: Progress {
                schedule: Schedule::new(train),
                config: session.config.hash(),
                ..Progress::default()
            },
            precision,
            device: session.device,
        })
    }

    fn tensors(&self) -> Vec<(String, Tensor)> {
        let best = self
            .best
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        self.net
            .state()
            .into_iter()
            .chain(self.optimizer.state())
            .chain(best)
            .collect()
    }

    fn save(&self, path: &Path) -> Result<(), TrainError> {
        let progress = serde_json::to_string(&self.progress).unwrap_or_default();
        let metadata = HashMap::from([("progress".to_owned(), progress)]);
        checkpoint::save(path, &self.tensors(), metadata)
    }

    fn restore(&mut self, path: &Path) -> Result<(), TrainError> {
        let metadata = checkpoint::load(path, &self.tensors())?;
        let refuse = |message: &str| {
            Err(TrainError::Checkpoint {
                path: path.into(),
                message: message.to_owned(),
            })
        };
        let progress = metadata
            .get("progress")
            .and_then(|json| serde_json::from_str(json).ok());
        let Some(progress): Option<Progress> = progress else {
            return refuse("it does not say how far the run has come");
        };
        if progress.config != self.progress.config {
            return refuse("it was written with another configuration");
        }
        self.optimizer.set_step(progress.step);
        self.progress = progress;
        self.progress
            .schedule
            .resume(self.progress.step, self.progress.seconds);
        Ok(())
    }

    /// One optimizer step; returns the loss.
    fn step(&mut self, batch: &Batch, config: &Config) -> Result<f64, TrainError> {
        let n = batch.n_classes as i64;
        let images = images(&batch.images, config.network()?.input_side, self.device)?;
        let embeddings = self.net.embed(&images, Mode::Train)?; // [2n, d]
        let (queries, supports) = (embeddings.narrow(0, 0, n), embeddings.narrow(0, n, n));
        let loss = loss(
            &self.net.logits(&queries, &supports)?,
            config.train.pair_loss,
        )?;
        let rate = self
            .progress
            .schedule
            .learning_rate(&config.train, self.progress.step);
        self.optimizer.minimize(&loss, rate)?;
        let value = loss.f_double_value(&[])?;
        if !value.is_finite() {
            return Err(TrainError::Diverged {
                step: self.progress.step,
                loss: value,
            });
        }
        self.progress.step += 1;
        Ok(value)
    }

    fn finish(&self) -> Result<Trained, TrainError> {
        copy(&self.best, &self.net.state())?;
        let progress = self.progress.clone();
        Ok(Trained {
            net: self.net.fold()?,
            progress,
            precision: self.precision,
        })
    }
}

/// N-way accuracy of a network that is still in training.
fn accuracy(net: &Net, trials: &TrialSet, device: Device) -> Result<Accuracy, TrainError> {
    let embeddings = no_grad(|| embed_all(net, trials, device))?;
    let folded = net.fold()?;
    let d = embeddings.len() / trials.images.len().max(1);
    let embedding = |index: usize| &embeddings[index * d..(index + 1) * d];
    let right = trials.trials.iter().filter(|trial| {
        let query = embedding(trial.query);
        let logits = trial.support.iter().map(|shots| {
            shots
                .iter()
                .map(|&shot| folded.logit(query, embedding(shot)))
                .sum::<f32>()
        });
        let logits: Vec<f32> = logits.collect();
        // A tie is wrong: a network that has collapsed must not look good.
        let best = logits[trial.answer];
        logits
            .iter()
            .enumerate()
            .all(|(class, &logit)| class == trial.answer || logit < best)
    });
    Ok(Accuracy::of(right.count(), trials.trials.len()))
}

/// Embeddings of every image of `trials`, `[n][d]`.
fn embed_all(net: &Net, trials: &TrialSet, device: Device) -> Result<Vec<f32>, TrainError> {
    let mut all = Vec::new();
    for drawings in trials.images.chunks(VALIDATION_BATCH) {
        let inputs = drawings
            .iter()
            .map(|drawing| network_input(drawing, net.spec().input()));
        let inputs: Vec<Vec<u8>> = inputs.collect::<Result<_, _>>()?;
        let images = images(&inputs.concat(), net.spec().input_side, device)?;
        all.extend(values(&net.embed(&images, Mode::Evaluate)?)?);
    }
    Ok(all)
}

/// Ink `[n][side][side]` as a tensor of numbers in `0..1`, by the scale of the deployed input.
fn images(ink: &[u8], side: usize, device: Device) -> Result<Tensor, TrainError> {
    let side = side as i64;
    let images = Tensor::f_from_slice(ink)?.f_reshape([-1, side, side])?;
    Ok(images.to_device(device).f_to_kind(Kind::Float)? / 256.0)
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

/// Copies tensors onto others of the same shapes, in order.
fn copy(from: &[(String, Tensor)], to: &[(String, Tensor)]) -> Result<(), TrainError> {
    no_grad(|| {
        for ((_, from), (_, to)) in from.iter().zip(to) {
            to.shallow_clone().f_copy_(from)?;
        }
        Ok(())
    })
}

fn append_line(path: &Path, metrics: &Metrics) -> Result<(), TrainError> {
    let failed = |source| crate::files::WriteError {
        path: path.into(),
        source,
    };
    let line = serde_json::to_string(metrics).unwrap_or_default();
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    file.and_then(|mut file| writeln!(file, "{line}"))
        .map_err(failed)?;
    Ok(())
}

/// Drops the lines behind `step`, which a resumed run writes again.
fn keep_metrics_until(path: &PathBuf, step: usize) -> Result<(), TrainError> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let kept = text.lines().filter(|line| {
        serde_json::from_str::<Metrics>(line).is_ok_and(|metrics| metrics.step <= step)
    });
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    Ok(crate::files::write_whole(path, kept.as_bytes())?)
}
