//! Eight channels' weights, repacked so that one load feeds eight sums.
//!
//! In: a convolution's weights as they lie in the model file, `[channel][row][taps]`. Out:
//! `[row][step][channel][4]`: for each step of four taps the weights of eight channels side by
//! side. Rows that are no multiple of four taps long end in zeros, and so do missing channels.
//!
//! # How many products fit 16 bits
//!
//! `maddubs` adds two products in 16 bits, which is exact because weights lie in `-64..=64`. Where
//! a lane's weights are small enough, the sums of two or four steps still fit: an input is at most
//! 255, so a sum stays within `255 * P` and `-255 * N`, where `P` and `N` add up the positive and
//! the negative weights. Both fit while neither exceeds 128: `255 * 128 < 2^15`. Then one
//! instruction widens two or four steps to 32 bits instead of one. This depends on the weights
//! alone, so it is found out once for each panel and holds for every pixel.

use core::arch::x86_64::*;

use super::vector::{load, partial};

/// Channels of a panel: the 32-bit lanes of a vector.
pub(super) const CHANNELS: usize = 8;

/// Taps that one instruction adds up in a lane.
pub(super) const STEP: usize = 4;

/// Steps whose sums are looked at together.
pub(super) const GROUP: usize = 4;

/// Groups of a panel that are looked at; those after them are [`Fit::Step`].
const GROUPS: usize = 512;

/// The most that a lane's positive or negative weights may add up to.
const FITS: i16 = 128;

/// How many steps of a group add up within 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// One, always.
    Step,
    /// Two and two.
    Pair,
    /// All four.
    Group,
}

/// Four weights of each of eight channels.
pub(super) type Step = [u8; CHANNELS * STEP];

/// The weights of up to eight channels.
pub(super) struct Panel<'a> {
    steps: &'a mut [Step],
    row_taps: usize,
    fits: [Fit; GROUPS],
}

impl<'a> Panel<'a> {
    /// Steps of a panel with `rows` rows of `row_taps` taps.
    pub(super) const fn steps(rows: usize, row_taps: usize) -> usize {
        rows * row_taps.div_ceil(STEP)
    }

    /// An empty panel of [`Self::steps`] steps.
    pub(super) const fn new(steps: &'a mut [Step], row_taps: usize) -> Self {
        Self {
            steps,
            row_taps,
            fits: [Fit::Step; GROUPS],
        }
    }

    /// Packs the channels whose weights follow each other in `weight`, `taps` each, at most
    /// [`CHANNELS`] of them. Looks how sums fit only where that pays.
    #[target_feature(enable = "avx2")]
    pub(super) fn pack(&mut self, weight: &[i8], taps: usize, look: bool) {
        let (row_taps, row_steps) = (self.row_taps, Self::steps(1, self.row_taps).max(1));
        let mut fits = self.fits.chunks_exact_mut((row_steps / GROUP).max(1));
        for (row, steps) in self.steps.chunks_exact_mut(row_steps).enumerate() {
            let channel = |channel: usize| {
                let first = channel * taps + row * row_taps;
                let row = weight.get(first..first + row_taps).unwrap_or(&[]);
                bytemuck::cast_slice(row)
            };
            pack_row(steps, core::array::from_fn(channel));
            if look && let Some(fits) = fits.next() {
                for (fit, group) in fits.iter_mut().zip(steps.as_chunks().0) {
                    *fit = fit_of(group);
                }
            }
        }
    }

    /// The steps of each row and how its whole groups fit.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&[Step], &[Fit])> {
        let row_steps = Self::steps(1, self.row_taps).max(1);
        let groups = row_steps / GROUP;
        let rows = self.steps.chunks_exact(row_steps).enumerate();
        rows.map(move |(row, steps)| {
            let fits = self.fits.get(row * groups..(row + 1) * groups);
            (steps, fits.unwrap_or(&[]))
        })
    }
}

/// Packs one row of eight channels; a missing channel is an empty slice.
#[target_feature(enable = "avx2")]
fn pack_row(steps: &mut [Step], channels: [&[u8]; CHANNELS]) {
    let [a, b, c, d, e, f, g, h] = channels;
    for (i, tile) in steps.chunks_mut(CHANNELS).enumerate() {
        let first = i * CHANNELS * STEP;
        let row = |channel: &[u8]| {
            let row = channel.get(first..).unwrap_or(&[]);
            match row.first_chunk() {
                Some(whole) => load(whole),
                None => partial(row),
            }
        };
        let rows = [row(a), row(b), row(c), row(d), row(e), row(f), row(g), row(h)];
        let packed: [Step; CHANNELS] = bytemuck::cast(transpose(rows));
        match tile.as_mut_array::<CHANNELS>() {
            Some(tile) => *tile = packed,
            None => tile.iter_mut().zip(packed).for_each(|(to, from)| *to = from),
        }
    }
}

/// Rows of eight 32-bit values to columns.
#[target_feature(enable = "avx2")]
fn transpose([a, b, c, d, e, f, g, h]: [__m256i; 8]) -> [__m256i; 8] {
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

/// How many steps of this group add up within 16 bits, in the lane where fewest do.
#[target_feature(enable = "avx2")]
fn fit_of([a, b, c, d]: &[Step; GROUP]) -> Fit {
    // Per lane of 16 bits, two weights of a step: `P - N` and `P + N`.
    let sums = |step: &Step| {
        let (w, ones) = (load(step), _mm256_set1_epi8(1));
        let signed = _mm256_maddubs_epi16(ones, w);
        (signed, _mm256_maddubs_epi16(_mm256_abs_epi8(w), ones))
    };
    let plus = |a: (__m256i, __m256i), b: (__m256i, __m256i)| {
        (_mm256_add_epi16(a.0, b.0), _mm256_add_epi16(a.1, b.1))
    };
    // Twice the larger of P and N is `P + N + |P - N|`.
    let too_large = |(signed, all): (__m256i, __m256i)| {
        let twice = _mm256_add_epi16(_mm256_abs_epi16(signed), all);
        _mm256_cmpgt_epi16(twice, _mm256_set1_epi16(2 * FITS))
    };
    let none = |mask: __m256i| _mm256_testz_si256(mask, mask) != 0;
    let (ab, cd) = (plus(sums(a), sums(b)), plus(sums(c), sums(d)));
    if none(too_large(plus(ab, cd))) {
        Fit::Group
    } else if none(_mm256_or_si256(too_large(ab), too_large(cd))) {
        Fit::Pair
    } else {
        Fit::Step
    }
}
