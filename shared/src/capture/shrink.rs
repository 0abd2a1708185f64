//! A camera's frame that is larger than a picture may be, made smaller while its rows come.
//!
//! In: rows of grey values. Out: a picture `[h][w]`, each pixel the mean of a square of the frame's. Needs
//! room for one row of the picture, never for the frame.

use crate::shape::Hwc;

/// Most columns of a picture that is made smaller.
pub const MAX_SHRUNK_WIDTH: usize = 256;
/// Longest side of a square: the sum over it fits 16 bits.
const MAX_FACTOR: usize = 16;

/// Makes a frame smaller.
#[derive(Debug)]
pub struct Shrink<'b> {
    frame: Hwc,
    /// Side of the square that becomes a pixel.
    factor: usize,
    picture: &'b mut [u8],
    /// Rows that came.
    rows: usize,
    /// Over the rows that become the next row of the picture.
    sums: [u16; MAX_SHRUNK_WIDTH],
}

impl<'b> Shrink<'b> {
    /// Takes frames `[h][w][1]`; the picture becomes the start of `buffer`, and as large as fits there.
    ///
    /// `None` for a frame without pixels, or one that is larger than any square makes fit.
    pub fn new(frame: Hwc, buffer: &'b mut [u8]) -> Option<Self> {
        let fits = |factor: &usize| {
            let size = shrunk(frame, *factor);
            let narrow = *factor == 1 || size.w <= MAX_SHRUNK_WIDTH;
            narrow && !size.is_empty() && size.len() <= buffer.len()
        };
        let factor = (1..=MAX_FACTOR).find(fits)?;
        let picture = buffer.get_mut(..shrunk(frame, factor).len())?;
        Some(Self {
            frame,
            factor,
            picture,
            rows: 0,
            sums: [0; MAX_SHRUNK_WIDTH],
        })
    }

    /// Shape of the picture, `[h][w][1]`.
    #[must_use]
    pub fn shape(&self) -> Hwc {
        shrunk(self.frame, self.factor)
    }

    /// Takes the next row; what is missing of it counts as black, and so do rows that never come. Rows
    /// beyond the frame's last change nothing.
    pub fn push(&mut self, row: &[u8]) {
        let w = self.shape().w;
        let line = self.rows.checked_div(self.factor).unwrap_or(0);
        let place = self.picture.chunks_exact_mut(w.max(1)).nth(line);
        self.rows = self.rows.saturating_add(1);
        let Some(place) = place else {
            return;
        };
        if self.factor == 1 {
            for (place, grey) in place.iter_mut().zip(row) {
                *place = *grey;
            }
            return;
        }
        for (sum, greys) in self
            .sums
            .iter_mut()
            .zip(row.chunks_exact(self.factor.max(1)))
        {
            *sum += greys.iter().map(|&grey| u16::from(grey)).sum::<u16>();
        }
        if !self.rows.is_multiple_of(self.factor) {
            return;
        }
        let area = (self.factor * self.factor) as u32;
        for (place, sum) in place.iter_mut().zip(&mut self.sums) {
            *place = (u32::from(*sum) + area / 2).checked_div(area).unwrap_or(0) as u8;
        }
        self.sums = [0; MAX_SHRUNK_WIDTH];
    }

    /// The picture.
    #[must_use]
    pub fn finish(self) -> &'b [u8] {
        self.picture
    }
}

/// A frame whose squares of so many pixels became one; what is no whole square at its end is left out.
fn shrunk(frame: Hwc, factor: usize) -> Hwc {
    let part = |extent: usize| extent.checked_div(factor).unwrap_or(0);
    Hwc::new(part(frame.h), part(frame.w), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shrink(frame: &[u8], shape: Hwc, room: usize) -> Option<(Hwc, Vec<u8>)> {
        let mut buffer = vec![0xa5; room];
        let mut shrink = Shrink::new(shape, &mut buffer)?;
        frame.chunks(shape.w).for_each(|row| shrink.push(row));
        Some((shrink.shape(), shrink.finish().to_vec()))
    }

    #[test]
    fn the_least_factor_that_fits() {
        let size = |h, w| {
            let shape = Hwc::new(h, w, 1);
            shrink(&vec![7; shape.len()], shape, 128 * 128).map(|(shape, _)| (shape.h, shape.w))
        };
        assert_eq!(size(128, 128), Some((128, 128)));
        assert_eq!(size(120, 160), Some((60, 80)));
        assert_eq!(size(240, 320), Some((80, 106)));
        assert_eq!(size(480, 640), Some((96, 128)));
        assert_eq!(size(1, 16_384), Some((1, 16_384)));
        assert_eq!(size(0, 5), None);
        assert_eq!(size(4096, 4096), None);
    }

    proptest! {
        /// As the mean of every square, worked out apart.
        #[test]
        fn means_of_squares(h in 1..40_usize, w in 1..40_usize, room in 1..400_usize, seed: u64) {
            let shape = Hwc::new(h, w, 1);
            let mut state = seed | 1;
            let frame: Vec<u8> = (0..shape.len()).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            }).collect();
            let Some((to, picture)) = shrink(&frame, shape, room) else {
                return Ok(());
            };
            prop_assert!(to.len() <= room);
            let least = |n: &usize| (h / n) * (w / n) <= room;
            let factor = (1..=MAX_FACTOR).find(least).unwrap();
            for (at, &got) in picture.iter().enumerate() {
                let (y, x) = (at / to.w * factor, at % to.w * factor);
                let square = (y..y + factor).flat_map(|y| frame[y * w + x..][..factor].iter());
                let sum: u32 = square.map(|&grey| u32::from(grey)).sum();
                let area = (factor * factor) as u32;
                prop_assert_eq!(u32::from(got), (sum + area / 2) / area);
            }
        }
    }
}
