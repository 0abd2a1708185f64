//! Kernels for Cortex-M processors with the DSP extension: M4, M7, M33 and their like.
//!
//! Contracts and shapes are those of the operators, the bits those of their `reference`. What a
//! kernel here cannot take (few channels, odd lengths, misaligned buffers) goes to a more general
//! one, at last to [`portable`]. `SMLAD` multiplies two pairs of 16-bit numbers and adds both
//! products: 0.5 instructions per MAC is the floor of this instruction set.
//!
//! # Even and odd
//!
//! A word of four bytes b0 b1 b2 b3 becomes the pairs (b0, b2) by `SXTB16` or `UXTB16`, and (b1, b3)
//! by the same with a rotation of 8. Whatever is expanded that way on both sides meets in `SMLAD`
//! without any shuffling: an *expanded* row holds an even and an odd word for each four taps.
//!
//! # Budget
//!
//! Instructions per MAC, without those that fall on padding (they are skipped, but counted as MAC):
//!
//! | kernel        | block               | loop of the block                                | per output     |
//! |---------------|---------------------|--------------------------------------------------|----------------|
//! | [`stationary`] | 4 channels × 1 pixel | 16 taps: 32 `SMLAD`, 8 `LDM`, 2 `LDRD`, 8 `UXTB16`, 2 = 0.81 | 5 requantize, 1 store, 6 to 12 for the loops |
//! | [`image`]     | 8 channels × 1 pixel | 9 taps: 5 `SMLAD`, 1 `LDM`                       | 5 requantize, 1 store, 0.5 + 3 for the loops |
//! | [`dot`]       | 4 channels × 1 pixel | 4 taps: 8 `SMLAD`, 5 `LDR`, 10 extensions, 1 = 1.5 | 12           |
//! | [`depthwise`] | 4 channels × 1 pixel | 1 tap: 4 `SMLAxy`, `LDRD`, `LDR`, 2 `UXTB16` = 2 | 5 requantize, 1 store, 9 for the loops |
//!
//! Blocks of 2×4 would load less, but their accumulators alone take 8 of the 14 registers, and the
//! expanded pairs do not fit the rest.
//!
//! # Requantize in four instructions
//!
//! `t = acc + half - 1` comes with the bias. Then `round_shift(acc, r)` is `(t + bit r of t) >> r`:
//! on a tie the low bits of `t` are all ones, so the sum carries exactly when the quotient is odd;
//! off a tie they are not, and nothing carries. `ASRS` by `r + 1` leaves bit r in the carry flag,
//! `ADC` adds it, `ASR` shifts, `USAT` clamps. For `r = 0` the first shift is by 32: the carry is
//! then the sign, and what it adds to is clamped to 0 anyway.
#![allow(unsafe_code, reason = "instructions that no stable intrinsic gives")]

mod depthwise;
mod dot;
mod image;
mod l1_head;
mod stationary;

use super::portable;
use crate::ops::conv2d::Conv2d;
use crate::ops::depthwise_conv2d::DepthwiseConv2d;
use crate::ops::filters::Filters;
use crate::ops::linear::Linear;
use crate::ops::pointwise::Pointwise;
use crate::shape::{Hwc, Span, Window};

pub(crate) use l1_head::l1_head;

/// The image's own kernel, then the stationary one, then a gathered column for each pixel.
pub(crate) fn conv2d(op: &Conv2d<'_>, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let layer = Layer {
        window: op.window(),
        input: op.input(),
        output: op.output(),
        filters: op.kernel_filters(),
    };
    if image::conv2d(&layer, input, output).is_some()
        || stationary::conv2d(&layer, input, output, scratch).is_some()
        || dot::conv2d(&layer, input, output, scratch).is_some()
    {
        return;
    }
    portable::conv2d(op, input, output, scratch);
}

/// A convolution whose pixels are one long row, or one dot product per pixel and channel.
pub(crate) fn pointwise(op: &Pointwise<'_>, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let filters = op.kernel_filters();
    let pixels = op.input().h * op.input().w;
    let layer = Layer {
        window: Window {
            kernel: 1,
            stride: 1,
            pad: 0,
        },
        input: Hwc::new(1, pixels, op.input().c),
        output: Hwc::new(1, pixels, filters.c_out()),
        filters,
    };
    if stationary::conv2d(&layer, input, output, scratch).is_some() {
        return;
    }
    let x = input.chunks_exact(filters.taps().max(1));
    for (x, out) in x.zip(output.chunks_exact_mut(filters.c_out().max(1))) {
        dot::fully_connected(filters, x, out);
    }
}

/// Four dot products at a time.
pub(crate) fn linear(op: &Linear<'_>, input: &[u8], output: &mut [u8]) {
    dot::fully_connected(op.kernel_filters(), input, output);
}

