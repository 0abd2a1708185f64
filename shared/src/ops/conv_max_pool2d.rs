//! A convolution and the max pooling behind it, a few rows at a time.
//!
//! The convolution's whole output never exists: its rows are made where the pooling wants them,
//! pooled, and made anew. What a device needs at a time shrinks by three quarters of an activation
//! that is often the network's largest, and rows that no window reaches are not computed.
//!
//! # Shapes
//!
//! | tensor   | dtype | layout | shape                                     |
//! |----------|-------|--------|-------------------------------------------|
//! | `input`  | `u8`  | HWC    | `[h][w][c_in]`, as [`super::conv2d`] says |
//! | `output` | `u8`  | HWC    | `[h_out][w_out][c_out]` of the pooling    |
//!
//! # Quantization
//!
//! That of [`super::conv2d`], then of [`super::max_pool2d`]: the same bits as one after the other.
//!
//! # Implementations
//!
//! - [`reference()`]: one pooled value at a time, the convolution's values under it computed by
//!   themselves.
//! - [`conv_max_pool2d`]: strips of rows in scratch, by the kernels of both operators; as many rows
//!   at a time as the scratch has room for.

use super::conv2d::Conv2d;
use super::filters::Filters;
use super::max_pool2d::MaxPool2d;
use crate::arch;
use crate::quant::requantize;
use crate::shape::{Hwc, ShapeError, Window, check_at_least};

/// A convolution and its pooling: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct ConvMaxPool2d<'m> {
    conv: Conv2d<'m>,
    pool: MaxPool2d,
}

impl<'m> ConvMaxPool2d<'m> {
    /// Both in one; `None` where that would compute rows twice or does not fit: windows that
    /// overlap or are padded, or a pooling of something else.
    #[must_use]
    pub fn new(conv: Conv2d<'m>, pool: MaxPool2d) -> Option<Self> {
        let window = pool.window();
        let apart = window.pad == 0 && window.stride >= window.kernel;
        (apart && pool.input() == conv.output()).then_some(Self { conv, pool })
    }

    /// Shape of the convolution's input.
    #[must_use]
    pub const fn input(&self) -> Hwc {
        self.conv.input()
    }

    /// Shape of the pooling's output.
    #[must_use]
    pub const fn output(&self) -> Hwc {
        self.pool.output()
    }

    /// The convolution's weights, biases and shifts.
    #[must_use]
    pub const fn filters(&self) -> Option<&Filters<'m>> {
        self.conv.filters()
    }

    /// The convolution's scratch and the rows of its output under one row of windows.
    #[must_use]
    pub const fn scratch_len(&self) -> usize {
        self.conv.scratch_len().saturating_add(self.strip_len())
    }

    /// The convolution's scratch and all rows of its output that windows reach.
    #[must_use]
    pub const fn whole_scratch_len(&self) -> usize {
        let strips = self.strip_len().saturating_mul(self.pool.output().h);
        self.conv.scratch_len().saturating_add(strips)
    }

    /// Multiply-accumulates of one run, padding counted: of the rows that windows reach.
    #[must_use]
    pub fn macs(&self) -> u64 {
        let rows = self.pool.output().h as u64 * self.pool.window().kernel as u64;
        let row = Hwc {
            h: 1,
            ..self.conv.output()
        };
        let values = rows.saturating_mul(row.len() as u64);
        values.saturating_mul(self.conv.kernel_filters().taps() as u64)
    }

    const fn strip_len(&self) -> usize {
        let strip = Hwc {
            h: self.pool.window().kernel,
            ..self.conv.output()
        };
        strip.len()
    }
}

