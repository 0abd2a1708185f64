//! Vectors of bytes, the sums of a block, and the way from sums to activations, on AVX2.

use core::arch::x86_64::*;

use super::panel::{Fit, GROUP, Panel, STEP};
use crate::ops::filters::Filters;

/// Pixels of a block: as many sums as there are registers for, beside weights and inputs.
pub(super) const PIXELS: usize = 8;

/// 32 bytes as a vector.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load(bytes: &[u8; 32]) -> __m256i {
    let (words, _) = bytes.as_chunks::<8>();
    let word = |i: usize| words.get(i).map_or(0, |word| i64::from_ne_bytes(*word));
    _mm256_setr_epi64x(word(0), word(1), word(2), word(3))
}

/// Up to 32 bytes as a vector, zeros behind them.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn partial(bytes: &[u8]) -> __m256i {
    let mut padded = [0; 32];
    for (to, from) in padded.iter_mut().zip(bytes) {
        *to = *from;
    }
    load(&padded)
}

/// `Σ x * w` of two neighbours in 16 bits, the same four `x` for every lane of 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn products(x: &[u8; STEP], w: __m256i) -> __m256i {
    _mm256_maddubs_epi16(_mm256_set1_epi32(i32::from_ne_bytes(*x)), w)
}

/// `acc` plus both halves of each lane of `sums`.
#[inline]
#[target_feature(enable = "avx2")]
fn add_halves(acc: __m256i, sums: __m256i) -> __m256i {
    _mm256_add_epi32(acc, _mm256_madd_epi16(sums, _mm256_set1_epi16(1)))
}

/// `acc` plus a group of a pixel's steps times the panel's; exact when the weights have this fit.
#[inline]
#[target_feature(enable = "avx2")]
fn dot(acc: __m256i, [a, b, c, d]: &[[u8; STEP]; GROUP], w: [__m256i; GROUP], fit: Fit) -> __m256i {
    let (a, b) = (products(a, w[0]), products(b, w[1]));
    let (c, d) = (products(c, w[2]), products(d, w[3]));
    match fit {
        Fit::Step => add_halves(add_halves(add_halves(add_halves(acc, a), b), c), d),
        Fit::Pair => {
            let acc = add_halves(acc, _mm256_add_epi16(a, b));
            add_halves(acc, _mm256_add_epi16(c, d))
        }
        Fit::Group => {
            let sums = _mm256_add_epi16(_mm256_add_epi16(a, b), _mm256_add_epi16(c, d));
            add_halves(acc, sums)
        }
    }
}

/// Writes a statement out for each pixel of a block, so that its sum stays in a register.
macro_rules! each_pixel {
    ($n:ident => $statement:expr) => {
        each_pixel!(@ $n => $statement; 0);
        each_pixel!(@ $n => $statement; 1);
        each_pixel!(@ $n => $statement; 2);
        each_pixel!(@ $n => $statement; 3);
        each_pixel!(@ $n => $statement; 4);
        each_pixel!(@ $n => $statement; 5);
        each_pixel!(@ $n => $statement; 6);
        each_pixel!(@ $n => $statement; 7);
    };
    (@ $n:ident => $statement:expr; $pixel:literal) => {{
        const $n: usize = $pixel;
        $statement;
    }};
}

/// For each of eight pixels the sums of eight channels: rows of `band`, which are `row_len` apart
/// and begin at the pixel's offset, times the rows of the panel.
#[target_feature(enable = "avx2")]
pub(super) fn sums(
    band: &[u8],
    offsets: [usize; PIXELS],
    row_len: usize,
    panel: &Panel<'_>,
) -> [__m256i; PIXELS] {
    let mut acc = [_mm256_setzero_si256(); PIXELS];
    let mut x: [&[[u8; STEP]]; PIXELS] = [&[]; PIXELS];
    for (row, (w, fits)) in panel.rows().enumerate() {
        let first = row.wrapping_mul(row_len);
        let steps = w.len();
        each_pixel!(N => {
            let x_n = band.get(offsets[N].wrapping_add(first)..).unwrap_or(&[]);
            x[N] = match x_n.as_chunks().0.get(..steps) {
                Some(x_n) => x_n,
                None => return acc,
            }
        });
        let (w, w_rest) = w.as_chunks::<GROUP>();
        let groups = steps / GROUP;
        for (i, (w, fit)) in w.iter().zip(fits).enumerate() {
            let w = [load(&w[0]), load(&w[1]), load(&w[2]), load(&w[3])];
            match fit {
                Fit::Step => {
                    each_pixel!(N => acc[N] = dot(acc[N], &x[N].as_chunks().0[i], w, Fit::Step));
                }
                Fit::Pair => {
                    each_pixel!(N => acc[N] = dot(acc[N], &x[N].as_chunks().0[i], w, Fit::Pair));
                }
                Fit::Group => {
                    each_pixel!(N => acc[N] = dot(acc[N], &x[N].as_chunks().0[i], w, Fit::Group));
                }
            }
        }
        for (i, w) in w_rest.iter().enumerate() {
            let w = load(w);
            each_pixel!(N => acc[N] = add_halves(acc[N], products(&x[N][groups * GROUP + i], w)));
        }
    }
    acc
}

/// Eight channels' biases and shifts, ready for [`crate::quant::requantize`] in vectors.
pub(super) struct Requantize {
    bias: __m256i,
    shift: __m256i,
    round: __m256i,
    odd: __m256i,
}

impl Requantize {
    /// Of the channels from `first` on; zeros where there are fewer than eight.
    #[target_feature(enable = "avx2")]
    pub(super) fn new(filters: &Filters<'_>, first: usize) -> Self {
        let (mut bias, mut shift, mut round, mut odd) = ([0; 8], [0; 8], [0; 8], [0; 8]);
        let parameters = filters.bias().iter().zip(filters.shift()).skip(first);
        for (i, (b, &s)) in parameters.take(8).enumerate() {
            let s = i32::from(s);
            bias[i] = b;
            shift[i] = s & 31;
            if s > 0 {
                round[i] = 1_i32.wrapping_shl((s - 1) as u32).wrapping_sub(1);
                odd[i] = 1;
            }
        }
        let vector = |v: [i32; 8]| bytemuck::cast(v);
        Self { bias: vector(bias), shift: vector(shift), round: vector(round), odd: vector(odd) }
    }

    /// The activations of eight pixels.
    #[target_feature(enable = "avx2")]
    pub(super) fn values(&self, acc: [__m256i; PIXELS]) -> [[u8; 8]; PIXELS] {
        let most = _mm256_set1_epi32(255);
        let [a, b, c, d, e, f, g, h] = acc;
        let r = |acc| {
            let acc = _mm256_add_epi32(acc, self.bias);
            let odd = _mm256_and_si256(_mm256_srav_epi32(acc, self.shift), self.odd);
            let acc = _mm256_add_epi32(_mm256_add_epi32(acc, self.round), odd);
            _mm256_min_epi32(_mm256_srav_epi32(acc, self.shift), most)
        };
        let four = |a, b, c, d| {
            let bytes = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
            _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
        };
        bytemuck::cast([four(r(a), r(b), r(c), r(d)), four(r(e), r(f), r(g), r(h))])
    }
}
