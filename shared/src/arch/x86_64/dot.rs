//! Dot products on AVX2: fully connected layers and the head.
//!
//! Each weight is used once, so they are read where they lie.

use core::arch::x86_64::*;

use super::vector::{add_halves, load, partial, sum_lanes};
use crate::ops::filters::Filters;
use crate::ops::l1_head::L1Head;
use crate::quant::requantize;

/// One dot product per channel.
#[target_feature(enable = "avx2")]
pub(super) fn linear(filters: &Filters<'_>, x: &[u8], output: &mut [u8]) {
    let (x, x_rest) = x.as_chunks();
    let x_rest = partial(x_rest);
    for (out, (weight, bias, shift)) in output.iter_mut().zip(filters.rows()) {
        let (w, w_rest) = bytemuck::cast_slice(weight).as_chunks();
        let mut acc = _mm256_setzero_si256();
        for (x, w) in x.iter().zip(w) {
            acc = add_halves(acc, _mm256_maddubs_epi16(load(x), load(w)));
        }
        acc = add_halves(acc, _mm256_maddubs_epi16(x_rest, partial(w_rest)));
        *out = requantize(bias.wrapping_add(sum_lanes(acc)), shift);
    }
}

/// `bias + Σ |a - b| * weight`.
#[target_feature(enable = "avx2")]
pub(super) fn l1_head(op: &L1Head<'_>, a: &[u8], b: &[u8]) -> i32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks(), b.as_chunks());
    let (w, w_rest) = bytemuck::cast_slice(op.weight).as_chunks();
    let mut acc = _mm256_setzero_si256();
    for ((a, b), w) in a.iter().zip(b).zip(w) {
        acc = add_halves(
            acc,
            _mm256_maddubs_epi16(abs_diff(load(a), load(b)), load(w)),
        );
    }
    let rest = abs_diff(partial(a_rest), partial(b_rest));
    acc = add_halves(acc, _mm256_maddubs_epi16(rest, partial(w_rest)));
    op.bias.wrapping_add(sum_lanes(acc))
}

/// `|a - b|` of bytes: one of the differences saturates at 0.
#[inline]
#[target_feature(enable = "avx2")]
fn abs_diff(a: __m256i, b: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a))
}
