//! 2-D convolution, requantize and ReLU in one pass.
//!
//! # Shapes
//!
//! | tensor   | dtype | layout | shape                           |
//! |----------|-------|--------|---------------------------------|
//! | `input`  | `u8`  | HWC    | `[h][w][c_in]`                  |
//! | `weight` | `i8`  | OHWI   | `[c_out][kernel][kernel][c_in]` |
//! | `bias`   | `i32` | O      | `[c_out]`                       |
//! | `shift`  | `u8`  | O      | `[c_out]`                       |
//! | `output` | `u8`  | HWC    | `[h_out][w_out][c_out]`         |
//!
//! # Quantization
//!
//! `acc[o] = bias[o] + Σ input * weight[o]`, then `output[o] = requantize(acc[o], shift[o])`.
//! Every `zero_point` is 0: padding adds nothing, and the clamp at 0 is the ReLU.
//!
//! # Implementations
//!
//! - [`reference()`]: the specification, one loop per axis.
//! - [`conv2d`]: this machine's kernel in `arch`; the portable one takes the
//!   dot products of four channels with a kernel row, because in HWC a row's taps are contiguous.

use super::filters::{Bias, Filters, Order};
use crate::arch;
use crate::quant::requantize;
use crate::shape::{Hwc, ShapeError, Window, check_at_least};

/// One convolution: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct Conv2d<'m> {
    input: Hwc,
    output: Hwc,
    window: Window,
    filters: Filters<'m>,
}

impl<'m> Conv2d<'m> {
    /// Checks every length the kernels index by. This is the only constructor: the kernels rely on
    /// it for their bounds, so think twice before adding another.
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
        let output = window.output(input, shift.len())?;
        let taps = Hwc::new(window.kernel, window.kernel, input.c).len();
        Ok(Self {
            input,
            output,
            window,
            filters: Filters::new(Order::ChannelFirst, taps, weight, bias, shift)?,
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

    /// See `arch::column_scratch_len`.
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
pub fn reference(op: &Conv2d<'_>, input: &[u8], output: &mut [u8]) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    let mut outputs = output.iter_mut();
    for y in 0..op.output.h {
        for x in 0..op.output.w {
            for channel in op.filters.channels() {
                let mut acc = channel.bias;
                for (tap, w) in channel.weights().enumerate() {
                    let (k_y, k_x, c) = op.window.tap(tap, op.input.c);
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
/// [`Conv2d::scratch_len`].
pub fn conv2d(
    op: &Conv2d<'_>,
    input: &[u8],
    output: &mut [u8],
    scratch: &mut [u8],
) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    check_at_least(scratch.len(), op.scratch_len())?;
    arch::conv2d(op, input, 0, output, scratch);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::problem::{Parameters, Problem, run, window_problem};
    use proptest::prelude::*;

    fn equal(p: &Problem) -> Result<(), TestCaseError> {
        let parameters = &p.parameters;
        let (bias, weight, shift) = (parameters.bias(), &parameters.weight, &parameters.shift);
        let op = Conv2d::new(p.input, p.window, weight, bias, shift).unwrap();
        let expected = run(op.output(), 0, |out, _| reference(&op, &p.x, out));
        let got = run(op.output(), op.scratch_len(), |out, scratch| {
            conv2d(&op, &p.x, out, scratch)
        });
        prop_assert_eq!(got, expected);
        Ok(())
    }

    proptest! {
        #![proptest_config(crate::ops::problem::cases(4000))]
        #[test]
        fn equals_reference(p in window_problem(11, |kernel, c_in| kernel * kernel * c_in, 1..9)) {
            equal(&p)?;
        }
    }

    /// Worked by hand: a 3×3 box over a 2×2 image sees all four pixels everywhere.
    #[test]
    fn box_filter_with_padding() {
        let bias = [6_i32.to_le_bytes()];
        let window = Window {
            kernel: 3,
            stride: 1,
            pad: 1,
        };
        let op = Conv2d::new(Hwc::new(2, 2, 1), window, &[1; 9], Bias::new(&bias), &[1]).unwrap();
        let got = run(op.output(), 0, |out, _| {
            reference(&op, &[10, 20, 30, 40], out)
        });
        assert_eq!(got, [53, 53, 53, 53]);
    }

    /// Every shape of the shipped networks, where a kernel's blocks have no tail.
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes")]
    fn whole_blocks_equal_reference() {
        for (side, c_in, c_out, stride) in [
            (48, 1, 32, 2),
            (24, 32, 32, 1),
            (12, 32, 64, 1),
            (6, 128, 64, 1),
        ] {
            let window = Window {
                kernel: 3,
                stride,
                pad: 1,
            };
            let p = Problem {
                input: Hwc::new(side, side, c_in),
                window,
                x: (0..side * side * c_in)
                    .map(|i| (i * 7 % 256) as u8)
                    .collect(),
                parameters: Parameters::pattern(9 * c_in, c_out),
            };
            equal(&p).unwrap();
        }
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let window = Window {
            kernel: 3,
            stride: 1,
            pad: 1,
        };
        let bias = Bias::new(&[[0; 4]]);
        let shape = Hwc::new(4, 4, 2);
        let error = |expected, got| ShapeError::Length { expected, got };
        let refused = Conv2d::new(shape, window, &[0; 17], bias, &[0]).unwrap_err();
        assert_eq!(refused, error(18, 17));
        let op = Conv2d::new(shape, window, &[0; 18], bias, &[0]).unwrap();
        let scratch = op.scratch_len();
        let refused = conv2d(&op, &[0; 32], &mut [0; 16], &mut vec![0; scratch - 1]);
        assert_eq!(refused, Err(error(scratch, scratch - 1)));
        let refused = conv2d(&op, &[0; 31], &mut [0; 16], &mut vec![0; scratch]);
        assert_eq!(refused, Err(error(32, 31)));
    }
}
