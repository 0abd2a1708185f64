//! 2-D max pooling; padding never wins.
//!
//! # Shapes
//!
//! | tensor   | dtype | layout | shape               |
//! |----------|-------|--------|---------------------|
//! | `input`  | `f32` | HWC    | `[h][w][c]`         |
//! | `output` | `f32` | HWC    | `[h_out][w_out][c]` |
//!
//! Rows and columns that no window reaches are dropped.
//!
//! # Implementations
//!
//! - [`reference()`]: the specification, one output value at a time.
//! - [`max_pool2d`]: one input pixel (all channels) at a time, contiguous in HWC.

use crate::shape::{Hwc, ShapeError, Window};

/// One max pooling: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct MaxPool2d {
    input: Hwc,
    output: Hwc,
    window: Window,
}

impl MaxPool2d {
    /// A pooling of the windows that fit `input`.
    ///
    /// # Errors
    /// [`ShapeError::Window`] when none does.
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
}

/// The specification.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn reference(op: &MaxPool2d, input: &[f32], output: &mut [f32]) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    let Window {
        kernel,
        stride,
        pad,
    } = op.window;
    let mut outputs = output.iter_mut();
    for y in 0..op.output.h {
        for x in 0..op.output.w {
            for c in 0..op.output.c {
                let mut max = f32::NEG_INFINITY;
                for tap in 0..kernel * kernel {
                    let (i_y, i_x) = (y * stride + tap / kernel, x * stride + tap % kernel);
                    let on_input = (pad..op.input.h + pad).contains(&i_y)
                        && (pad..op.input.w + pad).contains(&i_x);
                    if on_input {
                        let index = ((i_y - pad) * op.input.w + (i_x - pad)) * op.input.c + c;
                        max = max.max(input.get(index).copied().unwrap_or(max));
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

/// What runs: running maxima over whole pixels.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn max_pool2d(op: &MaxPool2d, input: &[f32], output: &mut [f32]) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    let c = op.input.c.max(1);
    output.fill(f32::NEG_INFINITY);
    for (pixel, out) in output.chunks_exact_mut(c).enumerate() {
        let ys = op.window.span(pixel / op.output.w.max(1), op.input.h);
        let xs = op.window.span(pixel % op.output.w.max(1), op.input.w);
        for k in 0..ys.count {
            let at = ((ys.first + k) * op.input.w + xs.first) * c;
            let row = input.get(at..at + xs.count * c).unwrap_or(&[]);
            for pixel in row.chunks_exact(c) {
                for (out, &value) in out.iter_mut().zip(pixel) {
                    *out = if value > *out { value } else { *out };
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::problem::{self, Numbers};
    use super::*;
    use proptest::prelude::*;

    type Kernel = fn(&MaxPool2d, &[f32], &mut [f32]) -> Result<(), ShapeError>;

    fn run(kernel: Kernel, op: &MaxPool2d, input: &[f32]) -> Vec<f32> {
        let mut output = vec![f32::NAN; op.output().len()];
        kernel(op, input, &mut output).unwrap();
        output
    }

    proptest! {
        #[test]
        fn equals_reference(
            (op, input) in problem::shape_and_window().prop_flat_map(|(input, window)| {
                let op = MaxPool2d::new(input, window).unwrap();
                (Just(op), Numbers::Reals.activations(input.len()))
            })
        ) {
            let (got, expected) = (run(max_pool2d, &op, &input), run(reference, &op, &input));
            prop_assert_eq!(problem::bits(&got), problem::bits(&expected));
        }
    }

    #[test]
    fn padding_never_wins() {
        let window = Window {
            kernel: 2,
            stride: 2,
            pad: 1,
        };
        let op = MaxPool2d::new(Hwc::new(2, 2, 1), window).unwrap();
        let input = [-1.0, -2.0, -3.0, -4.0];
        assert_eq!(run(max_pool2d, &op, &input), input);
    }
}
