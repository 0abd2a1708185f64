//! How the kernels walk over a layer.
//!
//! In: a layer with a window. Out: rectangles of outputs whose windows lie alike on the input, and
//! for each a [`Walk`] whose every step has been checked against the slices. What falls on padding is
//! cut off here, once for a layer, so that the kernels' loops know nothing of it.

use crate::ops::filters::Filters;
use crate::shape::{Hwc, Span, Window};

/// A layer with a window; the operator's constructor has checked that its parts fit.
pub(super) struct Layer<'a> {
    pub(super) window: Window,
    pub(super) input: Hwc,
    pub(super) output: Hwc,
    pub(super) filters: &'a Filters<'a>,
    /// Rows, then columns.
    pub(super) axes: [Axis; 2],
}

/// Neighbouring outputs of an axis whose windows lie alike on the input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// The first output.
    pub(super) first: usize,
    /// How many.
    pub(super) len: usize,
    /// The first one's window.
    pub(super) span: Span,
}

/// An axis, cut where its windows reach over padding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    window: Window,
    /// Outputs in front of the first one.
    pub(super) skip: usize,
    /// Inputs along the axis.
    len: usize,
    /// Outputs along the axis.
    len_out: usize,
    /// The outputs whose windows lie whole on the input: the first, and how many.
    inner: usize,
    inner_len: usize,
}

impl Axis {
    /// The axis of `len_out` outputs behind the first `skip`.
    fn new(window: Window, len: usize, skip: usize, len_out: usize) -> Self {
        let Window {
            kernel,
            stride,
            pad,
        } = window;
        let mut inner = 0;
        while inner < len_out && (skip + inner) * stride < pad {
            inner += 1;
        }
        let mut end = inner;
        while end < len_out && (skip + end) * stride + kernel <= len + pad {
            end += 1;
        }
        Self {
            window,
            skip,
            len,
            len_out,
            inner,
            inner_len: end - inner,
        }
    }

    /// The segment that starts at output `first`: one over padding, or all between.
    fn segment(&self, first: usize) -> Option<Segment> {
        if first >= self.len_out {
            return None;
        }
        let inner = first == self.inner;
        let len = if inner { self.inner_len.max(1) } else { 1 };
        let span = self.window.span(self.skip + first, self.len);
        Some(Segment { first, len, span })
    }
}

/// Outputs whose windows lie alike on the input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rectangle {
    pub(super) y: Segment,
    pub(super) x: Segment,
}

/// How a kernel walks over a rectangle; read by assembly. In bytes.
#[repr(C)]
pub(super) struct Walk {
    /// The first pixel's first input under its window.
    pub(super) x: *const u8,
    /// From there to the next pixel's.
    pub(super) x_step: usize,
    /// The first pixel's outputs.
    pub(super) output: *mut u8,
    /// From there to the next pixel's.
    pub(super) output_step: usize,
    /// From behind a row's last pixel to the next row's first.
    pub(super) x_gap: usize,
    /// The same for the outputs.
    pub(super) output_gap: usize,
    /// Pixels of a row.
    pub(super) width: usize,
    /// Pixels of the row to go.
    pub(super) pixels: usize,
    /// Rows of pixels to go.
    pub(super) height: usize,
}

impl Walk {
    /// Over one pixel.
    pub(super) fn one(input: &[u8], output: &mut [u8]) -> Self {
        Self {
            x: input.as_ptr(),
            x_step: 0,
            output: output.as_mut_ptr(),
            output_step: 0,
            x_gap: 0,
            output_gap: 0,
            width: 1,
            pixels: 1,
            height: 1,
        }
    }
}

impl<'a> Layer<'a> {
    pub(super) fn new(window: Window, input: Hwc, output: Hwc, filters: &'a Filters<'a>) -> Self {
        Self {
            window,
            input,
            output,
            filters,
            axes: [
                Axis::new(window, input.h, 0, output.h),
                Axis::new(window, input.w, 0, output.w),
            ],
        }
    }

    /// The same layer, where `output` begins with row `first_row`.
    pub(super) fn below(mut self, first_row: usize) -> Self {
        let (len, len_out) = (self.input.h, self.output.h);
        self.axes[0] = Axis::new(self.window, len, first_row, len_out);
        self
    }

    /// Runs the rectangles that cover the output, until one says `None`.
    pub(super) fn rectangles(&self, mut run: impl FnMut(&Rectangle) -> Option<()>) -> Option<()> {
        let [rows, columns] = &self.axes;
        let mut y = 0;
        while let Some(segment_y) = rows.segment(y) {
            y += segment_y.len;
            let mut x = 0;
            while let Some(segment_x) = columns.segment(x) {
                x += segment_x.len;
                run(&Rectangle {
                    y: segment_y,
                    x: segment_x,
                })?;
            }
        }
        Some(())
    }

    /// Bytes from one row of the input to the next.
    pub(super) fn pitch(&self) -> usize {
        self.input.w * self.input.c
    }

    /// The walk over a rectangle, where each tap reads `tap_len` bytes of `input` and each pixel
    /// writes `out_len` bytes of `output`, which start at some channel of the first pixel.
    ///
    /// `Some` is the proof that all of them lie within the two slices, and that there are some.
    #[inline(never)]
    pub(super) fn walk(
        &self,
        rectangle: &Rectangle,
        [tap_len, out_len]: [usize; 2],
        input: &[u8],
        output: &mut [u8],
    ) -> Option<Walk> {
        let Rectangle { y, x } = rectangle;
        let (pitch, c, c_out) = (self.pitch(), self.input.c, self.output.c);
        let (x_step, y_step) = (self.window.stride * c, self.window.stride * pitch);
        let out_pitch = self.output.w * c_out;
        let (lower, further) = (y.len.checked_sub(1)?, x.len.checked_sub(1)?);
        let (last_row, last_tap) = (y.span.count.checked_sub(1)?, x.span.count.checked_sub(1)?);
        let start = y.span.first * pitch + x.span.first * c;
        let len = lower * y_step + further * x_step + last_row * pitch + last_tap * c + tap_len;
        let input = input.get(start..start + len)?;
        let start = y.first * out_pitch + x.first * c_out;
        let len = lower * out_pitch + further * c_out + out_len;
        let output = output.get_mut(start..start + len)?;
        Some(Walk {
            x: input.as_ptr(),
            x_step,
            output: output.as_mut_ptr(),
            output_step: c_out,
            x_gap: y_step.wrapping_sub(x.len * x_step),
            output_gap: out_pitch.wrapping_sub(x.len * c_out),
            width: x.len,
            pixels: x.len,
            height: y.len,
        })
    }
}
