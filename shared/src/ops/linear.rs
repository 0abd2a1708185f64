//! Fully connected: every output sees the whole input; requantize and ReLU.
//!
//! # Shapes
//!
//! | tensor   | dtype | layout | shape                    |
//! |----------|-------|--------|--------------------------|
//! | `input`  | `u8`  | HWC    | `[h][w][c_in]`           |
//! | `weight` | `i8`  | OHWI   | `[c_out][h][w][c_in]`    |
//! | `bias`   | `i32` | O      | `[c_out]`                |
//! | `shift`  | `u8`  | O      | `[c_out]`                |
//! | `output` | `u8`  | HWC    | `[1][1][c_out]`          |
//!
//! # Quantization
//!
//! That of [`super::conv2d`] with a window that covers the input.
//!
//! # Implementations
//!
//! - [`reference()`]: the specification, one multiplication at a time.
//! - [`linear`]: this machine's kernel in `arch`: one long dot product per channel.

use super::filters::{Bias, Filters, Order};
use crate::arch;
use crate::quant::requantize;
use crate::shape::{Hwc, ShapeError, check_at_least};

/// One fully connected layer: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'m> {
    input: Hwc,
    filters: Filters<'m>,
}

impl<'m> Linear<'m> {
    /// Checks every length the kernels index by; the only constructor.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when a slice has the wrong length.
    pub const fn new(
        input: Hwc,
        weight: &'m [i8],
        bias: Bias<'m>,
        shift: &'m [u8],
    ) -> Result<Self, ShapeError> {
        match Filters::new(Order::ChannelFirst, input.len(), weight, bias, shift) {
            Ok(filters) => Ok(Self { input, filters }),
            Err(error) => Err(error),
        }
    }

    /// Shape of the input.
    #[must_use]
    pub const fn input(&self) -> Hwc {
        self.input
    }

    /// Shape of the output.
    #[must_use]
    pub const fn output(&self) -> Hwc {
        Hwc::new(1, 1, self.filters.c_out())
    }

    /// Weights, biases and shifts.
    #[must_use]
    pub const fn filters(&self) -> Option<&Filters<'m>> {
        Some(&self.filters)
    }

    /// None: input and weights are read where they lie.
    #[must_use]
    pub const fn scratch_len(&self) -> usize {
        0
    }

    /// Weights, biases and shifts, for the kernels.
    pub(crate) const fn kernel_filters(&self) -> &Filters<'m> {
        &self.filters
    }
}

/// The specification.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn reference(op: &Linear<'_>, input: &[u8], output: &mut [u8]) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output().check(output.len())?;
    fully_connected(&op.filters, input, output);
    Ok(())
}

/// `output[o] = requantize(bias[o] + Σ x * weight[o])`, one multiplication at a time.
pub(super) fn fully_connected(filters: &Filters<'_>, x: &[u8], output: &mut [u8]) {
    for (out, channel) in output.iter_mut().zip(filters.channels()) {
        let products = x.iter().zip(channel.weights());
        let products = products.map(|(&x, w)| i32::from(x) * i32::from(w));
        *out = requantize(
            products.fold(channel.bias, i32::wrapping_add),
            channel.shift,
        );
    }
}

/// What runs.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape or `scratch` is shorter than
/// [`Linear::scratch_len`].
pub fn linear(
    op: &Linear<'_>,
    input: &[u8],
    output: &mut [u8],
    scratch: &mut [u8],
) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output().check(output.len())?;
    check_at_least(scratch.len(), op.scratch_len())?;
    arch::linear(op, input, output);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::problem::{parameters, run};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::ops::problem::cases(2000))]
        #[test]
        fn equals_reference(
            (x, p) in (1..200_usize, 1..12_usize).prop_flat_map(|(n_in, c_out)| {
                (prop::collection::vec(any::<u8>(), n_in), parameters(n_in, c_out))
            })
        ) {
            let op = Linear::new(Hwc::new(1, 1, x.len()), &p.weight, p.bias(), &p.shift).unwrap();
            let expected = run(op.output(), 0, |out, _| reference(&op, &x, out));
            let got = run(op.output(), op.scratch_len(), |out, scratch| {
                linear(&op, &x, out, scratch)
            });
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn worked_by_hand() {
        let bias = [4_i32.to_le_bytes(), (-1000_i32).to_le_bytes()];
        let weight = [1, 2, -3, 60, 60, 60];
        let op = Linear::new(Hwc::new(1, 3, 1), &weight, Bias::new(&bias), &[1, 0]).unwrap();
        let got = run(op.output(), 0, |out, _| reference(&op, &[10, 20, 5], out));
        // (4 + 10 + 40 − 15) / 2 = 19.5 → 20; 60 · 35 − 1000 = 1100 → 255.
        assert_eq!(got, [20, 255]);
    }
}
