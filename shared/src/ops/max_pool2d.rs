//! 2-D max pooling without padding.
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
//! The output has the input's scale. Rows and columns that no window reaches are dropped.
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
    /// A pooling of `kernel`×`kernel` windows, `stride` apart.
    ///
    /// # Errors
    /// [`ShapeError::Window`] when the window does not fit the input.
    pub const fn new(input: Hwc, kernel: usize, stride: usize) -> Result<Self, ShapeError> {
        let window = Window {
            kernel,
            stride,
            pad: 0,
        };
        match window.output(input, input.c) {
            Ok(output) => Ok(Self {
                input,
                output,
                window,
            }),
            Err(error) => Err(error),
        }
    }

    /// Kernel and stride; no padding.
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
                        let (i_y, i_x) = (y * op.window.stride + k_y, x * op.window.stride + k_x);
                        let index = (i_y * op.input.w + i_x) * op.input.c + c;
                        max = input.get(index).copied().unwrap_or(0).max(max);
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
pub fn max_pool2d(op: &MaxPool2d, input: &[u8], output: &mut [u8]) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output.check(output.len())?;
    let channels = op.output.c;
    output.fill(0);
    for (pixel, out) in output.chunks_exact_mut(channels.max(1)).enumerate() {
        let (y, x) = (pixel / op.output.w.max(1), pixel % op.output.w.max(1));
        for k_y in 0..op.window.kernel {
            for k_x in 0..op.window.kernel {
                let (i_y, i_x) = (y * op.window.stride + k_y, x * op.window.stride + k_x);
                let at = (i_y * op.input.w + i_x) * channels;
                let pixel = input.get(at..at + channels).unwrap_or(&[]);
                for (out, &value) in out.iter_mut().zip(pixel) {
                    *out = value.max(*out);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Kernel = fn(&MaxPool2d, &[u8], &mut [u8]) -> Result<(), ShapeError>;

    fn run(kernel: Kernel, op: &MaxPool2d, input: &[u8]) -> Vec<u8> {
        let mut output = vec![0xa5; op.output().len()];
        kernel(op, input, &mut output).unwrap();
        output
    }

    proptest! {
        #[test]
        fn equals_reference(
            (op, input) in (1..14_usize, 1..14_usize, 1..6_usize, 1..5_usize, 1..4_usize)
                .prop_flat_map(|(h, w, c, kernel, stride)| {
                    let kernel = kernel.min(h).min(w);
                    let op = MaxPool2d::new(Hwc::new(h, w, c), kernel, stride).unwrap();
                    (Just(op), prop::collection::vec(any::<u8>(), h * w * c))
                })
        ) {
            prop_assert_eq!(run(max_pool2d, &op, &input), run(reference, &op, &input));
        }
    }

    #[test]
    fn odd_row_and_column_are_dropped() {
        let op = MaxPool2d::new(Hwc::new(3, 3, 1), 2, 2).unwrap();
        assert_eq!(run(max_pool2d, &op, &[1, 2, 9, 4, 3, 9, 9, 9, 9]), [4]);
    }
}
