//! The integer network: what quantization produces and every export starts from.
//!
//! In: integer weights. Out: the bytes of `model.onelook`, parsed again by the reader that the
//! device uses before anyone sees them.

use serde::Serialize;
use sha2::{Digest, Sha256};
use shared::model::{
    EmitError, FormatError, HeadRepr, LayerRepr, ModelRepr, ModelView, Preprocessing,
};

use super::Place;
use crate::spec::{LayerSpec, NetSpec};

/// Real pixel = `q * 2^-8`: the quantized pixel is the pixel.
pub const INPUT_EXPONENT: u8 = 8;

/// Integer weights of a [`NetSpec`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantNet {
    /// The layers that the weights belong to.
    pub spec: NetSpec,
    /// One entry per [`LayerSpec::Conv`], first to last.
    pub convs: Vec<QuantConv>,
    /// The head.
    pub head: QuantHead,
}

/// One convolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantConv {
    /// `[c_out][kernel][kernel][c_in]`.
    pub weight_ohwi: Vec<i8>,
    /// `[c_out]`.
    pub bias: Vec<i32>,
    /// `[c_out]`: right shifts of requantize.
    pub shift: Vec<u8>,
    /// Real output = `q * 2^-out_exponent`.
    pub out_exponent: u8,
}

impl QuantConv {
    /// Per channel: real weight = `q * 2^-exponent`.
    #[must_use]
    pub fn weight_exponents(&self, in_exponent: u8) -> Vec<i32> {
        let shifts = self.shift.iter();
        let out = i32::from(self.out_exponent) - i32::from(in_exponent);
        shifts.map(|&shift| i32::from(shift) + out).collect()
    }
}

/// `logit = bias + Σ weight * |a - b|`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantHead {
    /// `[h][w][c]` of the embedding.
    pub weight_hwc: Vec<i8>,
    /// Bias of the logit.
    pub bias: i32,
    /// Real logit = `q * 2^-logit_exponent`.
    pub logit_exponent: u8,
}

/// The largest value that any accumulator of the network can reach, whatever the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// `|bias| + 255 Σ|weight|`; below 2^24 when the network is exact.
    pub bound: i64,
    /// Where.
    pub place: Place,
    /// Output channel.
    pub channel: usize,
}

impl std::fmt::Display for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            bound,
            place,
            channel,
        } = self;
        write!(
            f,
            "|b| + 255 sum|w| <= {bound} < 2^24 (largest at {place}, channel {channel}); \
             |w| <= 64; 0 <= shift <= 23; every scale is a power of two"
        )
    }
}

impl QuantNet {
    /// Real embedding value = `q * 2^-exponent`.
    #[must_use]
    pub fn embedding_exponent(&self) -> u8 {
        let last = self.convs.last();
        last.map_or(INPUT_EXPONENT, |conv| conv.out_exponent)
    }

    /// The tightest accumulator. Whether it holds is for [`Self::to_model_bytes`] to say.
    #[must_use]
    pub fn certificate(&self) -> Certificate {
        let mut largest = Certificate {
            bound: bound(&self.head.weight_hwc, self.head.bias),
            place: Place::Head,
            channel: 0,
        };
        let layers = self.spec.layers.iter().enumerate();
        let layers = layers.filter(|(_, layer)| matches!(layer, LayerSpec::Conv { .. }));
        for ((layer, _), conv) in layers.zip(&self.convs) {
            let taps = (conv.weight_ohwi.len() / conv.bias.len().max(1)).max(1);
            let channels = conv.weight_ohwi.chunks_exact(taps).zip(&conv.bias);
            for (channel, (weight, &bias)) in channels.enumerate() {
                let bound = bound(weight, bias);
                if bound > largest.bound {
                    largest = Certificate {
                        bound,
                        place: Place::Layer(layer),
                        channel,
                    };
                }
            }
        }
        largest
    }

    /// The file `model.onelook`, checked by the device's own reader.
    ///
    /// # Errors
    /// [`ModelError`] when a number does not fit the format or the certificate does not hold.
    pub fn to_model_bytes(&self, provenance: &str) -> Result<Vec<u8>, ModelError> {
        let mut convs = self.convs.iter();
        let layers: Option<Vec<LayerRepr<'_>>> = self
            .spec
            .layers
            .iter()
            .map(|layer| match *layer {
                LayerSpec::Conv { .. } => convs.next().map(|conv| LayerRepr::Conv2d {
                    window: layer.window(),
                    weight: &conv.weight_ohwi,
                    bias: &conv.bias,
                    shift: &conv.shift,
                    out_exponent: conv.out_exponent,
                }),
                LayerSpec::MaxPool { kernel, stride } => {
                    Some(LayerRepr::MaxPool2d { kernel, stride })
                }
            })
            .collect();
        let layers = layers.ok_or(ModelError::Convs {
            got: self.convs.len(),
        })?;
        let model = ModelRepr {
            input: self.spec.input(),
            input_exponent: INPUT_EXPONENT,
            preprocessing: Preprocessing::ResampleArea,
            layers: &layers,
            head: HeadRepr {
                weight: &self.head.weight_hwc,
                bias: self.head.bias,
                logit_exponent: self.head.logit_exponent,
            },
            provenance,
        };
        let mut bytes = vec![0; model.buffer_len()];
        model
            .emit(&mut bytes, |content| Sha256::digest(content).into())
            .map_err(ModelError::Emit)?;
        ModelView::new_checked(&bytes).map_err(ModelError::Format)?;
        Ok(bytes)
    }
}

fn bound(weight: &[i8], bias: i32) -> i64 {
    let weights = weight.iter().map(|w| i64::from(*w).abs());
    i64::from(bias).abs() + 255 * weights.sum::<i64>()
}

/// Why an integer network has no model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A convolution has no weights.
    #[error("only {got} convolutions have weights, the layers ask for more")]
    Convs {
        /// Convolutions with weights.
        got: usize,
    },
    /// A number does not fit the format.
    #[error("model file: {0}")]
    Emit(EmitError),
    /// The device would refuse it.
    #[error("model file: {0}")]
    Format(FormatError),
}
