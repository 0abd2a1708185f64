//! Logistic sigmoid, value by value and in place.
//!
//! # Shapes
//!
//! `f32`, any shape.
//!
//! # Implementations
//!
//! - [`reference()`]: the specification of one value, within 3 ulp of `1 / (1 + e^-x)`.
//! - [`sigmoid`]: a whole slice.

pub use crate::ops::sigmoid::sigmoid_f32 as reference;

/// What runs.
pub fn sigmoid(values: &mut [f32]) {
    for value in values {
        *value = reference(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_reference() {
        let mut values: Vec<f32> = (-50..50).map(|x| x as f32 / 3.0).collect();
        let expected: Vec<f32> = values.iter().map(|&x| reference(x)).collect();
        sigmoid(&mut values);
        assert_eq!(values, expected);
    }
}