/// The specification.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn reference(
    op: &ConvMaxPool2d<'_>,
    input: &[u8],
    output: &mut [u8],
) -> Result<(), ShapeError> {
    let (shape, out) = (op.input(), op.output());
    shape.check(input.len())?;
    out.check(output.len())?;
    let (conv, pool) = (op.conv.window(), op.pool.window());
    let mut outputs = output.iter_mut();
    for y in 0..out.h {
        for x in 0..out.w {
            for channel in op.conv.kernel_filters().channels() {
                let mut max = 0;
                for (p_y, p_x) in pool.taps() {
                    let at = [y * pool.stride + p_y, x * pool.stride + p_x];
                    let mut acc = channel.bias;
                    for (tap, w) in channel.weights().enumerate() {
                        let (k_y, k_x, c) = conv.tap(tap, shape.c);
                        let value = conv.value(input, shape, at, [k_y, k_x], c);
                        acc = acc.wrapping_add(i32::from(value) * i32::from(w));
                    }
                    max = requantize(acc, channel.shift).max(max);
                }
                if let Some(out) = outputs.next() {
                    *out = max;
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
/// [`ConvMaxPool2d::scratch_len`].
pub fn conv_max_pool2d(
    op: &ConvMaxPool2d<'_>,
    input: &[u8],
    output: &mut [u8],
    scratch: &mut [u8],
) -> Result<(), ShapeError> {
    let (wide, out) = (op.conv.output(), op.output());
    op.input().check(input.len())?;
    out.check(output.len())?;
    check_at_least(scratch.len(), op.scratch_len())?;
    let (window, row) = (op.pool.window(), wide.w * wide.c);
    let Window { kernel, stride, .. } = window;
    // The more rows at a time the better: kernels have work to do for each strip.
    let room = scratch.len() - op.conv.scratch_len();
    let more = room
        .saturating_sub(op.strip_len())
        .checked_div(stride * row);
    let rows_out = (1 + more.unwrap_or(0)).min(out.h);
    let strip_len = ((rows_out - 1) * stride + kernel) * row;
    let (strip, scratch) = scratch.split_at_mut_checked(strip_len).unwrap_or_default();
    let mut first_row = 0;
    for outputs in output.chunks_mut((rows_out * out.w * out.c).max(1)) {
        let rows_out = outputs.chunks_exact((out.w * out.c).max(1)).len();
        let needed = ((rows_out - 1) * stride + kernel) * row;
        let strip = strip.get_mut(..needed).unwrap_or(&mut []);
        arch::conv2d(&op.conv, input, first_row, strip, scratch);
        let windows = strip.chunks((stride * row).max(1));
        for (strip, out) in windows.zip(outputs.chunks_exact_mut((out.w * out.c).max(1))) {
            let rows = strip.get(..kernel * row).unwrap_or(&[]);
            arch::pool_row(window, rows, wide, out);
        }
        first_row += rows_out * stride;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::problem::{run, window_problem};
    use crate::ops::{conv2d, max_pool2d};
    use crate::shape::Window;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        /// Three routes to one answer: strips, the specification, and one operator after the other.
        #[test]
        fn equals_reference(
            p in window_problem(5, |kernel, c_in| kernel * kernel * c_in, 1..9),
            kernel in 1..4_usize,
            gap in 0..2_usize,
            room in 0..600_usize,
        ) {
            let parameters = &p.parameters;
            let (bias, weight, shift) = (parameters.bias(), &parameters.weight, &parameters.shift);
            let conv = Conv2d::new(p.input, p.window, weight, bias, shift).unwrap();
            let kernel = kernel.min(conv.output().h).min(conv.output().w);
            let window = Window { kernel, stride: kernel + gap, pad: 0 };
            let pool = MaxPool2d::new(conv.output(), window).unwrap();
            let op = ConvMaxPool2d::new(conv, pool).unwrap();

            let expected = run(op.output(), 0, |out, _| reference(&op, &p.x, out));
            // Any number of rows at a time.
            let scratch_len = op.scratch_len() + room;
            let got = run(op.output(), scratch_len, |out, scratch| {
                conv_max_pool2d(&op, &p.x, out, scratch)
            });
            prop_assert_eq!(&got, &expected);
            let wide = run(conv.output(), 0, |out, _| conv2d::reference(&conv, &p.x, out));
            let apart = run(op.output(), 0, |out, _| max_pool2d::reference(&pool, &wide, out));
            prop_assert_eq!(got, apart);
        }
    }

    #[test]
    fn only_windows_apart_are_fused() {
        let bias = [[0; 4]];
        let bias = super::super::filters::Bias::new(&bias);
        let window = |kernel, stride, pad| Window {
            kernel,
            stride,
            pad,
        };
        let shape = Hwc::new(8, 8, 1);
        let conv = Conv2d::new(shape, window(3, 1, 1), &[1; 9], bias, &[0]).unwrap();
        let fused = |window| ConvMaxPool2d::new(conv, MaxPool2d::new(shape, window).unwrap());
        assert!(fused(window(2, 2, 0)).is_some());
        assert!(fused(window(3, 2, 0)).is_none());
        assert!(fused(window(2, 2, 1)).is_none());
        let other = MaxPool2d::new(Hwc::new(6, 6, 1), window(2, 2, 0)).unwrap();
        assert!(ConvMaxPool2d::new(conv, other).is_none());
    }
}
