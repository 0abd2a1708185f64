//! Logistic sigmoid of an integer logit, for showing a probability. Decisions use the logit.
//!
//! # Shapes
//!
//! One `i32` logit with its exponent in, one `f32` probability out.
//!
//! # Quantization
//!
//! The real logit is `logit * 2^-exponent`. The result is within 2^-22 of the exact sigmoid, from
//! additions, multiplications and one division in `f32`, so host and device agree on its bits.

/// `1 / (1 + e^-x)` with `x = logit * 2^-exponent`.
#[must_use]
pub fn sigmoid(logit: i32, exponent: u8) -> f32 {
    // |logit| < 2^24 for a certified head, so the conversion is exact; so is the scaling.
    let x = logit as f32 * power_of_two(-i32::from(exponent));
    let e = exp_minus(x.abs());
    if x < 0.0 {
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + e)
    }
}

/// `e^-x` for `x >= 0`: `2^(n + f)` with `|f| <= 1/2`, and a Taylor polynomial for `2^f`.
fn exp_minus(x: f32) -> f32 {
    let t = -x.min(80.0) * core::f32::consts::LOG2_E;
    let n = (t - 0.5) as i32; // rounds to nearest: t <= 0 and the cast truncates towards zero
    let u = (t - n as f32) * core::f32::consts::LN_2;
    // 1/k! for k = 7 down to 0; the first term left out is below 2^-27.
    const INVERSE_FACTORIAL: [f32; 8] = [
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let series = INVERSE_FACTORIAL
        .iter()
        .fold(0.0, |sum, coefficient| sum * u + coefficient);
    series * power_of_two(n)
}

/// `2^n` for a normal result, `-126 <= n <= 127`; clamped outside.
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n.clamp(-126, 127) + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn close_to_f64(logit in -(1 << 24)..(1_i32 << 24), exponent in 0..=23_u8) {
            let exact = 1.0 / (1.0 + (-f64::from(logit) * (-f64::from(exponent)).exp2()).exp());
            prop_assert!((f64::from(sigmoid(logit, exponent)) - exact).abs() < 2.4e-7);
        }
    }

    #[test]
    fn symmetric_and_bounded() {
        assert_eq!(sigmoid(0, 10), 0.5);
        assert_eq!(sigmoid(1 << 23, 0), 1.0);
        assert!(sigmoid(-(1 << 23), 0) < 1e-30);
    }
}
