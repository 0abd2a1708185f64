//! 2-D max pooling.
//!
//! # Shapes
//!
//! | tensor   | dtype | layout | shape               |
//! |----------|-------|--------|---------------------|
//! | `input`  | `u8`  | HWC    | `[h][w][c]`         |
//! | `output` | `u8`  | HWC    | `[h_out][w_out][c]` |
//!
//! # Quantization
//!
//! The output has the input's scale. Padding never wins: no activation is below its 0. Rows and
//! columns that no window reaches are dropped.
//!
//! # Implementations
//!
//! - [`reference()`]: the specification, one output value at a time.
//! - [`max_pool2d`]: this machine's kernel in `arch`; the portable one takes one input pixel (all
//!   channels) at a time, contiguous in HWC.

use super::filters::Filters;
use crate::arch;
use crate::shape::{Hwc, ShapeError, Window, check_at_least};

/// One max pooling: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct MaxPool2d {
    input: Hwc,
    output: Hwc,
    window: Window,
}

impl MaxPool2d {
    /// The largest value of each window.
    ///
    /// # Errors
    /// [`ShapeError::Window`] when the window does not fit the input.
    pub const fn new(input: Hwc, window: Window) -> Result<Self, ShapeError> {
        match window.output(input, input.c) {
            Ok(output) => Ok(Self {
                input,
                output,
                window,
            }),
            Err(error) => Err(error),
        }
    }

    /// Kernel, stride and padding.
    #[must_use]
    pub const fn window(&self) -> Window {
        self.window
    }

    /// Shape of the input.
    #[must_use]
    pub const fn input(&self) -> Hwc {
        self.input
    }

    /// Shape of the output.
    #[must_use]
    pub const fn output(&self) -> Hwc {
        self.output
    }

    /// None: a maximum has no weights.
    #[must_use]
    pub const fn filters(&self) -> Option<&Filters<'static>> {
        None
    }

    /// None.
    #[must_use]
    pub const fn scratch_len(&self) -> usize {
        0
    }
}

/// The specification.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn reference(op: &MaxPool2d, input: &[u8], output: &mut [u8]) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    let mut outputs = output.iter_mut();
    for y in 0..op.output.h {
        for x in 0..op.output.w {
            for c in 0..op.output.c {
                let mut max = 0;
                for k_y in 0..op.window.kernel {
                    for k_x in 0..op.window.kernel {
                        let value = op.window.value(input, op.input, [y, x], [k_y, k_x], c);
                        max = value.max(max);
                    }
                }
                if let Some(out) = outputs.next() {
                    *out = max;
                }
            }
        }
    }
    Ok(())
}

/// What runs.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape or `scratch` is shorter than
/// [`MaxPool2d::scratch_len`].
pub fn max_pool2d(
    op: &MaxPool2d,
    input: &[u8],
    output: &mut [u8],
    scratch: &mut [u8],
) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    check_at_least(scratch.len(), op.scratch_len())?;
    let (row, out_row) = (op.input.w * op.input.c, op.output.w * op.output.c);
    for (y, out) in output.chunks_exact_mut(out_row.max(1)).enumerate() {
        let ys = op.window.span(y, op.input.h);
        let rows = ys.first * row..(ys.first + ys.count) * row;
        arch::pool_row(op.window, input.get(rows).unwrap_or(&[]), op.input, out);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::problem::{run, window_problem};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn equals_reference(p in window_problem(5, |_, _| 0, 1..2)) {
            let op = MaxPool2d::new(p.input, p.window).unwrap();
            let expected = run(op.output(), 0, |out, _| reference(&op, &p.x, out));
            let got = run(op.output(), 0, |out, scratch| max_pool2d(&op, &p.x, out, scratch));
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn odd_row_and_column_are_dropped() {
        let window = Window {
            kernel: 2,
            stride: 2,
            pad: 0,
        };
        let op = MaxPool2d::new(Hwc::new(3, 3, 1), window).unwrap();
        let got = run(op.output(), 0, |out, _| {
            reference(&op, &[1, 2, 9, 4, 3, 9, 9, 9, 9], out)
        });
        assert_eq!(got, [4]);
    }
}
