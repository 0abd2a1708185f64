//! 2-D convolution of each channel with a kernel of its own, plus bias.
//!
//! # Shapes
//!
//! | tensor   | dtype | layout | shape                 |
//! |----------|-------|--------|-----------------------|
//! | `input`  | `f32` | HWC    | `[h][w][c]`           |
//! | `weight` | `f32` | HWC    | `[kernel][kernel][c]` |
//! | `bias`   | `f32` | C      | `[c]`                 |
//! | `output` | `f32` | HWC    | `[h_out][w_out][c]`   |
//!
//! # Implementations
//!
//! - [`reference()`]: the specification, one output value at a time.
//! - [`depthwise_conv2d`]: one tap at a time for all channels, which lie side by side in input,
//!   weights and output.

use crate::shape::{Hwc, ShapeError, Window, check_len};

/// One depthwise convolution: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct DepthwiseConv2d<'m> {
    input: Hwc,
    output: Hwc,
    window: Window,
    weight: &'m [f32],
    bias: &'m [f32],
}

impl<'m> DepthwiseConv2d<'m> {
    /// Checks every length the kernels index by.
    ///
    /// # Errors
    /// [`ShapeError`] when the window does not fit the input or a slice has the wrong length.
    pub fn new(
        input: Hwc,
        window: Window,
        weight: &'m [f32],
        bias: &'m [f32],
    ) -> Result<Self, ShapeError> {
        let output = window.output(input, input.c)?;
        check_len(
            weight.len(),
            Hwc::new(window.kernel, window.kernel, input.c).len(),
        )?;
        check_len(bias.len(), input.c)?;
        Ok(Self {
            input,
            output,
            window,
            weight,
            bias,
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
}

/// The specification.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn reference(
    op: &DepthwiseConv2d<'_>,
    input: &[f32],
    output: &mut [f32],
) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    let Window {
        kernel,
        stride,
        pad,
    } = op.window;
    let mut outputs = output.iter_mut();
    for y in 0..op.output.h {
        for x in 0..op.output.w {
            for (c, bias) in op.bias.iter().enumerate() {
                let mut acc = *bias;
                for tap in 0..kernel * kernel {
                    let (i_y, i_x) = (y * stride + tap / kernel, x * stride + tap % kernel);
                    let on_input = (pad..op.input.h + pad).contains(&i_y)
                        && (pad..op.input.w + pad).contains(&i_x);
                    if on_input {
                        let index = ((i_y - pad) * op.input.w + (i_x - pad)) * op.input.c + c;
                        let w = op.weight.get(tap * op.input.c + c).copied().unwrap_or(0.0);
                        acc += input.get(index).copied().unwrap_or(0.0) * w;
                    }
                }
                if let Some(out) = outputs.next() {
                    *out = acc;
                }
            }
        }
    }
    Ok(())
}

/// What runs. See the module doc for the idea.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn depthwise_conv2d(
    op: &DepthwiseConv2d<'_>,
    input: &[f32],
    output: &mut [f32],
) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    let c = op.input.c.max(1);
    for (pixel, out) in output.chunks_exact_mut(c).enumerate() {
        for (out, bias) in out.iter_mut().zip(op.bias) {
            *out = *bias;
        }
        let ys = op.window.span(pixel / op.output.w.max(1), op.input.h);
        let xs = op.window.span(pixel % op.output.w.max(1), op.input.w);
        for k in 0..ys.count {
            let at = ((ys.first + k) * op.input.w + xs.first) * c;
            let w_at = ((ys.tap + k) * op.window.kernel + xs.tap) * c;
            // Always `Some`: the constructor checked the lengths. `get` keeps panics out.
            let x = input.get(at..at + xs.count * c).unwrap_or(&[]);
            let w = op.weight.get(w_at..w_at + xs.count * c).unwrap_or(&[]);
            for (x, w) in x.chunks_exact(c).zip(w.chunks_exact(c)) {
                for ((out, x), w) in out.iter_mut().zip(x).zip(w) {
                    *out += x * w;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::problem::{self, Numbers};
    use super::*;
    use proptest::prelude::*;

    type Kernel = fn(&DepthwiseConv2d<'_>, &[f32], &mut [f32]) -> Result<(), ShapeError>;

    #[derive(Debug, Clone)]
    struct Problem {
        input: Hwc,
        window: Window,
        x: Vec<f32>,
        weight: Vec<f32>,
        bias: Vec<f32>,
    }

    impl Problem {
        fn run(&self, kernel: Kernel) -> Vec<f32> {
            let op =
                DepthwiseConv2d::new(self.input, self.window, &self.weight, &self.bias).unwrap();
            let mut output = vec![f32::NAN; op.output().len()];
            kernel(&op, &self.x, &mut output).unwrap();
            output
        }
    }

    fn problem(numbers: Numbers) -> impl Strategy<Value = Problem> {
        problem::shape_and_window().prop_flat_map(move |(input, window)| {
            (
                numbers.activations(input.len()),
                numbers.weights(window.kernel * window.kernel * input.c),
                numbers.weights(input.c),
            )
                .prop_map(move |(x, weight, bias)| Problem {
                    input,
                    window,
                    x,
                    weight,
                    bias,
                })
        })
    }

    proptest! {
        #![proptest_config(crate::ops::problem::cases(1000))]
        #[test]
        fn equals_reference(p in problem(Numbers::Integers)) {
            let (got, expected) = (p.run(depthwise_conv2d), p.run(reference));
            prop_assert_eq!(problem::bits(&got), problem::bits(&expected));
        }

        #[test]
        fn close_to_reference(p in problem(Numbers::Reals)) {
            let taps = p.window.kernel * p.window.kernel;
            problem::assert_close(&p.run(depthwise_conv2d), &p.run(reference), taps);
        }
    }

    #[test]
    fn channels_do_not_mix() {
        let p = Problem {
            input: Hwc::new(1, 2, 2),
            window: Window {
                kernel: 1,
                stride: 1,
                pad: 0,
            },
            x: vec![1.0, 2.0, 3.0, 4.0],
            weight: vec![10.0, -1.0],
            bias: vec![0.5, 0.0],
        };
        assert_eq!(p.run(depthwise_conv2d), [10.5, -2.0, 30.5, -4.0]);
    }
}
