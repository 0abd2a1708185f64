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
        let (c_out, row) = (filters.c_out().max(1), window.kernel * shape.c);
        let rows = output.chunks_exact_mut((width * c_out).max(1));
        for (y, out_row) in rows.enumerate() {
            let ys = window.span(first_row + y, shape.h);
            for (x, out) in out_row.chunks_exact_mut(c_out).enumerate() {
                let xs = window.span(x, shape.w);
                let (skip, len) = (xs.tap * shape.c, xs.count * shape.c);
                channels(filters, out, |weight, acc| {
                    for k in 0..ys.count {
                        let at = ((ys.first + k) * shape.w + xs.first) * shape.c;
                        let x = input.get(at..at + len).unwrap_or(&[]);
                        dot(x, weight, (ys.tap + k) * row + skip, acc);
                    }
                });
            }
        }
    }
}

/// Fills a pixel's channels; `sum` adds up products with the rows of weights that it is given.
#[inline]
fn channels(
    filters: &Filters<'_>,
    output: &mut [u8],
    sum: impl Fn([&[i8]; FILTERS], &mut [i32; FILTERS]),
) {
    let taps = filters.taps();
    let mut parameters = filters.bias().iter().zip(filters.shift());
    for (block, out) in output.chunks_mut(FILTERS).enumerate() {
        let first = block * FILTERS;
        let weight = core::array::from_fn(|channel| {
            let start = (first + channel) * taps;
            // A channel behind the last has no weights, so its sum is empty.
            filters.weight().get(start..start + taps).unwrap_or(&[])
        });
        let mut acc = [0; FILTERS];
        sum(weight, &mut acc);
        for ((out, acc), (bias, &shift)) in out.iter_mut().zip(acc).zip(&mut parameters) {
            *out = requantize(acc.wrapping_add(bias), shift);
        }
    }
}

/// Channels whose sums [`depthwise_conv2d`] keeps at a time.
const BLOCK: usize = 16;

/// The sums of neighbouring channels side by side, one window pixel at a time.
pub(crate) fn depthwise_conv2d(op: &DepthwiseConv2d<'_>, input: &[u8], output: &mut [u8]) {
    let (window, shape, out_shape) = (op.window(), op.input(), op.output());
    let filters = op.kernel_filters();
    let rows = output.chunks_exact_mut((out_shape.w * out_shape.c).max(1));
    for (y, out_row) in rows.enumerate() {
        let ys = window.span(y, shape.h);
        for (x, out) in out_row.chunks_exact_mut(out_shape.c.max(1)).enumerate() {
            let xs = window.span(x, shape.w);
            for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                let first = block * BLOCK;
                let mut acc = [0_i32; BLOCK];
                for k_y in 0..ys.count {
                    let at = ((ys.first + k_y) * shape.w + xs.first) * shape.c + first;
                    let w_at = ((ys.tap + k_y) * window.kernel + xs.tap) * shape.c + first;
                    for k_x in 0..xs.count {
                        let x = input.get(at + k_x * shape.c..).unwrap_or(&[]);
                        let w = filters.weight().get(w_at + k_x * shape.c..).unwrap_or(&[]);
                        for ((acc, &x), &w) in acc.iter_mut().zip(x).zip(w) {
                            *acc = acc.wrapping_add(i32::from(x) * i32::from(w));
                        }
                    }
                }
                let parameters = filters.bias().iter().zip(filters.shift()).skip(first);
                for ((out, acc), (bias, &shift)) in out.iter_mut().zip(acc).zip(parameters) {
                    *out = requantize(acc.wrapping_add(bias), shift);
                }
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

/// Adds `Σ x * w` for each channel, whose weights start at `start`. No sum can leave `i32`: a
/// certified layer stays below 2^24.
#[inline]
fn dot(x: &[u8], weight: [&[i8]; FILTERS], start: usize, acc: &mut [i32; FILTERS]) {
    let rows = weight.map(|weight| weight.get(start..start + x.len()));
    if let [Some(w0), Some(w1), Some(w2), Some(w3)] = rows {
        let [mut a0, mut a1, mut a2, mut a3] = *acc;
        for ((((&x, &w0), &w1), &w2), &w3) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
            let x = i32::from(x);
            a0 = a0.wrapping_add(x * i32::from(w0));
            a1 = a1.wrapping_add(x * i32::from(w1));
            a2 = a2.wrapping_add(x * i32::from(w2));
            a3 = a3.wrapping_add(x * i32::from(w3));
        }
        *acc = [a0, a1, a2, a3];
        return;
    }
    for (acc, row) in acc.iter_mut().zip(rows) {
        let products = x.iter().zip(row.unwrap_or(&[]));
        let products = products.map(|(&x, &w)| i32::from(x) * i32::from(w));
        *acc = products.fold(*acc, i32::wrapping_add);
    }
}
