//! The first layer: a 3×3 window over one channel.
//!
//! In: a layer with one input channel and at least four output channels. Out: its output. Nine taps
//! make five pairs, which stay in registers while all channels of a block pass. What a channel needs
//! lies in one [`Record`] on the stack. Windows over padding are copied first.
//!
//! A word that starts one pixel before a row of the window holds `j a0 a1 a2`: its odd pair is
//! (a0, a2), its even pair (j, a1). With rows a, b, c and a weight of 0 for the unknown j:
//!
//! ```text
//! acc = bias + (a0, a2)·w + (b0, b2)·w + (c0, c2)·w + (b1, a1)·w + (j, c1)·(0, w)
//! ```

use core::arch::naked_asm;
use core::mem::offset_of;

use super::{BLOCK, Layer, Rectangle, Walk, dsp, next_pixel, rounding};
use crate::shape::Hwc;

const KERNEL: usize = 3;
const TAPS: usize = KERNEL * KERNEL;
/// Bytes from row to row in the copy of a window.
const PITCH: usize = 1 + KERNEL;
/// Channels that meet a window while it is in registers.
const CHANNELS: usize = 2 * BLOCK;

/// One channel; read by assembly.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Record {
    bias: i32,
    pairs: [u32; 5],
    shift: [u32; 2],
}

impl Record {
    const EMPTY: Self = Self {
        bias: 0,
        pairs: [0; 5],
        shift: [0; 2],
    };

    fn new(weight: &[i8; TAPS], bias: i32, shift: u8) -> Self {
        let &[a0, a1, a2, b0, b1, b2, c0, c1, c2] = weight;
        let pair = |low: i8, high: i8| {
            let (low, high) = (i32::from(low) as u32, i32::from(high) as u32);
            high << 16 | low & 0xffff
        };
        let (bias, shift) = rounding(bias, shift);
        Self {
            bias,
            pairs: [
                pair(a0, a2),
                pair(b0, b2),
                pair(c0, c2),
                pair(b1, a1),
                pair(0, c1),
            ],
            shift,
        }
    }
}

/// `None` when the layer is not for this kernel; nothing is written then.
#[inline(never)]
pub(super) fn conv2d(layer: &Layer<'_>, input: &[u8], output: &mut [u8]) -> Option<()> {
    let (filters, shape, c_out) = (layer.filters, layer.input, layer.output.c);
    let last = c_out.checked_sub(BLOCK)?;
    if shape.c != 1 || layer.window.kernel != KERNEL || shape.is_empty() {
        return None;
    }
    let mut records = [Record::EMPTY; CHANNELS];
    let mut next = 0;
    while next < c_out {
        // Four or eight; the last four overlap the ones before where four do not divide them.
        let first = next.min(last);
        let channels = if c_out - first < CHANNELS {
            BLOCK
        } else {
            CHANNELS
        };
        for (channel, record) in (first..).zip(&mut records) {
            let weights = filters.weight().get(channel * TAPS..);
            let weight = weights.and_then(|weights| weights.first_chunk());
            if let (Some(weight), Some((bias, shift))) = (weight, filters.parameters(channel)) {
                *record = Record::new(weight, bias, shift);
            }
        }
        let block = Block {
            layer,
            records: records.get(..channels)?,
        };
        let output = output.get_mut(first..)?;
        layer.rectangles(|rectangle| block.run(rectangle, input, output))?;
        next = first + channels;
    }
    Some(())
}

/// A block of channels, ready to meet pixels.
struct Block<'a> {
    layer: &'a Layer<'a>,
    records: &'a [Record],
}

