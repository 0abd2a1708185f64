//! Kernels in plain Rust, for every processor without a file of its own.
//!
//! Contracts and shapes are those of the operators. `get` instead of an index keeps panics out;
//! it always finds something, because the operators' constructors checked the lengths.

use crate::ops::conv2d::Conv2d;
use crate::ops::depthwise_conv2d::DepthwiseConv2d;
use crate::ops::filters::Filters;
use crate::ops::l1_head::L1Head;
use crate::ops::linear::Linear;
use crate::ops::pointwise::Pointwise;
use crate::quant::requantize;
use crate::shape::{Hwc, Window};

/// Channels that meet an input at a time: it is loaded once for all of them.
const FILTERS: usize = 4;

/// Dot products of kernel rows: in HWC the taps of a row are contiguous.
pub(crate) fn conv2d(
    op: &Conv2d<'_>,
    input: &[u8],
    first_row: usize,
    output: &mut [u8],
    _scratch: &mut [u8],
) {
    let windows = Windows {
        window: op.window(),
        shape: op.input(),
        width: op.output().w,
        first_row,
    };
    windows.multiply(op.kernel_filters(), input, output);
}

/// Dot products of four channels with a pixel.
pub(crate) fn pointwise(op: &Pointwise<'_>, input: &[u8], output: &mut [u8], _scratch: &mut [u8]) {
    pixels(op.input()).multiply(op.kernel_filters(), input, output);
}

/// Dot products of four channels with the input.
pub(crate) fn linear(op: &Linear<'_>, input: &[u8], output: &mut [u8]) {
    let one = Hwc::new(1, 1, op.input().len());
    pixels(one).multiply(op.kernel_filters(), input, output);
}

/// Windows of one pixel each.
const fn pixels(shape: Hwc) -> Windows {
    Windows {
        window: Window {
            kernel: 1,
            stride: 1,
            pad: 0,
        },
        shape,
        width: shape.w,
        first_row: 0,
    }
}

/// The windows over an input `shape`, one for each output pixel; rows of outputs are `width` wide.
struct Windows {
    window: Window,
    shape: Hwc,
    width: usize,
    first_row: usize,
}

impl Windows {
    /// Multiplies every window with every filter. One function for all, and not inlined: code is
    /// what a small device has little of.
    #[inline(never)]
    fn multiply(&self, filters: &Filters<'_>, input: &[u8], output: &mut [u8]) {
        let Self {
            window,
            shape,
            width,
            first_row,
        } = *self;
        let c_out = filters.c_out().max(1);
        let rows = output.chunks_exact_mut((width * c_out).max(1));
        for (y, out_row) in rows.enumerate() {
            let ys = window.span(first_row + y, shape.h);
            for (x, out) in out_row.chunks_exact_mut(c_out).enumerate() {
                let xs = window.span(x, shape.w);
                let rows = Rows {
                    count: ys.count,
                    len: xs.count * shape.c,
                    at: (ys.first * shape.w + xs.first) * shape.c,
                    apart: shape.w * shape.c,
                    weight_at: (ys.tap * window.kernel + xs.tap) * shape.c,
                    weight_apart: window.kernel * shape.c,
                };
                rows.sum(filters, input, out);
            }
        }
    }
}

/// What a pixel's channels see: rows of inputs, and of the weights of each channel.
struct Rows {
    count: usize,
    /// Values of a row.
    len: usize,
    /// Where the first row starts in the input.
    at: usize,
    /// From the start of a row to that of the next.
    apart: usize,
    /// Where the first row starts in the weights of a channel.
    weight_at: usize,
    weight_apart: usize,
}

