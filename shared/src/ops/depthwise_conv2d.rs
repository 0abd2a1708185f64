//! Depthwise convolution: each channel has a kernel of its own; requantize and ReLU.
//!
//! # Shapes
//!
//! | tensor   | dtype | layout | shape                  |
//! |----------|-------|--------|------------------------|
//! | `input`  | `u8`  | HWC    | `[h][w][c]`            |
//! | `weight` | `i8`  | HWC    | `[kernel][kernel][c]`  |
//! | `bias`   | `i32` | C      | `[c]`                  |
//! | `shift`  | `u8`  | C      | `[c]`                  |
//! | `output` | `u8`  | HWC    | `[h_out][w_out][c]`    |
//!
//! Weights lie as the input does, so that neighbouring channels are neighbours in both.
//!
//! # Quantization
//!
//! That of [`super::conv2d`], with one input channel for each output channel.
//!
//! # Implementations
//!
//! - [`reference()`]: the specification, one loop per axis.
//! - [`depthwise_conv2d`]: this machine's kernel in `arch`; `arch::portable` keeps the sums of a
//!   block of channels and walks over the window's pixels.

use super::filters::{Bias, Filters, Order};
use crate::arch;
use crate::quant::requantize;
use crate::shape::{Hwc, ShapeError, Window, check_at_least, check_len};

/// One depthwise convolution: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct DepthwiseConv2d<'m> {
    input: Hwc,
    output: Hwc,
    window: Window,
    filters: Filters<'m>,
}

impl<'m> DepthwiseConv2d<'m> {
    /// Checks every length the kernels index by; the only constructor.
    ///
    /// # Errors
    /// [`ShapeError`] when the window does not fit the input or a slice has the wrong length.
    pub fn new(
        input: Hwc,
        window: Window,
        weight: &'m [i8],
        bias: Bias<'m>,
        shift: &'m [u8],
    ) -> Result<Self, ShapeError> {
        check_len(shift.len(), input.c)?;
        Ok(Self {
            input,
            output: window.output(input, input.c)?,
            window,
            filters: Filters::new(
                Order::ChannelLast,
                window.kernel.saturating_mul(window.kernel),
                weight,
                bias,
                shift,
            )?,
        })
    }

    /// Shape of the input.
    #[must_use]
    pub const fn input(&self) -> Hwc {
        self.input
    }

    /// Shape of the output.
    #[must_use]
    pub const fn output(&self) -> Hwc {
        self.output
    }

    /// Kernel, stride and padding.
    #[must_use]
    pub const fn window(&self) -> Window {
        self.window
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
pub fn reference(
    op: &DepthwiseConv2d<'_>,
    input: &[u8],
    output: &mut [u8],
) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    let mut outputs = output.iter_mut();
    for y in 0..op.output.h {
        for x in 0..op.output.w {
            for (c, channel) in op.filters.channels().enumerate() {
                let mut acc = channel.bias;
                for (tap, w) in channel.weights().enumerate() {
                    let (k_y, k_x, _) = op.window.tap(tap, 1);
                    let value = op.window.value(input, op.input, [y, x], [k_y, k_x], c);
                    acc = acc.wrapping_add(i32::from(value) * i32::from(w));
                }
                if let Some(out) = outputs.next() {
                    *out = requantize(acc, channel.shift);
                }
            }
        }
    }
    Ok(())
}

/// What runs.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape or `scratch` is shorter than
/// [`DepthwiseConv2d::scratch_len`].
pub fn depthwise_conv2d(
    op: &DepthwiseConv2d<'_>,
    input: &[u8],
    output: &mut [u8],
    scratch: &mut [u8],
) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    check_at_least(scratch.len(), op.scratch_len())?;
    arch::depthwise_conv2d(op, input, output);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::problem::{depthwise_problem, run};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::ops::problem::cases(4000))]
        #[test]
        fn equals_reference(p in depthwise_problem(1..10)) {
            let parameters = &p.parameters;
            let (bias, weight, shift) = (parameters.bias(), &parameters.weight, &parameters.shift);
            let op = DepthwiseConv2d::new(p.input, p.window, weight, bias, shift).unwrap();
            let expected = run(op.output(), 0, |out, _| reference(&op, &p.x, out));
            let got = run(op.output(), op.scratch_len(), |out, scratch| {
                depthwise_conv2d(&op, &p.x, out, scratch)
            });
            prop_assert_eq!(got, expected);
        }
    }

    /// Two channels with kernels of their own: a copy and a sum of the pixels above and below.
    #[test]
    fn channels_do_not_mix() {
        let window = Window {
            kernel: 3,
            stride: 1,
            pad: 1,
        };
        let mut weight = [0_i8; 18];
        (weight[4 * 2], weight[2 + 1], weight[7 * 2 + 1]) = (1, 1, 1);
        let bias = [[0; 4]; 2];
        let shape = Hwc::new(3, 1, 2);
        let op = DepthwiseConv2d::new(shape, window, &weight, Bias::new(&bias), &[0; 2]).unwrap();
        let got = run(op.output(), 0, |out, _| {
            reference(&op, &[1, 10, 2, 20, 3, 30], out)
        });
        assert_eq!(got, [1, 20, 2, 40, 3, 20]);
    }
}