impl Block<'_> {
    /// Runs a rectangle of pixels where it lies, or pixel by pixel on copies of the windows.
    /// `output` starts at the block's first channel.
    fn run(&self, rectangle: &Rectangle, input: &[u8], output: &mut [u8]) -> Option<()> {
        let Rectangle { y, x } = rectangle;
        let w = self.layer.input.w;
        let at = y.span.first * w + x.span.first;
        let whole = y.span.count == KERNEL && x.span.count == KERNEL;
        if let (true, Some(before)) = (whole, at.checked_sub(1)) {
            let lens = [1, self.records.len()];
            let mut walk = self.layer.walk(rectangle, lens, input, output)?;
            walk.x = input.get(before..)?.as_ptr();
            // SAFETY: 1 and 3 are what `walk` proves; `input` has the byte before, too.
            unsafe { self.convolve(walk, w) };
            return Some(());
        }
        let stride = self.layer.window.stride;
        for row in 0..y.len {
            for column in 0..x.len {
                let at = at + (row * w + column) * stride;
                let copy = copy(rectangle, input.get(at..)?, w)?;
                let Hwc { w: w_out, c, .. } = self.layer.output;
                let at = ((y.first + row) * w_out + x.first + column) * c;
                let output = output.get_mut(at..at + self.records.len())?;
                // SAFETY: 1 and 3 are the lengths of `copy` and `output`.
                unsafe { self.convolve(Walk::one(&copy, output), PITCH) };
            }
        }
        Some(())
    }

    /// # Safety
    /// 1 and 3 of [`convolve`].
    unsafe fn convolve(&self, walk: Walk, pitch: usize) {
        let records = self.records.as_ptr_range();
        let records = Records {
            start: records.start,
            end: records.end,
        };
        // SAFETY: 1 and 3 by the caller. 2 There are four or eight records.
        unsafe {
            convolve(Run {
                walk,
                pitch,
                records,
            });
        }
    }
}

/// The part of a window that lies on the input, which starts there, among zeros.
#[inline(never)]
fn copy(rectangle: &Rectangle, input: &[u8], w: usize) -> Option<[u8; KERNEL * PITCH]> {
    let (y, x) = (rectangle.y.span, rectangle.x.span);
    let mut copy = [0; KERNEL * PITCH];
    for k_y in 0..y.count {
        let from = input.get(k_y * w..)?.get(..x.count)?;
        let to = copy.get_mut((y.tap + k_y) * PITCH + 1 + x.tap..)?;
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
    Some(copy)
}

/// What [`convolve`] is told. Its fields lie on the stack while it runs.
#[repr(C)]
struct Run {
    /// Its `x` is one byte before the windows.
    walk: Walk,
    /// Bytes from row to row.
    pitch: usize,
    records: Records,
}

/// The first record and the end of the last.
#[repr(C)]
struct Records {
    start: *const Record,
    end: *const Record,
}

/// Bytes that [`convolve`] pushes below its [`Run`].
const SAVED: usize = 36;

/// One output: the window's pairs are in `r4` to `r8`.
macro_rules! channel {
    () => {
        concat!(
            "ldm r11!, {{r0-r3, r9, r10}}\n",
            "smlad r0, r4, r1, r0\n",
            "smlad r0, r5, r2, r0\n",
            "smlad r0, r6, r3, r0\n",
            "smlad r0, r7, r9, r0\n",
            "smlad r0, r8, r10, r0\n",
            "ldrd r1, r2, [r11], #8\n",
            "asrs r3, r0, r2\n",
            "adc r0, r0, #0\n",
            "asr r0, r0, r1\n",
            "usat r0, #8, r0\n",
            "strb r0, [r12], #1\n",
        )
    };
}

/// Convolves the channels of some records with a number of pixels.
///
/// Registers: `r4` to `r8` the window, `r11` the record, `r12` the output, `lr` the records' end.
///
/// # Safety
/// 1. Three rows of four bytes are readable for every pixel; there is one at least.
/// 2. There are records, a multiple of four.
/// 3. As many outputs of every pixel are writable.
#[unsafe(naked)]
unsafe extern "C" fn convolve(run: Run) {
    naked_asm!(
        dsp!(),
        // The first four words of the run come in registers: put them in front of the others.
        "push {{r0-r3}}",
        "push {{r4-r11, lr}}",
        "2:", // pixel
        "ldr r0, [sp, #{walk}]",
        "ldr r1, [sp, #{pitch}]",
        "ldr r2, [r0]",
        "ldr r3, [r0, r1]",
        "ldr r9, [r0, r1, lsl #1]",
        "uxtb16 r4, r2, ror #8",
        "uxtb16 r5, r3, ror #8",
        "uxtb16 r6, r9, ror #8",
        "uxtb16 r2, r2",
        "uxtb16 r3, r3",
        "uxtb16 r8, r9",
        "pkhtb r7, r2, r3, asr #16",
        "ldrd r11, lr, [sp, #{records}]",
        "ldr r12, [sp, #{walk} + 8]",
        "3:", // four channels
        channel!(),
        channel!(),
        channel!(),
        channel!(),
        "cmp r11, lr",
        "bne 3b",
        next_pixel!(""),
        walk = const SAVED + offset_of!(Run, walk),
        pitch = const SAVED + offset_of!(Run, pitch),
        records = const SAVED + offset_of!(Run, records),
    )
}
