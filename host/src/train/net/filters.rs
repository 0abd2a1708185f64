//! One layer with weights: its tensors, what they do to a batch, and their deployed form.
//!
//! In: activations `[n][c_in][h][w]`. Out: `[n][c_out][h_out][w_out]`, in front of the activation function. Folded,
//! normalization is in the weights and biases.

use shared::shape::Hwc;
use tch::{Device, Kind, Tensor};

use super::init::Start;
use super::{Mode, values};
use crate::float_net::FloatFilters;
use crate::spec::{LayerSpec, Norm, WeightShape};
use crate::train::TrainError;

/// Added to a variance before its root is taken.
const BATCH_NORM_EPSILON: f64 = 1e-5;
/// Weight of a new batch in the running statistics.
const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// Weights of one layer and what is behind them.
#[derive(Debug)]
pub(super) struct Filters {
    /// `[c_out][k_h][k_w][c_in]`.
    pub(super) weight: Tensor,
    pub(super) norm: Normalization,
}

#[derive(Debug)]
pub(super) enum Normalization {
    /// Batch normalization (Ioffe and Szegedy 2015); every tensor is `[c_out]`.
    Batch {
        gamma: Tensor,
        beta: Tensor,
        /// Not trained.
        mean: Tensor,
        /// Not trained.
        variance: Tensor,
    },
    /// `[c_out]`.
    Bias(Tensor),
}

impl Filters {
    pub(super) fn new(
        shape: WeightShape,
        norm: Norm,
        start: Start,
        options: (Kind, Device),
    ) -> Result<Self, TrainError> {
        let weight = Tensor::f_randn(dims(shape), options)? * start.weight;
        let c_out = shape.c_out as i64;
        let norm = match norm {
            Norm::Batch => Normalization::Batch {
                gamma: Tensor::f_ones([c_out], options)?.set_requires_grad(true),
                beta: Tensor::f_zeros([c_out], options)?.set_requires_grad(true),
                mean: Tensor::f_zeros([c_out], options)?,
                variance: Tensor::f_ones([c_out], options)?,
            },
            Norm::None => {
                let [mean, deviation] = start.bias;
                let bias = match deviation {
                    // Draws nothing: networks of before start as they did.
                    0.0 => Tensor::f_full([c_out], mean, options)?,
                    _ => Tensor::f_randn([c_out], options)? * deviation + mean,
                };
                Normalization::Bias(bias.set_requires_grad(true))
            }
        };
        Ok(Self {
            weight: weight.set_requires_grad(true),
            norm,
        })
    }

    pub(super) fn frozen(
        filters: &FloatFilters,
        shape: WeightShape,
        device: Device,
    ) -> Result<Self, TrainError> {
        let weight = Tensor::f_from_slice(&filters.weight_ohwi(shape))?.f_reshape(dims(shape))?;
        let bias = Tensor::f_from_slice(&filters.bias)?;
        Ok(Self {
            weight: weight.to_device(device),
            norm: Normalization::Bias(bias.to_device(device)),
        })
    }

    /// Sums and normalization: `[n, c_in, h, w]` to `[n, c_out, h_out, w_out]`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        layer: &LayerSpec,
        mode: Mode,
    ) -> Result<Tensor, TrainError> {
        self.norm.forward(&self.sums(x, layer)?, mode)
    }

    /// `[n, c_in, h, w]` to `[n, c_out, h_out, w_out]`, without normalization and activation.
    fn sums(&self, x: &Tensor, layer: &LayerSpec) -> Result<Tensor, TrainError> {
        let weight = self.weight.f_to_kind(x.kind())?;
        if let LayerSpec::Linear { .. } = layer {
            let x = x.f_permute([0, 2, 3, 1])?.f_flatten(1, -1)?; // [n, h·w·c]
            let y = x.f_matmul(&weight.f_flatten(1, -1)?.f_transpose(0, 1)?)?;
            return Ok(y.f_unsqueeze(-1)?.f_unsqueeze(-1)?);
        }
        let (_, c_in, h, w) = x.size4()?;
        let window = layer.window(Hwc::new(h as usize, w as usize, c_in as usize));
        let groups = match layer {
            LayerSpec::Depthwise { .. } => c_in,
            _ => 1,
        };
        let (stride, pad) = (window.stride as i64, window.pad as i64);
        let weight_oihw = weight.f_permute([0, 3, 1, 2])?;
        let no_bias: Option<Tensor> = None;
        Ok(x.f_conv2d(&weight_oihw, no_bias, [stride; 2], [pad; 2], [1; 2], groups)?)
    }

    pub(super) fn fold(&self) -> Result<FloatFilters, TrainError> {
        let (weight, bias) = match &self.norm {
            Normalization::Batch {
                gamma,
                beta,
                mean,
                variance,
            } => {
                let scale = gamma / (variance + BATCH_NORM_EPSILON).f_sqrt()?; // [c_out]
                let weight = &self.weight * scale.f_reshape([-1, 1, 1, 1])?;
                (weight, beta - mean * &scale)
            }
            Normalization::Bias(bias) => (self.weight.shallow_clone(), bias.shallow_clone()),
        };
        Ok(FloatFilters {
            weight_oihw: values(&weight.f_permute([0, 3, 1, 2])?)?,
            bias: values(&bias)?,
        })
    }
}

impl Normalization {
    fn forward(&self, sums: &Tensor, mode: Mode) -> Result<Tensor, TrainError> {
        match self {
            Self::Batch {
                gamma,
                beta,
                mean,
                variance,
            } => Ok(sums.f_batch_norm(
                Some(gamma),
                Some(beta),
                Some(mean),
                Some(variance),
                mode == Mode::Train,
                BATCH_NORM_MOMENTUM,
                BATCH_NORM_EPSILON,
                true,
            )?),
            Self::Bias(bias) => {
                let bias = bias.f_to_kind(sums.kind())?.f_reshape([1, -1, 1, 1])?;
                Ok(sums.f_add(&bias)?)
            }
        }
    }
}

/// `[c_out][k_h][k_w][c_in]`.
fn dims(shape: WeightShape) -> [i64; 4] {
    let WeightShape {
        c_out,
        c_in,
        k_h,
        k_w,
    } = shape;
    [c_out, k_h, k_w, c_in].map(|extent| extent as i64)
}
