//! The siamese network in libtorch: parameters, forward pass, and the way out to [`FloatNet`].
//!
//! In: a batch of images `[n][h][w][1]`. Out: embeddings `[n][d]`, `d` in `[h][w][c]` order, the
//! order of `shared`. Weights live as `[c_out][k_h][k_w][c_in]`; seen as OIHW that is torch's
//! channels-last format, a third faster on CPUs than the default.

use tch::{Device, Kind, Tensor};

use super::TrainError;
use crate::config::Precision;
use crate::float_net::{FloatConv, FloatHead, FloatNet};
use crate::spec::{LayerSpec, NetSpec};

/// Added to a variance before its root is taken.
const BATCH_NORM_EPSILON: f64 = 1e-5;
/// Weight of a new batch in the running statistics.
const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// Whether batch normalization uses the batch's statistics or the running ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics; the running ones are updated.
    Train,
    /// Running statistics.
    Evaluate,
}

/// The network with its trainable parameters.
#[derive(Debug)]
pub struct Net {
    spec: NetSpec,
    kind: Kind,
    convs: Vec<ConvBatchNorm>,
    /// `[d]`, the weight of each absolute difference in the logit.
    head_weight: Tensor,
    /// `[]`.
    head_bias: Tensor,
}

/// Convolution without bias, batch normalization, ReLU (Ioffe and Szegedy 2015).
#[derive(Debug)]
struct ConvBatchNorm {
    /// `[c_out][k_h][k_w][c_in]`.
    weight: Tensor,
    /// `[c_out]`.
    gamma: Tensor,
    /// `[c_out]`.
    beta: Tensor,
    /// `[c_out]`, not trained.
    mean: Tensor,
    /// `[c_out]`, not trained.
    variance: Tensor,
}

/// A named tensor of the network; `decayed` says whether weight decay applies to it.
#[derive(Debug)]
pub struct Parameter {
    /// Name in checkpoints.
    pub name: String,
    /// The tensor itself, shared with the network.
    pub tensor: Tensor,
    /// Convolution weights are decayed; scales, biases and the head are not.
    pub decayed: bool,
}

impl Net {
    /// A network with He-normal convolutions (He 2015) and a head that starts as the negative mean
    /// difference. Draws from libtorch's generator: seed it first.
    ///
    /// # Errors
    /// [`TrainError`] when layers do not fit or libtorch refuses.
    pub fn new(spec: &NetSpec, precision: Precision, device: Device) -> Result<Self, TrainError> {
        let shapes = spec.shapes()?;
        let options = (Kind::Float, device);
        let mut convs = Vec::new();
        for (layer, input) in spec.layers.iter().zip(&shapes) {
            let LayerSpec::Conv { c_out, kernel, .. } = *layer else {
                continue;
            };
            let (c_in, c_out, kernel) = (input.c as i64, c_out as i64, kernel as i64);
            let std = (2.0 / (c_in * kernel * kernel) as f64).sqrt();
            let weight = Tensor::f_randn([c_out, kernel, kernel, c_in], options)? * std;
            convs.push(ConvBatchNorm {
                weight: weight.set_requires_grad(true),
                gamma: Tensor::f_ones([c_out], options)?.set_requires_grad(true),
                beta: Tensor::f_zeros([c_out], options)?.set_requires_grad(true),
                mean: Tensor::f_zeros([c_out], options)?,
                variance: Tensor::f_ones([c_out], options)?,
            });
        }
        let d = spec.embedding()?.len() as i64;
        // A logit spread of a few units at the start, whatever the length of the embedding.
        let head_weight = Tensor::f_full([d], -8.0 / d as f64, options)?;
        let kind = match precision {
            Precision::Bfloat16 => Kind::BFloat16,
            Precision::Auto | Precision::Float32 => Kind::Float,
        };
        Ok(Self {
            spec: spec.clone(),
            kind,
            convs,
            head_weight: head_weight.set_requires_grad(true),
            head_bias: Tensor::f_zeros([], options)?.set_requires_grad(true),
        })
    }

    /// The layers.
    #[must_use]
    pub const fn spec(&self) -> &NetSpec {
        &self.spec
    }

