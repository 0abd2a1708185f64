//! The integer network: what quantization produces and every export starts from.
//!
//! In: integer weights. Out: the bytes of `model.onelook`, parsed again by the reader that the
//! device uses before anyone sees them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::decide::CalibrationRepr;
use shared::model::{
    EmitError, FiltersRepr, FormatError, HeadRepr, LayerRepr, ModelRepr, ModelView,
};
use shared::quant::bound;
use shared::shape::Hwc;

use crate::layout::chw_to_hwc;
use crate::spec::{LayerSpec, NetSpec, Place, SpecError, WeightShape};

/// Real pixel = `q * 2^-8`: the quantized pixel is the pixel.
pub const INPUT_EXPONENT: u8 = 8;

/// Integer weights of a [`NetSpec`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantNet {
    /// The layers that the weights belong to.
    pub spec: NetSpec,
    /// One entry per layer of `spec`.
    pub layers: Vec<QuantLayer>,
    /// The head.
    pub head: QuantHead,
    /// Which logits unknown marks reach, where that was measured: [`crate::calibration`].
    pub calibration: Option<CalibrationRepr>,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantLayer {
    /// Real output = `q * 2^-out_exponent`.
    pub out_exponent: u8,
    /// Weights, where the layer has any.
    pub filters: Option<QuantFilters>,
}

/// Weights of one layer, shaped as its [`WeightShape`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantFilters {
    /// `[c_out][k_h][k_w][c_in]`.
    pub weight_ohwi: Vec<i8>,
    /// `[c_out]`.
    pub bias: Vec<i32>,
    /// `[c_out]`: right shifts of requantize.
    pub shift: Vec<u8>,
}

