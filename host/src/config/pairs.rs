//! Training on pairs of drawings: the table `[pairs]`.
//!
//! In: TOML. Out: a [`PairConfig`] whose numbers are in range, or the field that is not. Without the table a
//! run trains on episodes.

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::optimizer::PairOptimizer;

/// Pairs of drawings, half of them of one character, instead of episodes: Koch et al. 2015, section 3.3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PairConfig {
    /// Pairs that are drawn once, before training (Koch: 30,000, 90,000 or 150,000), the same number from
    /// each alphabet. 0 draws others at every step, each of another character.
    pub count: usize,
    /// Distorted copies of each of these pairs, which join it in the set (Koch: 8).
    pub copies: usize,
    /// Drawers whose drawings are used, the first ones of each character (Koch: 12); 0 takes all.
    pub drawers: usize,
    /// Pairs in a batch.
    pub batch: usize,
    /// Where the other drawing of a pair that does not match comes from.
    pub others: Others,
    /// What weights and biases start as.
    pub init: Init,
    /// Which alphabets teach, and which choose the checkpoint.
    pub split: Split,
    /// On which trials it is chosen; their number is `train.validation_trials`.
    pub selection: Selection,
    /// Steps from one validation to the next; 0 validates after every epoch through the set (Koch).
    pub validate_every: usize,
    /// Validations without a better one after which training stops; 0 never does.
    pub patience: usize,
    /// How weights move.
    pub optimizer: PairOptimizer,
}

/// Where the other drawing of a pair that does not match comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Others {
    /// Another character of the same alphabet.
    SameAlphabet,
    /// Any other character.
    AnyAlphabet,
}

/// What weights and biases start as; each is a normal distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Of He et al. 2015, as in training on episodes.
    He,
    /// Koch et al. 2015, section 3.2: weights with a deviation of 0.01, those of fully connected layers of 0.2,
    /// biases around 0.5 with 0.01.
    Koch,
    /// The post's: as Koch's, but 0.01 for every weight.
    Seed,
}

/// Which alphabets teach, and which choose the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// 25 background alphabets teach, 5 choose: no figure of the report had a part in it.
    HeldOut,
    /// Koch's 40 and 10: the 30 background alphabets teach, the 10 evaluation alphabets that Lake's runs leave
    /// out choose. Lake's runs are untouched; figures over all evaluation alphabets are not.
    Paper,
    /// The post's: the 30 background alphabets teach, all evaluation alphabets choose. No figure over them
    /// is a claim.
    PeekAtEvaluation,
}

/// On which trials the checkpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Runs of 20 trials as Lake's: 20 characters of one alphabet, one drawer for all supports, another for all
    /// queries (Koch: 16 runs, 320 trials).
    Runs,
    /// 20 classes from all alphabets (the post).
    Mixed,
}

impl Default for PairConfig {
    /// The paper's largest set.
    fn default() -> Self {
        Self {
            count: 150_000,
            copies: 8,
            drawers: 12,
            batch: 128,
            others: Others::SameAlphabet,
            init: Init::Koch,
            split: Split::HeldOut,
            selection: Selection::Runs,
            validate_every: 0,
            patience: 20,
            optimizer: PairOptimizer::koch(),
        }
    }
}

impl PairConfig {
    /// The post's: other pairs in every batch of 32, the first half does not match.
    #[must_use]
    pub const fn seed() -> Self {
        Self {
            count: 0,
            copies: 0,
            drawers: 0,
            batch: 32,
            others: Others::AnyAlphabet,
            init: Init::Seed,
            split: Split::HeldOut,
            selection: Selection::Mixed,
            validate_every: 1_000,
            patience: 0,
            optimizer: PairOptimizer::seed(),
        }
    }

    /// Steps in which every pair of the set and every copy is seen once; at least one. Without a set there is
    /// no such thing: `None`.
    #[must_use]
    pub const fn epoch(&self) -> Option<usize> {
        match self.count * (1 + self.copies) / self.batch {
            _ if self.count == 0 => None,
            0 => Some(1),
            steps => Some(steps),
        }
    }

    /// Steps from one validation to the next.
    #[must_use]
    pub fn validation_interval(&self) -> usize {
        match self.validate_every {
            0 => self.epoch().unwrap_or(1),
            steps => steps,
        }
    }

    /// `n_layers` are the layers with weights, the head counted.
    pub(super) fn check(&self, n_layers: usize) -> Result<(), ConfigError> {
        let needs_epochs = matches!(self.optimizer, PairOptimizer::Momentum { .. });
        let rules = [
            (
                "pairs.count",
                self.count <= 10_000_000,
                "at most 10 million, or 0 to draw others at every step",
            ),
            ("pairs.copies", self.copies <= 64, "at most 64"),
            (
                "pairs.copies",
                self.copies == 0 || self.count > 0,
                "0 where pairs.count is 0: what is drawn anew is distorted as `augment` says",
            ),
            (
                "pairs.drawers",
                self.drawers != 1,
                "at least 2, or 0 for all: a pair that matches is by two drawers",
            ),
            ("pairs.batch", (2..=4096).contains(&self.batch), "2 to 4096"),
            (
                "pairs.validate_every",
                self.validate_every >= 1 || self.count > 0,
                "at least 1 where pairs.count is 0: there are no epochs",
            ),
            (
                "pairs.count",
                self.count > 0 || !needs_epochs,
                "above 0 where pairs.optimizer is momentum: it counts epochs",
            ),
        ];
        let bad = rules.into_iter().find(|(_, ok, _)| !ok);
        bad.map_or(Ok(()), |(field, _, rule)| {
            Err(ConfigError::Range { field, rule })
        })?;
        self.optimizer.check(n_layers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_every_pair_and_its_copies() {
        let paper = PairConfig::default();
        assert_eq!(paper.epoch(), Some(150_000 * 9 / 128));
        assert_eq!(Some(paper.validation_interval()), paper.epoch());
        assert_eq!(PairConfig::seed().validation_interval(), 1_000);
        assert_eq!(PairConfig::seed().epoch(), None);
        let few = PairConfig {
            count: 3,
            copies: 0,
            ..PairConfig::default()
        };
        assert_eq!(few.epoch(), Some(1));
    }

    #[test]
    fn names_the_field_out_of_range() {
        let refusal = |change: fn(&mut PairConfig)| {
            let mut pairs = PairConfig::default();
            change(&mut pairs);
            pairs.check(3).unwrap_err().to_string()
        };
        assert!(refusal(|pairs| pairs.batch = 1).starts_with("pairs.batch must be 2"));
        assert!(refusal(|pairs| pairs.drawers = 1).starts_with("pairs.drawers"));
        assert!(refusal(|pairs| pairs.count = 0).starts_with("pairs.copies must be 0"));
        let anew = |pairs: &mut PairConfig| (pairs.count, pairs.copies) = (0, 0);
        assert!(refusal(anew).starts_with("pairs.validate_every must be at least 1"));
    }
}
