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

use super::{BLOCK, Layer, Segment, dsp, rounding};
use crate::shape::Span;

const KERNEL: usize = 3;
const TAPS: usize = KERNEL * KERNEL;
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

    fn new(weight: [i8; TAPS], bias: i32, shift: u8) -> Self {
        let [a0, a1, a2, b0, b1, b2, c0, c1, c2] = weight;
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
        let (weights, _) = filters.weight().as_chunks::<TAPS>();
        let parameters = filters.bias().iter().zip(filters.shift());
        let rows = weights.iter().zip(parameters).skip(first);
        for (record, (weight, (bias, &shift))) in records.iter_mut().zip(rows) {
            *record = Record::new(*weight, bias, shift);
        }
        let block = Block {
            layer,
            records: records.get(..channels)?,
        };
        for (y, row) in output
            .chunks_exact_mut((layer.output.w * c_out).max(1))
            .enumerate()
        {
            let ys = layer.window.span(y, shape.h);
            for segment in layer.segments() {
                let row = row.get_mut(segment.x * c_out + first..)?;
                block.segment(ys, segment, input, row)?;
            }
        }
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
    /// Runs a segment of a row where it lies, or pixel by pixel on copies of its windows.
    fn segment(&self, ys: Span, segment: Segment, input: &[u8], output: &mut [u8]) -> Option<()> {
        let (xs, w) = (segment.span, self.layer.input.w);
        let at = ys.first * w + xs.first;
        let whole = ys.count == KERNEL && xs.count == KERNEL;
        if let (true, Some(before)) = (whole, at.checked_sub(1)) {
            return self.run(input.get(before..)?, w, segment.pixels, output);
        }
        let stride = self.layer.window.stride;
        for pixel in 0..segment.pixels {
            let mut copy = [[0; 4]; KERNEL];
            for (k_y, row) in copy.iter_mut().skip(ys.tap).take(ys.count).enumerate() {
                let from = input.iter().skip(at + k_y * w + pixel * stride);
                let to = row.iter_mut().skip(1 + xs.tap).take(xs.count);
                to.zip(from).for_each(|(to, from)| *to = *from);
            }
            let output = output.get_mut(pixel * self.layer.output.c..)?;
            self.run(copy.as_flattened(), 4, 1, output)?;
        }
        Some(())
    }

    /// Runs pixels whose windows lie whole in `input`, which starts one pixel before the first.
    fn run(&self, input: &[u8], pitch: usize, pixels: usize, output: &mut [u8]) -> Option<()> {
        let (x_step, output_step) = (self.layer.window.stride, self.layer.output.c);
        let further = pixels.checked_sub(1)?;
        let x_len = further * x_step + (KERNEL - 1) * pitch + 1 + KERNEL;
        let input = input.get(..x_len)?;
        let output = output.get_mut(..further * output_step + self.records.len())?;
        let records = self.records.as_ptr_range();
        // SAFETY: 1 and 3 are the lengths of the two slices. 2 There are four or eight records.
        unsafe {
            convolve(Run {
                x: input.as_ptr(),
                pitch,
                output: output.as_mut_ptr(),
                output_step,
                records: Records {
                    start: records.start,
                    end: records.end,
                },
                x_step,
                pixels,
            });
        }
        Some(())
    }
}

/// What [`convolve`] is told. Its fields lie on the stack while it runs.
#[repr(C)]
struct Run {
    /// One byte before the first pixel's window.
    x: *const u8,
    /// Bytes from row to row.
    pitch: usize,
    /// The first pixel's outputs.
    output: *mut u8,
    /// Bytes from there to the next pixel's.
    output_step: usize,
    records: Records,
    /// Bytes from one pixel's window to the next one's.
    x_step: usize,
    pixels: usize,
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
        "ldrd r0, r1, [sp, #{x}]",
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
        "ldr r1, [sp, #{x_step}]",
        "add r0, r0, r1",
        "str r0, [sp, #{x}]",
        "ldrd r11, lr, [sp, #{records}]",
        "ldr r12, [sp, #{output}]",
        "3:", // four channels
        channel!(),
        channel!(),
        channel!(),
        channel!(),
        "cmp r11, lr",
        "bne 3b",
        "ldrd r11, r12, [sp, #{output}]",
        "add r11, r11, r12",
        "str r11, [sp, #{output}]",
        "ldr r0, [sp, #{pixels}]",
        "subs r0, r0, #1",
        "str r0, [sp, #{pixels}]",
        "bne 2b",
        "pop {{r4-r11, lr}}",
        "add sp, sp, #16",
        "bx lr",
        x = const SAVED + offset_of!(Run, x),
        x_step = const SAVED + offset_of!(Run, x_step),
        output = const SAVED + offset_of!(Run, output),
        records = const SAVED + offset_of!(Run, records),
        pixels = const SAVED + offset_of!(Run, pixels),
    )
}
