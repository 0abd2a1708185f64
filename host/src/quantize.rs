//! Float network to integer network: post-training quantization with power-of-two scales.
//!
//! In: a [`FloatNet`] and a few hundred network inputs. Out: a [`QuantNet`] whose every sum is
//! certified to stay below 2^24, and a [`QuantReport`] of what rounding cost; or a
//! [`QuantizeError`] naming the layer and channel that cannot be certified.
//!
//! Reading order: this file, [`exact`] (which networks can be quantized), [`mod@calibrate`] (output
//! exponents), [`round`] (weights and biases), [`net`] (the result).

pub mod calibrate;
pub mod exact;
pub mod net;
pub mod round;

use serde::{Deserialize, Serialize};
use shared::model::CertificateError;
use shared::quant::MAX_SHIFT;
use shared::shape::{Hwc, ShapeError};

use crate::float_net::{FloatFilters, FloatNet, FloatNetError};
use crate::spec::{LayerSpec, Place, SpecError, WeightShape};
use calibrate::{Calibration, calibrate, sets_exponent};
use exact::{FloatOnly, float_only};
use net::weight_exponents;
pub use net::{
    Certificate, INPUT_EXPONENT, ModelError, QuantFilters, QuantHead, QuantLayer, QuantNet,
};
use round::{RoundError, round_filters, round_head};

/// What rounding the activations cost, measured on the calibration images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantReport {
    /// Calibration images.
    pub images: usize,
    /// One entry per layer that sets the exponent of its output.
    pub layers: Vec<LayerReport>,
    /// Exponent of the head's weights: real weight = `q * 2^-exponent`.
    pub head_exponent: i32,
    /// Real logit = `q * 2^-exponent`.
    pub logit_exponent: u8,
    /// The tightest sum of the network.
    pub certificate: Certificate,
}

/// One layer in a [`QuantReport`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Index in [`crate::spec::NetSpec::layers`].
    pub layer: usize,
    /// Real output = `q * 2^-exponent`.
    pub exponent: u8,
    /// Largest float activation seen.
    pub max: f32,
    /// Share of activations above the largest representable one.
    pub clipped: f64,
    /// Mean squared rounding and clipping error of the activations.
    pub mean_squared_error: f64,
    /// Smallest and largest exponent of the channels' weights, where there are any.
    pub weight_exponents: Option<[i32; 2]>,
}

/// Quantizes `net`; `calibration` holds network inputs `[h][w]`, 255 = ink.
///
/// # Errors
/// [`QuantizeError`] when the layers have no exact integers, when the weights do not fit them or are
/// not finite, when there is no usable calibration image, or when a channel cannot be certified.
pub fn quantize(
    net: &FloatNet,
    calibration: &[Vec<u8>],
) -> Result<(QuantNet, QuantReport), QuantizeError> {
    if let Some(&refused) = float_only(&net.spec)?.first() {
        return Err(refused.into());
    }
    net.check()?;
    check_finite(net)?;
    check_calibration(net, calibration)?;
    let statistics = calibrate(&net.encoder()?, &net.spec.layers, calibration)?;

    let mut exponent = INPUT_EXPONENT;
    let (mut layers, mut reports) = (Vec::new(), Vec::new());
    let (mut filters, mut statistics) = (net.filters.iter(), statistics.iter());
    for (index, (layer, input)) in net.spec.layers.iter().zip(net.spec.shapes()?).enumerate() {
        let statistics = sets_exponent(layer).then(|| statistics.next()).flatten();
        let wanted = statistics.map_or(exponent, Calibration::best_exponent);
        let weights = layer.weights(input);
        let quantized = match weights.and_then(|shape| Some((shape, filters.next()?))) {
            Some((shape, filters)) => round_layer(filters, shape, exponent, wanted)
                .map_err(|error| error.at(Place::Layer(index)))?,
            None => QuantLayer {
                out_exponent: pooled_exponent(layer, input, exponent, wanted),
                filters: None,
            },
        };
        if let Some(statistics) = statistics {
            reports.push(layer_report(index, statistics, &quantized, exponent));
        }
        exponent = quantized.out_exponent;
        layers.push(quantized);
    }
    let (head, head_exponent) =
        round_head(&net.head, exponent).map_err(|error| error.at(Place::Head))?;
    let logit_exponent = head.logit_exponent;
    let quantized = QuantNet {
        spec: net.spec.clone(),
        layers,
        head,
        calibration: None,
    };
    let report = QuantReport {
        images: calibration.len(),
        layers: reports,
        head_exponent,
        logit_exponent,
        certificate: quantized.certificate(),
    };
    Ok((quantized, report))
}

