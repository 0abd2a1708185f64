//! The siamese network in libtorch: parameters, forward pass, and the way out to [`FloatNet`].
//!
//! In: a batch of images `[n][h][w][1]`. Out: embeddings `[n][d]`, `d` in `[h][w][c]` order, the
//! order of `shared`. Weights live as `[c_out][k_h][k_w][c_in]`; seen as OIHW that is torch's
//! channels-last format, a third faster on CPUs than the default.

use shared::shape::Hwc;
use tch::{Device, Kind, Tensor};

use super::TrainError;
use crate::config::{Init, Precision};
use crate::float_net::{FloatFilters, FloatHead, FloatNet};
use crate::spec::{Activation, LayerSpec, NetSpec, Norm, WeightShape};
use init::Start;

mod init;

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
    /// One entry per layer with weights.
    filters: Vec<Filters>,
    /// `[d]`, the weight of each absolute difference in the logit.
    head_weight: Tensor,
    /// `[]`.
    head_bias: Tensor,
}

/// Weights of one layer and what is behind them.
#[derive(Debug)]
struct Filters {
    /// `[c_out][k_h][k_w][c_in]`.
    weight: Tensor,
    norm: Normalization,
}

#[derive(Debug)]
enum Normalization {
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

/// A named tensor of the network.
#[derive(Debug)]
pub struct Parameter {
    /// Name in checkpoints.
    pub name: String,
    /// The tensor itself, shared with the network.
    pub tensor: Tensor,
    /// What it is, for who decays weights.
    pub role: Role,
    /// Number of its layer among those with weights; the head is the last.
    pub layer: usize,
}

/// What a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Weights of a convolution.
    Kernel,
    /// Weights of a fully connected layer.
    Linear,
    /// Weights of the head.
    Head,
    /// Scales and biases.
    Rest,
}

impl Role {
    /// Weights of the encoder.
    #[must_use]
    pub const fn is_weight(self) -> bool {
        matches!(self, Self::Kernel | Self::Linear)
    }
}

impl Net {
    /// A network with He-normal weights (He 2015) and a head that starts as the negative mean
    /// difference. Draws from libtorch's generator: seed it first.
    ///
    /// # Errors
    /// [`TrainError`] when layers do not fit or libtorch refuses.
    pub fn new(spec: &NetSpec, precision: Precision, device: Device) -> Result<Self, TrainError> {
        Self::starting_as(Init::He, spec, precision, device)
    }

