//! Shapes of activations and windows. Pure numbers: nothing here touches data.

use core::fmt;

/// Height, width and channels of an activation, stored `[h][w][c]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hwc {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels.
    pub c: usize,
}

impl Hwc {
    /// A shape from its three extents.
    #[must_use]
    pub const fn new(h: usize, w: usize, c: usize) -> Self {
        Self { h, w, c }
    }

    /// Number of values; saturates instead of wrapping.
    #[must_use]
    #[inline(never)]
    pub const fn len(&self) -> usize {
        self.h.saturating_mul(self.w).saturating_mul(self.c)
    }

    /// Whether there is no value at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `Ok` when a buffer of `got` values holds exactly this shape.
    ///
    /// # Errors
    /// [`ShapeError::Length`] otherwise.
    pub const fn check(&self, got: usize) -> Result<(), ShapeError> {
        check_len(got, self.len())
    }
}

/// `Ok` when `got >= expected`.
pub(crate) const fn check_at_least(got: usize, expected: usize) -> Result<(), ShapeError> {
    if got >= expected {
        Ok(())
    } else {
        Err(ShapeError::Length { expected, got })
    }
}

/// `Ok` when `got == expected`.
pub(crate) const fn check_len(got: usize, expected: usize) -> Result<(), ShapeError> {
    if got == expected {
        Ok(())
    } else {
        Err(ShapeError::Length { expected, got })
    }
}

/// A square sliding window: kernel, stride and zero padding on all four sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Kernel height and width.
    pub kernel: usize,
    /// Step in both directions.
    pub stride: usize,
    /// Rows and columns of zeros on each side; less than `kernel`.
    pub pad: usize,
}

impl Window {
    /// The output extents of this window on `input`, with `c_out` channels.
    ///
    /// # Errors
    /// [`ShapeError::Window`] when the window is empty, does not move, is all padding, or is larger
    /// than the padded input.
    pub const fn output(&self, input: Hwc, c_out: usize) -> Result<Hwc, ShapeError> {
        let Self {
            kernel,
            stride,
            pad,
        } = *self;
        let error = ShapeError::Window {
            kernel,
            stride,
            pad,
        };
        if kernel == 0 || stride == 0 || pad >= kernel {
            return Err(error);
        }
        let (Some(h), Some(w)) = (slack(input.h, pad, kernel), slack(input.w, pad, kernel)) else {
            return Err(error);
        };
        Ok(Hwc::new(h / stride + 1, w / stride + 1, c_out))
    }

    /// Rows and columns of the kernel.
    pub(crate) fn taps(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let kernel = self.kernel;
        (0..kernel).flat_map(move |k_y| (0..kernel).map(move |k_x| (k_y, k_x)))
    }

    /// Row, column and channel of a kernel's `tap`, counted as the weights `[k_y][k_x][c]` lie.
    #[must_use]
    pub(crate) fn tap(&self, tap: usize, c: usize) -> (usize, usize, usize) {
        let pixel = tap.checked_div(c).unwrap_or(0);
        let k_y = pixel.checked_div(self.kernel).unwrap_or(0);
        (k_y, pixel - k_y * self.kernel, tap - pixel * c)
    }

    /// What the window at output `[y, x]` sees through its tap `[k_y, k_x]` in channel `c`: 0 on
    /// padding.
    #[must_use]
    pub(crate) fn value(
        &self,
        input: &[u8],
        shape: Hwc,
        [y, x]: [usize; 2],
        [k_y, k_x]: [usize; 2],
        c: usize,
    ) -> u8 {
        let on_input = |out: usize, tap: usize, len: usize| {
            let at = (out * self.stride + tap).checked_sub(self.pad)?;
            (at < len).then_some(at)
        };
        let (Some(i_y), Some(i_x)) = (on_input(y, k_y, shape.h), on_input(x, k_x, shape.w)) else {
            return 0;
        };
        let index = (i_y * shape.w + i_x) * shape.c + c;
        input.get(index).copied().unwrap_or(0)
    }