fn round_layer(
    filters: &FloatFilters,
    shape: WeightShape,
    in_exponent: u8,
    wanted: u8,
) -> Result<QuantLayer, RoundError> {
    let weight = filters.weight_ohwi(shape);
    let rounded = round_filters(&weight, &filters.bias, in_exponent, wanted)?;
    Ok(QuantLayer {
        out_exponent: rounded.out_exponent,
        filters: Some(rounded.filters),
    })
}

/// The output exponent of a layer without weights. A mean of 2^k values has k more binary digits
/// than they: any number of them may be kept.
fn pooled_exponent(layer: &LayerSpec, input: Hwc, in_exponent: u8, wanted: u8) -> u8 {
    match layer {
        LayerSpec::GlobalAveragePool => {
            let digits = (input.h * input.w).trailing_zeros() as u8; // at most 16: it is exact
            wanted.clamp(in_exponent, MAX_SHIFT.min(in_exponent + digits))
        }
        _ => in_exponent,
    }
}

fn layer_report(
    layer: usize,
    statistics: &Calibration,
    quantized: &QuantLayer,
    in_exponent: u8,
) -> LayerReport {
    let exponent = quantized.out_exponent;
    let filters = quantized.filters.as_ref();
    let exponents = filters.map(|f| weight_exponents(&f.shift, in_exponent, exponent));
    let range = |exponents: &Vec<i32>| Some([*exponents.iter().min()?, *exponents.iter().max()?]);
    LayerReport {
        layer,
        exponent,
        max: statistics.max,
        clipped: statistics.clipped(exponent),
        mean_squared_error: statistics.mean_squared_error(exponent),
        weight_exponents: exponents.as_ref().and_then(range),
    }
}

/// Every weight is finite.
fn check_finite(net: &FloatNet) -> Result<(), QuantizeError> {
    let check = |place, what, values: &[f32], per_channel: usize| {
        let at = values.iter().position(|value| !value.is_finite());
        at.map_or(Ok(()), |at| {
            Err(QuantizeError::NotFinite {
                place,
                what,
                channel: at / per_channel.max(1),
            })
        })
    };
    for ((index, shape, _), filters) in net.spec.weights()?.zip(&net.filters) {
        let place = Place::Layer(index);
        check(place, "weight", &filters.weight_oihw, shape.taps())?;
        check(place, "bias", &filters.bias, 1)?;
    }
    let weight = &net.head.weight_hwc;
    check(Place::Head, "weight", weight, weight.len())?;
    check(Place::Head, "bias", &[net.head.bias], 1)
}

fn check_calibration(net: &FloatNet, calibration: &[Vec<u8>]) -> Result<(), QuantizeError> {
    if calibration.is_empty() {
        return Err(QuantizeError::NoCalibration);
    }
    let expected = net.spec.input().len();
    let wrong = calibration.iter().position(|image| image.len() != expected);
    wrong.map_or(Ok(()), |index| {
        let got = calibration[index].len();
        Err(QuantizeError::Calibration {
            index,
            expected,
            got,
        })
    })
}

/// Why a network cannot be quantized.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantizeError {
    /// The layers do not fit each other.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A layer has no exact integers.
    #[error(transparent)]
    FloatOnly(#[from] FloatOnly),
    /// Weights or biases are missing or too many.
    #[error(transparent)]
    Net(#[from] FloatNetError),
    /// A buffer has the wrong length.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A weight or bias is infinite or not a number: training diverged.
    #[error(
        "{place}, channel {channel}: its {what} is not a finite number; train again with a lower train.learning_rate"
    )]
    NotFinite {
        /// Where.
        place: Place,
        /// `weight` or `bias`.
        what: &'static str,
        /// Output channel.
        channel: usize,
    },
    /// There is nothing to calibrate on.
    #[error("no calibration image: give at least one")]
    NoCalibration,
    /// A calibration image is not a network input.
    #[error("calibration image {index} has {got} pixels, the network takes {expected}")]
    Calibration {
        /// Which image.
        index: usize,
        /// Pixels of the network's input.
        expected: usize,
        /// Pixels of the image.
        got: usize,
    },
    /// No exponent keeps this channel exact.
    #[error(
        "{place}, channel {channel} cannot be certified: {reason}; train with more train.weight_decay"
    )]
    Uncertified {
        /// Where.
        place: Place,
        /// Output channel.
        channel: usize,
        /// The rule that the last candidate broke.
        reason: CertificateError,
    },
    /// The weights need a scale that the format has no exponent for.
    #[error(
        "{place}, channel {channel} cannot be certified: its output needs exponent {exponent}, which is not in 0..=23; train with more train.weight_decay"
    )]
    Exponent {
        /// Where.
        place: Place,
        /// Output channel.
        channel: usize,
        /// The exponent.
        exponent: i32,
    },
}

#[cfg(test)]
mod tests;