    /// As [`Self::new`], with weights and biases that start as `init` says.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn starting_as(
        init: Init,
        spec: &NetSpec,
        precision: Precision,
        device: Device,
    ) -> Result<Self, TrainError> {
        let options = (Kind::Float, device);
        let mut filters = Vec::new();
        for (index, shape, _) in spec.weights()? {
            if let Some((norm, _)) = spec.layers[index].tail() {
                let start = Start::of(init, role(&spec.layers[index]), shape);
                filters.push(Filters::new(shape, norm, start, options)?);
            }
        }
        let d = spec.embedding()?.len() as i64;
        let (head_weight, head_bias) = init::head(init, d, options)?;
        Ok(Self {
            spec: spec.clone(),
            kind: kind(precision),
            filters,
            head_weight: head_weight.set_requires_grad(true),
            head_bias: head_bias.set_requires_grad(true),
        })
    }

    /// A finished network, which is not trained further.
    ///
    /// # Errors
    /// [`TrainError`] when layers do not fit or libtorch refuses.
    pub fn frozen(
        net: &FloatNet,
        precision: Precision,
        device: Device,
    ) -> Result<Self, TrainError> {
        let layers = net.spec.weights()?.zip(&net.filters);
        let filters =
            layers.map(|((_, shape, _), filters)| Filters::frozen(filters, shape, device));
        Ok(Self {
            spec: net.spec.clone(),
            kind: kind(precision),
            filters: filters.collect::<Result<_, _>>()?,
            head_weight: Tensor::f_from_slice(&net.head.weight_hwc)?.to_device(device),
            head_bias: Tensor::from(net.head.bias).to_device(device),
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
        let mut filters = self.filters.iter();
        for layer in &self.spec.layers {
            x = match (*layer, layer.tail()) {
                (
                    LayerSpec::MaxPool {
                        kernel,
                        stride,
                        pad,
                    },
                    _,
                ) => max_pool(&x, [kernel, stride, pad].map(|v| v as i64))?,
                (_, Some((_, activation))) => {
                    let Some(filters) = filters.next() else {
                        continue;
                    };
                    let x = filters.norm.forward(&filters.sums(&x, layer)?, mode)?;
                    match activation {
                        Activation::Relu => x.f_relu()?,
                        Activation::Sigmoid => x.f_sigmoid()?,
                    }
                }
                (_, None) => x.f_mean_dim([2_i64, 3].as_slice(), true, None)?,
            };
        }
        Ok(x.f_permute([0, 2, 3, 1])?
            .f_flatten(1, -1)?
            .f_to_kind(Kind::Float)?) // [n, d]
    }

    /// Logits of every query against every support: `[q][d]`, `[s][d]` to `[q][s]`; or of several trials at once,
    /// `[t][q][d]`, `[t][s][d]` to `[t][q][s]`.
    ///
    /// # Errors
    /// [`TrainError::Torch`] when libtorch refuses.
    pub fn logits(&self, queries: &Tensor, supports: &Tensor) -> Result<Tensor, TrainError> {
        let differences = (queries.f_unsqueeze(-2)? - supports.f_unsqueeze(-3)?).f_abs()?; // [q, s, d]
        Ok(differences
            .f_matmul(&self.head_weight)?
            .f_add(&self.head_bias)?)
    }

    /// Logits of `n` pairs: `[n][d]`, `[n][d]` to `[n]`.
    ///
    /// # Errors
    /// [`TrainError::Torch`] when libtorch refuses.
    pub fn pair_logits(&self, first: &Tensor, second: &Tensor) -> Result<Tensor, TrainError> {
        let differences = (first - second).f_abs()?; // [n, d]
        Ok(differences
            .f_matmul(&self.head_weight)?
            .f_add(&self.head_bias)?)
    }

    /// What the optimizer trains, in a fixed order.
    #[must_use]
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut all = Vec::new();
        let mut push = |layer, name: String, tensor: &Tensor, role| {
            all.push(Parameter {
                name,
                tensor: tensor.shallow_clone(),
                role,
                layer,
            });
        };
        let layers = self
            .spec
            .layers
            .iter()
            .filter(|layer| layer.tail().is_some());
        for (index, (filters, layer)) in self.filters.iter().zip(layers).enumerate() {
            push(index, name(index, "weight"), &filters.weight, role(layer));
            match &filters.norm {
                Normalization::Batch { gamma, beta, .. } => {
                    push(index, name(index, "gamma"), gamma, Role::Rest);
                    push(index, name(index, "beta"), beta, Role::Rest);
                }
                Normalization::Bias(bias) => push(index, name(index, "bias"), bias, Role::Rest),
            }
        }
        let head = self.filters.len();
        push(
            head,
            "head.weight".to_owned(),
            &self.head_weight,
            Role::Head,
        );
        push(head, "head.bias".to_owned(), &self.head_bias, Role::Rest);
        all
    }

    /// Parameters and running statistics: everything that a checkpoint must hold.
    #[must_use]
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let trained = self.parameters().into_iter().map(|p| (p.name, p.tensor));
        let statistics = self
            .filters
            .iter()
            .enumerate()
            .flat_map(|(index, filters)| {
                let tensors = match &filters.norm {
                    Normalization::Batch { mean, variance, .. } => {
                        vec![("mean", mean), ("variance", variance)]
                    }
                    Normalization::Bias(_) => vec![],
                };
                let named = tensors.into_iter();
                named.map(move |(what, tensor)| (name(index, what), tensor.shallow_clone()))
            });
        trained.chain(statistics).collect()
    }

    /// The deployed form: normalization folded into the weights.
    ///
    /// # Errors
    /// [`TrainError::Torch`] when a tensor cannot be read.
    pub fn fold(&self) -> Result<FloatNet, TrainError> {
        let filters = self.filters.iter().map(Filters::fold);
        Ok(FloatNet {
            spec: self.spec.clone(),
            filters: filters.collect::<Result<_, _>>()?,
            head: FloatHead {
                weight_hwc: values(&self.head_weight)?,
                bias: self.head_bias.f_double_value(&[])? as f32,
            },
        })
    }
}

/// What the weights of a layer are.
const fn role(layer: &LayerSpec) -> Role {
    match layer {
        LayerSpec::Linear { .. } => Role::Linear,
        _ => Role::Kernel,
    }
}

/// Number format of convolutions.
const fn kind(precision: Precision) -> Kind {
    match precision {
        Precision::Bfloat16 => Kind::BFloat16,
        Precision::Auto | Precision::Float32 => Kind::Float,
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

/// Name of a tensor of the layer with weights that is number `index` among them.
fn name(index: usize, what: &str) -> String {
    format!("conv{index}.{what}")
}

impl Filters {
    fn new(
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

    fn frozen(
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

    fn fold(&self) -> Result<FloatFilters, TrainError> {
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

/// libtorch pads by at most half a kernel. Wider padding is zeros here: no activation is below, and
/// every window holds at least one.
fn max_pool(x: &Tensor, [kernel, stride, pad]: [i64; 3]) -> Result<Tensor, TrainError> {
    let pool = |x: &Tensor, pad| x.f_max_pool2d([kernel; 2], [stride; 2], [pad; 2], [1; 2], false);
    if 2 * pad <= kernel {
        return Ok(pool(x, pad)?);
    }
    Ok(pool(&x.f_constant_pad_nd([pad; 4])?, 0)?)
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

#[cfg(test)]
mod tests;
