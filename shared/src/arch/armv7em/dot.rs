//! Four dot products at a time, with inputs and weights read where they lie.
//!
//! In: a vector and the weights of all channels. Out: their outputs. For layers that meet each
//! weight once (`linear`), and for convolutions that no other kernel takes: those gather a column,
//! the window's taps, for each pixel. Any length, any alignment.

use core::arch::naked_asm;
use core::ops::Range;

use super::{BLOCK, Layer, blocks, dsp};
use crate::ops::filters::Filters;
use crate::quant::requantize;

/// Gathers a column for each pixel.
#[inline(never)]
pub(super) fn conv2d(layer: &Layer<'_>, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let (window, shape, out_shape) = (layer.window, layer.input, layer.output);
    // The operator has checked the scratch.
    let column = scratch.get_mut(..layer.filters.taps()).unwrap_or_default();
    let row = window.kernel * shape.c;
    let rows = output.chunks_exact_mut((out_shape.w * out_shape.c).max(1));
    for (y, out_row) in rows.enumerate() {
        let ys = window.span(layer.axes[0].skip + y, shape.h);
        for (x, out) in out_row.chunks_exact_mut(out_shape.c.max(1)).enumerate() {
            let xs = window.span(x, shape.w);
            let (skip, len) = (xs.tap * shape.c, xs.count * shape.c);
            column.fill(0);
            for k in 0..ys.count {
                let at = ((ys.first + k) * shape.w + xs.first) * shape.c;
                let taps = column.iter_mut().skip((ys.tap + k) * row + skip);
                let x = input.get(at..at + len).unwrap_or(&[]);
                taps.zip(x).for_each(|(tap, x)| *tap = *x);
            }
            fully_connected(layer.filters, column, out);
        }
    }
}

/// `output[o] = requantize(bias[o] + Σ x * weight[o])`.
#[inline(never)]
pub(super) fn fully_connected(filters: &Filters<'_>, x: &[u8], output: &mut [u8]) {
    let whole = blocks(filters.c_out(), |first| {
        block(filters, x, first..first + BLOCK, output)
    });
    if whole.is_none() {
        for first in 0..filters.c_out() {
            let _ = block(filters, x, first..first + 1, output);
        }
    }
}

/// The outputs of four channels or of one. `None` only when a length is wrong, which the operators
/// rule out.
#[inline(never)]
fn block(filters: &Filters<'_>, x: &[u8], channels: Range<usize>, output: &mut [u8]) -> Option<()> {
    let taps = filters.taps();
    let x = x.get(..taps)?;
    let weight = filters.weight();
    let weight = weight.get(channels.start * taps..channels.end * taps)?;
    let mut acc = [0; BLOCK];
    let whole = taps & !3;
    if whole != 0 {
        // A lone channel is computed four times from the same row.
        let stride = if channels.len() == BLOCK { taps } else { 0 };
        // SAFETY: 1 `x` has `taps` values, not less than `whole`. 2 `weight` has four rows of
        // `taps`, or one and the stride is 0. `whole` is a multiple of 4 and not 0.
        unsafe { dot4(&mut acc, x.as_ptr(), weight.as_ptr(), stride, whole) };
    }
    for ((channel, acc), weight) in channels.zip(acc).zip(weight.chunks_exact(taps.max(1))) {
        let (bias, shift) = filters.parameters(channel)?;
        let mut acc = acc.wrapping_add(bias);
        let rest = x.get(whole..)?.iter().zip(weight.get(whole..)?);
        for (&x, &w) in rest.take(3) {
            acc = acc.wrapping_add(i32::from(x) * i32::from(w));
        }
        *output.get_mut(channel)? = requantize(acc, shift);
    }
    Some(())
}

/// Four taps of one channel: its word in `r10`, the inputs' pairs in `r8` and `r9`; uses `r11`.
macro_rules! channel {
    ($acc:literal) => {
        concat!(
            "sxtb16 r11, r10\n",
            "sxtb16 r10, r10, ror #8\n",
            "smlad ",
            $acc,
            ", r11, r8, ",
            $acc,
            "\n",
            "smlad ",
            $acc,
            ", r10, r9, ",
            $acc,
            "\n",
        )
    };
}

/// Adds to `acc` the dot products of `x` with four rows of weights, `stride` bytes apart.
///
/// # Safety
/// 1. `x` has `len` values, a multiple of 4 and not 0.
/// 2. So has each row of `weight`.
#[unsafe(naked)]
unsafe extern "C" fn dot4(
    acc: &mut [i32; BLOCK],
    x: *const u8,
    weight: *const i8,
    stride: usize,
    len: usize,
) {
    naked_asm!(
        dsp!(),
        "ldr r12, [sp]",
        "push {{r0, r4-r11, lr}}",
        "ldm r0, {{r4-r7}}",
        "add lr, r1, r12",
        "add r12, r3, r3, lsl #1",
        "2:",
        "ldr r9, [r1], #4",
        "uxtb16 r8, r9",
        "uxtb16 r9, r9, ror #8",
        "ldr r10, [r2, r3]",
        channel!("r5"),
        "ldr r10, [r2, r3, lsl #1]",
        channel!("r6"),
        "ldr r10, [r2, r12]",
        channel!("r7"),
        "ldr r10, [r2], #4",
        channel!("r4"),
        "cmp r1, lr",
        "bne 2b",
        "pop {{r0}}",
        "stm r0, {{r4-r7}}",
        "pop {{r4-r11, pc}}",
    )
}