    /// Where the window at output position `out` lies on an input axis of `len` values.
    #[must_use]
    #[cfg_attr(onelook_small, inline(never))]
    pub(crate) fn span(&self, out: usize, len: usize) -> Span {
        let start = out * self.stride;
        let first = start.max(self.pad) - self.pad;
        let tap = self.pad.saturating_sub(start);
        let end = (start + self.kernel).saturating_sub(self.pad).min(len);
        Span {
            first,
            tap,
            count: end.saturating_sub(first),
        }
    }
}

/// How far a kernel can move on a padded axis; `None` when it does not fit, or nothing could.
const fn slack(len: usize, pad: usize, kernel: usize) -> Option<usize> {
    match pad.saturating_mul(2).checked_add(len) {
        Some(padded) => padded.checked_sub(kernel),
        None => None,
    }
}

/// The part of a window that lies on the input, along one axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// First input index under the window.
    pub(crate) first: usize,
    /// Kernel tap that meets `first`; earlier taps fall on padding.
    pub(crate) tap: usize,
    /// Number of input values under the window.
    pub(crate) count: usize,
}

/// A buffer or a window does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// A buffer has the wrong number of values.
    Length {
        /// Values that the shape asks for.
        expected: usize,
        /// Values in the buffer.
        got: usize,
    },
    /// A window that is empty, does not move, is all padding, or is larger than its input.
    Window {
        /// Kernel extent.
        kernel: usize,
        /// Step.
        stride: usize,
        /// Zero padding on each side.
        pad: usize,
    },
    /// A global average that is not exact: see [`crate::ops::global_average_pool`].
    Average {
        /// Pixels to average.
        pixels: usize,
        /// Binary digits that the output is finer than the input.
        finer: u8,
    },
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { expected, got } => {
                write!(
                    f,
                    "buffer holds {got} values, the shape asks for {expected}"
                )
            }
            Self::Window {
                kernel,
                stride,
                pad,
            } => write!(
                f,
                "window with kernel {kernel}, stride {stride}, padding {pad} does not fit its input"
            ),
            Self::Average { pixels, finer } => write!(
                f,
                "the mean of {pixels} pixels, {finer} binary digits finer than they, is not exact: \
                 pixels must be a power of two up to 65536, with at least as many digits"
            ),
        }
    }
}

impl core::error::Error for ShapeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_sizes() {
        let window = Window {
            kernel: 3,
            stride: 2,
            pad: 1,
        };
        assert_eq!(
            window.output(Hwc::new(48, 48, 1), 32),
            Ok(Hwc::new(24, 24, 32))
        );
        let pool = Window {
            kernel: 2,
            stride: 2,
            pad: 0,
        };
        assert_eq!(pool.output(Hwc::new(7, 6, 5), 5), Ok(Hwc::new(3, 3, 5)));
    }

    #[test]
    fn refuses_a_window_of_padding() {
        let window = Window {
            kernel: 3,
            stride: 1,
            pad: 3,
        };
        assert!(matches!(
            window.output(Hwc::new(9, 9, 1), 1),
            Err(ShapeError::Window { .. })
        ));
    }

    #[test]
    fn refuses_padding_beyond_every_buffer() {
        for pad in [usize::MAX - 1, usize::MAX / 2, usize::MAX / 2 - 1] {
            let window = Window {
                kernel: usize::MAX,
                stride: 1,
                pad,
            };
            assert!(window.output(Hwc::new(9, 9, 1), 1).is_err(), "{pad}");
        }
    }

    #[test]
    fn span_skips_padding() {
        let window = Window {
            kernel: 3,
            stride: 1,
            pad: 1,
        };
        let Span { first, tap, count } = window.span(0, 6);
        assert_eq!((first, tap, count), (0, 1, 2));
        let Span { first, tap, count } = window.span(5, 6);
        assert_eq!((first, tap, count), (4, 0, 2));
    }
}
