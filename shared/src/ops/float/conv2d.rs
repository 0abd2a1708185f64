//! 2-D convolution plus bias.
//!
//! # Shapes
//!
//! | tensor   | dtype | layout | shape                           |
//! |----------|-------|--------|---------------------------------|
//! | `input`  | `f32` | HWC    | `[h][w][c_in]`                  |
//! | `weight` | `f32` | OHWI   | `[c_out][kernel][kernel][c_in]` |
//! | `bias`   | `f32` | O      | `[c_out]`                       |
//! | `output` | `f32` | HWC    | `[h_out][w_out][c_out]`         |
//!
//! # Implementations
//!
//! - [`reference()`]: the specification, one loop per axis.
//! - [`conv2d`]: the filters of sixteen output channels, transposed a few hundred taps at a time so
//!   that a tap's sixteen weights lie side by side and meet one input value; padding is skipped. The
//!   output holds the partial sums from one slice of taps to the next.

use crate::shape::{Hwc, ShapeError, Window, check_len};

/// Output channels at once: four vector registers of partial sums.
const CHANNELS: usize = 16;
/// Taps that are transposed at once: with [`CHANNELS`] half of a small first-level cache.
const SLICE: usize = 256;

type Block = [f32; CHANNELS];

/// One convolution: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct Conv2d<'m> {
    input: Hwc,
    output: Hwc,
    window: Window,
    weight: &'m [f32],
    bias: &'m [f32],
}

impl<'m> Conv2d<'m> {
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
        let output = window.output(input, bias.len())?;
        let taps = Hwc::new(window.kernel, window.kernel, input.c).len();
        check_len(weight.len(), taps.saturating_mul(bias.len()))?;
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

    /// Weights of one output channel.
    fn taps(&self) -> usize {
        Hwc::new(self.window.kernel, self.window.kernel, self.input.c).len()
    }

    /// Copies the weights of channels `first..` at taps `from..`; zero behind the last channel.
    fn transpose(&self, first: usize, from: usize, slice: &mut [Block]) {
        slice.fill([0.0; CHANNELS]);
        let filters = self.weight.chunks_exact(self.taps().max(1)).skip(first);
        for (channel, filter) in filters.take(CHANNELS).enumerate() {
            let taps = filter.get(from..).unwrap_or(&[]);
            for (block, &weight) in slice.iter_mut().zip(taps) {
                if let Some(to) = block.get_mut(channel) {
                    *to = weight;
                }
            }
        }
    }

    /// Adds to a block's sums at output pixel `pixel` what the taps `from..` contribute.
    fn add_slice(
        &self,
        input: &[f32],
        pixel: usize,
        from: usize,
        slice: &[Block],
        sums: &mut Block,
    ) {
        let ys = self.window.span(pixel / self.output.w.max(1), self.input.h);
        let xs = self.window.span(pixel % self.output.w.max(1), self.input.w);
        let (c, until) = (self.input.c, from + slice.len());
        for k in 0..ys.count {
            // Taps of this kernel row that lie on the input, and those of them in the slice.
            let first = ((ys.tap + k) * self.window.kernel + xs.tap) * c;
            let (start, end) = (first.max(from), (first + xs.count * c).min(until));
            if start >= end {
                continue;
            }
            let at = ((ys.first + k) * self.input.w + xs.first) * c + (start - first);
            // Always `Some`: the constructor checked the lengths. `get` keeps panics out.
            if let (Some(x), Some(weight)) = (
                input.get(at..at + (end - start)),
                slice.get(start - from..end - from),
            ) {
                add_products(sums, x, weight);
            }
        }
    }
}

/// `sums[c] += Σ x[t] * weight[t][c]`.
#[inline(never)]
fn add_products(sums: &mut Block, x: &[f32], weight: &[Block]) {
    let mut acc = *sums;
    for (x, weight) in x.iter().zip(weight) {
        for (acc, weight) in acc.iter_mut().zip(weight) {
            *acc += x * weight;
        }
    }
    *sums = acc;
}

