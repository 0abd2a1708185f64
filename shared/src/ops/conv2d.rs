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
//! - [`conv2d`]: in HWC the taps of one kernel row are contiguous, so each row is one dot product
//!   that the compiler vectorises; no im2col buffer. Same bits; `tests::equals_reference`.

use crate::quant::{bound, requantize};
use crate::shape::{Hwc, ShapeError, Window, check_len};

/// One convolution: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct Conv2d<'m> {
    input: Hwc,
    output: Hwc,
    window: Window,
    weight: &'m [i8],
    bias: Bias<'m>,
    shift: &'m [u8],
}

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
    pub fn iter(&self) -> impl Iterator<Item = i32> + 'm {
        self.0.iter().map(|bytes| i32::from_le_bytes(*bytes))
    }
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
        let c_out = shift.len();
        let output = window.output(input, c_out)?;
        let taps = Hwc::new(window.kernel, window.kernel, input.c).len();
        check_len(weight.len(), taps.saturating_mul(c_out))?;
        check_len(bias.0.len(), c_out)?;
        Ok(Self {
            input,
            output,
            window,
            weight,
            bias,
            shift,
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

    /// Number of weights, a byte each.
    #[must_use]
    pub const fn weight_len(&self) -> usize {
        self.weight.len()
    }

    /// The largest magnitude that any channel's accumulator can reach, see [`bound`].
    #[must_use]
    pub fn bound(&self) -> i64 {
        let bounds = self.channels().map(|(weight, bias, _)| bound(weight, bias));
        bounds.max().unwrap_or(0)
    }

    /// Weights of one output channel: `kernel * kernel * c_in`.
    fn taps(&self) -> usize {
        Hwc::new(self.window.kernel, self.window.kernel, self.input.c).len()
    }

    /// Multiply-accumulates of one run, padding counted.
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.output.len() as u64 * self.taps() as u64
    }

    /// Weights, bias and shift of each output channel.
    pub(crate) fn channels(&self) -> impl Iterator<Item = (&'m [i8], i32, u8)> {
        self.weight
            .chunks_exact(self.taps().max(1))
            .zip(self.bias.iter())
            .zip(self.shift)
            .map(|((weight, bias), &shift)| (weight, bias, shift))
    }
}

/// The specification.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn reference(op: &Conv2d<'_>, input: &[u8], output: &mut [u8]) -> Result<(), ShapeError> {
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
            for (weight, bias, shift) in op.channels() {
                let mut acc = bias;
                let mut weights = weight.iter();
                for k_y in 0..kernel {
                    for k_x in 0..kernel {
                        let (i_y, i_x) = (y * stride + k_y, x * stride + k_x);
                        let on_input = (pad..op.input.h + pad).contains(&i_y)
                            && (pad..op.input.w + pad).contains(&i_x);
                        for (c, &w) in weights.by_ref().take(op.input.c).enumerate() {
                            if on_input {
                                let pixel = (i_y - pad) * op.input.w + (i_x - pad);
                                let value = input.get(pixel * op.input.c + c).copied().unwrap_or(0);
                                acc = acc.wrapping_add(i32::from(value) * i32::from(w));
                            }
                        }
                    }
                }
                if let Some(out) = outputs.next() {
                    *out = requantize(acc, shift);
                }
            }
        }
    }
    Ok(())
}

