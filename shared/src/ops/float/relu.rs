//! Rectified linear unit, value by value and in place.
//!
//! # Shapes
//!
//! `f32`, any shape.
//!
//! # Implementations
//!
//! - [`reference()`]: the specification of one value.
//! - [`relu`]: a whole slice.

/// `max(value, 0)`; zero has no sign behind it.
#[must_use]
pub fn reference(value: f32) -> f32 {
    if value > 0.0 { value } else { 0.0 }
}

/// What runs.
pub fn relu(values: &mut [f32]) {
    for value in values {
        *value = reference(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_reference() {
        let mut values = [-1.5, -0.0, 0.0, 1e-40, 3.0];
        relu(&mut values);
        assert_eq!(
            values.map(f32::to_bits),
            [0.0_f32, 0.0, 0.0, 1e-40, 3.0].map(f32::to_bits)
        );
    }
}
