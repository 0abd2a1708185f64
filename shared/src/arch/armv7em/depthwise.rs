//! Depthwise convolution of four channels at a time.
//!
//! In: a layer with at least four channels and a window of at most [`MAX_TAPS`] taps. Out: its
//! output. The block's weights are expanded on the stack once and meet every pixel there, an even
//! and an odd word for each tap; windows leave out what falls on padding.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::{BLOCK, Layer, Rounding, Segment, blocks, dsp, requantize_block};
use crate::shape::Span;

/// A window of 5×5.
const MAX_TAPS: usize = 25;

/// The even and the odd pair of a tap's four weights.
type Tap = [u32; 2];

/// Bytes of the same.
const EXPANDED: usize = size_of::<Tap>();

/// `None` when the layer is not for this kernel; nothing is written then.
pub(super) fn depthwise_conv2d(layer: &Layer<'_>, input: &[u8], output: &mut [u8]) -> Option<()> {
    let (filters, shape) = (layer.filters, layer.input);
    let mut expanded = [[0; 2]; MAX_TAPS];
    let expanded = expanded.get_mut(..filters.taps())?;
    if shape.is_empty() || shape.c < BLOCK {
        return None;
    }
    let segments = layer.segments();
    for first in blocks(shape.c) {
        let rows = filters.weight().chunks_exact(shape.c.max(1));
        for (tap, row) in expanded.iter_mut().zip(rows) {
            let weights = row.get(first..)?.first_chunk::<BLOCK>()?;
            *tap = pairs(*weights);
        }
        let block = Block {
            layer,
            expanded,
            rounding: Rounding::of(filters, first),
        };
        let rows = output.chunks_exact_mut((layer.output.w * shape.c).max(1));
        for (y, row) in rows.enumerate() {
            let ys = layer.window.span(y, shape.h);
            for segment in segments.clone() {
                let output = row.get_mut(segment.x * shape.c + first..)?;
                block.run(ys, segment, input.get(first..)?, output)?;
            }
        }
    }
    Some(())
}

/// Even and odd weights as signed 16-bit pairs.
fn pairs([w0, w1, w2, w3]: [i8; BLOCK]) -> Tap {
    let pair = |low: i8, high: i8| i32::from(high) << 16 | i32::from(low) & 0xffff;
    [pair(w0, w2) as u32, pair(w1, w3) as u32]
}

/// Four channels, ready to meet pixels.
struct Block<'a> {
    layer: &'a Layer<'a>,
    expanded: &'a [Tap],
    rounding: Rounding,
}

impl Block<'_> {
    /// Runs a segment of a row; `input` and `output` start at the block's first channel.
    fn run(&self, ys: Span, segment: Segment, input: &[u8], output: &mut [u8]) -> Option<()> {
        let (shape, kernel) = (self.layer.input, self.layer.window.kernel);
        let xs = segment.span;
        let pitch = shape.w * shape.c;
        let x_step = self.layer.window.stride * shape.c;
        let further = segment.pixels.checked_sub(1)?;
        let (further_rows, further_taps) = (ys.count.checked_sub(1)?, xs.count.checked_sub(1)?);

        let first_x = (ys.first * shape.w + xs.first) * shape.c;
        let x_len = further * x_step + further_rows * pitch + further_taps * shape.c + BLOCK;
        let input = input.get(first_x..first_x + x_len)?;
        let weight = self.expanded.get(ys.tap * kernel + xs.tap..)?;
        let weight = weight.get(..further_rows * kernel + xs.count)?;
        let output = output.get_mut(..further * shape.c + BLOCK)?;
        // SAFETY: 1 to 3 are the lengths of the three slices.
        unsafe {
            convolve(Run {
                x: input.as_ptr(),
                x_step,
                output: output.as_mut_ptr(),
                output_step: shape.c,
                pitch,
                weight_gap: (kernel - xs.count) * EXPANDED,
                taps: xs.count,
                tap_step: shape.c,
                rows: ys.count,
                weight: weight.as_ptr(),
                rounding: &raw const self.rounding,
                pixels: segment.pixels,
            });
        }
        Some(())
    }
}