/// What runs: one dot product per kernel row. See the module doc for the idea.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn conv2d(op: &Conv2d<'_>, input: &[u8], output: &mut [u8]) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    let row = op.window.kernel * op.input.c;
    let pixels = output.chunks_exact_mut(op.output.c.max(1));
    for (pixel, out) in pixels.enumerate() {
        let ys = op.window.span(pixel / op.output.w.max(1), op.input.h);
        let xs = op.window.span(pixel % op.output.w.max(1), op.input.w);
        let (skip, len) = (xs.tap * op.input.c, xs.count * op.input.c);
        for (out, (weight, bias, shift)) in out.iter_mut().zip(op.channels()) {
            let mut acc = bias;
            for k in 0..ys.count {
                let at = ((ys.first + k) * op.input.w + xs.first) * op.input.c;
                let w_at = (ys.tap + k) * row + skip;
                // Always `Some`: the constructor checked the lengths. `get` keeps panics out.
                if let (Some(x), Some(w)) = (input.get(at..at + len), weight.get(w_at..w_at + len))
                {
                    acc = acc.wrapping_add(dot(x, w));
                }
            }
            *out = requantize(acc, shift);
        }
    }
    Ok(())
}

/// `Σ x * w`. No sum can leave `i32`: a certified layer stays below 2^24.
#[inline]
fn dot(x: &[u8], w: &[i8]) -> i32 {
    let products = x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w));
    products.fold(0, i32::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A random valid convolution and its input.
    #[derive(Debug, Clone)]
    struct Problem {
        input: Hwc,
        window: Window,
        x: Vec<u8>,
        weight: Vec<i8>,
        bias: Vec<[u8; 4]>,
        shift: Vec<u8>,
    }

    type Kernel = fn(&Conv2d<'_>, &[u8], &mut [u8]) -> Result<(), ShapeError>;

    impl Problem {
        fn run(&self, kernel: Kernel) -> Vec<u8> {
            let bias = Bias::new(&self.bias);
            let op = Conv2d::new(self.input, self.window, &self.weight, bias, &self.shift).unwrap();
            let mut output = vec![0xa5; op.output().len()];
            kernel(&op, &self.x, &mut output).unwrap();
            output
        }
    }

    fn problem() -> impl Strategy<Value = Problem> {
        (
            1..12_usize,
            1..12_usize,
            1..7_usize,
            1..6_usize,
            1..6_usize,
            1..4_usize,
        )
            .prop_flat_map(|(h, w, c_in, c_out, kernel, stride)| {
                let kernel = kernel.min(h).min(w);
                let taps = kernel * kernel * c_in;
                (
                    0..kernel,
                    prop::collection::vec(any::<u8>(), h * w * c_in),
                    prop::collection::vec(-64..64_i8, taps * c_out),
                    prop::collection::vec(-100_000..100_000_i32, c_out),
                    prop::collection::vec(0..=14_u8, c_out),
                )
                    .prop_map(move |(pad, x, weight, bias, shift)| Problem {
                        input: Hwc::new(h, w, c_in),
                        window: Window {
                            kernel,
                            stride,
                            pad,
                        },
                        x,
                        weight,
                        bias: bias.iter().map(|b| b.to_le_bytes()).collect(),
                        shift,
                    })
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn equals_reference(p in problem()) {
            prop_assert_eq!(p.run(conv2d), p.run(reference));
        }
    }

    /// Worked by hand: a 3×3 box over a 2×2 image of ones sees all four pixels everywhere.
    #[test]
    fn box_filter_with_padding() {
        let p = Problem {
            input: Hwc::new(2, 2, 1),
            window: Window {
                kernel: 3,
                stride: 1,
                pad: 1,
            },
            x: vec![10, 20, 30, 40],
            weight: vec![1; 9],
            bias: vec![6_i32.to_le_bytes()],
            shift: vec![1],
        };
        assert_eq!(p.run(conv2d), [53, 53, 53, 53]);
        assert_eq!(p.run(reference), [53, 53, 53, 53]);
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let window = Window {
            kernel: 3,
            stride: 1,
            pad: 1,
        };
        let error = Conv2d::new(
            Hwc::new(4, 4, 2),
            window,
            &[0; 17],
            Bias::new(&[[0; 4]]),
            &[0],
        );
        assert!(matches!(
            error,
            Err(ShapeError::Length {
                expected: 18,
                got: 17
            })
        ));
    }
}
