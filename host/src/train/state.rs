//! Network, optimizer and progress: what one step changes and what a checkpoint holds.

use std::collections::HashMap;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use super::batch::Batch;
use super::classifier::Classifier;
use super::ema::Average;
use super::loss::{loss, pair_loss};
use super::net::{Mode, Net};
use super::optimizer::Optimizer;
use super::pairs::PairBatch;
use super::run::Lesson;
use super::schedule::Schedule;
use super::teacher::{self, Teachers};
use super::{TrainError, checkpoint};
use crate::config::{Config, Init, Precision, TrainConfig};
use crate::float_net::FloatNet;

/// Keeps the draws of dropout apart from those of batches.
const DROPOUT_SEED: u64 = 0x6472_6f70;

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
    /// Validations since one was better than all before.
    #[serde(default)]
    pub since_best: usize,
    /// Images per second of the last sitting, data pipeline included.
    pub images_per_second: f64,
    /// Hash of the configuration, so that a checkpoint is not continued with another.
    pub config: String,
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

/// Network, optimizer and progress: what a checkpoint holds.
#[derive(Debug)]
pub(super) struct State {
    pub(super) net: Net,
    /// Trained beside the network where the configuration wants it.
    classifier: Option<Classifier>,
    teachers: Teachers,
    optimizer: Optimizer,
    /// What is validated and exported instead of the network, where the configuration wants it.
    average: Option<Average>,
    /// Copy of the exported network at its best validation.
    best: Vec<(String, Tensor)>,
    pub(super) progress: Progress,
    precision: Precision,
    device: Device,
}

impl State {
    /// A network at its start; `n_labels` is the number of classes that batches have labels of.
    pub(super) fn new(
        config: &Config,
        n_labels: usize,
        device: Device,
    ) -> Result<Self, TrainError> {
        let train = &config.train;
        if train.threads > 0 {
            tch::set_num_threads(i32::try_from(train.threads).unwrap_or(i32::MAX));
        }
        tch::manual_seed(train.seed.cast_signed());
        let precision = train.precision.resolve();
        let spec = config.network()?;
        let init = config.pairs.as_ref().map_or(Init::He, |pairs| pairs.init);
        let net = Net::starting_as(init, &spec, precision, device)?;
        let classifier = if train.class_loss > 0.0 {
            let d = spec.embedding()?.len();
            Some(Classifier::new(n_labels, d, device)?)
        } else {
            None
        };
        let teachers = Teachers::read(config, precision, device)?;
        let mut parameters = net.parameters();
        parameters.extend(classifier.iter().flat_map(Classifier::parameters));
        let average = if train.average_decay > 0.0 {
            let copy = Net::new(&spec, precision, device)?;
            Some(Average::new(copy, &net, train.average_decay)?)
        } else {
            None
        };
        let best = net
            .state()
            .into_iter()
            .map(|(name, tensor)| (format!("best.{name}"), tensor.detach().copy()));
        Ok(Self {
            best: best.collect(),
            optimizer: Optimizer::new(parameters, config),
            classifier,
            teachers,
            net,
            average,
            progress: Progress {
                schedule: Schedule::new(train),
                config: config.hash(),
                ..Progress::default()
            },
            precision,
            device,
        })
    }

    /// The network that is validated and exported.
    pub(super) fn deployed(&self) -> &Net {
        self.average.as_ref().map_or(&self.net, Average::net)
    }

    /// Whether [`Self::deployed`] is the average of [`Self::net`].
    pub(super) const fn is_averaged(&self) -> bool {
        self.average.is_some()
    }

    fn tensors(&self) -> Vec<(String, Tensor)> {
        let best = self
            .best
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        self.net
            .state()
            .into_iter()
            .chain(self.classifier_state())
            .chain(self.optimizer.state())
            .chain(self.average.iter().flat_map(Average::state))
            .chain(best)
            .collect()
    }

    fn classifier_state(&self) -> impl Iterator<Item = (String, Tensor)> {
        let parameters = self.classifier.iter().flat_map(Classifier::parameters);
        parameters.map(|parameter| (parameter.name, parameter.tensor))
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), TrainError> {
        let progress = serde_json::to_string(&self.progress).unwrap_or_default();
        let metadata = HashMap::from([("progress".to_owned(), progress)]);
        checkpoint::save(path, &self.tensors(), metadata)
    }

