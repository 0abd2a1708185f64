//! The parameters of an operator's output channels: weights, biases and right shifts, as they lie
//! in a model file.
//!
//! In: slices of flash. Out: one [`Channel`] at a time, in the order of the output's channels.
//! Every operator with weights holds one of these, so the certificate is checked in one place.

use crate::quant::bound;
use crate::shape::{ShapeError, check_at_least, check_len};

/// Biases as they lie in a model file: little-endian `i32`, any alignment.
#[derive(Debug, Clone, Copy)]
pub struct Bias<'m>(&'m [[u8; 4]]);

impl<'m> Bias<'m> {
    /// Wraps the bytes of the biases.
    #[must_use]
    pub const fn new(bytes: &'m [[u8; 4]]) -> Self {
        Self(bytes)
    }

    /// The biases in channel order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = i32> + 'm {
        self.0.iter().map(|bytes| i32::from_le_bytes(*bytes))
    }
}

/// Axis order of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// `[c_out][taps]`: every channel reads the same inputs, so its weights are one dot product.
    ChannelFirst,
    /// `[taps][c_out]`: every channel reads its own inputs, which lie as its weights do.
    ChannelLast,
}

/// Weights, biases and shifts of `c_out` channels with `taps` weights each.
#[derive(Debug, Clone, Copy)]
pub struct Filters<'m> {
    order: Order,
    taps: usize,
    weight: &'m [i8],
    bias: Bias<'m>,
    shift: &'m [u8],
}

/// The parameters of one output channel.
#[derive(Debug, Clone, Copy)]
pub struct Channel<'m> {
    /// Its weights begin here ...
    weight: &'m [i8],
    /// ... and are this far apart.
    step: usize,
    /// Where its accumulator starts.
    pub bias: i32,
    /// Right shift of [`crate::quant::requantize`].
    pub shift: u8,
}

impl<'m> Channel<'m> {
    /// The weights, tap by tap.
    pub fn weights(&self) -> impl Iterator<Item = i8> + Clone + 'm {
        self.weight.iter().step_by(self.step).copied()
    }

    /// The largest magnitude that the accumulator can reach, see [`bound`].
    #[must_use]
    pub fn bound(&self) -> i64 {
        bound(self.weights(), self.bias)
    }
}

impl<'m> Filters<'m> {
    /// Checks that every channel has its weights, at least one, its bias and its shift.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when a slice has another length than `shift` asks for.
    pub const fn new(
        order: Order,
        taps: usize,
        weight: &'m [i8],
        bias: Bias<'m>,
        shift: &'m [u8],
    ) -> Result<Self, ShapeError> {
        // Kernels walk over the weights: a channel without one would never be written.
        if let Err(error) = check_at_least(taps, 1) {
            return Err(error);
        }
        if let Err(error) = check_len(weight.len(), taps.saturating_mul(shift.len())) {
            return Err(error);
        }
        if let Err(error) = check_len(bias.0.len(), shift.len()) {
            return Err(error);
        }
        Ok(Self {
            order,
            taps,
            weight,
            bias,
            shift,
        })
    }

    /// Number of output channels.
    #[must_use]
    pub const fn c_out(&self) -> usize {
        self.shift.len()
    }

    /// Weights of one channel.
    #[must_use]
    pub const fn taps(&self) -> usize {
        self.taps
    }

    /// All weights, in the order that the operator documents.
    #[must_use]
    pub const fn weight(&self) -> &'m [i8] {
        self.weight
    }

    /// Biases in channel order.
    #[must_use]
    pub const fn bias(&self) -> Bias<'m> {
        self.bias
    }

    /// Right shifts in channel order.
    #[must_use]
    pub const fn shift(&self) -> &'m [u8] {
        self.shift
    }

    /// The channels, first to last.
    pub fn channels(&self) -> impl Iterator<Item = Channel<'m>> + Clone + use<'m> {
        let Self {
            order,
            taps,
            weight,
            bias,
            shift,
        } = *self;
        let c_out = shift.len();
        let bias = bias.0.iter().map(|bytes| i32::from_le_bytes(*bytes));
        let parameters = bias.zip(shift).enumerate();
        parameters.map(move |(channel, (bias, &shift))| {
            let (range, step) = match order {
                Order::ChannelFirst => (channel * taps..(channel + 1) * taps, 1),
                Order::ChannelLast => (channel..weight.len(), c_out.max(1)),
            };
            Channel {
                // Always `Some`: the constructor checked the lengths.
                weight: weight.get(range).unwrap_or(&[]),
                step,
                bias,
                shift,
            }
        })
    }

    /// The channels of [`Order::ChannelFirst`] weights as slices: `(weights, bias, shift)`.
    #[allow(dead_code, reason = "not every processor's kernels want it")]
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'m [i8], i32, u8)> + Clone + use<'m> {
        let bias = self.bias.0.iter().map(|bytes| i32::from_le_bytes(*bytes));
        self.weight
            .chunks_exact(self.taps.max(1))
            .zip(bias)
            .zip(self.shift)
            .map(|((weight, bias), &shift)| (weight, bias, shift))
    }

    /// Bias and shift of one channel; `None` when there is no such channel.
    #[must_use]
    pub fn parameters(&self, channel: usize) -> Option<(i32, u8)> {
        let bias = self.bias.0.get(channel)?;
        Some((i32::from_le_bytes(*bias), *self.shift.get(channel)?))
    }

    /// The largest magnitude that any accumulator can reach.
    #[must_use]
    pub fn bound(&self) -> i64 {
        self.channels().map(|c| c.bound()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(order: Order) -> Vec<Vec<i8>> {
        let bias = [[0; 4]; 2];
        let filters = Filters::new(order, 3, &[1, 2, 3, 4, 5, 6], Bias::new(&bias), &[0; 2]);
        let channels = filters.unwrap().channels();
        channels.map(|c| c.weights().collect()).collect()
    }

    #[test]
    fn both_orders() {
        assert_eq!(weights(Order::ChannelFirst), [[1, 2, 3], [4, 5, 6]]);
        assert_eq!(weights(Order::ChannelLast), [[1, 3, 5], [2, 4, 6]]);
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let bias = [[0; 4]];
        let refused = |weight: &[i8], shift: &[u8]| {
            Filters::new(Order::ChannelFirst, 3, weight, Bias::new(&bias), shift).unwrap_err()
        };
        let error = |expected, got| ShapeError::Length { expected, got };
        assert_eq!(refused(&[0; 4], &[0]), error(3, 4));
        assert_eq!(refused(&[0; 6], &[0; 2]), error(2, 1));
        let empty = Filters::new(Order::ChannelFirst, 0, &[], Bias::new(&bias), &[0]);
        assert_eq!(empty.unwrap_err(), error(1, 0));
    }
}
