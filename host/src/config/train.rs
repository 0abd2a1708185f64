//! How to train: the table `[train]`.
//!
//! In: TOML. Out: a [`TrainConfig`] whose numbers are in range, or the field that is not.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Optimizer steps; 0 trains for `minutes`.
    pub steps: usize,
    /// Time for training in minutes, used when `steps` is 0.
    pub minutes: f64,
    /// Seeds the weights and every random draw.
    pub seed: u64,
    /// Threads of libtorch; 0 takes one per core. Resuming needs the same number for equal bits.
    pub threads: usize,
    /// `float32` or `bfloat16` convolutions; `auto` takes `bfloat16` where the CPU has it.
    pub precision: Precision,
    /// Within-alphabet episodes in a batch, each from one alphabet.
    pub episodes: usize,
    /// Classes of an episode.
    pub n_way: usize,
    /// Drawings of each class in a batch, each by another drawer; every two are query and support.
    #[serde(skip_serializing_if = "is_two")]
    pub drawings: usize,
    /// Peak learning rate of AdamW.
    pub learning_rate: f64,
    /// Steps in which the learning rate rises linearly; it then falls along a cosine.
    pub warmup: usize,
    /// Decoupled weight decay, on convolution weights only.
    pub weight_decay: f64,
    /// Weight of the episodic softmax.
    #[serde(skip_serializing_if = "is_one")]
    pub episode_loss: f64,
    /// Weight of the pair binary cross-entropy.
    pub pair_loss: f64,
    /// Weight of the softmax over all training characters, in whatever pose, of a linear classifier
    /// that is not exported.
    #[serde(skip_serializing_if = "is_zero")]
    pub class_loss: f64,
    /// Folders of finished runs whose networks teach this one, all together; they take the same input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teachers: Vec<PathBuf>,
    /// Weight of the loss against them.
    #[serde(skip_serializing_if = "is_one")]
    pub teacher_loss: f64,
    /// Share of the softmax's target that is spread evenly over all classes.
    #[serde(skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// Probability that training hides a component of all embeddings from the head in a step.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropout: f64,
    /// Decay of the moving average of the weights that is validated and exported; 0 takes the
    /// weights of the step itself.
    #[serde(skip_serializing_if = "is_zero")]
    pub average_decay: f64,
    /// Validations over the whole run.
    pub validations: usize,
    /// Within-alphabet 20-way trials of one validation, on held-out background alphabets.
    pub validation_trials: usize,
}

// What came after the first release is not written where it does nothing: a configuration of before keeps
// its hash, and its checkpoints can be used.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
const fn is_two(drawings: &usize) -> bool {
    *drawings == 2
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::float_cmp,
    reason = "serde asks for a reference; only the exact zero turns a part off"
)]
fn is_zero(amount: &f64) -> bool {
    *amount == 0.0
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::float_cmp,
    reason = "serde asks for a reference; only the exact one is the default"
)]
fn is_one(amount: &f64) -> bool {
    *amount == 1.0
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: 0,
            minutes: 30.0,
            seed: 1,
            threads: 0,
            precision: Precision::Auto,
            episodes: 2,
            n_way: 40,
            drawings: 2,
            learning_rate: 1.6e-2,
            warmup: 300,
            weight_decay: 2e-2,
            episode_loss: 1.0,
            pair_loss: 0.2,
            class_loss: 0.0,
            teachers: Vec::new(),
            teacher_loss: 1.0,
            label_smoothing: 0.0,
            dropout: 0.0,
            average_decay: 0.0,
            validations: 12,
            validation_trials: 1000,
        }
    }
}

impl TrainConfig {
    /// Koch et al. 2015, section 3.2: at most 200 epochs of the largest set. The learning rate is the largest
    /// of the range that the paper searched.
    pub(super) fn koch() -> Self {
        Self {
            steps: 200 * (150_000 * 9 / 128),
            learning_rate: 1e-1,
            validation_trials: 320,
            ..Self::of_pairs()
        }
    }

    /// The post's: 90,000 batches.
    pub(super) fn seed() -> Self {
        Self {
            steps: 90_000,
            learning_rate: 6e-5,
            validation_trials: 250,
            ..Self::of_pairs()
        }
    }