    /// Embeds a batch: `[n][h][w]` floats in `0..1` to `[n][d]`.
    ///
    /// # Errors
    /// [`TrainError::Torch`] when libtorch refuses.
    pub fn embed(&self, images: &Tensor, mode: Mode) -> Result<Tensor, TrainError> {
        let mut x = images.f_unsqueeze(1)?.f_to_kind(self.kind)?; // [n, 1, h, w]
        let mut convs = self.convs.iter();
        for layer in &self.spec.layers {
            x = match *layer {
                LayerSpec::Conv { stride, pad, .. } => {
                    let Some(conv) = convs.next() else { continue };
                    conv.forward(&x, stride as i64, pad as i64, mode)?
                }
                LayerSpec::MaxPool { kernel, stride } => {
                    let (kernel, stride) = (kernel as i64, stride as i64);
                    x.f_max_pool2d([kernel; 2], [stride; 2], [0; 2], [1; 2], false)?
                }
            };
        }
        Ok(x.f_permute([0, 2, 3, 1])?
            .f_flatten(1, -1)?
            .f_to_kind(Kind::Float)?) // [n, d]
    }

    /// Logits of every query against every support: `[q][d]`, `[s][d]` to `[q][s]`.
    ///
    /// # Errors
    /// [`TrainError::Torch`] when libtorch refuses.
    pub fn logits(&self, queries: &Tensor, supports: &Tensor) -> Result<Tensor, TrainError> {
        let differences = (queries.f_unsqueeze(1)? - supports.f_unsqueeze(0)?).f_abs()?; // [q, s, d]
        Ok(differences
            .f_matmul(&self.head_weight)?
            .f_add(&self.head_bias)?)
    }

    /// What the optimizer trains, in a fixed order.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut all = Vec::new();
        let mut push = |name: String, tensor: &Tensor, decayed| {
            all.push(Parameter {
                name,
                tensor: tensor.shallow_clone(),
                decayed,
            });
        };
        for (index, conv) in self.convs.iter().enumerate() {
            push(format!("conv{index}.weight"), &conv.weight, true);
            push(format!("conv{index}.gamma"), &conv.gamma, false);
            push(format!("conv{index}.beta"), &conv.beta, false);
        }
        push("head.weight".to_owned(), &self.head_weight, false);
        push("head.bias".to_owned(), &self.head_bias, false);
        all
    }

    /// Parameters and running statistics: everything that a checkpoint must hold.
    #[must_use]
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let trained = self.parameters().into_iter().map(|p| (p.name, p.tensor));
        let statistics = self.convs.iter().enumerate().flat_map(|(index, conv)| {
            [("mean", &conv.mean), ("variance", &conv.variance)]
                .map(|(name, tensor)| (format!("conv{index}.{name}"), tensor.shallow_clone()))
        });
        trained.chain(statistics).collect()
    }

    /// The deployed form: batch normalization folded into the convolutions.
    ///
    /// # Errors
    /// [`TrainError::Torch`] when a tensor cannot be read.
    pub fn fold(&self) -> Result<FloatNet, TrainError> {
        let convs = self
            .convs
            .iter()
            .map(ConvBatchNorm::fold)
            .collect::<Result<_, _>>()?;
        Ok(FloatNet {
            spec: self.spec.clone(),
            convs,
            head: FloatHead {
                weight_hwc: values(&self.head_weight)?,
                bias: self.head_bias.f_double_value(&[])? as f32,
            },
        })
    }
}

impl ConvBatchNorm {
    /// `[n, c_in, h, w]` to `[n, c_out, h_out, w_out]`.
    fn forward(&self, x: &Tensor, stride: i64, pad: i64, mode: Mode) -> Result<Tensor, TrainError> {
        let weight_oihw = self.weight.f_to_kind(x.kind())?.f_permute([0, 3, 1, 2])?;
        let no_bias: Option<Tensor> = None;
        let y = x.f_conv2d(&weight_oihw, no_bias, [stride; 2], [pad; 2], [1; 2], 1)?;
        let y = y.f_batch_norm(
            Some(&self.gamma),
            Some(&self.beta),
            Some(&self.mean),
            Some(&self.variance),
            mode == Mode::Train,
            BATCH_NORM_MOMENTUM,
            BATCH_NORM_EPSILON,
            true,
        )?;
        Ok(y.f_relu()?)
    }

    fn fold(&self) -> Result<FloatConv, TrainError> {
        let scale = &self.gamma / (&self.variance + BATCH_NORM_EPSILON).f_sqrt()?; // [c_out]
        let weight = &self.weight * scale.f_reshape([-1, 1, 1, 1])?;
        let bias = &self.beta - &self.mean * &scale;
        Ok(FloatConv {
            weight_oihw: values(&weight.f_permute([0, 3, 1, 2])?)?,
            bias: values(&bias)?,
        })
    }
}

/// A tensor's numbers in row-major order.
pub(super) fn values(tensor: &Tensor) -> Result<Vec<f32>, TrainError> {
    let flat = tensor
        .detach()
        .to_device(Device::Cpu)
        .f_contiguous()?
        .f_flatten(0, -1)?;
    Ok(Vec::<f32>::try_from(&flat)?)
}
