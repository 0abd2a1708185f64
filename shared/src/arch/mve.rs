//! Kernels for Helium (MVE).
#![allow(
    unsafe_code,
    reason = "instructions that the compiler has no names for"
)]

mod quads;

use crate::arch::portable;
use crate::ops::conv2d::Conv2d;
use crate::ops::filters::Filters;
use crate::ops::pointwise::Pointwise;

pub(crate) use portable::{depthwise_conv2d, l1_head, linear};

use quads::{CHANNELS, COLUMNS, Channels, quads};

/// Flips an activation between `u8` and the same less 128 as `i8`.
const FLIP: u8 = 0x80;

/// Channels whose biases lie on the stack at a time.
const GROUP: usize = 64;

/// Columns of three pixels, gathered once for [`GROUP`] channels.
pub(crate) fn conv2d(op: &Conv2d<'_>, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let filters = op.kernel_filters();
    if filters.c_out() < CHANNELS {
        return portable::conv2d(op, input, output, scratch);
    }
    let (window, shape, width) = (op.window(), op.input(), op.output().w);
    let row = window.kernel * shape.c;
    product(filters, output, scratch, |pixel, column| {
        let y = pixel.checked_div(width).unwrap_or(0);
        let ys = window.span(y, shape.h);
        let xs = window.span(pixel - y * width, shape.w);
        if ys.count != window.kernel || xs.count != window.kernel {
            column.fill(FLIP);
        }
        let (skip, len) = (xs.tap * shape.c, xs.count * shape.c);
        for k in 0..ys.count {
            let at = ((ys.first + k) * shape.w + xs.first) * shape.c;
            let to = (ys.tap + k) * row + skip;
            let from = input.get(at..at + len).unwrap_or(&[]);
            flip(from, column.get_mut(to..to + len).unwrap_or(&mut []));
        }
    });
}

/// As [`conv2d`]: a column is a pixel.
pub(crate) fn pointwise(op: &Pointwise<'_>, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let filters = op.kernel_filters();
    if filters.c_out() < CHANNELS {
        return portable::pointwise(op, input, output, scratch);
    }
    let taps = filters.taps();
    product(filters, output, scratch, |pixel, column| {
        let at = pixel * taps;
        flip(input.get(at..at + taps).unwrap_or(&[]), column);
    });
}

fn flip(from: &[u8], to: &mut [u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from ^ FLIP;
    }
}

/// Multiplies the filters with every pixel's column; `gather` writes the column of a pixel.
fn product(
    filters: &Filters<'_>,
    output: &mut [u8],
    scratch: &mut [u8],
    gather: impl Fn(usize, &mut [u8]),
) {
    let (taps, c_out) = (filters.taps(), filters.c_out());
    let columns = scratch.get_mut(..taps * COLUMNS).unwrap_or(&mut []);
    let mut bias = [0_i32; GROUP];
    let mut first = 0;
    while first < c_out {
        // The last group has at least four channels, even if it computes some a second time.
        first = first.min(c_out - CHANNELS);
        let count = (c_out - first).min(GROUP);
        for (bias, (weight, plain, _)) in bias.iter_mut().zip(filters.rows().skip(first)) {
            let sum: i32 = weight.iter().map(|&w| i32::from(w)).sum();
            *bias = plain.wrapping_add(128 * sum);
        }
        for (block, out) in output.chunks_mut(COLUMNS * c_out).enumerate() {
            for (pixel, column) in columns.chunks_exact_mut(taps.max(1)).enumerate() {
                if pixel * c_out < out.len() {
                    gather(block * COLUMNS + pixel, column);
                }
            }
            let whole = count - count % CHANNELS;
            let mut run = |from: usize, count: usize| {
                let range = first + from..first + from + count;
                let channels = Channels {
                    taps,
                    weight: filters
                        .weight()
                        .get(range.start * taps..range.end * taps)
                        .unwrap_or(&[]),
                    bias: bias.get(from..from + count).unwrap_or(&[]),
                    shift: filters.shift().get(range).unwrap_or(&[]),
                };
                quads(channels, columns, out, c_out, first + from);
            };
            run(0, whole);
            if whole < count {
                run(count - CHANNELS, CHANNELS);
            }
        }
        first += count;
    }
}