    /// What only episodes have, turned off.
    fn of_pairs() -> Self {
        Self {
            // At the start activations are a constant and a hundredth of it that tells images apart: bfloat16
            // rounds that away, and the loss then stays at ln 2.
            precision: Precision::Float32,
            weight_decay: 0.0,
            warmup: 0,
            episode_loss: 0.0,
            pair_loss: 1.0,
            ..Self::default()
        }
    }

    /// Whether nothing is asked for that training on pairs does not do.
    pub(super) fn check_for_pairs(&self) -> Result<(), ConfigError> {
        let rule = "0 where [pairs] trains: its loss is that of the pairs";
        let amounts = [
            ("train.episode_loss", self.episode_loss),
            ("train.class_loss", self.class_loss),
            ("train.label_smoothing", self.label_smoothing),
            ("train.weight_decay", self.weight_decay),
        ];
        if let Some((field, _)) = amounts.into_iter().find(|(_, amount)| *amount != 0.0) {
            return Err(ConfigError::Range { field, rule });
        }
        match self.teachers.as_slice() {
            [] => Ok(()),
            _ => Err(ConfigError::Range {
                field: "train.teachers",
                rule: "empty where [pairs] trains",
            }),
        }
    }
}

/// Number format of convolutions while training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// `bfloat16` where the CPU multiplies it natively, else `float32`.
    Auto,
    /// 32-bit.
    Float32,
    /// 16-bit products, 32-bit sums.
    Bfloat16,
}

impl Precision {
    /// [`Self::Auto`] resolved for this machine.
    #[must_use]
    pub fn resolve(self) -> Self {
        match self {
            Self::Auto if cpu_has_bfloat16() => Self::Bfloat16,
            Self::Auto => Self::Float32,
            chosen => chosen,
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn cpu_has_bfloat16() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
}

#[cfg(not(target_arch = "x86_64"))]
const fn cpu_has_bfloat16() -> bool {
    false
}

impl TrainConfig {
    /// Whether every number is in range.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let within = |field, value: f64, least: f64, most: f64, rule| {
            let ok = (least..=most).contains(&value);
            (field, ok, rule)
        };
        let rate = self.learning_rate;
        let rules = [
            within("train.episodes", self.episodes as f64, 1.0, 64.0, "1 to 64"),
            within("train.n_way", self.n_way as f64, 2.0, 64.0, "2 to 64"),
            within("train.drawings", self.drawings as f64, 2.0, 8.0, "2 to 8"),
            (
                "train.minutes",
                self.minutes > 0.0 && self.minutes < 1e5,
                "more than 0",
            ),
            (
                "train.learning_rate",
                rate > 0.0 && rate <= 1.0,
                "more than 0, at most 1",
            ),
            within("train.weight_decay", self.weight_decay, 0.0, 1.0, "0 to 1"),
            within(
                "train.episode_loss",
                self.episode_loss,
                0.0,
                100.0,
                "0 to 100",
            ),
            within("train.pair_loss", self.pair_loss, 0.0, 100.0, "0 to 100"),
            within("train.class_loss", self.class_loss, 0.0, 100.0, "0 to 100"),
            within(
                "train.teacher_loss",
                self.teacher_loss,
                0.0,
                100.0,
                "0 to 100",
            ),
            (
                "train.episode_loss",
                self.episode_loss + self.pair_loss + self.class_loss > 0.0
                    || !self.teachers.is_empty() && self.teacher_loss > 0.0,
                "above 0, or pair_loss or class_loss, or there must be teachers",
            ),
            within(
                "train.label_smoothing",
                self.label_smoothing,
                0.0,
                0.5,
                "0 to 0.5",
            ),
            within("train.dropout", self.dropout, 0.0, 0.9, "0 to 0.9"),
            within(
                "train.average_decay",
                self.average_decay,
                0.0,
                0.999_99,
                "0 to 0.99999",
            ),
            ("train.validations", self.validations >= 1, "at least 1"),
            (
                "train.validation_trials",
                self.validation_trials >= 1,
                "at least 1",
            ),
        ];
        let bad = rules.into_iter().find(|(_, ok, _)| !ok);
        bad.map_or(Ok(()), |(field, _, rule)| {
            Err(ConfigError::Range { field, rule })
        })
    }
}
