//! Mean of each channel over a number of pixels that is a power of two.
//!
//! # Shapes
//!
//! | tensor   | dtype | layout | shape        |
//! |----------|-------|--------|--------------|
//! | `input`  | `u8`  | HWC    | `[h][w][c]`  |
//! | `output` | `u8`  | HWC    | `[1][1][c]`  |
//!
//! # Quantization
//!
//! With `h * w = 2^k`: `acc[c] = Σ input`, `output[c] = requantize(acc[c], shift)`, where
//! `shift = k + in_exponent - out_exponent` and `in_exponent <= out_exponent <= in_exponent + k`.
//! A mean has more fraction bits than its terms; a finer output keeps them. Other numbers of
//! pixels would need a division that engines round differently.
//!
//! # Implementations
//!
//! - [`reference()`]: the specification, one channel at a time.
//! - [`global_average_pool`]: the same; one addition for each input is little beside a convolution.

use super::filters::Filters;
use crate::quant::requantize;
use crate::shape::{Hwc, ShapeError, check_at_least};

/// Most pixels that can be averaged: `255 * 2^16 < 2^24`.
pub const MAX_PIXELS: usize = 1 << 16;

/// One global average: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct GlobalAveragePool {
    input: Hwc,
    shift: u8,
}

impl GlobalAveragePool {
    /// The mean of `input`, `finer` binary digits finer than its terms.
    ///
    /// # Errors
    /// [`ShapeError::Average`] when the number of pixels is no power of two up to [`MAX_PIXELS`],
    /// or `finer` is more digits than the mean has.
    pub const fn new(input: Hwc, finer: u8) -> Result<Self, ShapeError> {
        let pixels = input.h.saturating_mul(input.w);
        let error = ShapeError::Average { pixels, finer };
        if !pixels.is_power_of_two() || pixels > MAX_PIXELS {
            return Err(error);
        }
        // At most 16.
        match (pixels.trailing_zeros() as u8).checked_sub(finer) {
            Some(shift) => Ok(Self { input, shift }),
            None => Err(error),
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
        Hwc::new(1, 1, self.input.c)
    }

    /// None: a mean has no weights.
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
pub fn reference(
    op: &GlobalAveragePool,
    input: &[u8],
    output: &mut [u8],
) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output().check(output.len())?;
    for (c, out) in output.iter_mut().enumerate() {
        let channel = input.iter().skip(c).step_by(op.input.c.max(1));
        let acc = channel.fold(0_i32, |acc, &x| acc.wrapping_add(i32::from(x)));
        *out = requantize(acc, op.shift);
    }
    Ok(())
}

/// What runs.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape or `scratch` is shorter than
/// [`GlobalAveragePool::scratch_len`].
pub fn global_average_pool(
    op: &GlobalAveragePool,
    input: &[u8],
    output: &mut [u8],
    scratch: &mut [u8],
) -> Result<(), ShapeError> {
    check_at_least(scratch.len(), op.scratch_len())?;
    reference(op, input, output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::problem::run;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_reference(
            (shape, finer, x) in (0..3_u32, 0..4_u32, 1..40_usize, 0..8_u8)
                .prop_flat_map(|(log_h, log_w, c, finer)| {
                    let shape = Hwc::new(1 << log_h, 1 << log_w, c);
                    let finer = finer.min((log_h + log_w) as u8);
                    (Just(shape), Just(finer), prop::collection::vec(any::<u8>(), shape.len()))
                })
        ) {
            let op = GlobalAveragePool::new(shape, finer).unwrap();
            let expected = run(op.output(), 0, |out, _| reference(&op, &x, out));
            let got = run(op.output(), 0, |out, scratch| global_average_pool(&op, &x, out, scratch));
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_finer_output_keeps_the_fraction() {
        let mean = |finer| {
            let op = GlobalAveragePool::new(Hwc::new(2, 2, 1), finer).unwrap();
            run(op.output(), 0, |out, _| reference(&op, &[1, 2, 3, 4], out))
        };
        // 2.5: a tie to even; then 2.5 in halves and in quarters.
        assert_eq!([mean(0), mean(1), mean(2)], [[2], [5], [10]]);
    }

    #[test]
    fn other_numbers_of_pixels_are_refused() {
        let refused = |h, w, finer| GlobalAveragePool::new(Hwc::new(h, w, 3), finer).unwrap_err();
        let error = |pixels, finer| ShapeError::Average { pixels, finer };
        assert_eq!(refused(3, 3, 0), error(9, 0));
        assert_eq!(refused(2, 2, 3), error(4, 3));
        assert_eq!(refused(0, 2, 0), error(0, 0));
        assert_eq!(refused(512, 256, 0), error(1 << 17, 0));
    }
}
