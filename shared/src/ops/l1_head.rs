//! The siamese head: weighted L1 distance of two embeddings plus a bias (Koch 2015, §3.1).
//!
//! # Shapes
//!
//! | tensor   | dtype | shape |
//! |----------|-------|-------|
//! | `a`, `b` | `u8`  | `[d]` |
//! | `weight` | `i8`  | `[d]` |
//! | logit    | `i32` | one   |
//!
//! # Quantization
//!
//! `logit = bias + Σ |a - b| * weight`, an exact integer below 2^24; its real value is
//! `logit * 2^-exponent`. A larger logit means more alike.
//!
//! # Implementations
//!
//! - [`reference()`]: the specification, in `i64`.
//! - [`l1_head`]: this machine's kernel in `arch`; `abs_diff` on bytes, sums in `i32`.

use crate::arch;
use crate::shape::{ShapeError, check_len};

/// The head: everything but the embeddings.
#[derive(Debug, Clone, Copy)]
pub struct L1Head<'m> {
    /// One weight per embedding value; negative where a difference speaks against a match.
    pub weight: &'m [i8],
    /// Added to every logit.
    pub bias: i32,
}

/// The specification.
///
/// # Errors
/// [`ShapeError::Length`] when an embedding does not have the head's length.
pub fn reference(op: &L1Head<'_>, a: &[u8], b: &[u8]) -> Result<i64, ShapeError> {
    check_len(a.len(), op.weight.len())?;
    check_len(b.len(), op.weight.len())?;
    let mut logit = i64::from(op.bias);
    for ((&a, &b), &weight) in a.iter().zip(b).zip(op.weight) {
        logit += (i64::from(a) - i64::from(b)).abs() * i64::from(weight);
    }
    Ok(logit)
}

/// What runs. Equal to [`reference()`] whenever the head is certified (`|logit| < 2^24`).
///
/// # Errors
/// [`ShapeError::Length`] when an embedding does not have the head's length.
pub fn l1_head(op: &L1Head<'_>, a: &[u8], b: &[u8]) -> Result<i32, ShapeError> {
    check_len(a.len(), op.weight.len())?;
    check_len(b.len(), op.weight.len())?;
    Ok(arch::l1_head(op, a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_reference(
            values in prop::collection::vec((any::<u8>(), any::<u8>(), -64..64_i8), 0..700),
            bias in -1_000_000..1_000_000_i32,
        ) {
            let a: Vec<u8> = values.iter().map(|v| v.0).collect();
            let b: Vec<u8> = values.iter().map(|v| v.1).collect();
            let weight: Vec<i8> = values.iter().map(|v| v.2).collect();
            let op = L1Head { weight: &weight, bias };
            prop_assert_eq!(l1_head(&op, &a, &b).map(i64::from), reference(&op, &a, &b));
        }
    }

    #[test]
    fn equal_embeddings_give_the_bias() {
        let op = L1Head {
            weight: &[-3, 5],
            bias: 42,
        };
        assert_eq!(l1_head(&op, &[7, 9], &[7, 9]), Ok(42));
    }

    #[test]
    fn difference_does_not_wrap() {
        let op = L1Head {
            weight: &[1],
            bias: 0,
        };
        assert_eq!(l1_head(&op, &[0], &[255]), Ok(255));
    }
}