/// Per channel: real weight = `q * 2^-exponent`, from what the shifts do to the exponents around
/// the layer.
#[must_use]
pub fn weight_exponents(shift: &[u8], in_exponent: u8, out_exponent: u8) -> Vec<i32> {
    let difference = i32::from(out_exponent) - i32::from(in_exponent);
    let exponents = shift.iter().map(|&shift| i32::from(shift) + difference);
    exponents.collect()
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The network with all weights zero, and a calibration: its model file is as long as that of any other with these
    /// layers.
    ///
    /// # Errors
    /// [`SpecError`] when the layers do not fit each other.
    pub fn blank(spec: &NetSpec) -> Result<Self, SpecError> {
        let filters = |shape: WeightShape| QuantFilters {
            weight_ohwi: vec![0; shape.len()],
            bias: vec![0; shape.c_out],
            shift: vec![0; shape.c_out],
        };
        let layers = spec.layers.iter().zip(spec.shapes()?);
        let layers = layers.map(|(layer, input)| QuantLayer {
            out_exponent: INPUT_EXPONENT,
            filters: layer.weights(input).map(filters),
        });
        Ok(Self {
            layers: layers.collect(),
            head: QuantHead {
                weight_hwc: vec![0; spec.embedding()?.len()],
                bias: 0,
                logit_exponent: INPUT_EXPONENT,
            },
            calibration: Some(CalibrationRepr {
                draws: 1,
                pairs: 1,
                thresholds: Default::default(),
                genuine: Default::default(),
            }),
            spec: spec.clone(),
        })
    }

    /// Real embedding value = `q * 2^-exponent`.
    #[must_use]
    pub fn embedding_exponent(&self) -> u8 {
        let last = self.layers.last();
        last.map_or(INPUT_EXPONENT, |layer| layer.out_exponent)
    }

    /// The tightest accumulator. Whether it holds is for [`Self::to_model_bytes`] to say.
    #[must_use]
    pub fn certificate(&self) -> Certificate {
        let mut largest = Certificate {
            bound: bound(self.head.weight_hwc.iter().copied(), self.head.bias),
            place: Place::Head,
            channel: 0,
        };
        for (index, layer) in self.layers.iter().enumerate() {
            let Some(filters) = &layer.filters else {
                continue;
            };
            let taps = (filters.weight_ohwi.len() / filters.bias.len().max(1)).max(1);
            let channels = filters.weight_ohwi.chunks_exact(taps).zip(&filters.bias);
            for (channel, (weight, &bias)) in channels.enumerate() {
                let bound = bound(weight.iter().copied(), bias);
                if bound > largest.bound {
                    largest = Certificate {
                        bound,
                        place: Place::Layer(index),
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
    /// [`ModelError`] when weights are missing, a number does not fit the format, or the
    /// certificate does not hold.
    pub fn to_model_bytes(&self, provenance: &str) -> Result<Vec<u8>, ModelError> {
        let shapes = self.spec.shapes()?;
        let missing = |index| move || ModelError::Weights { index };
        let weights: Vec<_> = self.weights_in_file_order(&shapes).collect();
        let mut layers = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.spec.layers.iter().enumerate() {
            let quantized = self.layers.get(index).ok_or_else(missing(index))?;
            let window = layer.window(shapes[index]);
            let filters = quantized.filters.as_ref().zip(weights.get(index));
            let filters = filters.map(|(filters, weight)| FiltersRepr {
                weight,
                bias: &filters.bias,
                shift: &filters.shift,
                out_exponent: quantized.out_exponent,
            });
            let filters = filters.ok_or_else(missing(index));
            layers.push(match layer {
                LayerSpec::Conv { .. } => LayerRepr::Conv2d {
                    window,
                    filters: filters?,
                },
                LayerSpec::Depthwise { .. } => LayerRepr::DepthwiseConv2d {
                    window,
                    filters: filters?,
                },
                LayerSpec::Linear { .. } => LayerRepr::Linear { filters: filters? },
                LayerSpec::MaxPool { .. } => LayerRepr::MaxPool2d { window },
                LayerSpec::GlobalAveragePool => LayerRepr::GlobalAveragePool {
                    out_exponent: quantized.out_exponent,
                },
            });
        }
        let model = ModelRepr {
            input: self.spec.input(),
            input_exponent: INPUT_EXPONENT,
            framing: self.spec.framing.into(),
            layers: &layers,
            head: HeadRepr {
                weight: &self.head.weight_hwc,
                bias: self.head.bias,
                logit_exponent: self.head.logit_exponent,
            },
            calibration: self.calibration,
            provenance,
        };
        let mut bytes = vec![0; model.buffer_len()];
        model
            .emit(&mut bytes, |content| Sha256::digest(content).into())
            .map_err(ModelError::Emit)?;
        ModelView::new_checked(&bytes).map_err(ModelError::Format)?;
        Ok(bytes)
    }

    /// Each layer's weights as its operator reads them: those of a depthwise convolution lie as its
    /// input does.
    fn weights_in_file_order(&self, shapes: &[Hwc]) -> impl Iterator<Item = Cow<'_, [i8]>> {
        let layers = self.spec.layers.iter().zip(shapes).zip(&self.layers);
        layers.map(|((layer, input), quantized)| {
            let weight = quantized
                .filters
                .as_ref()
                .map_or(&[][..], |f| &f.weight_ohwi);
            match (layer, layer.weights(*input)) {
                (LayerSpec::Depthwise { .. }, Some(shape)) if weight.len() == shape.len() => {
                    chw_to_hwc(weight, Hwc::new(shape.k_h, shape.k_w, shape.c_out)).into()
                }
                _ => weight.into(),
            }
        })
    }
}

/// Why an integer network has no model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The layers do not fit each other.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A layer has no weights.
    #[error("layer {index} has no weights")]
    Weights {
        /// Index of the layer.
        index: usize,
    },
    /// A number does not fit the format.
    #[error("model file: {0}")]
    Emit(EmitError),
    /// The device would refuse it.
    #[error("model file: {0}")]
    Format(FormatError),
}
