//! Kernels for Helium (MVE).
#![allow(
    unsafe_code,
    reason = "instructions that the compiler has no names for"
)]

mod columns;
mod dense;
mod depthwise;
mod pool;
mod quads;

use crate::arch::portable;
use crate::ops::conv2d::Conv2d;
use crate::ops::depthwise_conv2d::DepthwiseConv2d;
use crate::ops::filters::Filters;
use crate::ops::l1_head::L1Head;
use crate::ops::linear::Linear;
use crate::ops::max_pool2d::MaxPool2d;
use crate::ops::pointwise::Pointwise;
use crate::quant::requantize;
use crate::shape::Window;

use columns::Windows;
use dense::{dots, weighted_distance};
use depthwise::Part;
use pool::maximum;
use quads::{CHANNELS, COLUMNS, Channels, Quads};

/// Channels whose biases lie on the stack at a time.
const GROUP: usize = 128;

/// One column for each output pixel.
pub(crate) fn conv2d(op: &Conv2d<'_>, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let filters = op.kernel_filters();
    if filters.c_out() < CHANNELS {
        return portable::conv2d(op, input, output, scratch);
    }
    let windows = Windows::new(input, op.input(), op.window(), op.output().w);
    product(filters, windows, output, scratch);
}

/// A column is a pixel.
pub(crate) fn pointwise(op: &Pointwise<'_>, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let filters = op.kernel_filters();
    if filters.c_out() < CHANNELS {
        return portable::pointwise(op, input, output, scratch);
    }
    let window = Window {
        kernel: 1,
        stride: 1,
        pad: 0,
    };
    let windows = Windows::new(input, op.input(), window, op.output().w);
    product(filters, windows, output, scratch);
}

/// Multiplies at least [`CHANNELS`] filters with every window.
#[inline(never)]
fn product(filters: &Filters<'_>, windows: Windows<'_>, output: &mut [u8], scratch: &mut [u8]) {
    let (taps, c_out) = (filters.taps(), filters.c_out());
    let columns = scratch.get_mut(..taps * COLUMNS).unwrap_or(&mut []);
    let mut bias = [0_i32; GROUP];
    let mut first = 0;
    while first < c_out {
        // The last quad may begin before the others end: it computes some channels once more.
        first = first.min(c_out - CHANNELS);
        let count = (c_out - first).min(GROUP);
        for (bias, (weight, plain, _)) in bias.iter_mut().zip(filters.rows().skip(first)) {
            let sum: i32 = weight.iter().map(|&w| i32::from(w)).sum();
            *bias = plain.wrapping_add(128 * sum);
        }
        let quads = |skip: usize, count: usize| {
            let (from, to) = (first + skip, first + skip + count);
            Quads::new(Channels {
                taps,
                weight: filters.weight().get(from * taps..to * taps)?,
                bias: bias.get(skip..skip + count)?,
                shift: filters.shift().get(from..to)?,
            })
        };
        let whole = count - count % CHANNELS;
        let (mut whole, mut tail) = (
            quads(0, whole),
            quads(count - CHANNELS, CHANNELS).filter(|_| whole < count),
        );
        let mut windows = windows;
        for out in output.chunks_mut(COLUMNS * c_out) {
            let mut at = COLUMNS * c_out - out.len();
            for column in columns.chunks_exact_mut(taps.max(1)) {
                if at == 0 {
                    windows.gather(column);
                } else {
                    at -= c_out;
                }
            }
            if let Some(quads) = &mut whole {
                quads.run(columns, out, c_out, first);
            }
            if let Some(quads) = &mut tail {
                quads.run(columns, out, c_out, first + count - CHANNELS);
            }
        }
        first += count;
    }
}

