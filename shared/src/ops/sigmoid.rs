//! Logistic sigmoid of a logit, for showing a probability. Decisions use the logit.
//!
//! # Shapes
//!
//! One `i32` logit with its exponent, or one `f32`, in; one `f32` probability out.
//!
//! # Quantization
//!
//! The real logit is `logit * 2^-exponent`. The result is within 3 units in its last place of the
//! exact sigmoid, from additions, multiplications and one division in `f32`, so host and device
//! agree on its bits.

/// `1 / (1 + e^-x)` with `x = logit * 2^-exponent`.
#[must_use]
pub fn sigmoid(logit: i32, exponent: u8) -> f32 {
    // |logit| < 2^24 for a certified head, so the conversion is exact; so is the scaling.
    sigmoid_f32(logit as f32 * power_of_two(-i32::from(exponent)))
}

/// `1 / (1 + e^-x)`; below -80 it stays at the value there.
#[must_use]
pub fn sigmoid_f32(x: f32) -> f32 {
    let e = exp_minus(x.abs());
    if x < 0.0 {
        e / (1.0 + e)
    } else {
        1.0 / (1.0 + e)
    }
}

/// `e^-x` for `x >= 0`: `2^n e^u` with `|u| <= ln 2 / 2`, and a Taylor polynomial for `e^u`.
fn exp_minus(x: f32) -> f32 {
    // ln 2 in two parts (Cody and Waite 1980): the first has 9 bits, so its product with n is exact.
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.min(80.0);
    // Rounds to nearest: the cast truncates towards zero.
    let n = (x * core::f32::consts::LOG2_E + 0.5) as i32;
    let u = n as f32 * LN_2_HIGH - x + n as f32 * LN_2_LOW;
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
    series * power_of_two(-n)
}

/// `2^n` for a normal result, `-126 <= n <= 127`; clamped outside.
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n.clamp(-126, 127) + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Distance to the exact sigmoid in units of the exact one's last place.
    fn ulps(got: f32, x: f64) -> f64 {
        let exact = 1.0 / (1.0 + (-x).exp());
        let unit = f64::from(f32::EPSILON) * exact.log2().floor().exp2();
        (f64::from(got) - exact).abs() / unit
    }

    proptest! {
        #![proptest_config(crate::ops::problem::cases(4096))]
        #[test]
        fn close_to_f64(logit in -(1 << 24)..(1_i32 << 24), exponent in 0..=23_u8) {
            let x = f64::from(logit) * (-f64::from(exponent)).exp2();
            let (got, x) = (sigmoid(logit, exponent), x.max(-80.0));
            prop_assert!(ulps(got, x) <= 3.0, "{got} {x}");
        }

        #[test]
        fn reals_are_close_too(x in -79.0_f32..30.0) {
            prop_assert!(ulps(sigmoid_f32(x), f64::from(x)) <= 3.0);
        }
    }

    #[test]
    fn symmetric_and_bounded() {
        assert_eq!(sigmoid(0, 10), 0.5);
        assert_eq!(sigmoid(1 << 23, 0), 1.0);
        assert!(sigmoid(-(1 << 23), 0) < 1e-30);
    }
}
