//! Sixteen channels' weights, repacked so that one load feeds eight sums.
//!
//! In: a convolution's weights as they lie in the model file, `[channel][row][taps]`. Out:
//! `[row][step][channel][4]`: for each step of four taps the weights of sixteen channels side by
//! side. Rows that are no multiple of four taps long end in zeros, and so do missing channels.
//!
//! # When two steps fit 16 bits
//!
//! `maddubs` adds two products in 16 bits, which is exact because weights lie in `-64..=64`. The
//! sums of two steps often fit as well, and then one instruction instead of two widens them to 32
//! bits. An input is at most 255, so the sum of both lies between `-255 * N` and `255 * P`, where
//! `P` and `N` add up a lane's positive and negative weights: it fits while neither exceeds 128,
//! because `255 * 128 < 2^15`. This depends on the weights alone: it is found out once a panel
//! and holds for every pixel.

use core::arch::x86_64::*;

use super::vector::{load, partial};

/// Channels of a panel: two vectors of eight 32-bit sums.
pub(super) const CHANNELS: usize = 2 * LANES;

/// 32-bit lanes of a vector.
pub(super) const LANES: usize = 8;

/// Taps that one instruction adds up in a lane.
pub(super) const STEP: usize = 4;

/// Steps that are taken at a time.
pub(super) const GROUP: usize = 4;

/// Groups of a panel whose fit is looked at; none is taken to fit behind them.
const GROUPS: usize = 1024;

/// The most that a lane's positive or negative weights may add up to.
const FITS: i16 = 128;

/// Four weights of each channel.
pub(super) type Step = [[u8; LANES * STEP]; 2];

/// The weights of up to sixteen channels.
pub(super) struct Panel<'a> {
    steps: &'a mut [Step],
    row_taps: usize,
    /// Whether a group's steps fit 16 bits in twos.
    fits: [bool; GROUPS],
}

impl<'a> Panel<'a> {
    /// Steps of a panel with `rows` rows of `row_taps` taps.
    pub(super) const fn steps(rows: usize, row_taps: usize) -> usize {
        rows * row_taps.div_ceil(STEP)
    }

    /// An empty panel of as many rows as fill `steps`.
    pub(super) const fn new(steps: &'a mut [Step], row_taps: usize) -> Self {
        Self {
            steps,
            row_taps,
            fits: [false; GROUPS],
        }
    }

    /// Bytes from a pixel's first to its last, in rows that are `row_len` apart.
    pub(super) fn reach(&self, row_len: usize) -> usize {
        let row_steps = Self::steps(1, self.row_taps).max(1);
        let rows = self.steps.len() / row_steps;
        let last = rows.saturating_sub(1).saturating_mul(row_len);
        last.saturating_add(row_steps * STEP)
    }

    /// Packs the channels whose weights follow each other in `weight`, `taps` each, at most
    /// [`CHANNELS`] of them.
    #[target_feature(enable = "avx2")]
    pub(super) fn pack(&mut self, weight: &[i8], taps: usize) {
        let weight: &[u8] = bytemuck::cast_slice(weight);
        let row_steps = Self::steps(1, self.row_taps).max(1);
        let mut fits = self.fits.chunks_exact_mut((row_steps / GROUP).max(1));
        for (row, steps) in self.steps.chunks_exact_mut(row_steps).enumerate() {
            for half in 0..2 {
                let first = half * LANES * taps + row * self.row_taps;
                let weight = weight.get(first..).unwrap_or(&[]);
                pack_row(steps, half, weight, taps, self.row_taps);
            }
            let (groups, _) = steps.as_chunks();
            for (fits, group) in fits.next().into_iter().flatten().zip(groups) {
                *fits = fit(group);
            }
        }
    }

    /// The steps of each row, and whether its whole groups fit 16 bits in twos.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&[Step], &[bool])> {
        let row_steps = Self::steps(1, self.row_taps).max(1);
        let groups = row_steps / GROUP;
        let rows = self.steps.chunks_exact(row_steps).enumerate();
        rows.map(move |(row, steps)| {
            let fits = self.fits.get(row * groups..(row + 1) * groups);
            (steps, fits.unwrap_or(&[]))
        })
    }
}