/// Four channels at a time.
pub(crate) fn linear(op: &Linear<'_>, input: &[u8], output: &mut [u8]) {
    let filters = op.kernel_filters();
    let (taps, weight) = (filters.taps(), filters.weight());
    let parameters = filters.bias().iter().zip(filters.shift());
    let mut parameters = parameters.zip(output.iter_mut());
    for first in (0..filters.c_out()).step_by(dense::CHANNELS) {
        let weights = [0, 1, 2, 3].map(|channel| {
            // Behind the last channel the last one again, for nothing.
            let at = (first + channel).min(filters.c_out() - 1) * taps;
            weight.get(at..at + taps).unwrap_or(&[])
        });
        let sums = dots(input, weights);
        for (sum, ((bias, &shift), out)) in sums.into_iter().zip(&mut parameters) {
            *out = requantize(bias.wrapping_add(sum), shift);
        }
    }
}

/// `bias + Σ |a - b| * weight`: the whole head.
pub(crate) fn l1_head(op: &L1Head<'_>, a: &[u8], b: &[u8]) -> i32 {
    op.bias.wrapping_add(weighted_distance(a, b, op.weight))
}

/// Windows of 2×2 pixels without padding; others as [`portable`] does them.
#[inline(never)]
pub(crate) fn max_pool2d(op: &MaxPool2d, input: &[u8], output: &mut [u8]) {
    let (window, shape) = (op.window(), op.input());
    if window.kernel != 2 || window.pad != 0 {
        return portable::max_pool2d(op, input, output);
    }
    let row = shape.w * shape.c;
    let rows = output.chunks_exact_mut((op.output().w * shape.c).max(1));
    for (y, out_row) in rows.enumerate() {
        let mut at = y * window.stride * row;
        for out in out_row.chunks_exact_mut(shape.c.max(1)) {
            maximum(input, [at, at + shape.c, at + row, at + row + shape.c], out);
            at += window.stride * shape.c;
        }
    }
}

/// Sixteen channels at a time.
#[inline(never)]
pub(crate) fn depthwise_conv2d(op: &DepthwiseConv2d<'_>, input: &[u8], output: &mut [u8]) {
    let c = op.input().c;
    if c < depthwise::CHANNELS {
        return portable::depthwise_conv2d(op, input, output);
    }
    let filters = op.kernel_filters();
    let mut bias = [0_i32; GROUP];
    let mut first = 0;
    while first < c {
        // The last block may begin before the others end: it computes some channels once more.
        first = first.min(c - depthwise::CHANNELS);
        let count = (c - first).min(GROUP);
        for (bias, plain) in bias.iter_mut().zip(filters.bias().iter().skip(first)) {
            *bias = plain;
        }
        let channels = |skip: usize, count: usize| {
            Some(depthwise::Channels {
                first: first + skip,
                bias: bias.get(skip..skip + count)?,
                shift: filters.shift().get(first + skip..first + skip + count)?,
            })
        };
        let whole = count - count % depthwise::CHANNELS;
        let tail = channels(count - depthwise::CHANNELS, depthwise::CHANNELS);
        let tail = tail.filter(|_| whole < count);
        if let Some(whole) = channels(0, whole) {
            depthwise_channels(op, [Some(whole), tail], input, output);
        }
        first += count;
    }
}

/// Some channels of every pixel.
fn depthwise_channels(
    op: &DepthwiseConv2d<'_>,
    channels: [Option<depthwise::Channels<'_>>; 2],
    input: &[u8],
    output: &mut [u8],
) {
    let (window, shape, out_shape) = (op.window(), op.input(), op.output());
    let weight = op.kernel_filters().weight();
    let rows = output.chunks_exact_mut((out_shape.w * shape.c).max(1));
    for (y, out_row) in rows.enumerate() {
        let ys = window.span(y, shape.h);
        for (x, out) in out_row.chunks_exact_mut(shape.c.max(1)).enumerate() {
            let xs = window.span(x, shape.w);
            let at = (ys.first * shape.w + xs.first) * shape.c;
            let weight_at = (ys.tap * window.kernel + xs.tap) * shape.c;
            let part = Part {
                rows: ys.count,
                columns: xs.count,
                x: input.get(at..).unwrap_or(&[]),
                weight: weight.get(weight_at..).unwrap_or(&[]),
            };
            for channels in channels.iter().flatten() {
                channels.run(op, part, out);
            }
        }
    }
}