/// Four channels at a time.
pub(crate) fn depthwise_conv2d(op: &DepthwiseConv2d<'_>, input: &[u8], output: &mut [u8]) {
    let layer = Layer {
        window: op.window(),
        input: op.input(),
        output: op.output(),
        filters: op.kernel_filters(),
    };
    if depthwise::depthwise_conv2d(&layer, input, output).is_none() {
        portable::depthwise_conv2d(op, input, output);
    }
}

/// A layer with a window; the operator's constructor has checked that its parts fit.
struct Layer<'a> {
    window: Window,
    input: Hwc,
    output: Hwc,
    filters: &'a Filters<'a>,
}

/// Neighbouring outputs of a row whose windows lie alike on the input.
#[derive(Debug, Clone, Copy)]
struct Segment {
    /// The first output.
    x: usize,
    /// How many.
    pixels: usize,
    /// The first one's window.
    span: Span,
}

impl Layer<'_> {
    /// The outputs of a row: those over padding one by one, those between in one segment.
    fn segments(&self) -> impl Iterator<Item = Segment> + Clone {
        let (window, w, w_out) = (self.window, self.input.w, self.output.w);
        let whole = move |x: &usize| window.span(*x, w).count == window.kernel;
        let first = (0..w_out).find(whole).unwrap_or(w_out);
        let len = (first..w_out).take_while(whole).count();
        let mut next = 0;
        core::iter::from_fn(move || {
            let x = next;
            if x >= w_out {
                return None;
            }
            let pixels = if x == first { len.max(1) } else { 1 };
            next += pixels;
            let span = window.span(x, w);
            Some(Segment { x, pixels, span })
        })
    }
}

/// Channels of a block.
const BLOCK: usize = 4;

/// The first channels of the blocks that cover all; the last one overlaps where four do not divide
/// them, and computes the same bits again. Nothing for fewer than four.
fn blocks(c_out: usize) -> impl Iterator<Item = usize> {
    let last = c_out.checked_sub(BLOCK);
    last.into_iter()
        .flat_map(move |last| (0..c_out).step_by(BLOCK).map(move |c| c.min(last)))
}

/// How one channel's accumulator starts, and its two shifts: see the module's documentation.
fn rounding(bias: i32, shift: u8) -> (i32, [u32; 2]) {
    let shift = u32::from(shift);
    if shift == 0 {
        return (bias, [0, 32]);
    }
    let half = 1_i32.wrapping_shl(shift - 1);
    (bias.wrapping_add(half - 1), [shift, shift + 1])
}

/// What the kernels need of a block's channels beside their weights; read by assembly.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Rounding {
    bias: [i32; BLOCK],
    shift: [[u32; 2]; BLOCK],
}

impl Rounding {
    /// Of the four channels from `first` on.
    fn of(filters: &Filters<'_>, first: usize) -> Self {
        let mut block = Self {
            bias: [0; BLOCK],
            shift: [[0; 2]; BLOCK],
        };
        let to = block.bias.iter_mut().zip(&mut block.shift);
        let from = filters.bias().iter().zip(filters.shift()).skip(first);
        for ((to_bias, to_shift), (bias, &shift)) in to.zip(from) {
            (*to_bias, *to_shift) = rounding(bias, shift);
        }
        block
    }
}

/// Tells the assembler that the DSP extension is there: in ARMv8-M it is an option, and naked
/// functions do not get the compiler's `target-cpu`.
#[cfg(onelook_v8m)]
macro_rules! dsp {
    () => {
        ".cpu cortex-m33"
    };
}
/// ARMv7E-M always has the DSP extension.
#[cfg(not(onelook_v8m))]
macro_rules! dsp {
    () => {
        ""
    };
}
use dsp;

/// Assembly that requantizes the accumulators of a block in `r0` to `r3`, with a pointer to its
/// [`Rounding`] in `r12`, and packs the four bytes into `r0`. Uses `r4` to `r6`.
macro_rules! requantize_block {
    () => {
        concat!(
            "ldrd r4, r5, [r12, #16]\n",
            "asrs r6, r0, r5\n",
            "adc r0, r0, #0\n",
            "asr r0, r0, r4\n",
            "usat r0, #8, r0\n",
            "ldrd r4, r5, [r12, #24]\n",
            "asrs r6, r1, r5\n",
            "adc r1, r1, #0\n",
            "asr r1, r1, r4\n",
            "usat r1, #8, r1\n",
            "ldrd r4, r5, [r12, #32]\n",
            "asrs r6, r2, r5\n",
            "adc r2, r2, #0\n",
            "asr r2, r2, r4\n",
            "usat r2, #8, r2\n",
            "ldrd r4, r5, [r12, #40]\n",
            "asrs r6, r3, r5\n",
            "adc r3, r3, #0\n",
            "asr r3, r3, r4\n",
            "usat r3, #8, r3\n",
            "orr r0, r0, r1, lsl #8\n",
            "orr r0, r0, r2, lsl #16\n",
            "orr r0, r0, r3, lsl #24\n",
        )
    };
}
use requantize_block;
