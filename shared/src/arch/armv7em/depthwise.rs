//! Depthwise convolution of four channels at a time.
//!
//! In: a layer with at least four channels and a window of at most [`MAX_TAPS`] taps. Out: its
//! output. The block's weights are expanded on the stack once and meet every pixel there, an even
//! and an odd word for each tap; windows leave out what falls on padding.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::{BLOCK, Layer, Rectangle, Rounding, Walk, blocks, dsp, next_pixel, requantize_block};

/// A window of 5×5.
const MAX_TAPS: usize = 25;

/// The even and the odd pair of a tap's four weights.
type Tap = [u32; 2];

/// Bytes of the same.
const EXPANDED: usize = size_of::<Tap>();

/// `None` when the layer is not for this kernel; nothing is written then.
#[inline(never)]
pub(super) fn depthwise_conv2d(layer: &Layer<'_>, input: &[u8], output: &mut [u8]) -> Option<()> {
    let (filters, shape) = (layer.filters, layer.input);
    let mut expanded = [[0; 2]; MAX_TAPS];
    let expanded = expanded.get_mut(..filters.taps())?;
    if shape.is_empty() || shape.c < BLOCK {
        return None;
    }
    blocks(shape.c, |first| {
        let mut at = first;
        for tap in expanded.iter_mut() {
            let weights = filters.weight().get(at..)?.first_chunk()?;
            *tap = pairs(*weights);
            at += shape.c;
        }
        let block = Block {
            layer,
            expanded,
            rounding: Rounding::of(filters, first),
        };
        let (input, output) = (input.get(first..)?, output.get_mut(first..)?);
        layer.rectangles(|rectangle| block.run(rectangle, input, output))
    })
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
    /// Runs a rectangle of pixels; `input` and `output` start at the block's first channel.
    fn run(&self, rectangle: &Rectangle, input: &[u8], output: &mut [u8]) -> Option<()> {
        let Rectangle { y, x } = rectangle;
        let kernel = self.layer.window.kernel;
        let walk = self.layer.walk(rectangle, [BLOCK, BLOCK], input, output)?;
        let weight = self.expanded.get(y.span.tap * kernel + x.span.tap..)?;
        let weight = weight.get(..y.span.count.checked_sub(1)? * kernel + x.span.count)?;
        let run = Run {
            walk,
            pitch: self.layer.pitch(),
            weight_gap: (kernel - x.span.count) * EXPANDED,
            taps: x.span.count,
            tap_step: self.layer.input.c,
            rows: y.span.count,
            weight: weight.as_ptr(),
            rounding: &raw const self.rounding,
        };
        // SAFETY: 1 and 3 are what `walk` proves. 2 is the length of `weight`. 4 is what is asked.
        unsafe {
            if kernel == 3 && x.span.count == 3 && y.span.count == 3 {
                convolve3x3(run);
            } else {
                convolve(run);
            }
        }
        Some(())
    }
}

/// What [`convolve`] is told. Its fields lie on the stack while it runs.
#[repr(C)]
struct Run {
    walk: Walk,
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

/// Convolves four channels with a number of pixels, whatever lies under their windows.
///
/// Registers: `r0` to `r3` accumulators, `r8` bytes from tap to tap, `r9` kernel rows to go, `r10`
/// the kernel row, `r11` the input within it, `r12` the weights, `lr` taps to go.
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
        "ldr r10, [sp, #{walk}]",
        "3:", // kernel row
        "ldrd lr, r8, [sp, #{taps}]",
        "mov r11, r10",
        "4:",
        tap!("[r11]"),
        "add r11, r11, r8",
        "subs lr, lr, #1",
        "bne 4b",
        "ldrd r4, r5, [sp, #{pitch}]",
        "add r10, r10, r4",
        "add r12, r12, r5",
        "subs r9, r9, #1",
        "bne 3b",
        "ldr r12, [sp, #{rounding}]",
        requantize_block!(),
        next_pixel!("str r0, [r4]\n"),
        walk = const SAVED + offset_of!(Run, walk),
        pitch = const SAVED + offset_of!(Run, pitch),
        taps = const SAVED + offset_of!(Run, taps),
        rows = const SAVED + offset_of!(Run, rows),
        rounding = const SAVED + offset_of!(Run, rounding),
    )
}

/// The same for windows of 3×3 that lie whole on the input: without loops, but for the pixels.
///
/// Registers: as above, but `r9` bytes from row to row, `r10` the pixel.
///
/// # Safety
/// As [`convolve`], and 4: `rows` and `taps` are 3, and the weights have no gaps.
#[unsafe(naked)]
unsafe extern "C" fn convolve3x3(run: Run) {
    naked_asm!(
        dsp!(),
        "push {{r0-r3}}",
        "push {{r4-r11, lr}}",
        "ldr r9, [sp, #{pitch}]",
        "2:", // pixel
        "ldr r10, [sp, #{walk}]",
        "ldr r8, [sp, #{tap_step}]",
        "ldrd r12, r4, [sp, #{weight}]",
        "ldm r4, {{r0-r3}}",
        tap!("[r10]"),
        tap!("[r10, r8]"),
        tap!("[r10, r8, lsl #1]"),
        "add r11, r10, r9",
        tap!("[r11]"),
        tap!("[r11, r8]"),
        tap!("[r11, r8, lsl #1]"),
        "add r11, r11, r9",
        tap!("[r11]"),
        tap!("[r11, r8]"),
        tap!("[r11, r8, lsl #1]"),
        "ldr r12, [sp, #{rounding}]",
        requantize_block!(),
        next_pixel!("str r0, [r4]\n"),
        walk = const SAVED + offset_of!(Run, walk),
        pitch = const SAVED + offset_of!(Run, pitch),
        tap_step = const SAVED + offset_of!(Run, tap_step),
        weight = const SAVED + offset_of!(Run, weight),
        rounding = const SAVED + offset_of!(Run, rounding),
    )
}
