//! 1×1 convolution: the same linear function at every pixel, requantize and ReLU.
//!
//! # Shapes
//!
//! | tensor   | dtype | layout | shape            |
//! |----------|-------|--------|------------------|
//! | `input`  | `u8`  | HWC    | `[h][w][c_in]`   |
//! | `weight` | `i8`  | OI     | `[c_out][c_in]`  |
//! | `bias`   | `i32` | O      | `[c_out]`        |
//! | `shift`  | `u8`  | O      | `[c_out]`        |
//! | `output` | `u8`  | HWC    | `[h][w][c_out]`  |
//!
//! # Quantization
//!
//! That of [`super::conv2d`] with a window of one pixel.
//!
//! # Implementations
//!
//! - [`reference()`]: [`super::linear::reference()`] at every pixel.
//! - [`pointwise`]: this machine's kernel in `arch`. A pixel's channels are contiguous, so nothing
//!   is gathered.

use super::filters::{Bias, Filters, Order};
use super::linear;
use crate::arch;
use crate::shape::{Hwc, ShapeError, check_at_least};

/// One 1×1 convolution: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct Pointwise<'m> {
    input: Hwc,
    filters: Filters<'m>,
}

impl<'m> Pointwise<'m> {
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
        match Filters::new(Order::ChannelFirst, input.c, weight, bias, shift) {
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
        Hwc::new(self.input.h, self.input.w, self.filters.c_out())
    }

    /// Weights, biases and shifts.
    #[must_use]
    pub const fn filters(&self) -> Option<&Filters<'m>> {
        Some(&self.filters)
    }

    /// See [`arch::column_scratch_len`].
    #[must_use]
    pub const fn scratch_len(&self) -> usize {
        arch::column_scratch_len(self.filters.taps())
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
pub fn reference(op: &Pointwise<'_>, input: &[u8], output: &mut [u8]) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output().check(output.len())?;
    let pixels = input.chunks_exact(op.input.c.max(1));
    for (x, out) in pixels.zip(output.chunks_exact_mut(op.filters.c_out().max(1))) {
        linear::fully_connected(&op.filters, x, out);
    }
    Ok(())
}

/// What runs.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape or `scratch` is shorter than
/// [`Pointwise::scratch_len`].
pub fn pointwise(
    op: &Pointwise<'_>,
    input: &[u8],
    output: &mut [u8],
    scratch: &mut [u8],
) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output().check(output.len())?;
    check_at_least(scratch.len(), op.scratch_len())?;
    arch::pointwise(op, input, output, scratch);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d::{self, Conv2d};
    use crate::ops::problem::{run, window_problem};
    use crate::shape::Window;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::ops::problem::cases(2000))]
        /// Three routes to one answer: the kernel, the specification, and a convolution.
        #[test]
        fn equals_reference(p in window_problem(1, |_, c_in| c_in, 1..40)) {
            let parameters = &p.parameters;
            let (bias, weight, shift) = (parameters.bias(), &parameters.weight, &parameters.shift);
            let op = Pointwise::new(p.input, weight, bias, shift).unwrap();
            let expected = run(op.output(), 0, |out, _| reference(&op, &p.x, out));
            let got = run(op.output(), op.scratch_len(), |out, scratch| {
                pointwise(&op, &p.x, out, scratch)
            });
            prop_assert_eq!(&got, &expected);
            let window = Window { kernel: 1, stride: 1, pad: 0 };
            let op = Conv2d::new(p.input, window, weight, bias, shift).unwrap();
            let convolved = run(op.output(), 0, |out, _| conv2d::reference(&op, &p.x, out));
            prop_assert_eq!(got, convolved);
        }
    }
}
