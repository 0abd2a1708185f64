//! Max pooling: four maxima at a time.
//!
//! In: the rows that a row of windows sees. Out: the largest value of each window. Of `b - a`, clamped at 0, the
//! sum with `a` is the larger of the two.

use core::arch::naked_asm;

use super::dsp;
use crate::shape::{Hwc, Window};

/// Running maxima over whole pixels.
pub(crate) fn pool_row(window: Window, input: &[u8], shape: Hwc, output: &mut [u8]) {
    output.fill(0);
    let channels = shape.c.max(1);
    for row in input.chunks_exact((shape.w * channels).max(1)) {
        for (x, out) in output.chunks_exact_mut(channels).enumerate() {
            let xs = window.span(x, shape.w);
            let pixels = xs.first * channels..(xs.first + xs.count) * channels;
            maxima(row.get(pixels).unwrap_or(&[]), out);
        }
    }
}

/// Each pixel's channels into `out`, where they are larger.
fn maxima(pixels: &[u8], out: &mut [u8]) {
    let channels = out.len();
    let words = channels / 4;
    if words != 0 {
        // SAFETY: 1 `out` has not fewer channels than words of four. 2 `pixels` is some whole
        // number of pixels with as many channels.
        unsafe {
            raise(
                out.as_mut_ptr(),
                words,
                pixels.as_ptr(),
                pixels.len(),
                channels,
            )
        };
    }
    for pixel in pixels.chunks_exact(channels.max(1)) {
        for (out, &value) in out.iter_mut().zip(pixel).skip(words * 4) {
            *out = value.max(*out);
        }
    }
}

/// Raises `words` of four bytes to those of `len / step` pixels that are `step` bytes apart.
///
/// # Safety
/// 1. `out` is writable; there is one word at least. Nothing needs to be aligned.
/// 2. `pixels` has `len` bytes, a multiple of `step`, which is not less than four times `words`.
#[unsafe(naked)]
unsafe extern "C" fn raise(out: *mut u8, words: usize, pixels: *const u8, len: usize, step: usize) {
    naked_asm!(
        dsp!(),
        "ldr r12, [sp]",
        "push {{r4-r6, lr}}",
        "add r3, r2, r3", // the end of the last pixel
        "2:",             // four channels
        "ldr r4, [r0]",
        "mov r5, r2",
        "3:", // pixel
        "ldr r6, [r5]",
        "add r5, r5, r12",
        "uqsub8 r6, r6, r4",
        "cmp r5, r3",
        "uadd8 r4, r4, r6",
        "blo 3b",
        "str r4, [r0], #4",
        "adds r2, r2, #4",
        "subs r1, r1, #1",
        "bne 2b",
        "pop {{r4-r6, pc}}",
    )
}
