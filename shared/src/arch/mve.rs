//! Kernels for Cortex-M processors with Helium (MVE): M55 and later.
//!
//! Contracts and shapes are those of the operators, the bits those of their `reference`; what a
//! kernel here cannot take goes to [`portable`]. Build with `-C target-cpu=cortex-m55`.
//!
//! # Idea
//!
//! `VMLADAVA.S8` multiplies sixteen pairs of signed bytes and adds the products to a general
//! register: 1/16 instruction per MAC is the floor. An activation `x` is unsigned, so kernels
//! multiply `x - 128`, which is `x` with its upper bit flipped, and the bias of a channel is larger
//! by 128 times the sum of its weights. All sums are modulo 2^32, so what counts is that the true
//! sum fits, and a certified one stays below 2^24.
//!
//! Columns of three windows are gathered in the scratch, where flipping costs one instruction of
//! four; the weights are read as they lie in the model. A block of M channels and N pixels loads
//! each vector once: `(1 + 1/M + 1/N) / 16`. The sums must be even registers and the loop counter
//! is `lr`, so six is what there is: 2 × 3, eleven instructions and the loop's end for 96 MAC.
//!
//! # Budget
//!
//! Instructions; `v` is the number of vectors of 16 taps, rounded up.
//!
//! | kernel         | round                 | for the taps                    | besides                |
//! |----------------|-----------------------|---------------------------------|------------------------|
//! | [`quads`]      | 4 channels × 3 pixels | `24 v`, 0.125 per MAC           | 63: 29 to start the sums and bring them to vectors, 34 to requantize twelve |
//! | its short form | 4 channels × 3 pixels | 33 for at most 16 taps          | 34                     |
//! | [`columns`]    | a window              | 4 for 16 taps                   | 5 for each row, about 50 |
//! | [`depthwise`]  | 16 channels × 1 pixel | 15 for a tap, 5 for a row       | 55, and 50 for a pixel |
//! | [`dense`]      | 4 channels            | `15 v`, 0.23 per MAC            | about 180              |
//! | [`dense`]      | the head              | `8 v`                           | about 60               |
//! | [`pool`]       | a pixel               | 9 for 16 channels               | about 30               |
//!
//! A convolution of 288 taps to 32 channels: `(24 * 18 + 63) / (12 * 288) = 0.143` per MAC for the
//! products, `(3 * 29 + 50) / (32 * 288) = 0.015` for gathering, 0.006 for windows with padding and
//! calls. A first layer of 9 taps to 32 channels: `67 / (12 * 9) = 0.62` and
//! `(3 * 9 + 50) / (32 * 9) = 0.27`. QEMU counts 0.163 and 0.945 for whole layers.
//!
//! # Channels that are left over
//!
//! A round has its fixed number of channels. When there are not as many left, the last round begins
//! earlier and computes some channels a second time: no kernel has a tail of channels. Taps that are
//! left over are predicated: their loads do not happen.
#![allow(unsafe_code, reason = "instructions that no stable intrinsic gives")]

mod columns;
mod dense;
mod depthwise;
mod pool;
mod quads;

use core::iter;
use core::ops::Range;

use super::portable;
use crate::ops::conv2d::Conv2d;
use crate::ops::depthwise_conv2d::DepthwiseConv2d;
use crate::ops::filters::Filters;
use crate::ops::l1_head::L1Head;
use crate::ops::linear::Linear;
use crate::ops::pointwise::Pointwise;
use crate::quant::requantize;
use crate::shape::{Hwc, Window};

use columns::Windows;
use dense::{dots, weighted_distance};
use depthwise::{Blocks, Part};
use pool::maximum;
use quads::{COLUMNS, Quads};

/// Channels whose biases lie on the stack at a time; a whole number of rounds of every kernel.
const GROUP: usize = 128;

/// Groups of at most [`GROUP`] channels, each of them rounds of `round` channels. The last group may
/// begin before the others end; there is none when `channels` are fewer than `round`.
fn groups(channels: usize, round: usize) -> impl Iterator<Item = Range<usize>> {
    let mut next = 0;
    iter::from_fn(move || {
        let last = channels.checked_sub(round)?;
        if next >= channels {
            return None;
        }
        let first = last.min(next);
        let count = (channels - first).min(GROUP);
        next = first + count - count % round;
        Some(first..next)
    })
}

/// One column for each output pixel.
pub(crate) fn conv2d(
    op: &Conv2d<'_>,
    input: &[u8],
    first_row: usize,
    output: &mut [u8],
    scratch: &mut [u8],
) {
    let filters = op.kernel_filters();
    if filters.c_out() < quads::CHANNELS {
        return portable::conv2d(op, input, first_row, output, scratch);
    }
    let windows = Windows::new(input, op.input(), op.window(), op.output().w).below(first_row);
    product(filters, windows, output, scratch);
}

