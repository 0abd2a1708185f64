//! Any 8-bit grey image to the network's input, in integers.
//!
//! In: ink `[h][w]`, 255 = full ink, 0 = paper, and a [`Framing`]: the whole picture, or a square around
//! its mark. Out: that part of the picture at the network's size, each output pixel the area-weighted
//! mean of the input pixels under it, rounded to nearest.

use crate::shape::{Hwc, ShapeError};

mod mark;

pub use mark::{MARK, REACH_PERCENT, SPREAD_PERCENT, Square};

/// Largest extent of an input image: keeps every weighted sum inside `u32`.
pub const MAX_EXTENT: usize = 4096;

/// Which part of a picture becomes the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Framing {
    /// All of it, its sides squeezed to the input's: a mark keeps its place and its size, as in Lake's
    /// and Koch's protocol.
    Picture = 1,
    /// [`Square::around_mark`]: a mark is always in the middle, and equally large.
    Mark = 2,
}

impl Framing {
    /// Resamples the framed part of ink `[h][w]`.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when a buffer does not hold its shape or a shape is empty, has more than
    /// one channel or an extent above [`MAX_EXTENT`].
    pub fn resample(
        self,
        source: &[u8],
        from: Hwc,
        target: &mut [u8],
        to: Hwc,
    ) -> Result<(), ShapeError> {
        check(source, from)?;
        check(target, to)?;
        match self {
            Self::Picture => squeeze(source, from, target, to),
            Self::Mark => {
                let square = Square::around_mark(source, from);
                square.resample(source, from, target, to);
            }
        }
        Ok(())
    }
}

fn check(pixels: &[u8], shape: Hwc) -> Result<(), ShapeError> {
    shape.check(pixels.len())?;
    if shape.is_empty() || shape.c != 1 || shape.h.max(shape.w) > MAX_EXTENT {
        return Err(ShapeError::Length {
            expected: MAX_EXTENT,
            got: shape.len(),
        });
    }
    Ok(())
}

/// Area-averaging resample of `[h][w]` ink from one size to another.
///
/// # Errors
/// As [`Framing::resample`].
pub fn resample_area(
    source: &[u8],
    from: Hwc,
    target: &mut [u8],
    to: Hwc,
) -> Result<(), ShapeError> {
    Framing::Picture.resample(source, from, target, to)
}

/// The whole picture, both shapes checked.
fn squeeze(source: &[u8], from: Hwc, target: &mut [u8], to: Hwc) {
    // In units of 1/to.h (1/to.w) of an input pixel, an input pixel is `to` wide and an output
    // pixel `from` wide: every overlap is an integer and an output pixel's weights sum to `area`.
    let area = from.h as u64 * from.w as u64;
    for (y, row) in target.chunks_exact_mut(to.w.max(1)).enumerate() {
        for (x, out) in row.iter_mut().enumerate() {
            let mut sum = 0_u64;
            for (i_y, weight_y) in overlaps(y, from.h, to.h) {
                for (i_x, weight_x) in overlaps(x, from.w, to.w) {
                    let ink = source.get(i_y * from.w + i_x).copied().unwrap_or(0);
                    sum += weight_y * weight_x * u64::from(ink);
                }
            }
            // At most 255: the weights sum to `area`.
            *out = (sum + area / 2).checked_div(area).unwrap_or(0) as u8;
        }
    }
}

/// Input indices under output `out` of an axis, each with its overlap in units of `1/to`.
fn overlaps(out: usize, from: usize, to: usize) -> impl Iterator<Item = (usize, u64)> {
    let (start, end) = (out * from, (out + 1) * from);
    let first = start.checked_div(to).unwrap_or(0);
    let last = end.div_ceil(to.max(1));
    (first..last).map(move |index| {
        let overlap = end.min((index + 1) * to) - start.max(index * to);
        (index, overlap as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resample(source: &[u8], from: Hwc, to: Hwc) -> Vec<u8> {
        let mut target = vec![0xa5; to.len()];
        resample_area(source, from, &mut target, to).unwrap();
        target
    }

    proptest! {
        #[test]
        fn flat_stays_flat(ink: u8, h in 1..20_usize, w in 1..20_usize, th in 1..20_usize, tw in 1..20_usize) {
            let (from, to) = (Hwc::new(h, w, 1), Hwc::new(th, tw, 1));
            prop_assert_eq!(resample(&vec![ink; from.len()], from, to), vec![ink; to.len()]);
        }

        #[test]
        fn same_size_is_identity(source in prop::collection::vec(any::<u8>(), 35)) {
            let shape = Hwc::new(5, 7, 1);
            prop_assert_eq!(resample(&source, shape, shape), source);
        }

        /// Blowing up by whole factors and shrinking back loses nothing.
        #[test]
        fn integer_factor_round_trip(source in prop::collection::vec(any::<u8>(), 12)) {
            let (small, large) = (Hwc::new(3, 4, 1), Hwc::new(9, 8, 1));
            prop_assert_eq!(resample(&resample(&source, small, large), large, small), source);
        }
    }

    #[test]
    fn weights_follow_the_overlap() {
        // Three pixels to two: each output is one whole pixel and half of the middle one.
        let out = resample(&[90, 30, 0], Hwc::new(1, 3, 1), Hwc::new(1, 2, 1));
        assert_eq!(out, [70, 10]);
    }
}
