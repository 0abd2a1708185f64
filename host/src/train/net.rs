//! The siamese network in libtorch: parameters, forward pass, and the way out to [`FloatNet`].
//!
//! In: a batch of images `[n][h][w][1]`. Out: embeddings `[n][d]`, `d` in `[h][w][c]` order, the
//! order of `shared`. Weights live as `[c_out][k_h][k_w][c_in]`; seen as OIHW that is torch's
//! channels-last format, a third faster on CPUs than the default.

use tch::{Device, Kind, Tensor};

use super::TrainError;
use crate::config::{Init, Precision};
use crate::float_net::{FloatHead, FloatNet};
use crate::spec::{Activation, LayerSpec, NetSpec};
use filters::{Filters, Normalization};
use init::Start;

mod filters;
mod init;

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
                    let x = filters.forward(&x, layer, mode)?;
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

/// Name of a tensor of the layer with weights that is number `index` among them.
fn name(index: usize, what: &str) -> String {
    format!("conv{index}.{what}")
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