/// A column is a pixel.
pub(crate) fn pointwise(op: &Pointwise<'_>, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let filters = op.kernel_filters();
    if filters.c_out() < quads::CHANNELS {
        return portable::pointwise(op, input, output, scratch);
    }
    let window = Window {
        kernel: 1,
        stride: 1,
        pad: 0,
    };
    // All pixels side by side: where a row ends is of no importance.
    let shape = Hwc::new(1, op.input().h * op.input().w, op.input().c);
    let windows = Windows::new(input, shape, window, shape.w);
    product(filters, windows, output, scratch);
}

/// Multiplies every window with every filter, of which there are at least [`quads::CHANNELS`].
#[inline(never)]
fn product(filters: &Filters<'_>, windows: Windows<'_>, output: &mut [u8], scratch: &mut [u8]) {
    let (taps, c_out) = (filters.taps(), filters.c_out());
    let columns = scratch.get_mut(..taps * COLUMNS).unwrap_or(&mut []);
    let mut bias = [0_i32; GROUP];
    for group in groups(c_out, quads::CHANNELS) {
        for (bias, (weight, plain, _)) in bias.iter_mut().zip(filters.rows().skip(group.start)) {
            let sum: i32 = weight.iter().map(|&w| i32::from(w)).sum();
            *bias = plain.wrapping_add(sum.wrapping_mul(128));
        }
        let Some(mut quads) = Quads::new(filters, group, &bias) else {
            return;
        };
        let mut windows = windows;
        for out in output.chunks_mut(COLUMNS * c_out) {
            // When pixels are missing at the end, so are the first columns.
            let missing = COLUMNS - out.len().checked_div(c_out).unwrap_or(0);
            let gathered = columns.get_mut(missing * taps..);
            windows.gather(COLUMNS - missing, gathered.unwrap_or(&mut []));
            quads.run(columns, out);
        }
    }
}

/// Four channels at a time.
pub(crate) fn linear(op: &Linear<'_>, input: &[u8], output: &mut [u8]) {
    let filters = op.kernel_filters();
    let rounds = filters
        .weight()
        .chunks((dense::CHANNELS * filters.taps()).max(1));
    let mut parameters = filters.bias().iter().zip(filters.shift());
    for (out, weights) in output.chunks_mut(dense::CHANNELS).zip(rounds) {
        for (out, sum) in out.iter_mut().zip(dots(input, weights)) {
            if let Some((bias, &shift)) = parameters.next() {
                *out = requantize(bias.wrapping_add(sum), shift);
            }
        }
    }
}

/// `bias + Σ |a - b| * weight`: the whole head.
pub(crate) fn l1_head(op: &L1Head<'_>, a: &[u8], b: &[u8]) -> i32 {
    op.bias.wrapping_add(weighted_distance(a, b, op.weight))
}

/// Sixteen channels at a time.
#[inline(never)]
pub(crate) fn depthwise_conv2d(op: &DepthwiseConv2d<'_>, input: &[u8], output: &mut [u8]) {
    let (window, shape, width) = (op.window(), op.input(), op.output().w);
    if shape.c < depthwise::CHANNELS {
        return portable::depthwise_conv2d(op, input, output);
    }
    let filters = op.kernel_filters();
    let mut bias = [0_i32; GROUP];
    for group in groups(shape.c, depthwise::CHANNELS) {
        for (bias, plain) in bias.iter_mut().zip(filters.bias().iter().skip(group.start)) {
            *bias = plain;
        }
        let Some(blocks) = Blocks::new(op, group, &bias) else {
            return;
        };
        let rows = output.chunks_exact_mut((width * shape.c).max(1));
        for (y, out_row) in rows.enumerate() {
            let ys = window.span(y, shape.h);
            for (x, out) in out_row.chunks_exact_mut(shape.c).enumerate() {
                let xs = window.span(x, shape.w);
                let at = (ys.first * shape.w + xs.first) * shape.c;
                let weight_at = (ys.tap * window.kernel + xs.tap) * shape.c;
                let part = Part {
                    rows: ys.count,
                    columns: xs.count,
                    x: input.get(at..).unwrap_or(&[]),
                    weight: filters.weight().get(weight_at..).unwrap_or(&[]),
                };
                blocks.run(part, out);
            }
        }
    }
}

/// Windows of 2×2 pixels without padding; others as [`portable`] takes them.
#[inline(never)]
pub(crate) fn pool_row(window: Window, input: &[u8], shape: Hwc, output: &mut [u8]) {
    if window.kernel != 2 || window.pad != 0 {
        return portable::pool_row(window, input, shape, output);
    }
    let (row, mut at) = (shape.w * shape.c, 0);
    for out in output.chunks_exact_mut(shape.c.max(1)) {
        maximum(input, [at, at + shape.c, at + row, at + row + shape.c], out);
        at += window.stride * shape.c;
    }
}