/// What [`convolve`] is told. Its fields lie on the stack while it runs.
#[repr(C)]
struct Run {
    /// The first pixel's first input under the window.
    x: *const u8,
    /// Bytes from there to the next pixel's.
    x_step: usize,
    /// The first pixel's four outputs.
    output: *mut u8,
    /// Bytes from there to the next pixel's.
    output_step: usize,
    /// Bytes of input from kernel row to kernel row.
    pitch: usize,
    /// Bytes of weights between a kernel row's end and the next one's start.
    weight_gap: usize,
    /// Taps of a kernel row.
    taps: usize,
    /// Bytes of input from tap to tap.
    tap_step: usize,
    /// Kernel rows.
    rows: usize,
    /// Expanded weights of the first tap.
    weight: *const Tap,
    rounding: *const Rounding,
    pixels: usize,
}

/// Bytes that [`convolve`] pushes below its [`Run`].
const SAVED: usize = 36;

/// One tap of four channels, from `$x`; uses `r4` to `r7`.
macro_rules! tap {
    ($x:literal) => {
        concat!(
            "ldr r6, ",
            $x,
            "\n",
            "ldrd r4, r5, [r12], #8\n",
            "uxtb16 r7, r6\n",
            "uxtb16 r6, r6, ror #8\n",
            "smlabb r0, r7, r4, r0\n",
            "smlabb r1, r6, r5, r1\n",
            "smlatt r2, r7, r4, r2\n",
            "smlatt r3, r6, r5, r3\n",
        )
    };
}

/// Convolves four channels with a number of pixels. Rows of three taps have code of their own.
///
/// Registers: `r0` to `r3` accumulators, `r8` bytes from tap to tap, `r9` kernel rows to go, `r10`
/// the kernel row, `r11` the input within it, `r12` the weights, `lr` taps.
///
/// # Safety
/// 1. All inputs that the [`Run`] describes are readable, four bytes each, at any alignment; there
///    is one at least.
/// 2. So are their expanded weights, aligned.
/// 3. The four outputs of every pixel are writable.
#[unsafe(naked)]
unsafe extern "C" fn convolve(run: Run) {
    naked_asm!(
        dsp!(),
        // The first four words of the run come in registers: put them in front of the others.
        "push {{r0-r3}}",
        "push {{r4-r11, lr}}",
        "2:", // pixel
        "ldrd r9, r12, [sp, #{rows}]",
        "ldr r4, [sp, #{rounding}]",
        "ldm r4, {{r0-r3}}",
        "ldr r10, [sp, #{x}]",
        "ldrd lr, r8, [sp, #{taps}]",
        "3:", // kernel row
        "cmp lr, #3",
        "bne 5f",
        tap!("[r10]"),
        tap!("[r10, r8]"),
        tap!("[r10, r8, lsl #1]"),
        "4:", // end of the kernel row
        "ldrd r4, r5, [sp, #{pitch}]",
        "add r10, r10, r4",
        "add r12, r12, r5",
        "subs r9, r9, #1",
        "bne 3b",
        "ldr r12, [sp, #{rounding}]",
        requantize_block!(),
        "ldrd r4, r5, [sp, #{output}]",
        "str r0, [r4]",
        "add r4, r4, r5",
        "str r4, [sp, #{output}]",
        "ldrd r4, r5, [sp, #{x}]",
        "add r4, r4, r5",
        "str r4, [sp, #{x}]",
        "ldr r4, [sp, #{pixels}]",
        "subs r4, r4, #1",
        "str r4, [sp, #{pixels}]",
        "bne 2b",
        "pop {{r4-r11, lr}}",
        "add sp, sp, #16",
        "bx lr",
        "5:", // any number of taps
        "mov r11, r10",
        "6:",
        tap!("[r11]"),
        "add r11, r11, r8",
        "subs lr, lr, #1",
        "bne 6b",
        "ldr lr, [sp, #{taps}]",
        "b 4b",
        x = const SAVED + offset_of!(Run, x),
        output = const SAVED + offset_of!(Run, output),
        pitch = const SAVED + offset_of!(Run, pitch),
        taps = const SAVED + offset_of!(Run, taps),
        rows = const SAVED + offset_of!(Run, rows),
        rounding = const SAVED + offset_of!(Run, rounding),
        pixels = const SAVED + offset_of!(Run, pixels),
    )
}