/// Packs one row of eight channels, which lie `taps` apart; those that `weight` ends before are
/// zeros.
#[target_feature(enable = "avx2")]
fn pack_row(steps: &mut [Step], half: usize, weight: &[u8], taps: usize, row_taps: usize) {
    let row = |channel: usize| {
        let row = weight.get(channel * taps..).unwrap_or(&[]);
        row.get(..row_taps).unwrap_or(&[]).as_chunks()
    };
    let ((a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)) = (row(0), row(1), row(2), row(3));
    let ((e, e_rest), (f, f_rest), (g, g_rest), (h, h_rest)) = (row(4), row(5), row(6), row(7));
    let mut tiles = steps.chunks_mut(LANES);
    let whole = [a, b, c, d, e, f, g, h];
    for i in 0..row_taps / (LANES * STEP) {
        let row = |channel: &[[u8; LANES * STEP]]| channel.get(i).map_or(zeros(), |row| load(row));
        let [a, b, c, d, e, f, g, h] = whole;
        let rows = [
            row(a),
            row(b),
            row(c),
            row(d),
            row(e),
            row(f),
            row(g),
            row(h),
        ];
        write_tile(tiles.next().unwrap_or(&mut []), half, rows);
    }
    if let Some(tile) = tiles.next() {
        let rows = [
            partial(a_rest),
            partial(b_rest),
            partial(c_rest),
            partial(d_rest),
            partial(e_rest),
            partial(f_rest),
            partial(g_rest),
            partial(h_rest),
        ];
        write_tile(tile, half, rows);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn zeros() -> __m256i {
    _mm256_setzero_si256()
}

/// Writes up to eight steps of eight channels.
#[inline]
#[target_feature(enable = "avx2")]
fn write_tile(tile: &mut [Step], half: usize, rows: [__m256i; LANES]) {
    let packed: [[u8; LANES * STEP]; LANES] = bytemuck::cast(transpose(rows));
    for (step, packed) in tile.iter_mut().zip(packed) {
        step[half] = packed;
    }
}

/// Rows of eight 32-bit values to columns.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose([a, b, c, d, e, f, g, h]: [__m256i; LANES]) -> [__m256i; LANES] {
    // Each of four has, in either half, one column of four rows.
    let columns = |a, b, c, d| {
        let (ab, ab_high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        let (cd, cd_high) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
        (
            _mm256_unpacklo_epi64(ab, cd),
            _mm256_unpackhi_epi64(ab, cd),
            _mm256_unpacklo_epi64(ab_high, cd_high),
            _mm256_unpackhi_epi64(ab_high, cd_high),
        )
    };
    let ((a, b, c, d), (e, f, g, h)) = (columns(a, b, c, d), columns(e, f, g, h));
    let low = |a, b| _mm256_permute2x128_si256::<0x20>(a, b);
    let high = |a, b| _mm256_permute2x128_si256::<0x31>(a, b);
    [
        low(a, e),
        low(b, f),
        low(c, g),
        low(d, h),
        high(a, e),
        high(b, f),
        high(c, g),
        high(d, h),
    ]
}

/// Whether the first two and the last two steps of a group fit 16 bits, in every lane.
#[inline]
#[target_feature(enable = "avx2")]
fn fit([a, b, c, d]: &[Step; GROUP]) -> bool {
    let ones = _mm256_set1_epi8(1);
    let too_large = |a: &[u8; LANES * STEP], b: &[u8; LANES * STEP]| {
        let (a, b) = (load(a), load(b));
        let (a_abs, b_abs) = (_mm256_abs_epi8(a), _mm256_abs_epi8(b));
        // `P - N` and `P + N`; their sum, without the sign, is twice the larger of P and N.
        let signed = _mm256_add_epi16(_mm256_maddubs_epi16(ones, a), _mm256_maddubs_epi16(ones, b));
        let all = _mm256_add_epi16(
            _mm256_maddubs_epi16(a_abs, ones),
            _mm256_maddubs_epi16(b_abs, ones),
        );
        let twice = _mm256_add_epi16(_mm256_abs_epi16(signed), all);
        _mm256_cmpgt_epi16(twice, _mm256_set1_epi16(2 * FITS))
    };
    let first = _mm256_or_si256(too_large(&a[0], &b[0]), too_large(&a[1], &b[1]));
    let last = _mm256_or_si256(too_large(&c[0], &d[0]), too_large(&c[1], &d[1]));
    let any = _mm256_or_si256(first, last);
    _mm256_testz_si256(any, any) != 0
}
