//! Rounding weights and biases to integers under the certificate.
//!
//! In: float weights of one layer and the exponents around it. Out: 7-bit weights, 32-bit biases
//! and right shifts, each output channel with the largest exponent that keeps every rule:
//! `-64 <= w <= 63`, `|b| + 255 Σ|w| < 2^24`, `0 <= r <= 23`.

use shared::model::CertificateError;
use shared::quant::{ACC_LIMIT, MAX_SHIFT, WEIGHT_LIMIT};

use super::net::{QuantFilters, QuantHead};
use super::{Place, QuantizeError};
use crate::float_net::FloatHead;

/// Exponents at which a search gives up: real numbers of this size do not come from training.
const LOWEST_EXPONENT: i32 = -40;
const HIGHEST_EXPONENT: i32 = 40;

/// A channel for which no exponent exists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoundError {
    channel: usize,
    reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Reason {
    Certificate(CertificateError),
    Exponent(i32),
}

impl RoundError {
    /// The same error, naming the layer.
    #[must_use]
    pub const fn at(self, place: Place) -> QuantizeError {
        let channel = self.channel;
        match self.reason {
            Reason::Certificate(reason) => QuantizeError::Uncertified {
                place,
                channel,
                reason,
            },
            Reason::Exponent(exponent) => QuantizeError::Exponent {
                place,
                channel,
                exponent,
            },
        }
    }
}

/// Rounds a layer's filters. `wanted` is the output exponent that calibration asks for; it is
/// lowered where a channel's sums are coarser than that.
///
/// # Errors
/// [`RoundError`] naming the channel without an exponent.
pub fn round_filters(
    weight_ohwi: &[f32],
    bias: &[f32],
    in_exponent: u8,
    wanted: u8,
) -> Result<Rounded, RoundError> {
    let input = i32::from(in_exponent);
    let taps = (weight_ohwi.len() / bias.len().max(1)).max(1);
    // Above this the right shift would pass 23.
    let ceiling = i32::from(MAX_SHIFT) + i32::from(wanted) - input;
    let mut channels = Vec::with_capacity(bias.len());
    let mut out_exponent = wanted;
    for (channel, (weight, &bias)) in weight_ohwi.chunks_exact(taps).zip(bias).enumerate() {
        let refuse = |reason| RoundError { channel, reason };
        let rounded = round_channel(weight, bias, input, ceiling)
            .map_err(|reason| refuse(Reason::Certificate(reason)))?;
        // The accumulator's own exponent: a finer output than this would need a left shift.
        let finest = input + rounded.exponent;
        let finest = u8::try_from(finest).map_err(|_| refuse(Reason::Exponent(finest)))?;
        out_exponent = out_exponent.min(finest);
        channels.push(rounded);
    }
    // A lowered output exponent makes every shift longer, possibly longer than 23.
    if out_exponent < wanted {
        return round_filters(weight_ohwi, bias, in_exponent, out_exponent);
    }
    let mut filters = QuantFilters {
        weight_ohwi: Vec::with_capacity(weight_ohwi.len()),
        bias: Vec::with_capacity(bias.len()),
        shift: Vec::with_capacity(bias.len()),
    };
    for rounded in channels {
        let shift = input + rounded.exponent - i32::from(out_exponent);
        filters.weight_ohwi.extend(rounded.weight);
        filters.bias.push(rounded.bias);
        filters.shift.push(shift as u8); // 0..=23 by `finest` and `ceiling`
    }
    Ok(Rounded {
        filters,
        out_exponent,
    })
}

/// A layer's filters in integers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rounded {
    /// Weights, biases and shifts.
    pub filters: QuantFilters,
    /// Real output = `q * 2^-out_exponent`.
    pub out_exponent: u8,
}

/// Rounds the head; also returns the exponent of its weights.
///
/// # Errors
/// [`RoundError`] when no exponent keeps the logit exact.
pub fn round_head(
    head: &FloatHead,
    embedding_exponent: u8,
) -> Result<(QuantHead, i32), RoundError> {
    let input = i32::from(embedding_exponent);
    let refuse = |reason| RoundError { channel: 0, reason };
    let ceiling = i32::from(MAX_SHIFT) - input;
    let rounded = round_channel(&head.weight_hwc, head.bias, input, ceiling)
        .map_err(|reason| refuse(Reason::Certificate(reason)))?;
    let logit = input + rounded.exponent;
    let logit_exponent = u8::try_from(logit).map_err(|_| refuse(Reason::Exponent(logit)))?;
    let head = QuantHead {
        weight_hwc: rounded.weight,
        bias: rounded.bias,
        logit_exponent,
    };
    Ok((head, rounded.exponent))
}

struct Channel {
    weight: Vec<i8>,
    bias: i32,
    exponent: i32,
}

