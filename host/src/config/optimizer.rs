//! How weights move in training on pairs: the table `[pairs.optimizer]`.
//!
//! In: TOML. Out: a [`PairOptimizer`] that fits the network, or the field that does not. The learning rate is
//! `train.learning_rate`; there is no warmup.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// How weights move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum PairOptimizer {
    /// Adam (Kingma and Ba 2015) and L2 regularization in the gradient: the post's.
    Adam {
        /// Let the learning rate fall to zero over the run, by half a cosine; the post's stays.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cosine: bool,
        /// L2 of the weights of convolutions.
        l2: f64,
        /// L2 of the weights of fully connected layers; the head has none.
        l2_linear: f64,
    },
    /// Gradient descent with momentum (Koch et al. 2015, section 3.2): per epoch the learning rate falls by
    /// a factor, and the momentum rises evenly.
    Momentum {
        /// Momentum of the first epoch (Koch: 0.5).
        start: f64,
        /// Momentum in the end.
        end: f64,
        /// Epochs until then.
        rise: usize,
        /// Factor of the learning rate after each epoch (Koch: 0.99).
        decay: f64,
        /// L2 of all weights; the gradient of `l2 * w^2` is added.
        l2: f64,
        /// Layer by layer, the head last: what differs from the above. Empty where nothing does.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        layers: Vec<LayerRule>,
    },
}

/// What one layer has for itself (Koch et al. 2015: every layer its learning rate, momentum and L2).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRule {
    /// Learning rate of the first epoch.
    pub learning_rate: f64,
    /// Momentum in the end.
    pub momentum: f64,
    /// L2.
    pub l2: f64,
}

impl PairOptimizer {
    /// The paper's, with one rule for all layers: the paper does not say what its search has found.
    pub(super) const fn koch() -> Self {
        Self::Momentum {
            start: 0.5,
            end: 0.9,
            rise: 20,
            decay: 0.99,
            l2: 1e-4,
            layers: Vec::new(),
        }
    }

    /// The post's.
    pub(super) const fn seed() -> Self {
        Self::Adam {
            cosine: false,
            l2: 2e-4,
            l2_linear: 1e-3,
        }
    }

    /// Whether every number is in range; `n_layers` are the layers with weights, the head counted.
    pub(super) fn check(&self, n_layers: usize) -> Result<(), ConfigError> {
        let refuse = |field, rule| Err(ConfigError::Range { field, rule });
        let within = |value: f64, most: f64| (0.0..=most).contains(&value);
        match self {
            Self::Adam { l2, .. } if !within(*l2, 1.0) => refuse("pairs.optimizer.l2", "0 to 1"),
            Self::Adam { l2_linear, .. } if !within(*l2_linear, 1.0) => {
                refuse("pairs.optimizer.l2_linear", "0 to 1")
            }
            Self::Adam { .. } => Ok(()),
            Self::Momentum {
                start,
                end,
                decay,
                l2,
                layers,
                ..
            } => {
                let rules = [
                    ("pairs.optimizer.start", within(*start, 0.999), "0 to 0.999"),
                    ("pairs.optimizer.end", within(*end, 0.999), "0 to 0.999"),
                    (
                        "pairs.optimizer.decay",
                        *decay > 0.0 && *decay <= 1.0,
                        "above 0, at most 1",
                    ),
                    ("pairs.optimizer.l2", within(*l2, 1.0), "0 to 1"),
                    (
                        "pairs.optimizer.layers",
                        layers.is_empty() || layers.len() == n_layers,
                        "empty, or one for each layer with weights and one for the head",
                    ),
                    (
                        "pairs.optimizer.layers",
                        layers.iter().all(LayerRule::in_range),
                        "of learning rates 0 to 1, momenta 0 to 0.999, l2 0 to 1",
                    ),
                ];
                let bad = rules.into_iter().find(|(_, ok, _)| !ok);
                bad.map_or(Ok(()), |(field, _, rule)| refuse(field, rule))
            }
        }
    }
}

impl LayerRule {
    fn in_range(&self) -> bool {
        let Self {
            learning_rate,
            momentum,
            l2,
        } = self;
        (0.0..=1.0).contains(learning_rate)
            && (0.0..=0.999).contains(momentum)
            && (0.0..=1.0).contains(l2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_field_out_of_range() {
        let momentum = |end, layers| PairOptimizer::Momentum {
            start: 0.5,
            end,
            rise: 1,
            decay: 0.99,
            l2: 0.0,
            layers,
        };
        let rule = LayerRule {
            learning_rate: 0.1,
            momentum: 0.5,
            l2: 0.0,
        };
        assert!(momentum(0.9, vec![rule; 3]).check(3).is_ok());
        let refused = momentum(0.9, vec![rule; 2]).check(3).unwrap_err();
        assert!(
            refused.to_string().contains("one for the head"),
            "{refused}"
        );
        let refused = momentum(1.0, vec![]).check(3).unwrap_err().to_string();
        assert_eq!(refused, "pairs.optimizer.end must be 0 to 0.999");
    }
}
