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

/// One dot product per kernel row: in HWC the taps of a row are contiguous.
pub(crate) fn conv2d(
    op: &Conv2d<'_>,
    input: &[u8],
    first_row: usize,
    output: &mut [u8],
    _scratch: &mut [u8],
) {
    let (window, shape, out_shape) = (op.window(), op.input(), op.output());
    let row = window.kernel * shape.c;
    let rows = output.chunks_exact_mut((out_shape.w * out_shape.c).max(1));
    for (y, out_row) in rows.enumerate() {
        let ys = window.span(first_row + y, shape.h);
        for (x, out) in out_row.chunks_exact_mut(out_shape.c.max(1)).enumerate() {
            let xs = window.span(x, shape.w);
            let (skip, len) = (xs.tap * shape.c, xs.count * shape.c);
            for (out, (weight, bias, shift)) in out.iter_mut().zip(op.kernel_filters().rows()) {
                let mut acc = bias;
                for k in 0..ys.count {
                    let at = ((ys.first + k) * shape.w + xs.first) * shape.c;
                    let w_at = (ys.tap + k) * row + skip;
                    let x = input.get(at..at + len).unwrap_or(&[]);
                    let w = weight.get(w_at..w_at + len).unwrap_or(&[]);
                    acc = acc.wrapping_add(dot(x, w));
                }
                *out = requantize(acc, shift);
            }
        }
    }
}

/// One dot product per pixel and channel.
pub(crate) fn pointwise(op: &Pointwise<'_>, input: &[u8], output: &mut [u8], _scratch: &mut [u8]) {
    let filters = op.kernel_filters();
    let pixels = input.chunks_exact(filters.taps().max(1));
    for (x, out) in pixels.zip(output.chunks_exact_mut(filters.c_out().max(1))) {
        fully_connected(filters, x, out);
    }
}

/// One dot product per channel.
pub(crate) fn linear(op: &Linear<'_>, input: &[u8], output: &mut [u8]) {
    fully_connected(op.kernel_filters(), input, output);
}

fn fully_connected(filters: &Filters<'_>, x: &[u8], output: &mut [u8]) {
    for (out, (weight, bias, shift)) in output.iter_mut().zip(filters.rows()) {
        *out = requantize(bias.wrapping_add(dot(x, weight)), shift);
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

/// `bias + Σ |a - b| * weight`: the whole head.
pub(crate) fn l1_head(op: &L1Head<'_>, a: &[u8], b: &[u8]) -> i32 {
    let terms = a.iter().zip(b).zip(op.weight);
    let terms = terms.map(|((&a, &b), &weight)| i32::from(a.abs_diff(b)) * i32::from(weight));
    terms.fold(op.bias, i32::wrapping_add)
}

/// `Σ x * w`. No sum can leave `i32`: a certified layer stays below 2^24.
#[inline]
fn dot(x: &[u8], w: &[i8]) -> i32 {
    let products = x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w));
    products.fold(0, i32::wrapping_add)
}
