//! A linear classifier over every training character, beside the siamese head and thrown away after
//! training: episodes contrast a few classes, this one all of them at once.
//!
//! In: embeddings `[n][d]` and the classes of their drawings. Out: a cross-entropy. A character that is
//! laid down in another [`Pose`](crate::augment::Pose) is another class.

use tch::{Device, Kind, Reduction, Tensor};

use super::TrainError;
use super::net::{Parameter, Role};

/// One row of weights for every class.
#[derive(Debug)]
pub(super) struct Classifier {
    /// `[n_classes][d]`.
    weight: Tensor,
    /// `[n_classes]`.
    bias: Tensor,
}

impl Classifier {
    /// Weights with a deviation of `1 / sqrt(d)`. Draws from libtorch's generator: seed it first.
    pub(super) fn new(n_classes: usize, d: usize, device: Device) -> Result<Self, TrainError> {
        let options = (Kind::Float, device);
        let (n_classes, d) = (n_classes as i64, d as i64);
        let weight = Tensor::f_randn([n_classes, d], options)? / (d as f64).sqrt();
        Ok(Self {
            weight: weight.set_requires_grad(true),
            bias: Tensor::f_zeros([n_classes], options)?.set_requires_grad(true),
        })
    }

    /// Mean cross-entropy of `[n][d]` embeddings, number `i` of class `classes[i]`.
    pub(super) fn loss(
        &self,
        embeddings: &Tensor,
        classes: &[i64],
        label_smoothing: f64,
    ) -> Result<Tensor, TrainError> {
        let logits = embeddings.f_linear(&self.weight, Some(&self.bias))?; // [n, n_classes]
        let target = Tensor::f_from_slice(classes)?.to_device(logits.device());
        let no_weight: Option<Tensor> = None;
        Ok(logits.f_cross_entropy_loss(
            &target,
            no_weight,
            Reduction::Mean,
            -100,
            label_smoothing,
        )?)
    }

    /// What the optimizer trains.
    pub(super) fn parameters(&self) -> Vec<Parameter> {
        let parameters = [
            ("weight", &self.weight, Role::Linear),
            ("bias", &self.bias, Role::Rest),
        ];
        parameters
            .map(|(name, tensor, role)| Parameter {
                name: format!("classifier.{name}"),
                tensor: tensor.shallow_clone(),
                role,
                layer: usize::MAX,
            })
            .into()
    }
}
