//! The siamese head: weighted L1 distance of two embeddings plus a bias (Koch 2015, §3.1).
//!
//! # Shapes
//!
//! | tensor   | dtype | shape |
//! |----------|-------|-------|
//! | `a`, `b` | `f32` | `[d]` |
//! | `weight` | `f32` | `[d]` |
//! | logit    | `f32` | one   |
//!
//! `logit = bias + Σ |a - b| * weight`. A larger logit means more alike.
//!
//! # Implementations
//!
//! - [`reference()`]: the specification.
//! - [`l1_head`]: in lanes.

use crate::shape::{ShapeError, check_len};

/// Partial sums, side by side.
const LANES: usize = 8;

/// The head: everything but the embeddings.
#[derive(Debug, Clone, Copy)]
pub struct L1Head<'m> {
    /// One weight per embedding value; negative where a difference speaks against a match.
    pub weight: &'m [f32],
    /// Added to every logit.
    pub bias: f32,
}

/// The specification.
///
/// # Errors
/// [`ShapeError::Length`] when an embedding does not have the head's length.
pub fn reference(op: &L1Head<'_>, a: &[f32], b: &[f32]) -> Result<f32, ShapeError> {
    check_len(a.len(), op.weight.len())?;
    check_len(b.len(), op.weight.len())?;
    let mut logit = op.bias;
    for ((a, b), weight) in a.iter().zip(b).zip(op.weight) {
        logit += (a - b).abs() * weight;
    }
    Ok(logit)
}

/// What runs.
///
/// # Errors
/// [`ShapeError::Length`] when an embedding does not have the head's length.
pub fn l1_head(op: &L1Head<'_>, a: &[f32], b: &[f32]) -> Result<f32, ShapeError> {
    check_len(a.len(), op.weight.len())?;
    check_len(b.len(), op.weight.len())?;
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let (weight, weight_rest) = op.weight.as_chunks::<LANES>();
    let mut acc = [0.0; LANES];
    for ((a, b), weight) in a.iter().zip(b).zip(weight) {
        for (((acc, a), b), weight) in acc.iter_mut().zip(a).zip(b).zip(weight) {
            *acc += (a - b).abs() * weight;
        }
    }
    let rest = a_rest.iter().zip(b_rest).zip(weight_rest);
    let rest: f32 = rest.map(|((a, b), weight)| (a - b).abs() * weight).sum();
    Ok(op.bias + (acc.iter().sum::<f32>() + rest))
}

#[cfg(test)]
mod tests {
    use super::super::problem::{self, Numbers};
    use super::*;
    use proptest::prelude::*;

    fn problem(numbers: Numbers) -> impl Strategy<Value = [Vec<f32>; 3]> {
        (0..150_usize).prop_flat_map(move |len| {
            let embedding = || numbers.activations(len);
            (embedding(), embedding(), numbers.weights(len)).prop_map(|(a, b, w)| [a, b, w])
        })
    }

    proptest! {
        #[test]
        fn equals_reference([a, b, weight] in problem(Numbers::Integers)) {
            let op = L1Head { weight: &weight, bias: 77.0 };
            let (got, expected) = (l1_head(&op, &a, &b).unwrap(), reference(&op, &a, &b).unwrap());
            prop_assert_eq!(got.to_bits(), expected.to_bits());
        }

        #[test]
        fn close_to_reference([a, b, weight] in problem(Numbers::Reals)) {
            let op = L1Head { weight: &weight, bias: -0.5 };
            let (got, expected) = (l1_head(&op, &a, &b).unwrap(), reference(&op, &a, &b).unwrap());
            problem::assert_close(&[got], &[expected], 4 * weight.len());
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        let op = L1Head {
            weight: &[1.0, 2.0],
            bias: 0.0,
        };
        assert!(l1_head(&op, &[0.0; 2], &[0.0; 3]).is_err());
        assert_eq!(l1_head(&op, &[1.0, 5.0], &[2.0, 3.0]), Ok(5.0));
    }
}