/// The specification.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn reference(op: &Conv2d<'_>, input: &[f32], output: &mut [f32]) -> Result<(), ShapeError> {
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
            for (weight, bias) in op.weight.chunks_exact(op.taps().max(1)).zip(op.bias) {
                let mut acc = *bias;
                for (tap, &w) in weight.iter().enumerate() {
                    let (k_y, k_x, c) = (
                        tap / (kernel * op.input.c),
                        tap / op.input.c % kernel,
                        tap % op.input.c,
                    );
                    let (i_y, i_x) = (y * stride + k_y, x * stride + k_x);
                    let on_input = (pad..op.input.h + pad).contains(&i_y)
                        && (pad..op.input.w + pad).contains(&i_x);
                    if on_input {
                        let index = ((i_y - pad) * op.input.w + (i_x - pad)) * op.input.c + c;
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
pub fn conv2d(op: &Conv2d<'_>, input: &[f32], output: &mut [f32]) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    let (taps, c_out) = (op.taps(), op.output.c.max(1));
    for pixel in output.chunks_exact_mut(c_out) {
        for (out, bias) in pixel.iter_mut().zip(op.bias) {
            *out = *bias;
        }
    }
    let mut buffer = [[0.0; CHANNELS]; SLICE];
    for first in (0..c_out).step_by(CHANNELS) {
        for from in (0..taps).step_by(SLICE) {
            let len = SLICE.min(taps - from);
            let Some(slice) = buffer.get_mut(..len) else {
                continue;
            };
            op.transpose(first, from, slice);
            for (pixel, out) in output.chunks_exact_mut(c_out).enumerate() {
                let out = out.iter_mut().skip(first);
                let mut sums = [0.0; CHANNELS];
                op.add_slice(input, pixel, from, slice, &mut sums);
                for (out, sum) in out.zip(sums) {
                    *out += sum;
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

    type Kernel = fn(&Conv2d<'_>, &[f32], &mut [f32]) -> Result<(), ShapeError>;

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
            let op = Conv2d::new(self.input, self.window, &self.weight, &self.bias).unwrap();
            let mut output = vec![f32::NAN; op.output().len()];
            kernel(&op, &self.x, &mut output).unwrap();
            output
        }
    }

    fn problem(numbers: Numbers) -> impl Strategy<Value = Problem> {
        (problem::shape_and_window(), 1..36_usize).prop_flat_map(move |((input, window), c_out)| {
            let taps = window.kernel * window.kernel * input.c;
            (
                numbers.activations(input.len()),
                numbers.weights(taps * c_out),
                numbers.weights(c_out),
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
            prop_assert_eq!(problem::bits(&p.run(conv2d)), problem::bits(&p.run(reference)));
        }

        #[test]
        fn close_to_reference(p in problem(Numbers::Reals)) {
            let taps = p.window.kernel * p.window.kernel * p.input.c;
            problem::assert_close(&p.run(conv2d), &p.run(reference), taps);
        }
    }

    /// More taps than one slice, ending inside a kernel row.
    #[test]
    fn taps_in_several_slices() {
        let numbers = |n: usize, step: usize| (0..n).map(move |i| ((i * step) % 13) as f32 - 6.0);
        let (input, kernel) = (Hwc::new(6, 5, 37), 4);
        let window = Window {
            kernel,
            stride: 1,
            pad: 2,
        };
        let p = Problem {
            input,
            window,
            x: numbers(input.len(), 5).collect(),
            weight: numbers(kernel * kernel * 37 * 5, 7).collect(),
            bias: numbers(5, 1).collect(),
        };
        assert!(kernel * kernel * input.c > SLICE);
        assert_eq!(p.run(conv2d), p.run(reference));
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let window = Window {
            kernel: 3,
            stride: 1,
            pad: 1,
        };
        let error = Conv2d::new(Hwc::new(4, 4, 2), window, &[0.0; 17], &[0.0]);
        let expected = ShapeError::Length {
            expected: 18,
            got: 17,
        };
        assert_eq!(error.err(), Some(expected));
    }
}
