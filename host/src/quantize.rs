//! Float network to integer network: post-training quantization with power-of-two scales.
//!
//! In: a [`FloatNet`] and a few hundred network inputs. Out: a [`QuantNet`] whose every sum is
//! certified to stay below 2^24, and a [`QuantReport`] of what rounding cost; or a
//! [`QuantizeError`] naming the layer and channel that cannot be certified.
//!
//! Reading order: this file, [`mod@calibrate`] (output exponents), [`round`] (weights and biases),
//! [`net`] (the result).

pub mod calibrate;
pub mod net;
pub mod round;

use std::fmt;

use serde::Serialize;
use shared::model::CertificateError;

use crate::float_net::FloatNet;
use crate::spec::{LayerSpec, SpecError};
use calibrate::{Calibration, calibrate};
pub use net::{Certificate, INPUT_EXPONENT, ModelError, QuantConv, QuantHead, QuantNet};
use round::{round_conv, round_head};

/// What rounding the activations cost, measured on the calibration images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuantReport {
    /// Calibration images.
    pub images: usize,
    /// One entry per convolution.
    pub layers: Vec<LayerReport>,
    /// Exponent of the head's weights: real weight = `q * 2^-exponent`.
    pub head_exponent: i32,
    /// Real logit = `q * 2^-exponent`.
    pub logit_exponent: u8,
    /// The tightest sum of the network.
    pub certificate: Certificate,
}

/// One convolution in a [`QuantReport`].
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// Smallest and largest exponent of the channels' weights.
    pub weight_exponents: [i32; 2],
}

/// Quantizes `net`; `calibration` holds network inputs `[h][w]`, 255 = ink.
///
/// # Errors
/// [`QuantizeError`] when the weights do not fit the layers or are not finite, when there is no
/// usable calibration image, or when a channel cannot be certified.
pub fn quantize(
    net: &FloatNet,
    calibration: &[Vec<u8>],
) -> Result<(QuantNet, QuantReport), QuantizeError> {
    check_net(net)?;
    check_calibration(net, calibration)?;
    let shapes = net.spec.shapes()?;
    let statistics = calibrate(net, calibration);

    let mut exponent = INPUT_EXPONENT;
    let mut convs = Vec::new();
    let mut layers = Vec::new();
    let mut weights = net.convs.iter().zip(&statistics);
    for (index, layer) in net.spec.layers.iter().enumerate() {
        let LayerSpec::Conv { kernel, .. } = *layer else {
            continue;
        };
        let Some((conv, statistics)) = weights.next() else {
            break;
        };
        let ohwi = conv.weight_ohwi(shapes[index].c, kernel);
        let wanted = statistics.best_exponent();
        let conv = round_conv(&ohwi, &conv.bias, exponent, wanted)
            .map_err(|error| error.at(Place::Layer(index)))?;
        layers.push(layer_report(index, statistics, &conv, exponent));
        exponent = conv.out_exponent;
        convs.push(conv);
    }
    let (head, head_exponent) =
        round_head(&net.head, exponent).map_err(|error| error.at(Place::Head))?;
    let logit_exponent = head.logit_exponent;
    let quantized = QuantNet {
        spec: net.spec.clone(),
        convs,
        head,
    };
    let report = QuantReport {
        images: calibration.len(),
        layers,
        head_exponent,
        logit_exponent,
        certificate: quantized.certificate(),
    };
    Ok((quantized, report))
}

fn layer_report(
    layer: usize,
    statistics: &Calibration,
    conv: &QuantConv,
    in_exponent: u8,
) -> LayerReport {
    let exponents = conv.weight_exponents(in_exponent);
    let low = exponents.iter().min().copied().unwrap_or(0);
    let high = exponents.iter().max().copied().unwrap_or(0);
    LayerReport {
        layer,
        exponent: conv.out_exponent,
        max: statistics.max,
        clipped: statistics.clipped(conv.out_exponent),
        mean_squared_error: statistics.mean_squared_error(conv.out_exponent),
        weight_exponents: [low, high],
    }
}

/// Every weight is there and finite.
fn check_net(net: &FloatNet) -> Result<(), QuantizeError> {
    let shapes = net.spec.shapes()?;
    let mut convs = net.convs.iter();
    for (index, layer) in net.spec.layers.iter().enumerate() {
        let LayerSpec::Conv { c_out, kernel, .. } = *layer else {
            continue;
        };
        let place = Place::Layer(index);
        let expected = kernel * kernel * shapes[index].c * c_out;
        let conv = convs.next();
        let weight = conv.map_or(&[][..], |conv| &conv.weight_oihw);
        check_values(place, "weight", weight, expected, expected / c_out.max(1))?;
        let bias = conv.map_or(&[][..], |conv| &conv.bias);
        check_values(place, "bias", bias, c_out, 1)?;
    }
    if convs.next().is_some() {
        let expected = net.convs.len() - convs.count() - 1;
        return Err(QuantizeError::Convs {
            expected,
            got: net.convs.len(),
        });
    }
    let len = net.spec.embedding()?.len();
    check_values(Place::Head, "weight", &net.head.weight_hwc, len, len)?;
    check_values(Place::Head, "bias", &[net.head.bias], 1, 1)
}

fn check_values(
    place: Place,
    what: &'static str,
    values: &[f32],
    expected: usize,
    per_channel: usize,
) -> Result<(), QuantizeError> {
    if values.len() != expected {
        let got = values.len();
        return Err(QuantizeError::Length {
            place,
            what,
            expected,
            got,
        });
    }
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(QuantizeError::NotFinite {
            place,
            what,
            channel: at / per_channel.max(1),
        }),
    }
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

/// A layer of the encoder, or the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Index in [`crate::spec::NetSpec::layers`].
    Layer(usize),
    /// The head.
    Head,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer(index) => write!(f, "layer {index}"),
            Self::Head => f.write_str("the head"),
        }
    }
}

/// Why a network cannot be quantized.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantizeError {
    /// The layers do not fit each other.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// More convolutions than the layers ask for.
    #[error("{got} convolutions have weights, the layers ask for {expected}")]
    Convs {
        /// Convolutions among the layers.
        expected: usize,
        /// Convolutions with weights.
        got: usize,
    },
    /// Weights or biases are missing or too many.
    #[error("{place}: {got} values of {what}, the layer asks for {expected}")]
    Length {
        /// Where.
        place: Place,
        /// `weight` or `bias`.
        what: &'static str,
        /// Values needed.
        expected: usize,
        /// Values there.
        got: usize,
    },
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
