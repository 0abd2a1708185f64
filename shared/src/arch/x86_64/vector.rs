//! Vectors of bytes, the sums of a block, and the way from sums to activations, on AVX2.
#![expect(
    unsafe_code,
    reason = "vectors are read through pointers: no check in the inner loop"
)]

use core::arch::x86_64::*;

use super::panel::{GROUP, LANES, Panel, STEP, Step};
use crate::ops::filters::Filters;

/// Pixels of a block: with a panel's two vectors of channels, as many sums as registers hold
/// beside what is multiplied.
pub(super) const PIXELS: usize = 4;

/// 32 bytes as a vector.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the reference is to 32 bytes, and this load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
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

/// The first 16 bytes as half a vector; where there are fewer, zeros behind them.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_half(bytes: &[u8]) -> __m128i {
    match bytes.first_chunk::<16>() {
        // SAFETY: the reference is to 16 bytes, and this load asks for no alignment.
        Some(bytes) => unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) },
        None => _mm256_castsi256_si128(partial(bytes)),
    }
}

/// The four bytes at `x` in every lane.
///
/// # Safety
/// Four bytes may be read at `x`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn broadcast(x: *const u8) -> __m256i {
    // SAFETY: the caller's.
    _mm256_set1_epi32(unsafe { x.cast::<i32>().read_unaligned() })
}

/// A group's steps of the pixel at `x`.
///
/// # Safety
/// 16 bytes may be read at `x`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn group(x: *const u8) -> [__m256i; GROUP] {
    // SAFETY: the caller's.
    unsafe {
        [
            broadcast(x),
            broadcast(x.add(STEP)),
            broadcast(x.add(2 * STEP)),
            broadcast(x.add(3 * STEP)),
        ]
    }
}

/// Writes a statement out for each pixel of a block, so that its sums stay in registers.
macro_rules! each_pixel {
    ($n:ident => $statement:expr) => {
        each_pixel!(@ 0, $n => $statement);
        each_pixel!(@ 1, $n => $statement);
        each_pixel!(@ 2, $n => $statement);
        each_pixel!(@ 3, $n => $statement);
    };
    (@ $pixel:literal, $n:ident => $statement:expr) => {{
        const $n: usize = $pixel;
        $statement;
    }};
}

/// `acc` plus both halves of each lane of `sums`.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn add_halves(acc: __m256i, sums: __m256i) -> __m256i {
    _mm256_add_epi32(acc, _mm256_madd_epi16(sums, _mm256_set1_epi16(1)))
}

/// The sum of all lanes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn sum_lanes(acc: __m256i) -> i32 {
    let lanes: [i32; LANES] = bytemuck::cast(acc);
    lanes.into_iter().fold(0, i32::wrapping_add)
}

/// A block's sums: of each pixel, two vectors of eight channels.
pub(super) type Sums = [[__m256i; 2]; PIXELS];

/// Adds one step of a pixel to its sums.
#[inline]
#[target_feature(enable = "avx2")]
fn add_step(acc: &mut [__m256i; 2], x: __m256i, w: &Step) {
    acc[0] = add_halves(acc[0], _mm256_maddubs_epi16(x, load(&w[0])));
    acc[1] = add_halves(acc[1], _mm256_maddubs_epi16(x, load(&w[1])));
}

/// Adds two steps of a pixel to its sums; exact when they fit 16 bits together.
#[inline]
#[target_feature(enable = "avx2")]
fn add_pair(acc: &mut [__m256i; 2], [x, y]: [__m256i; 2], w: &Step, v: &Step) {
    let pair = |w, v| {
        _mm256_add_epi16(
            _mm256_maddubs_epi16(x, load(w)),
            _mm256_maddubs_epi16(y, load(v)),
        )
    };
    acc[0] = add_halves(acc[0], pair(&w[0], &v[0]));
    acc[1] = add_halves(acc[1], pair(&w[1], &v[1]));
}

