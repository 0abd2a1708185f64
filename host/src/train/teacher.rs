//! Teachers: finished networks whose logits a new one learns to give (distillation; Hinton, Vinyals and
//! Dean 2015).
//!
//! In: the folders of finished runs, and a batch. Out: the mean of their logits for it, and a loss. Several
//! teachers know more together than each alone; what they think of the wrong classes says which characters
//! resemble each other, which the right answer alone does not.

use std::path::Path;

use tch::{Device, Kind, Reduction, Tensor, no_grad};

use super::TrainError;
use super::net::{Mode, Net};
use crate::checkpoint::{self, CHECKPOINT};
use crate::config::{Config, Precision, TrainConfig};

/// Logits are divided by this before their softmax, so that it says more than which class is the first.
const TEMPERATURE: f64 = 2.0;

/// Networks that are not trained.
#[derive(Debug)]
pub(super) struct Teachers {
    nets: Vec<Net>,
}

impl Teachers {
    /// Those of the configuration.
    ///
    /// # Errors
    /// [`TrainError::Teacher`] when a folder holds no finished run, or one whose network takes another
    /// input.
    pub(super) fn read(
        config: &Config,
        precision: Precision,
        device: Device,
    ) -> Result<Self, TrainError> {
        let read = |folder: &Path| {
            let refuse = |message: String| TrainError::Teacher {
                folder: folder.into(),
                message,
            };
            let read = checkpoint::read(&folder.join(CHECKPOINT));
            let (net, _) = read.map_err(|error| refuse(error.to_string()))?;
            let own = config.network()?;
            if (net.spec.input_side, net.spec.framing) != (own.input_side, own.framing) {
                return Err(refuse(format!(
                    "its input is {} with framing {:?}, the network's is {} with {:?}",
                    net.spec.input_side, net.spec.framing, own.input_side, own.framing
                )));
            }
            Net::frozen(&net, precision, device)
        };
        let nets = config.train.teachers.iter().map(|folder| read(folder));
        Ok(Self {
            nets: nets.collect::<Result<_, _>>()?,
        })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.nets.is_empty()
    }

    /// What every teacher makes of the images: embeddings `[n_drawers · n_classes][d]`.
    pub(super) fn embed(&self, images: &Tensor) -> Result<Vec<Tensor>, TrainError> {
        no_grad(|| {
            let embeddings = self
                .nets
                .iter()
                .map(|net| net.embed(images, Mode::Evaluate));
            embeddings.collect()
        })
    }

    /// Mean logits of the first drawer's images against the second's; `embeddings` are [`Self::embed`]'s
    /// in blocks of `n_classes`.
    pub(super) fn logits(
        &self,
        embeddings: &[Tensor],
        [queries, supports]: [usize; 2],
        n_classes: usize,
    ) -> Result<Tensor, TrainError> {
        no_grad(|| {
            let block = |all: &Tensor, drawer: usize| {
                let n = n_classes as i64;
                all.f_narrow(0, drawer as i64 * n, n)
            };
            let logits = self.nets.iter().zip(embeddings);
            let logits =
                logits.map(|(net, all)| net.logits(&block(all, queries)?, &block(all, supports)?));
            let logits = logits.collect::<Result<Vec<_>, TrainError>>()?;
            Ok(Tensor::f_stack(&logits, 0)?.f_mean_dim([0_i64].as_slice(), false, Kind::Float)?)
        })
    }
}

/// Cross-entropy of the softmax in both directions, the teachers' as the target.
///
/// # Errors
/// [`TrainError::Torch`] when libtorch refuses.
pub(super) fn loss(
    logits: &Tensor,
    teachers: &Tensor,
    train: &TrainConfig,
) -> Result<Tensor, TrainError> {
    let one_way = |logits: &Tensor, teachers: &Tensor| {
        let target = (teachers / TEMPERATURE).f_softmax(1, Kind::Float)?;
        let no_weight: Option<Tensor> = None;
        (logits / TEMPERATURE).f_cross_entropy_loss(&target, no_weight, Reduction::Mean, -100, 0.0)
    };
    let by_query = one_way(logits, teachers)?;
    let by_support = one_way(&logits.f_transpose(0, 1)?, &teachers.f_transpose(0, 1)?)?;
    // Gradients of softened targets are smaller by the temperature's square.
    let weight = 0.5 * train.teacher_loss * TEMPERATURE * TEMPERATURE;
    Ok((by_query + by_support) * weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Least where the logits are the teacher's, whatever the classes are.
    #[test]
    fn a_student_that_agrees_has_the_least_loss() {
        let train = TrainConfig {
            teacher_loss: 1.0,
            ..TrainConfig::default()
        };
        let teacher = Tensor::from_slice(&[3.0_f32, -1.0, 0.5, 2.0]).reshape([2, 2]);
        let of = |logits: &Tensor| loss(logits, &teacher, &train).unwrap().double_value(&[]);
        let least = of(&teacher);
        assert!(of(&(&teacher * 0.5)) > least && of(&(&teacher * 2.0)) > least);
        assert!(of(&(-&teacher)) > least + 1.0);
        // A softmax does not see what is added to all.
        assert!((of(&(&teacher + 7.0)) - least).abs() < 1e-5);
    }
}