/// Tries exponents downwards from the largest that the weights may have.
fn round_channel(
    weight: &[f32],
    bias: f32,
    in_exponent: i32,
    ceiling: i32,
) -> Result<Channel, CertificateError> {
    let largest = weight.iter().fold(0.0_f32, |max, w| max.max(w.abs()));
    let start = if largest > 0.0 {
        let fits = (f64::from(WEIGHT_LIMIT) / f64::from(largest))
            .log2()
            .floor();
        (fits as i32 + 1).min(HIGHEST_EXPONENT)
    } else {
        HIGHEST_EXPONENT
    };
    let start = start.min(ceiling);
    let mut refusal = CertificateError::Bound { got: i64::MAX };
    for exponent in (LOWEST_EXPONENT.min(start)..=start).rev() {
        match try_exponent(weight, bias, in_exponent, exponent) {
            Ok(rounded) => return Ok(rounded),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

fn try_exponent(
    weight: &[f32],
    bias: f32,
    in_exponent: i32,
    exponent: i32,
) -> Result<Channel, CertificateError> {
    let scale = f64::from(exponent).exp2();
    let mut rounded = Vec::with_capacity(weight.len());
    let mut bound = 0_i64;
    for &w in weight {
        let q = (f64::from(w) * scale).round_ties_even();
        let limit = f64::from(WEIGHT_LIMIT);
        if !(-limit..limit).contains(&q) {
            let got = q.clamp(-128.0, 127.0) as i8;
            return Err(CertificateError::Weight { got });
        }
        bound += 255 * (q.abs() as i64);
        rounded.push(q as i8);
    }
    let bias = (f64::from(bias) * f64::from(in_exponent + exponent).exp2()).round_ties_even();
    // Casts of floats saturate: a bias beyond i64 is beyond the limit as well.
    bound = bound.saturating_add(bias.abs() as i64);
    if bound >= ACC_LIMIT {
        return Err(CertificateError::Bound { got: bound });
    }
    Ok(Channel {
        weight: rounded,
        bias: bias as i32,
        exponent,
    })
}

#[cfg(test)]
mod tests {
    use super::super::net::weight_exponents;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every channel keeps every rule and has the finest exponent that does.
        #[test]
        fn keeps_the_rules(
            weight in prop::collection::vec(-3.0_f32..3.0, 8),
            scale in -12_i32..6,
            bias in -4.0_f32..4.0,
            wanted in 0_u8..=10,
        ) {
            let weight: Vec<f32> = weight.iter().map(|w| w * (scale as f32).exp2()).collect();
            let Rounded { filters, out_exponent } =
                round_filters(&weight, &[bias, -bias], 8, wanted).unwrap();
            prop_assert!(out_exponent <= wanted);
            for (c, (q, &shift)) in filters.weight_ohwi.chunks(4).zip(&filters.shift).enumerate() {
                prop_assert!(shift <= 23);
                prop_assert!(q.iter().all(|q| (-64..64).contains(q)));
                let sum: i64 = q.iter().map(|q| i64::from(*q).abs()).sum();
                prop_assert!(i64::from(filters.bias[c]).abs() + 255 * sum < ACC_LIMIT);
                let e = i32::from(shift) + i32::from(out_exponent) - 8;
                let step = f64::from(-e).exp2();
                for (q, w) in q.iter().zip(&weight[4 * c..]) {
                    prop_assert!((f64::from(*q) * step - f64::from(*w)).abs() <= step / 2.0);
                }
                if shift < 23 {
                    let channel = &weight[4 * c..4 * c + 4];
                    prop_assert!(try_exponent(channel, channel_bias(bias, c), 8, e + 1).is_err());
                }
            }
        }
    }

    fn channel_bias(bias: f32, channel: usize) -> f32 {
        if channel == 0 { bias } else { -bias }
    }

    #[test]
    fn a_coarse_channel_lowers_the_output_exponent() {
        // 63 · 2^6 needs exponent -6, so sums have exponent 2.
        let rounded = round_filters(&[63.0 * 64.0, 0.5], &[0.0, 0.0], 8, 7).unwrap();
        assert_eq!(rounded.out_exponent, 2);
        let QuantFilters {
            weight_ohwi, shift, ..
        } = rounded.filters;
        assert_eq!((shift[0], weight_ohwi[0]), (0, 63));
        assert_eq!(weight_exponents(&shift, 8, 2), [-6, 6]);
    }

    #[test]
    fn a_large_bias_costs_weight_bits() {
        let round = |bias| round_filters(&[0.5], &[bias], 8, 0).unwrap().filters;
        // 1000 · 2^(8+e) < 2^24 leaves e = 6: weight 32, although 63 would fit.
        let filters = round(1000.0);
        assert_eq!((filters.weight_ohwi[0], filters.bias[0]), (32, 1000 << 14));
        let filters = round(4000.0);
        assert_eq!((filters.weight_ohwi[0], filters.bias[0]), (8, 4000 << 12));
    }

    #[test]
    fn dead_channel_has_a_legal_shift() {
        let rounded = round_filters(&[0.0, 0.0], &[0.0], 8, 4).unwrap();
        assert_eq!((rounded.filters.shift[0], rounded.filters.bias[0]), (23, 0));
    }
}
