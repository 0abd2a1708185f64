//! Mean of each channel over all pixels.
//!
//! # Shapes
//!
//! | tensor   | dtype | layout | shape       |
//! |----------|-------|--------|-------------|
//! | `input`  | `f32` | HWC    | `[h][w][c]` |
//! | `output` | `f32` | C      | `[c]`       |
//!
//! # Implementations
//!
//! - [`reference()`]: the specification, one channel at a time.
//! - [`global_average_pool`]: running sums over whole pixels, contiguous in HWC.

use crate::shape::{Hwc, ShapeError, check_len};

/// One pooling: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct GlobalAveragePool {
    input: Hwc,
}

impl GlobalAveragePool {
    /// A pooling over all of `input`.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when there is nothing to take the mean of.
    pub const fn new(input: Hwc) -> Result<Self, ShapeError> {
        if input.is_empty() {
            return Err(ShapeError::Length {
                expected: 1,
                got: 0,
            });
        }
        Ok(Self { input })
    }

    /// Shape of the input.
    #[must_use]
    pub const fn input(&self) -> Hwc {
        self.input
    }

    /// Shape of the output, `[1][1][c]`.
    #[must_use]
    pub const fn output(&self) -> Hwc {
        Hwc::new(1, 1, self.input.c)
    }

    fn check(&self, input: &[f32], output: &[f32]) -> Result<f32, ShapeError> {
        self.input.check(input.len())?;
        check_len(output.len(), self.input.c)?;
        Ok((self.input.h * self.input.w) as f32)
    }
}

/// The specification.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn reference(
    op: &GlobalAveragePool,
    input: &[f32],
    output: &mut [f32],
) -> Result<(), ShapeError> {
    let pixels = op.check(input, output)?;
    for (c, out) in output.iter_mut().enumerate() {
        let mut sum = 0.0;
        for pixel in input.chunks_exact(op.input.c.max(1)) {
            sum += pixel.get(c).copied().unwrap_or(0.0);
        }
        *out = sum / pixels;
    }
    Ok(())
}

/// What runs. Equal to [`reference()`] bit for bit: both add the pixels in order.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn global_average_pool(
    op: &GlobalAveragePool,
    input: &[f32],
    output: &mut [f32],
) -> Result<(), ShapeError> {
    let pixels = op.check(input, output)?;
    output.fill(0.0);
    for pixel in input.chunks_exact(op.input.c.max(1)) {
        for (sum, value) in output.iter_mut().zip(pixel) {
            *sum += value;
        }
    }
    for sum in output {
        *sum /= pixels;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::problem::{self, Numbers};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_reference(
            (shape, input) in (1..9_usize, 1..9_usize, 1..12_usize).prop_flat_map(|(h, w, c)| {
                (Just(Hwc::new(h, w, c)), Numbers::Reals.activations(h * w * c))
            })
        ) {
            let op = GlobalAveragePool::new(shape).unwrap();
            let (mut got, mut expected) = (vec![f32::NAN; shape.c], vec![f32::NAN; shape.c]);
            global_average_pool(&op, &input, &mut got).unwrap();
            reference(&op, &input, &mut expected).unwrap();
            prop_assert_eq!(problem::bits(&got), problem::bits(&expected));
        }
    }

    #[test]
    fn mean_of_each_channel() {
        let op = GlobalAveragePool::new(Hwc::new(1, 2, 2)).unwrap();
        let mut output = [0.0; 2];
        global_average_pool(&op, &[1.0, 10.0, 2.0, 30.0], &mut output).unwrap();
        assert_eq!(output, [1.5, 20.0]);
    }

    #[test]
    fn nothing_has_no_mean() {
        assert!(GlobalAveragePool::new(Hwc::new(0, 3, 1)).is_err());
    }
}