    pub(super) fn restore(&mut self, path: &Path) -> Result<(), TrainError> {
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
    pub(super) fn step(&mut self, lesson: &Lesson, config: &Config) -> Result<f64, TrainError> {
        let loss = match lesson {
            Lesson::Episodes(batch) => self.episode_loss(batch, config)?,
            Lesson::Pairs(batch) => self.pair_loss(batch, config)?,
        };
        let pace = self.progress.schedule.pace(config, self.progress.step);
        self.optimizer.minimize(&loss, pace)?;
        let value = loss.f_double_value(&[])?;
        if !value.is_finite() {
            return Err(TrainError::Diverged {
                step: self.progress.step,
                loss: value,
            });
        }
        self.progress.step += 1;
        if let Some(average) = &self.average {
            average.update(&self.net, self.progress.step)?;
        }
        Ok(value)
    }

    fn episode_loss(&self, batch: &Batch, config: &Config) -> Result<Tensor, TrainError> {
        let images = images(&batch.images, self.net.spec().input_side, self.device)?;
        let embeddings = self.net.embed(&images, Mode::Train)?; // [n_drawers * n_classes, d]
        let embeddings = drop_out(embeddings, &config.train, self.progress.step)?;
        let taught = self.teachers.embed(&images)?;
        self.total_loss(&embeddings, &taught, batch, &config.train)
    }

    /// The twins see all first and all second images in one pass.
    fn pair_loss(&self, batch: &PairBatch, config: &Config) -> Result<Tensor, TrainError> {
        let images = images(&batch.images, self.net.spec().input_side, self.device)?;
        let embeddings = self.net.embed(&images, Mode::Train)?; // [2 * n, d]
        let embeddings = drop_out(embeddings, &config.train, self.progress.step)?;
        let n = batch.same.len() as i64;
        let (first, second) = (embeddings.f_narrow(0, 0, n)?, embeddings.f_narrow(0, n, n)?);
        let same = Tensor::f_from_slice(&batch.same)?.to_device(self.device);
        let loss = pair_loss(&self.net.pair_logits(&first, &second)?, &same)?;
        Ok(loss * config.train.pair_loss)
    }

    /// That of the head and that of the classifier, as far as the configuration wants them; `taught` are
    /// the teachers' embeddings.
    fn total_loss(
        &self,
        embeddings: &Tensor,
        taught: &[Tensor],
        batch: &Batch,
        train: &TrainConfig,
    ) -> Result<Tensor, TrainError> {
        let mut losses = Vec::new();
        if train.episode_loss + train.pair_loss > 0.0 || !self.teachers.is_empty() {
            losses.push(self.compared_loss(embeddings, taught, batch, train)?);
        }
        if let Some(classifier) = &self.classifier {
            let labels = batch.labels.repeat(batch.n_drawers);
            let loss = classifier.loss(embeddings, &labels, train.label_smoothing)?;
            losses.push(loss * train.class_loss);
        }
        Ok(Tensor::f_stack(&losses, 0)?.f_sum(Kind::Float)?)
    }

    /// The head's loss, averaged over every two drawers of the batch: one's drawings are the queries,
    /// the other's the supports.
    fn compared_loss(
        &self,
        embeddings: &Tensor,
        taught: &[Tensor],
        batch: &Batch,
        train: &TrainConfig,
    ) -> Result<Tensor, TrainError> {
        let by_drawer = embeddings.f_chunk(batch.n_drawers as i64, 0)?; // each [n_classes, d]
        let mut losses = Vec::new();
        for (second, supports) in by_drawer.iter().enumerate() {
            for (first, queries) in by_drawer[..second].iter().enumerate() {
                let logits = self.net.logits(queries, supports)?;
                losses.push(loss(&logits, train)?);
                if !self.teachers.is_empty() {
                    let drawers = [first, second];
                    let wanted = self.teachers.logits(taught, drawers, batch.n_classes)?;
                    losses.push(teacher::loss(&logits, &wanted, train)?);
                }
            }
        }
        let pairs = (batch.n_drawers * (batch.n_drawers - 1) / 2).max(1) as f64;
        Ok(Tensor::f_stack(&losses, 0)?.f_sum(Kind::Float)? / pairs)
    }

    /// Remembers the network when no validation was better so far.
    pub(super) fn keep_if_best(&mut self, accuracy: f64) -> Result<(), TrainError> {
        self.progress.since_best += 1;
        if accuracy > self.progress.best_accuracy {
            self.progress.since_best = 0;
        }
        if accuracy >= self.progress.best_accuracy {
            self.progress.best_accuracy = accuracy;
            self.progress.best_step = self.progress.step;
            copy(&self.deployed().state(), &self.best)?;
        }
        Ok(())
    }

    /// The network of the best validation, folded.
    pub(super) fn finish(&self) -> Result<Trained, TrainError> {
        copy(&self.best, &self.deployed().state())?;
        let progress = self.progress.clone();
        Ok(Trained {
            net: self.deployed().fold()?,
            progress,
            precision: self.precision,
        })
    }
}

/// Hides components of all embeddings `[n][d]`, the same ones in the whole batch, so that the distance does not lean
/// on a few. The draw is keyed by (seed, step).
pub(super) fn drop_out(
    embeddings: Tensor,
    train: &TrainConfig,
    step: usize,
) -> Result<Tensor, TrainError> {
    if train.dropout <= 0.0 {
        return Ok(embeddings);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(train.seed ^ DROPOUT_SEED);
    rng.set_stream(step as u64);
    let kept = 1.0 / (1.0 - train.dropout) as f32;
    let component = |_| {
        let hidden = rng.random::<f64>() < train.dropout;
        if hidden { 0.0 } else { kept }
    };
    let mask: Vec<f32> = (0..embeddings.size2()?.1).map(component).collect();
    let mask = Tensor::f_from_slice(&mask)?.to_device(embeddings.device()); // [d]
    Ok(embeddings.f_mul(&mask)?)
}

/// Ink `[n][side][side]` as a tensor of numbers in `0..1`, by the scale of the deployed input.
pub(super) fn images(ink: &[u8], side: usize, device: Device) -> Result<Tensor, TrainError> {
    let side = side as i64;
    let images = Tensor::f_from_slice(ink)?.f_reshape([-1, side, side])?;
    Ok(images.to_device(device).f_to_kind(Kind::Float)? / 256.0)
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
