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
    /// Of a window without padding.
    rows: Rows,
    /// The output pixel whose window is next.
    y: usize,
    x: usize,
}

impl<'a> Windows<'a> {
    pub(super) const fn new(input: &'a [u8], shape: Hwc, window: Window, width: usize) -> Self {
        let len = window.kernel * shape.c;
        Self {
            input,
            shape,
            window,
            width,
            rows: Rows::new(window.kernel, len, shape.w * shape.c, len),
            y: 0,
            x: 0,
        }
    }

    /// The same windows from output row `y` on.
    pub(super) const fn below(mut self, y: usize) -> Self {
        self.y = y;
        self
    }

    /// Writes the next `count` windows to `columns`, together when none has padding.
    #[inline]
    pub(super) fn gather(&mut self, count: usize, columns: &mut [u8]) {
        let Self { shape, window, .. } = *self;
        let Window {
            kernel,
            stride,
            pad,
        } = window;
        let (top, left) = (self.y * stride, self.x * stride);
        let right = left + (count - 1) * stride + kernel;
        let inside =
            top >= pad && left >= pad && top + kernel <= shape.h + pad && right <= shape.w + pad;
        if !inside {
            return self.gather_singly(count, columns);
        }
        let from = ((top - pad) * shape.w + left - pad) * shape.c;
        let from = self.input.get(from..).unwrap_or(&[]);
        self.rows.flip(count, stride * shape.c, from, columns);
        self.advance(count);
    }

    /// As [`Self::gather`], for windows that may have padding in them or lie in two rows.
    #[inline(never)]
    fn gather_singly(&mut self, count: usize, columns: &mut [u8]) {
        let Self { shape, window, .. } = *self;
        let from_row = shape.w * shape.c;
        let to_row = window.kernel * shape.c;
        fill(columns);
        for column in columns
            .chunks_exact_mut((window.kernel * to_row).max(1))
            .take(count)
        {
            let (ys, xs) = (window.span(self.y, shape.h), window.span(self.x, shape.w));
            let rows = Rows::new(ys.count, xs.count * shape.c, from_row, to_row);
            let from = self.input.get(ys.first * from_row + xs.first * shape.c..);
            let to = column.get_mut(ys.tap * to_row + xs.tap * shape.c..);
            rows.flip(1, 0, from.unwrap_or(&[]), to.unwrap_or(&mut []));
            self.advance(1);
        }
    }

    #[inline]
    fn advance(&mut self, count: usize) {
        self.x += count;
        if self.x >= self.width {
            (self.y, self.x) = (self.y + 1, 0);
        }
    }
}

/// Some rows of activations, from a window to its column.
#[derive(Clone, Copy)]
struct Rows {
    count: usize,
    /// Activations in a row.
    len: usize,
    /// From where a row's last vector ends to where the next row starts.
    from_gap: usize,
    to_gap: usize,
    /// From the first row's start to the last one's end.
    from_len: usize,
    to_len: usize,
    /// From the first row's start to where one more row would start.
    from_end: usize,
    to_end: usize,
}

impl Rows {
    /// `count` rows of `len` activations, `from_row` apart in the input and `to_row` in the column.
    /// The gaps are negative, as wrapped numbers, where vectors reach beyond a row.
    #[inline]
    const fn new(count: usize, len: usize, from_row: usize, to_row: usize) -> Self {
        let vectors = len.next_multiple_of(16);
        let before_last = count.saturating_sub(1);
        Self {
            count,
            len,
            from_gap: from_row.wrapping_sub(vectors),
            to_gap: to_row.wrapping_sub(vectors),
            from_len: before_last * from_row + len,
            to_len: before_last * to_row + len,
            from_end: count * from_row,
            to_end: count * to_row,
        }
    }

    /// Copies and flips the rows of some windows, which begin `step` apart in the input and follow
    /// each other in `to`: 4 instructions for 16 bytes, 5 for each row and 4 for each window.
    ///
    /// Does nothing when there is no row or the buffers do not hold them.
    #[inline]
    fn flip(&self, windows: usize, step: usize, from: &[u8], to: &mut [u8]) {
        let Some(others) = windows.checked_sub(1) else {
            return;
        };
        let fit = self.count > 0
            && others * step + self.from_len <= from.len()
            && others * self.to_end + self.to_len <= to.len();
        if !fit {
            return;
        }
        // SAFETY: loads and stores are predicated, so each row reads and writes `len` bytes from
        // its start. A window's rows end `from_len` and `to_len` behind its start; windows start
        // `step` and `to_end` apart. Both ends were just checked.
        unsafe {
            asm!(
                "vmov.i8 q0, #{flip}",
                "2:",
                "mov {rest}, {rows}",
                "3:",
                "wlstp.8 lr, {len}, 5f",
                "4:",
                "vldrb.u8 q1, [{from}], #16",
                "veor q1, q1, q0",
                "vstrb.8 q1, [{to}], #16",
                "letp lr, 4b",
                "5:",
                "add {from}, {from_gap}",
                "add {to}, {to_gap}",
                "subs {rest}, #1",
                "bne 3b",
                "add {from}, {step}",
                "subs {windows}, #1",
                "bne 2b",
                flip = const FLIP,
                rest = out(reg) _,
                windows = inout(reg) windows => _,
                rows = in(reg) self.count,
                len = in(reg) self.len,
                from = inout(reg) from.as_ptr() => _,
                to = inout(reg) to.as_mut_ptr() => _,
                step = in(reg) step.wrapping_sub(self.from_end),
                from_gap = in(reg) self.from_gap,
                to_gap = in(reg) self.to_gap,
                out("lr") _,
                out("d0") _,
                out("d1") _,
                out("d2") _,
                out("d3") _,
                options(nostack),
            );
        }
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
