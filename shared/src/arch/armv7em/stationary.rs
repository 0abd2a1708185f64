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

use super::{BLOCK, Layer, Rectangle, Rounding, Walk, blocks, dsp, next_pixel, requantize_block};

/// Words of four channels' expanded weights for each tap.
const WORDS: usize = BLOCK / 2;
/// Bytes of the same.
const EXPANDED: usize = WORDS * size_of::<u32>();

/// `None` when the layer is not for this kernel; nothing is written then.
#[inline(never)]
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
    blocks(filters.c_out(), |first| {
        let weight = filters.weight().get(first * taps..(first + BLOCK) * taps)?;
        // SAFETY: 1 `weight` holds four rows of `taps`, a multiple of 4 because `shape.c` is one.
        // 2 `expanded` has two words for each tap.
        unsafe { expand(weight.as_ptr(), taps, taps / 4, expanded.as_mut_ptr()) };
        let block = Block {
            layer,
            expanded,
            rounding: Rounding::of(filters, first),
        };
        let output = output.get_mut(first..)?;
        layer.rectangles(|rectangle| block.run(rectangle, input, output))
    })
}

/// Four channels, ready to meet pixels.
struct Block<'a> {
    layer: &'a Layer<'a>,
    expanded: &'a [u32],
    rounding: Rounding,
}

impl Block<'_> {
    /// Runs a rectangle of pixels; `output` starts at the block's first channel.
    fn run(&self, rectangle: &Rectangle, input: &[u8], output: &mut [u8]) -> Option<()> {
        let Rectangle { y, x } = rectangle;
        let (c, kernel) = (self.layer.input.c, self.layer.window.kernel);
        let walk = self.layer.walk(rectangle, [c, BLOCK], input, output)?;
        let (row_len, row_taps) = (x.span.count * c, kernel * c);
        let first_tap = y.span.tap * row_taps + x.span.tap * c;
        let weight_len = y.span.count.checked_sub(1)? * row_taps + row_len;
        let weight = self.expanded.get(WORDS * first_tap..)?;
        let weight = weight.get(..WORDS * weight_len)?;
        let run = Run {
            walk,
            row_gap: self.layer.pitch().wrapping_sub(row_len),
            weight_gap: (row_taps - row_len) * EXPANDED,
            row_len,
            rows: y.span.count,
            weight: weight.as_ptr(),
            rounding: &raw const self.rounding,
            row: 0,
        };
        // SAFETY: 1 and 3 are what `walk` proves; channels come in fours. 2 is the length of
        // `weight`. 4 The input is aligned, as are words.
        unsafe { convolve(run) };
        Some(())
    }
}

/// What [`convolve`] is told. Its fields lie on the stack while it runs.
#[repr(C)]
struct Run {
    walk: Walk,
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
        "ldr r11, [sp, #{walk}]",
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
        next_pixel!("str r0, [r4]\n"),
        walk = const SAVED + offset_of!(Run, walk),
        row_gap = const SAVED + offset_of!(Run, row_gap),
        row_len = const SAVED + offset_of!(Run, row_len),
        rows = const SAVED + offset_of!(Run, rows),
        row = const SAVED + offset_of!(Run, row),
        weight = const SAVED + offset_of!(Run, weight),
        rounding = const SAVED + offset_of!(Run, rounding),
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
