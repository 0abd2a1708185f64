//! Gathers windows for the matrix kernel.
//!
//! In: an input and the window that slides over it. Out: columns, one for each output pixel, with
//! their taps as the weights lie. Each tap is the activation less 128, as `i8`: the kernel
//! multiplies signed numbers.

use core::arch::asm;

use crate::shape::{Hwc, Window};

/// Flips an activation to the bits of `activation - 128`, and padding to those of -128.
const FLIP: u8 = 0x80;

/// The windows over an input, in the order of the output's pixels.
#[derive(Clone, Copy)]
pub(super) struct Windows<'a> {
    input: &'a [u8],
    shape: Hwc,
    window: Window,
    /// Output pixels in a row.
    width: usize,
    /// The output pixel whose window is next.
    y: usize,
    x: usize,
}

impl<'a> Windows<'a> {
    pub(super) const fn new(input: &'a [u8], shape: Hwc, window: Window, width: usize) -> Self {
        Self {
            input,
            shape,
            window,
            width,
            y: 0,
            x: 0,
        }
    }

    /// Writes the next window to `column`.
    #[inline(never)]
    pub(super) fn gather(&mut self, column: &mut [u8]) {
        let Self { shape, window, .. } = *self;
        let Window {
            kernel,
            stride,
            pad,
        } = window;
        let (top, left) = (self.y * stride, self.x * stride);
        let inside = top >= pad
            && left >= pad
            && top + kernel <= shape.h + pad
            && left + kernel <= shape.w + pad;
        if inside {
            let (from_step, to_step) = (shape.w * shape.c, kernel * shape.c);
            let runs = Runs {
                count: kernel,
                len: to_step,
                from_step,
                to_step,
            };
            let from = (top - pad) * from_step + (left - pad) * shape.c;
            flip(runs, self.input.get(from..).unwrap_or(&[]), column);
        } else {
            self.gather_edge(column);
        }
        self.x += 1;
        if self.x == self.width {
            (self.y, self.x) = (self.y + 1, 0);
        }
    }

    /// As [`Self::gather`], for a window with padding in it.
    #[inline(never)]
    fn gather_edge(&self, column: &mut [u8]) {
        let Self { shape, window, .. } = *self;
        fill(column);
        let (ys, xs) = (window.span(self.y, shape.h), window.span(self.x, shape.w));
        let (from_step, to_step) = (shape.w * shape.c, window.kernel * shape.c);
        let runs = Runs {
            count: ys.count,
            len: xs.count * shape.c,
            from_step,
            to_step,
        };
        let from = self.input.get(ys.first * from_step + xs.first * shape.c..);
        let to = column.get_mut(ys.tap * to_step + xs.tap * shape.c..);
        flip(runs, from.unwrap_or(&[]), to.unwrap_or(&mut []));
    }
}

/// `count` runs of `len` activations: each `from_step` behind the one before, to places `to_step`
/// apart.
#[derive(Clone, Copy)]
struct Runs {
    count: usize,
    len: usize,
    from_step: usize,
    to_step: usize,
}

impl Runs {
    /// Whether there are any, and buffers of these lengths hold them.
    #[inline]
    fn fit(&self, from: usize, to: usize) -> bool {
        let Self {
            count,
            len,
            from_step,
            to_step,
        } = *self;
        let Some(steps) = count.checked_sub(1) else {
            return false;
        };
        len > 0 && steps * from_step + len <= from && steps * to_step + len <= to
    }
}

/// Copies and flips: 4 instructions for 16 bytes, and 5 for each run.
///
/// Does nothing when `runs` do not fit the buffers.
#[inline]
fn flip(runs: Runs, from: &[u8], to: &mut [u8]) {
    if !runs.fit(from.len(), to.len()) {
        return;
    }
    // The pointers go on by whole vectors.
    let moved = runs.len.next_multiple_of(16);
    // SAFETY: loads and stores are predicated, so each run reads and writes `len` bytes from its
    // start, which `fit` checked.
    unsafe {
        asm!(
            "vmov.i8 q0, #{flip}",
            "2:",
            "wlstp.8 lr, {len}, 4f",
            "3:",
            "vldrb.u8 q1, [{from}], #16",
            "veor q1, q1, q0",
            "vstrb.8 q1, [{to}], #16",
            "letp lr, 3b",
            "4:",
            "subs {count}, #1",
            "add {from}, {from_step}",
            "add {to}, {to_step}",
            "bne 2b",
            flip = const FLIP,
            len = in(reg) runs.len,
            count = inout(reg) runs.count => _,
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            from_step = in(reg) runs.from_step.wrapping_sub(moved),
            to_step = in(reg) runs.to_step.wrapping_sub(moved),
            out("lr") _,
            out("d0") _,
            out("d1") _,
            out("d2") _,
            out("d3") _,
            options(nostack),
        );
    }
}

/// Fills a column with padding: 2 instructions for 16 bytes.
fn fill(column: &mut [u8]) {
    // SAFETY: the stores are predicated, so they end where `column` does.
    unsafe {
        asm!(
            "vmov.i8 q0, #{flip}",
            "wlstp.8 lr, {len}, 4f",
            "3:",
            "vstrb.8 q0, [{to}], #16",
            "letp lr, 3b",
            "4:",
            flip = const FLIP,
            len = in(reg) column.len(),
            to = inout(reg) column.as_mut_ptr() => _,
            out("lr") _,
            out("d0") _,
            out("d1") _,
            options(nostack),
        );
    }
}
