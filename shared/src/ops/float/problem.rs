//! Random operators for the tests of this folder.

use crate::shape::{Hwc, Window};
use proptest::prelude::*;

/// What the tensors of a problem hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numbers {
    /// The integers of the quantized network: every sum is exact.
    Integers,
    /// Reals around zero.
    Reals,
}

impl Numbers {
    pub(super) fn activations(self, len: usize) -> BoxedStrategy<Vec<f32>> {
        match self {
            Self::Integers => prop::collection::vec((0..=255_u8).prop_map(f32::from), len).boxed(),
            Self::Reals => prop::collection::vec(-2.0_f32..2.0, len).boxed(),
        }
    }

    pub(super) fn weights(self, len: usize) -> BoxedStrategy<Vec<f32>> {
        match self {
            Self::Integers => prop::collection::vec((-64..64_i8).prop_map(f32::from), len).boxed(),
            Self::Reals => prop::collection::vec(-1.0_f32..1.0, len).boxed(),
        }
    }
}

/// An input and a window that fits it: odd extents, tails of channels, padding, strides.
pub(super) fn shape_and_window() -> impl Strategy<Value = (Hwc, Window)> {
    let extents = (1..12_usize, 1..12_usize, 1..10_usize);
    (extents, 1..6_usize, 1..4_usize).prop_flat_map(|((h, w, c), kernel, stride)| {
        let kernel = kernel.min(h).min(w);
        (0..kernel).prop_map(move |pad| {
            let window = Window {
                kernel,
                stride,
                pad,
            };
            (Hwc::new(h, w, c), window)
        })
    })
}

pub(super) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Sums of `terms` products of numbers of order 1, in two orders.
pub(super) fn assert_close(got: &[f32], expected: &[f32], terms: usize) {
    assert_eq!(got.len(), expected.len());
    let tolerance = 4.0 * f32::EPSILON * (terms + 1) as f32;
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() <= tolerance, "{got} {expected}");
    }
}
