//! The losses: episodic softmax over the support set's logits, and binary cross-entropy of pairs.
//!
//! In: logits `[n][n]` of n queries against n supports, where query `i` belongs to support `i`.
//! Out: one number. The softmax uses that exactly one support matches; the pair loss (Koch 2015)
//! puts the logits where the sigmoid is a probability.

use tch::{Kind, Reduction, Tensor};

use super::TrainError;
use crate::config::TrainConfig;

/// Softmax cross-entropy in both directions with the configuration's label smoothing, plus
/// `train.pair_loss` times the balanced pair loss.
///
/// # Errors
/// [`TrainError::Torch`] when libtorch refuses.
pub fn loss(logits: &Tensor, train: &TrainConfig) -> Result<Tensor, TrainError> {
    let n = logits.size2()?.0;
    let target = Tensor::f_arange(n, (Kind::Int64, logits.device()))?;
    let softmax = |logits: &Tensor| {
        let no_weight: Option<Tensor> = None;
        logits.f_cross_entropy_loss(
            &target,
            no_weight,
            Reduction::Mean,
            -100,
            train.label_smoothing,
        )
    };
    let by_query = softmax(logits)?;
    let by_support = softmax(&logits.f_transpose(0, 1)?)?;
    let softmax = (by_query + by_support) * (0.5 * train.episode_loss);
    Ok(softmax + pair_cross_entropy(logits)? * train.pair_loss)
}

/// Mean over matching pairs and mean over the others, weighted half and half, as if the pairs were
/// drawn half same, half different.
fn pair_cross_entropy(logits: &Tensor) -> Result<Tensor, TrainError> {
    let n = logits.size2()?.0;
    let same = Tensor::f_eye(n, (Kind::Float, logits.device()))?;
    let others = (n * (n - 1)).max(1) as f64;
    let weight = &same * (0.5 / n as f64) + (1.0 - &same) * (0.5 / others);
    let none: Option<Tensor> = None;
    let pairs = logits.f_binary_cross_entropy_with_logits(
        &same,
        Some(&weight),
        none.as_ref(),
        Reduction::Sum,
    )?;
    Ok(pairs)
}

/// Mean binary cross-entropy of pairs that were drawn half and half (Koch et al. 2015, section 3.2): `[n]`
/// logits, `[n]` ones where both show one character.
///
/// # Errors
/// [`TrainError::Torch`] when libtorch refuses.
pub fn pair_loss(logits: &Tensor, same: &Tensor) -> Result<Tensor, TrainError> {
    let none: Option<Tensor> = None;
    let loss = logits.f_binary_cross_entropy_with_logits(
        same,
        none.as_ref(),
        none.as_ref(),
        Reduction::Mean,
    )?;
    Ok(loss)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_pair_loss(pair_loss: f64) -> TrainConfig {
        TrainConfig {
            pair_loss,
            ..TrainConfig::default()
        }
    }

    /// All logits zero: ln n for the softmax, ln 2 for the pairs.
    #[test]
    fn uninformed_logits() {
        let logits = Tensor::zeros([4, 4], (Kind::Float, tch::Device::Cpu));
        let value = loss(&logits, &with_pair_loss(0.5))
            .unwrap()
            .double_value(&[]);
        assert!(
            (value - (4.0_f64.ln() + 0.5 * 2.0_f64.ln())).abs() < 1e-6,
            "{value}"
        );
    }

    #[test]
    fn perfect_logits() {
        let logits = (Tensor::eye(3, (Kind::Float, tch::Device::Cpu)) - 0.5) * 80.0;
        let value = loss(&logits, &with_pair_loss(1.0)).unwrap();
        assert!(value.double_value(&[]) < 1e-6);
    }
}
