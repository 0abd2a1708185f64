//! What weights and biases start as: normal distributions, by He, by Koch, or as in the post.
//!
//! In: an [`Init`] and what a parameter is. Out: deviations, and the head's tensors. Draws from libtorch's generator.

use tch::{Device, Kind, Tensor};

use super::Role;
use crate::config::Init;
use crate::spec::WeightShape;
use crate::train::TrainError;

/// Deviation of a layer's weights at the start, mean and deviation of its biases.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) weight: f64,
    pub(super) bias: [f64; 2],
}

impl Start {
    pub(super) fn of(init: Init, role: Role, shape: WeightShape) -> Self {
        match init {
            Init::He => Self {
                weight: (2.0 / shape.taps() as f64).sqrt(),
                bias: [0.0; 2],
            },
            Init::Koch | Init::Seed => Self {
                weight: match (init, role) {
                    (Init::Koch, Role::Linear) => 0.2,
                    _ => 0.01,
                },
                bias: [0.5, 0.01],
            },
        }
    }
}

/// Weights and bias of the head at the start.
pub(super) fn head(
    init: Init,
    d: i64,
    options: (Kind, Device),
) -> Result<(Tensor, Tensor), TrainError> {
    let normal = |shape: &[i64], deviation: f64| {
        Ok::<_, TrainError>(Tensor::f_randn(shape, options)? * deviation)
    };
    Ok(match init {
        // A logit spread of a few units at the start, whatever the length of the embedding.
        Init::He => (
            Tensor::f_full([d], -8.0 / d as f64, options)?,
            Tensor::f_zeros([], options)?,
        ),
        Init::Koch => (normal(&[d], 0.2)?, normal(&[], 0.01)? + 0.5),
        // The post leaves the weights to its library: Glorot and Bengio 2010.
        Init::Seed => (
            normal(&[d], (2.0 / (d + 1) as f64).sqrt())?,
            normal(&[], 0.01)? + 0.5,
        ),
    })
}