impl Rows {
    /// Fills a pixel's channels. No sum can leave `i32`: a certified layer stays below 2^24.
    fn sum(&self, filters: &Filters<'_>, input: &[u8], output: &mut [u8]) {
        let (taps, last) = (filters.taps(), filters.c_out().saturating_sub(1));
        let mut parameters = filters.bias().iter().zip(filters.shift());
        for (block, out) in output.chunks_mut(FILTERS).enumerate() {
            let [mut a0, mut a1, mut a2, mut a3] = [0_i32; FILTERS];
            for k in 0..self.count {
                let at = self.at + k * self.apart;
                let x = input.get(at..at + self.len).unwrap_or(&[]);
                let [w0, w1, w2, w3] = core::array::from_fn(|channel| {
                    // Behind the last channel the last once more; its sum goes nowhere.
                    let channel = (block * FILTERS + channel).min(last);
                    let at = channel * taps + self.weight_at + k * self.weight_apart;
                    filters.weight().get(at..at + self.len).unwrap_or(&[])
                });
                for ((((&x, &w0), &w1), &w2), &w3) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
                    let x = i32::from(x);
                    a0 = a0.wrapping_add(x * i32::from(w0));
                    a1 = a1.wrapping_add(x * i32::from(w1));
                    a2 = a2.wrapping_add(x * i32::from(w2));
                    a3 = a3.wrapping_add(x * i32::from(w3));
                }
            }
            let sums = out.iter_mut().zip([a0, a1, a2, a3]);
            for ((out, acc), (bias, &shift)) in sums.zip(&mut parameters) {
                *out = requantize(acc.wrapping_add(bias), shift);
            }
        }
    }
}

/// One sum per pixel and channel, over values that lie a pixel apart.
pub(crate) fn depthwise_conv2d(op: &DepthwiseConv2d<'_>, input: &[u8], output: &mut [u8]) {
    let (window, shape, out_shape) = (op.window(), op.input(), op.output());
    let filters = op.kernel_filters();
    let step = shape.c.max(1);
    let rows = output.chunks_exact_mut((out_shape.w * step).max(1));
    for (y, out_row) in rows.enumerate() {
        let ys = window.span(y, shape.h);
        for (x, out) in out_row.chunks_exact_mut(step).enumerate() {
            let xs = window.span(x, shape.w);
            let at = (ys.first * shape.w + xs.first) * step;
            let w_at = (ys.tap * window.kernel + xs.tap) * step;
            let parameters = filters.bias().iter().zip(filters.shift());
            for ((c, out), (mut acc, &shift)) in out.iter_mut().enumerate().zip(parameters) {
                for k in 0..ys.count {
                    let x = input.get(at + c + k * shape.w * step..).unwrap_or(&[]);
                    let w_at = w_at + c + k * window.kernel * step;
                    let w = filters.weight().get(w_at..).unwrap_or(&[]);
                    let pairs = x.iter().step_by(step).zip(w.iter().step_by(step));
                    acc = pairs.take(xs.count).fold(acc, |acc, (&x, &w)| {
                        acc.wrapping_add(i32::from(x) * i32::from(w))
                    });
                }
                *out = requantize(acc, shift);
            }
        }
    }
}

/// One row of a max pooling's output from the rows of `input` that its windows see, each `shape`
/// wide: running maxima over whole pixels.
pub(crate) fn pool_row(window: Window, input: &[u8], shape: Hwc, output: &mut [u8]) {
    output.fill(0);
    let channels = shape.c.max(1);
    for row in input.chunks_exact((shape.w * channels).max(1)) {
        for (x, out) in output.chunks_exact_mut(channels).enumerate() {
            let xs = window.span(x, shape.w);
            let pixels = xs.first * channels..(xs.first + xs.count) * channels;
            for pixel in row.get(pixels).unwrap_or(&[]).chunks_exact(channels) {
                for (out, &value) in out.iter_mut().zip(pixel) {
                    *out = value.max(*out);
                }
            }
        }
    }
}

/// `bias + Σ |a - b| * weight`: the whole head.
pub(crate) fn l1_head(op: &L1Head<'_>, a: &[u8], b: &[u8]) -> i32 {
    let terms = a.iter().zip(b).zip(op.weight);
    let terms = terms.map(|((&a, &b), &weight)| i32::from(a.abs_diff(b)) * i32::from(weight));
    terms.fold(op.bias, i32::wrapping_add)
}
