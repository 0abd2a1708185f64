//! Convolution with stationary weights: four channels' weights are expanded into the scratch once
//! and meet every pixel there.
//!
//! In: a layer with a multiple of four input channels, at least four output channels, and a
//! word-aligned input. Out: its output. The taps of a kernel row are contiguous in the input, so
//! nothing is gathered, and rows or columns of padding are left out. Flash is read once per layer.
//!
//! Expanded weights, for each four taps of the window:
//!
//! ```text
//! | even c0 | even c1 | even c2 | even c3 | odd c0 | odd c1 | odd c2 | odd c3 |
//! ```

use core::arch::naked_asm;
use core::mem::offset_of;

use super::{BLOCK, Layer, Rounding, Segment, blocks, dsp, requantize_block};
use crate::shape::Span;

/// Words of four channels' expanded weights for each tap.
const WORDS: usize = BLOCK / 2;
/// Bytes of the same.
const EXPANDED: usize = WORDS * size_of::<u32>();

/// `None` when the layer is not for this kernel; nothing is written then.
pub(super) fn conv2d(
    layer: &Layer<'_>,
    input: &[u8],
    output: &mut [u8],
    scratch: &mut [u8],
) -> Option<()> {
    let (filters, shape) = (layer.filters, layer.input);
    let aligned = input.as_ptr().addr().is_multiple_of(size_of::<u32>());
    let words_of_channels = shape.c.is_multiple_of(4);
    if shape.is_empty() || !words_of_channels || !aligned || filters.c_out() < BLOCK {
        return None;
    }
    let taps = filters.taps();
    let (_, scratch, _) = bytemuck::pod_align_to_mut::<u8, u32>(scratch);
    let expanded = scratch.get_mut(..WORDS * taps)?;
    let segments = layer.segments();
    for first in blocks(filters.c_out()) {
        let weight = filters.weight().get(first * taps..(first + BLOCK) * taps)?;
        // SAFETY: 1 `weight` holds four rows of `taps`, a multiple of 4 because `shape.c` is one.
        // 2 `expanded` has two words for each tap.
        unsafe { expand(weight.as_ptr(), taps, taps / 4, expanded.as_mut_ptr()) };
        let block = Block {
            layer,
            expanded,
            rounding: Rounding::of(filters, first),
        };
        let rows = output.chunks_exact_mut((layer.output.w * layer.output.c).max(1));
        for (y, row) in rows.enumerate() {
            let ys = layer.window.span(y, shape.h);
            for segment in segments.clone() {
                let at = segment.x * layer.output.c + first;
                block.run(ys, segment, input, row.get_mut(at..)?)?;
            }
        }
    }
    Some(())
}

/// Four channels, ready to meet pixels.
struct Block<'a> {
    layer: &'a Layer<'a>,
    expanded: &'a [u32],
    rounding: Rounding,
}

