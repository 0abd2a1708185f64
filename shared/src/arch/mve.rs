//! Kernels for Helium (MVE).
#![allow(
    unsafe_code,
    reason = "instructions that the compiler has no names for"
)]

mod columns;
mod quads;

use crate::arch::portable;
use crate::ops::conv2d::Conv2d;
use crate::ops::filters::Filters;
use crate::ops::pointwise::Pointwise;
use crate::shape::Window;

pub(crate) use portable::{depthwise_conv2d, l1_head, linear};

use columns::Windows;
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
