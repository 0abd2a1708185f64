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
//! Instructions of the inner loops, for each MAC that does not fall on padding (which is skipped, but
//! counted as MAC), and of what is around them, for each output:
//!
//! | kernel         | block                | inner loop                                                  | per output |
//! |----------------|----------------------|-------------------------------------------------------------|------------|
//! | [`stationary`] | 4 channels × 1 pixel | 16 taps: 32 `SMLAD`, 8 `LDM`, 2 `LDRD`, 8 `UXTB16`, 2 = 0.81 | 6 requantize and store, 13 to 18 for pixel and rows, in 4 |
//! | [`image`]      | 8 channels × 1 pixel | 9 taps: 5 `SMLAD`, 1 `LDM` = 0.67                           | 6 requantize and store, 0.5 + 3 for the window |
//! | [`dot`]        | 4 channels × 1 pixel | 4 taps: 8 `SMLAD`, 5 `LDR`, 10 extensions, 2 = 1.56         | 20 |
//! | [`depthwise`]  | 4 channels × 1 pixel | 1 tap: 4 `SMLAxy`, `LDRD`, `LDR`, 2 `UXTB16` = 2            | 6 requantize and store, 4 for the pixel |
//! | [`max_pool`]   | 4 channels × 1 row   | 1 tap: `LDR`, `UQSUB8`, `UADD8`, 3 = 1.5                    | 2 |
//!
//! Windows of 3×3 with padding 1 leave out 5 % of the MACs at 24×24, 11 % at 12×12, 21 % at 6×6. So:
//!
//! | layer              | loop | × on input | around | sum  | measured |
//! |--------------------|------|------------|--------|------|----------|
//! | 3×3, 24×24×32→32   | 0.81 | 0.77       | 0.06   | 0.83 | 0.836    |
//! | 3×3, 12×12×64→64   | 0.81 | 0.72       | 0.04   | 0.76 | 0.769    |
//! | 3×3, 6×6×128→64    | 0.81 | 0.64       | 0.05   | 0.69 | 0.697    |
//! | 1×1, 12×12×64→64   | 0.81 | 0.81       | 0.20   | 1.01 | 1.023    |
//! | 1×1, 24×24×16→96   | 0.81 | 0.81       | 0.77   | 1.58 | 1.592    |
//! | 3×3 s2, 48×48×1→32 | 0.67 | 0.65       | 1.16   | 1.81 | 2.073: the windows over padding are copied |
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
mod max_pool;
mod stationary;
mod walk;

use super::portable;
use crate::ops::conv2d::Conv2d;
use crate::ops::depthwise_conv2d::DepthwiseConv2d;
use crate::ops::filters::Filters;
use crate::ops::linear::Linear;
use crate::ops::pointwise::Pointwise;
use crate::shape::{Hwc, Window};

use walk::{Layer, Rectangle, Walk};

pub(crate) use l1_head::l1_head;
pub(crate) use max_pool::pool_row;

/// The image's own kernel, then the stationary one, then a gathered column for each pixel.
pub(crate) fn conv2d(
    op: &Conv2d<'_>,
    input: &[u8],
    first_row: usize,
    output: &mut [u8],
    scratch: &mut [u8],
) {
    let (filters, Hwc { w, c, .. }) = (op.kernel_filters(), op.output());
    let rows = output.len().checked_div(w * c).unwrap_or(0);
    let strip = Hwc::new(rows, w, c);
    let layer = Layer::new(op.window(), op.input(), strip, filters).below(first_row);
    if image::conv2d(&layer, input, output).is_some()
        || stationary::conv2d(&layer, input, output, scratch).is_some()
    {
        return;
    }
    dot::conv2d(&layer, input, output, scratch);
}

/// A convolution whose pixels are one long row, or one dot product per pixel and channel.
pub(crate) fn pointwise(op: &Pointwise<'_>, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let filters = op.kernel_filters();
    let pixels = op.input().h * op.input().w;
    let window = Window {
        kernel: 1,
        stride: 1,
        pad: 0,
    };
    let (row, row_out) = (
        Hwc::new(1, pixels, op.input().c),
        Hwc::new(1, pixels, filters.c_out()),
    );
    let layer = Layer::new(window, row, row_out, filters);
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
    let filters = op.kernel_filters();
    let layer = Layer::new(op.window(), op.input(), op.output(), filters);
    // Fewer than four channels, or a window larger than any that is trained.
    if depthwise::depthwise_conv2d(&layer, input, output).is_none() {
        portable::depthwise_conv2d(op, input, output);
    }
}

/// Channels of a block.
const BLOCK: usize = 4;

/// Runs the blocks that cover all channels, by their first ones, until one says `None`. The last
/// overlaps where four do not divide them, and computes the same bits again. `None` for fewer than
/// four.
fn blocks(c_out: usize, mut run: impl FnMut(usize) -> Option<()>) -> Option<()> {
    let last = c_out.checked_sub(BLOCK)?;
    let mut next = 0;
    while next < c_out {
        run(next.min(last))?;
        next += BLOCK;
    }
    Some(())
}

/// How one channel's accumulator starts, and its two shifts: see the module's documentation.
#[inline(never)]
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
    #[inline(never)]
    fn of(filters: &Filters<'_>, first: usize) -> Self {
        let parameters = |channel: usize| {
            let parameters = filters.parameters(first + channel);
            parameters.map_or((0, [0; 2]), |(bias, shift)| rounding(bias, shift))
        };
        let channels: [_; BLOCK] = core::array::from_fn(parameters);
        Self {
            bias: channels.map(|(bias, _)| bias),
            shift: channels.map(|(_, shift)| shift),
        }
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

/// Assembly that stores the outputs, to where `r4` points, and moves a [`Walk`], which lies at `{walk}` on the
/// stack, on to the next pixel, at label 2. Behind the last pixel it returns from a function that
/// has pushed `r0`-`r3`, then `r4`-`r11` and `lr`.
macro_rules! next_pixel {
    ($store:literal) => {
        concat!(
            "ldrd r4, r5, [sp, #{walk} + 8]\n", // output
            "ldrd r6, r7, [sp, #{walk}]\n",     // x
            $store,
            "add r4, r4, r5\n",
            "add r6, r6, r7\n",
            "ldr r8, [sp, #{walk} + 28]\n", // pixels
            "subs r8, r8, #1\n",
            "beq 90f\n",
            "91:\n",
            "str r8, [sp, #{walk} + 28]\n",
            "str r4, [sp, #{walk} + 8]\n",
            "str r6, [sp, #{walk}]\n",
            "b 2b\n",
            "90:\n",
            "ldrd r5, r7, [sp, #{walk} + 16]\n", // gaps
            "add r6, r6, r5\n",
            "add r4, r4, r7\n",
            "ldr r5, [sp, #{walk} + 32]\n", // height
            "ldr r8, [sp, #{walk} + 24]\n", // width
            "subs r5, r5, #1\n",
            "str r5, [sp, #{walk} + 32]\n",
            "bne 91b\n",
            "pop {{r4-r11, lr}}\n",
            "add sp, sp, #16\n",
            "bx lr\n",
        )
    };
}
use next_pixel;