impl Block<'_> {
    /// Runs a segment of a row; `output` starts at its first pixel's four channels.
    fn run(&self, ys: Span, segment: Segment, input: &[u8], output: &mut [u8]) -> Option<()> {
        let (shape, kernel) = (self.layer.input, self.layer.window.kernel);
        let (xs, c_out) = (segment.span, self.layer.output.c);
        let (row_len, pitch) = (xs.count * shape.c, shape.w * shape.c);
        let x_step = self.layer.window.stride * shape.c;
        let first_tap = (ys.tap * kernel + xs.tap) * shape.c;
        let row_taps = kernel * shape.c;
        let further = segment.pixels.checked_sub(1)?;
        let further_rows = ys.count.checked_sub(1)?;

        let first_x = (ys.first * shape.w + xs.first) * shape.c;
        let x_len = further * x_step + further_rows * pitch + row_len;
        let input = input.get(first_x..first_x + x_len)?;
        let weight_len = further_rows * row_taps + row_len;
        let weight = self
            .expanded
            .get(WORDS * first_tap..)?
            .get(..WORDS * weight_len)?;
        let output = output.get_mut(..further * c_out + BLOCK)?;
        // SAFETY: 1 to 3 are the lengths of the three slices; the row is not empty because the
        // layer's shape is not and a window touches its input. 4 The input is aligned, and channels
        // come in fours.
        unsafe {
            convolve(Run {
                x: input.as_ptr(),
                x_step,
                output: output.as_mut_ptr(),
                output_step: c_out,
                row_gap: pitch - row_len,
                weight_gap: (row_taps - row_len) * EXPANDED,
                row_len,
                rows: ys.count,
                weight: weight.as_ptr(),
                rounding: &raw const self.rounding,
                pixels: segment.pixels,
                row: 0,
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
    /// Bytes of input between a kernel row's end and the next one's start.
    row_gap: usize,
    /// The same for the weights.
    weight_gap: usize,
    /// Bytes of a kernel row.
    row_len: usize,
    /// Kernel rows.
    rows: usize,
    /// Expanded weights of the first tap.
    weight: *const u32,
    rounding: *const Rounding,
    pixels: usize,
    /// Kernel rows to go: the kernel's own.
    row: usize,
}

/// Bytes that [`convolve`] pushes below its [`Run`].
const SAVED: usize = 36;

/// Four taps of four channels: word `$x` into the accumulators `r0` to `r3`; uses `r4` to `r7` and
/// `r10`.
macro_rules! four_taps {
    ($x:literal) => {
        concat!(
            "ldm r12!, {{r4-r7}}\n",
            "uxtb16 r10, ",
            $x,
            "\n",
            "smlad r0, r10, r4, r0\n",
            "smlad r1, r10, r5, r1\n",
            "smlad r2, r10, r6, r2\n",
            "smlad r3, r10, r7, r3\n",
            "ldm r12!, {{r4-r7}}\n",
            "uxtb16 r10, ",
            $x,
            ", ror #8\n",
            "smlad r0, r10, r4, r0\n",
            "smlad r1, r10, r5, r1\n",
            "smlad r2, r10, r6, r2\n",
            "smlad r3, r10, r7, r3\n",
        )
    };
}

/// Convolves four channels with a number of pixels.
///
/// Registers: `r0` to `r3` accumulators, `r4` to `r7` weights, `r8` and `r9` inputs, `r10` a pair of
/// them, `r11` where they come from, `r12` where the weights come from, `lr` the row's end.
///
/// # Safety
/// 1. All inputs that the [`Run`] describes are readable; there is one at least, and `row_len` is a
///    multiple of 4.
/// 2. So are eight words of expanded weights for each four taps.
/// 3. The four outputs of every pixel are writable.
/// 4. Inputs and weights are word-aligned: `LDRD` and `LDM` fault otherwise.
#[unsafe(naked)]
unsafe extern "C" fn convolve(run: Run) {
    naked_asm!(
        dsp!(),
        // The first four words of the run come in registers: put them in front of the others.
        "push {{r0-r3}}",
        "push {{r4-r11, lr}}",
        "2:", // pixel
        "ldr r12, [sp, #{rounding}]",
        "ldm r12, {{r0-r3}}",
        "ldr r11, [sp, #{x}]",
        "ldr r8, [sp, #{rows}]",
        "ldr r12, [sp, #{weight}]",
        "str r8, [sp, #{row}]",
        "3:", // kernel row
        "ldr r8, [sp, #{row_len}]",
        "add lr, r11, r8",
        "lsls r8, r8, #28",
        "bne 6f",
        "4:", // 16 taps
        "ldrd r8, r9, [r11], #8",
        four_taps!("r8"),
        four_taps!("r9"),
        "ldrd r8, r9, [r11], #8",
        four_taps!("r8"),
        four_taps!("r9"),
        "cmp r11, lr",
        "bne 4b",
        "5:", // end of the kernel row
        "ldr r8, [sp, #{row}]",
        "subs r8, r8, #1",
        "beq 7f",
        "str r8, [sp, #{row}]",
        "ldrd r8, r9, [sp, #{row_gap}]",
        "add r11, r11, r8",
        "add r12, r12, r9",
        "b 3b",
        "6:", // four taps, until a multiple of 16 is left
        "ldr r8, [r11], #4",
        four_taps!("r8"),
        "sub r8, lr, r11",
        "lsls r8, r8, #28",
        "bne 6b",
        "cmp r11, lr",
        "bne 4b",
        "b 5b",
        "7:", // outputs of the pixel
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
        x = const SAVED + offset_of!(Run, x),
        output = const SAVED + offset_of!(Run, output),
        row_gap = const SAVED + offset_of!(Run, row_gap),
        row_len = const SAVED + offset_of!(Run, row_len),
        rows = const SAVED + offset_of!(Run, rows),
        row = const SAVED + offset_of!(Run, row),
        weight = const SAVED + offset_of!(Run, weight),
        rounding = const SAVED + offset_of!(Run, rounding),
        pixels = const SAVED + offset_of!(Run, pixels),
    )
}

/// Expands four rows of weights, `stride` bytes apart and `4 * quads` long, to `to`.
///
/// # Safety
/// 1. The four rows are readable, at any alignment; there are 4 weights at least.
/// 2. `to` has room for eight words for each four taps, and is aligned.
#[unsafe(naked)]
unsafe extern "C" fn expand(rows: *const i8, stride: usize, quads: usize, to: *mut u32) {
    naked_asm!(
        dsp!(),
        "push {{r4-r11, lr}}",
        "add r12, r1, r1, lsl #1",
        "2:",
        "ldr r9, [r0, r1]",
        "ldr r10, [r0, r1, lsl #1]",
        "ldr r11, [r0, r12]",
        "ldr r8, [r0], #4",
        "sxtb16 r4, r8",
        "sxtb16 r5, r9",
        "sxtb16 r6, r10",
        "sxtb16 r7, r11",
        "sxtb16 r8, r8, ror #8",
        "sxtb16 r9, r9, ror #8",
        "sxtb16 r10, r10, ror #8",
        "sxtb16 r11, r11, ror #8",
        "stm r3!, {{r4-r11}}",
        "subs r2, r2, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}
