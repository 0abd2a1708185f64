//! Depthwise convolution on AVX2: sixteen channels at a time, two taps of the window at a time.

use core::arch::x86_64::*;

use super::panel::LANES;
use super::vector::{Requantize, load_half};
use crate::ops::depthwise_conv2d::DepthwiseConv2d;

/// Channels of a block.
const CHANNELS: usize = 2 * LANES;

/// Blocks of channels, so that biases and shifts stay in registers.
#[target_feature(enable = "avx2")]
pub(super) fn depthwise_conv2d(op: &DepthwiseConv2d<'_>, input: &[u8], output: &mut [u8]) {
    let (window, shape, out_shape) = (op.window(), op.input(), op.output());
    let filters = op.kernel_filters();
    let weight: &[u8] = bytemuck::cast_slice(filters.weight());
    for first in (0..shape.c).step_by(CHANNELS) {
        let requantize = Requantize::new(filters, first);
        for (y, out_row) in output
            .chunks_exact_mut((out_shape.w * shape.c).max(1))
            .enumerate()
        {
            let ys = window.span(y, shape.h);
            for (x, out) in out_row.chunks_exact_mut(shape.c).enumerate() {
                let xs = window.span(x, shape.w);
                let mut acc = [_mm256_setzero_si256(); 2];
                for k_y in 0..ys.count {
                    let at = ((ys.first + k_y) * shape.w + xs.first) * shape.c + first;
                    let w_at = ((ys.tap + k_y) * window.kernel + xs.tap) * shape.c + first;
                    let x = input.get(at..).unwrap_or(&[]);
                    let w = weight.get(w_at..).unwrap_or(&[]);
                    add_row(&mut acc, x, w, shape.c, xs.count);
                }
                let values = requantize.pixel(acc);
                for (out, value) in out.iter_mut().skip(first).zip(values) {
                    *out = value;
                }
            }
        }
    }
}

/// Adds a row of `count` taps, `c` apart.
#[inline]
#[target_feature(enable = "avx2")]
fn add_row(acc: &mut [__m256i; 2], x: &[u8], w: &[u8], c: usize, count: usize) {
    // Behind the block's last channel may follow others: those lanes are not kept.
    let product = |tap: usize| {
        let x = _mm256_cvtepu8_epi16(load_half(x.get(tap * c..).unwrap_or(&[])));
        let w = _mm256_cvtepi8_epi16(load_half(w.get(tap * c..).unwrap_or(&[])));
        _mm256_mullo_epi16(x, w)
    };
    let mut add = |sums: __m256i| {
        let (low, high) = (
            _mm256_castsi256_si128(sums),
            _mm256_extracti128_si256::<1>(sums),
        );
        acc[0] = _mm256_add_epi32(acc[0], _mm256_cvtepi16_epi32(low));
        acc[1] = _mm256_add_epi32(acc[1], _mm256_cvtepi16_epi32(high));
    };
    // Two products fit 16 bits: `2 * 255 * 64 < 2^15`.
    for tap in (0..count / 2).map(|pair| 2 * pair) {
        add(_mm256_add_epi16(product(tap), product(tap + 1)));
    }
    if count % 2 == 1 {
        add(product(count - 1));
    }
}
