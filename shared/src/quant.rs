//! Rounding and requantization: the only two places where the integer network loses precision.
//!
//! In: 32-bit accumulators and shifts. Out: 8-bit activations. All scales are powers of two, so a
//! quantized value is `real = q * 2^-exponent` with `zero_point` 0, and `f32` arithmetic on values
//! below 2^24 gives the very same numbers: this is why an ONNX runtime agrees bit for bit.

/// Sums must stay below this for `f32` engines to be exact: 2^24.
pub const ACC_LIMIT: i64 = 1 << 24;

/// The largest right shift of [`requantize`].
pub const MAX_SHIFT: u8 = 23;

/// Weights stay in `-WEIGHT_LIMIT..WEIGHT_LIMIT`.
///
/// Engines on AVX2 add two products in 16 bits: `2 * 255 * 64` is the most that fits.
pub const WEIGHT_LIMIT: i32 = 64;

/// The largest magnitude that `bias + Σ weight * x` can reach over all activations `x` in
/// `0..=255`, whatever the order of summation: `|bias| + 255 Σ|weight|`.
#[must_use]
pub fn bound(weights: impl Iterator<Item = i8>, bias: i32) -> i64 {
    let magnitudes = weights.map(|w| i64::from(w).abs());
    i64::from(bias).abs() + 255 * magnitudes.sum::<i64>()
}

/// `acc / 2^shift`, rounded half to even, for `shift <= MAX_SHIFT` and `|acc| < 2^24`.
///
/// Identity: adding `half - 1`, plus one when the quotient's last bit is odd, makes the arithmetic
/// shift round a tie to the even neighbour. Larger shifts are read modulo 32 (no model file that
/// passed its checks holds one).
#[must_use]
#[inline]
pub fn round_shift(acc: i32, shift: u8) -> i32 {
    let shift = u32::from(shift);
    if shift == 0 {
        return acc;
    }
    let half = 1_i32.wrapping_shl(shift - 1);
    let odd = acc.wrapping_shr(shift) & 1;
    acc.wrapping_add(half.wrapping_sub(1))
        .wrapping_add(odd)
        .wrapping_shr(shift)
}

/// Accumulator to activation: [`round_shift`], then clamp to `0..=255`.
///
/// The clamp at 0 is the ReLU, because every `zero_point` is 0.
#[must_use]
#[inline]
pub fn requantize(acc: i32, shift: u8) -> u8 {
    // The clamp makes the conversion exact.
    round_shift(acc, shift).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// f64 holds every accumulator exactly, so it is an independent route to the answer.
        #[test]
        fn rounds_like_ieee(acc in -(1 << 24) + 1..(1_i32 << 24), shift in 0..=MAX_SHIFT) {
            let exact = f64::from(acc) / f64::from(1_u32 << shift);
            prop_assert_eq!(f64::from(round_shift(acc, shift)), exact.round_ties_even());
        }
    }

    /// No certified model has such a shift; an operator that was built by hand may.
    #[test]
    fn any_shift_is_an_answer() {
        for shift in 0..=u8::MAX {
            for acc in [i32::MIN, -1, 0, 1, i32::MAX] {
                let _ = requantize(acc, shift);
            }
        }
    }

    #[test]
    fn ties_go_to_even() {
        assert_eq!(
            [1, 3, 5, 7, -1, -3].map(|acc| round_shift(acc, 1)),
            [0, 2, 2, 4, 0, -2]
        );
    }

    #[test]
    fn saturates_at_both_ends() {
        assert_eq!(
            (requantize(-5, 0), requantize(255, 0), requantize(256, 0)),
            (0, 255, 255)
        );
    }
}