/// For each pixel of a block the sums of a panel's channels: rows of `band`, which are `row_len`
/// apart and begin at the pixel's offset, times the rows of the panel.
///
/// Zeros when a pixel reaches out of the band.
#[target_feature(enable = "avx2")]
pub(super) fn sums(
    band: &[u8],
    offsets: [usize; PIXELS],
    row_len: usize,
    panel: &Panel<'_>,
) -> Sums {
    let mut acc = [[_mm256_setzero_si256(); 2]; PIXELS];
    let reach = panel.reach(row_len);
    let inside = |offset: usize| {
        offset
            .checked_add(reach)
            .is_some_and(|end| end <= band.len())
    };
    if !offsets.iter().all(|&offset| inside(offset)) {
        return acc;
    }
    let mut row = band.as_ptr();
    for (steps, fits) in panel.rows() {
        let mut x = row;
        let (groups, rest) = steps.as_chunks::<GROUP>();
        for ([a, b, c, d], fits) in groups.iter().zip(fits) {
            if *fits {
                each_pixel!(N => {
                    // SAFETY: a group's 16 bytes at this pixel lie inside the band: the pixel's
                    // offset and the panel's reach were compared with its length.
                    let [xa, xb, xc, xd] = unsafe { group(x.add(offsets[N])) };
                    add_pair(&mut acc[N], [xa, xb], a, b);
                    add_pair(&mut acc[N], [xc, xd], c, d);
                });
            } else {
                each_pixel!(N => {
                    // SAFETY: as above.
                    let [xa, xb, xc, xd] = unsafe { group(x.add(offsets[N])) };
                    add_step(&mut acc[N], xa, a);
                    add_step(&mut acc[N], xb, b);
                    add_step(&mut acc[N], xc, c);
                    add_step(&mut acc[N], xd, d);
                });
            }
            x = x.wrapping_add(GROUP * STEP);
        }
        for w in rest {
            // SAFETY: as above, for a step's four bytes.
            each_pixel!(N => add_step(&mut acc[N], unsafe { broadcast(x.add(offsets[N])) }, w));
            x = x.wrapping_add(STEP);
        }
        row = row.wrapping_add(row_len);
    }
    acc
}

/// Eight channels' biases and shifts, ready for [`crate::quant::requantize`] in vectors.
#[derive(Clone, Copy)]
struct Lanes {
    bias: __m256i,
    shift: __m256i,
    round: __m256i,
    odd: __m256i,
}

/// Biases and shifts of a panel's channels.
pub(super) struct Requantize([Lanes; 2]);

impl Requantize {
    /// Of the channels from `first` on; of those that are missing, zeros.
    #[target_feature(enable = "avx2")]
    pub(super) fn new(filters: &Filters<'_>, first: usize) -> Self {
        Self([
            Lanes::new(filters, first),
            Lanes::new(filters, first + LANES),
        ])
    }

    /// The activations of a block, `[pixel][channel]`.
    #[target_feature(enable = "avx2")]
    pub(super) fn values(&self, [a, b, c, d]: Sums) -> [[u8; 2 * LANES]; PIXELS] {
        let Self([low, high]) = self;
        // Within either half of a vector, packing keeps what it packs in order.
        let two = |a: [__m256i; 2], b: [__m256i; 2]| {
            let a = _mm256_packs_epi32(low.round_shift(a[0]), high.round_shift(a[1]));
            let b = _mm256_packs_epi32(low.round_shift(b[0]), high.round_shift(b[1]));
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), order)
        };
        bytemuck::cast([two(a, b), two(c, d)])
    }

    /// The activations of one pixel.
    #[target_feature(enable = "avx2")]
    pub(super) fn pixel(&self, acc: [__m256i; 2]) -> [u8; 2 * LANES] {
        let zeros = [_mm256_setzero_si256(); 2];
        let [values, ..] = self.values([acc, zeros, zeros, zeros]);
        values
    }
}

impl Lanes {
    #[target_feature(enable = "avx2")]
    fn new(filters: &Filters<'_>, first: usize) -> Self {
        let (mut bias, mut shift, mut round, mut odd) = ([0; 8], [0; 8], [0; 8], [0; 8]);
        let parameters = filters.bias().iter().zip(filters.shift()).skip(first);
        for (i, (b, &s)) in parameters.take(LANES).enumerate() {
            let s = i32::from(s);
            bias[i] = b;
            shift[i] = s & 31;
            if s > 0 {
                round[i] = 1_i32.wrapping_shl((s - 1).cast_unsigned()).wrapping_sub(1);
                odd[i] = 1;
            }
        }
        Self {
            bias: bytemuck::cast(bias),
            shift: bytemuck::cast(shift),
            round: bytemuck::cast(round),
            odd: bytemuck::cast(odd),
        }
    }

    /// [`crate::quant::round_shift`] of sums and biases, at most 255: what is left to saturate is
    /// below 0 and packing does it.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn round_shift(&self, acc: __m256i) -> __m256i {
        let acc = _mm256_add_epi32(acc, self.bias);
        let odd = _mm256_and_si256(_mm256_srav_epi32(acc, self.shift), self.odd);
        let acc = _mm256_add_epi32(_mm256_add_epi32(acc, self.round), odd);
        _mm256_min_epi32(_mm256_srav_epi32(acc, self.shift), _mm256_set1_epi32(255))
    }
}
