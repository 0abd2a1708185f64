//! Where the mark is: a square around it, by the mean and the spread of its ink.
//!
//! In: ink `[h][w]` with one mark. Out: a [`Square`], and the picture under it at another size. Mean and
//! spread (moment normalization; Casey 1970) move less than the edges of the mark when a stroke runs out
//! or a speck lies beside it. What lies outside of the picture is paper.

use crate::shape::Hwc;

/// Parts of a pixel: the unit of a position.
const PART: u64 = 256;
/// Ink that is as much as this is part of the mark.
pub const MARK: u8 = 128;
/// The mark's spread, the root of its mean squared distance from its middle, in percent of the square's
/// side: a circle's line would have a radius of so much.
pub const SPREAD_PERCENT: u64 = 26;
/// The most that the mark reaches from its middle, up, down or to a side, in percent of the square's side.
pub const REACH_PERCENT: u64 = 48;

/// A square part of a picture, in 1/256 of a pixel; parts of it may lie outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Square {
    /// Row of its middle.
    middle_y: i64,
    /// Column of its middle.
    middle_x: i64,
    side: u64,
}

/// Sums over the mark's pixels. Places are middles of pixels in half pixels from the picture's middle, so
/// that no sum of a picture of [`MAX_EXTENT`](super::MAX_EXTENT) is too large.
#[derive(Default)]
struct Sums {
    count: i64,
    y: i64,
    x: i64,
    squares: i64,
    /// Largest distance from the picture's middle: up, down, left, right.
    reach: [i64; 4],
}

impl Sums {
    fn of(picture: &[u8], shape: Hwc) -> Self {
        let mut sums = Self {
            reach: [i64::MIN; 4],
            ..Self::default()
        };
        let place = |at: usize, extent: usize| 2 * at as i64 + 1 - extent as i64;
        for (y, row) in picture.chunks_exact(shape.w.max(1)).enumerate() {
            for (x, &ink) in row.iter().enumerate() {
                if ink >= MARK {
                    sums.add(place(y, shape.h), place(x, shape.w));
                }
            }
        }
        sums
    }

    fn add(&mut self, y: i64, x: i64) {
        self.count += 1;
        self.y += y;
        self.x += x;
        self.squares += y * y + x * x;
        for (reach, place) in self.reach.iter_mut().zip([-y, y, -x, x]) {
            *reach = place.max(*reach);
        }
    }
}

impl Square {
    /// The square around the mark of a picture; around the whole
    /// picture where there is no mark.
    #[must_use]
    pub fn around_mark(picture: &[u8], shape: Hwc) -> Self {
        let (h, w) = (shape.h as u64, shape.w as u64);
        let (middle_y, middle_x) = ((h * PART / 2) as i64, (w * PART / 2) as i64);
        let around_all = Self {
            middle_y,
            middle_x,
            side: h.max(w) * PART,
        };
        let sums = Sums::of(picture, shape);
        let Some(([y, x], side)) = place(&sums) else {
            return around_all;
        };
        Self {
            middle_y: middle_y + y,
            middle_x: middle_x + x,
            side,
        }
    }

    /// The part of a picture under the square at the size of `to`: each output pixel is the mean of what
    /// lies under it, or of an area of one pixel where the picture grows.
    ///
    /// `source` and `target` hold their shapes; what is missing counts as paper.
    pub fn resample(&self, source: &[u8], from: Hwc, target: &mut [u8], to: Hwc) {
        let rows = Axis::new(self.middle_y, self.side, from.h, to.h);
        let columns = Axis::new(self.middle_x, self.side, from.w, to.w);
        let area = rows.width * columns.width;
        for (y, row) in target.chunks_exact_mut(to.w.max(1)).enumerate() {
            let lines = rows.under(y);
            for (x, out) in row.iter_mut().enumerate() {
                let places = columns.under(x);
                let mut sum = 0_u64;
                for line in lines.indices() {
                    let start = line * from.w;
                    let under = source.get(start + places.first..start + places.end);
                    let inks = under.unwrap_or(&[]).iter().zip(places.indices());
                    // At most 2^13 pixels of 2^8 parts of ink up to 255.
                    let inks = inks.map(|(&ink, place)| places.overlap(place) * u32::from(ink));
                    sum += u64::from(inks.sum::<u32>()) * u64::from(lines.overlap(line));
                }
                // At most 255: the weights sum to no more than `area`.
                *out = (sum + area / 2).checked_div(area).unwrap_or(0) as u8;
            }
        }
    }
}

/// The middle, from the picture's middle, and the side of the square around a mark; `None` without one.
fn place(sums: &Sums) -> Option<([i64; 2], u64)> {
    let part = PART as i64;
    // In 1/256 of 1/256 of a pixel: the square of a rounded mean is subtracted from a large number.
    let mean = |sum: i64| (sum * (part * part / 2)).checked_div_euclid(sums.count);
    let (y, x) = (mean(sums.y)?, mean(sums.x)?);
    let mean_square = (sums.squares * (part * part / 4)).checked_div(sums.count)?;
    let variance = mean_square - (y * y + x * x) / (part * part);
    // A pixel is not a point; counting as one keeps a dot from filling the square.
    let spread = (variance.max(0) as u64 + PART * PART).isqrt();
    let (y, x) = (y.div_euclid(part), x.div_euclid(part));
    let reach = sums.reach.iter().zip([-y, y, -x, x]);
    let reach = reach.map(|(&most, middle)| (most + 1) * (part / 2) - middle);
    let reach = reach.max().unwrap_or(0).max(0) as u64;
    let side = (spread * 100 / SPREAD_PERCENT).max(reach * 100 / REACH_PERCENT);
    Some(([y, x], side))
}

/// How an axis of the picture becomes one of the output, in 1/256 of an input pixel.
struct Axis {
    /// Start of the square.
    start: i64,
    side: u64,
    /// What an output pixel is the mean of.
    width: u64,
    /// Input pixels.
    from: u64,
    /// Output pixels.
    to: u64,
}

impl Axis {
    fn new(middle: i64, side: u64, from: usize, to: usize) -> Self {
        let (from, to) = (from as u64, to as u64);
        Self {
            start: middle - (side / 2) as i64,
            side,
            width: side.checked_div(to).unwrap_or(0).max(PART),
            from,
            to,
        }
    }

    /// What lies under output `out`.
    fn under(&self, out: usize) -> Span {
        let middle = ((2 * out as u64 + 1) * self.side)
            .checked_div(2 * self.to)
            .unwrap_or(0);
        let start = self.start + middle as i64 - (self.width / 2) as i64;
        let end = start.saturating_add(self.width as i64).max(0) as u64;
        let start = start.max(0) as u64;
        let first = start / PART;
        Span {
            first: first as usize,
            end: end.div_ceil(PART).min(self.from).max(first) as usize,
            parts: [start as u32, end as u32],
        }
    }
}

/// A row of input pixels, the first and the last of them in part.
struct Span {
    first: usize,
    /// Behind the last.
    end: usize,
    /// Start and end in 1/256 of a pixel.
    parts: [u32; 2],
}

impl Span {
    fn indices(&self) -> core::ops::Range<usize> {
        self.first..self.end
    }

    /// Parts of a pixel of the span that belong to it.
    fn overlap(&self, index: usize) -> u32 {
        let [start, end] = self.parts;
        let (pixel, part) = (index as u32 * PART as u32, PART as u32);
        end.min(pixel + part).saturating_sub(start.max(pixel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Framing;
    use proptest::prelude::*;

    const FROM: Hwc = Hwc::new(40, 60, 1);
    const TO: Hwc = Hwc::new(24, 24, 1);

    /// A picture `of` with a mark of three strokes, `size` long, whose corner is at `(y, x)`.
    fn picture(of: Hwc, [y, x]: [usize; 2], size: usize) -> Vec<u8> {
        let mut picture = vec![0; of.len()];
        for i in 0..size {
            for at in [(i, 0), (0, i), (i / 2, i)] {
                picture[(y + at.0) * of.w + x + at.1] = 255;
            }
        }
        picture
    }

    fn framed(picture: &[u8], from: Hwc) -> Vec<u8> {
        let mut out = vec![0xa5; TO.len()];
        Framing::Mark.resample(picture, from, &mut out, TO).unwrap();
        out
    }

    #[test]
    fn a_mark_is_the_same_wherever_it_lies() {
        let first = framed(&picture(FROM, [2, 3], 20), FROM);
        assert!(first.iter().any(|&ink| ink > 200));
        let same = |other: &[u8]| {
            let mut pairs = first.iter().zip(other);
            // Roundings of a square's place move it by 1/256 of a pixel.
            pairs.all(|(a, b)| a.abs_diff(*b) <= 3)
        };
        for at in [[2, 38], [18, 3], [11, 20]] {
            assert!(same(&framed(&picture(FROM, at, 20), FROM)), "{at:?}");
        }
        // Nor does it matter how much paper lies around it.
        let wide = Hwc::new(90, 128, 1);
        assert!(same(&framed(&picture(wide, [50, 70], 20), wide)));
    }

    /// Three times as large, each pixel nine.
    #[test]
    fn a_mark_is_nearly_the_same_however_large() {
        let small = picture(FROM, [5, 9], 24);
        let large = Hwc::new(FROM.h * 3, FROM.w * 3, 1);
        let tripled: Vec<u8> = (0..large.len())
            .map(|at| small[at / large.w / 3 * FROM.w + at % large.w / 3])
            .collect();
        // The pixel that keeps dots small is a smaller part of a larger mark.
        let (a, b) = (framed(&small, FROM), framed(&tripled, large));
        let differences = a.iter().zip(&b).map(|(a, b)| u32::from(a.abs_diff(*b)));
        assert!(differences.sum::<u32>() < 12 * TO.len() as u32);
    }

    #[test]
    fn the_middle_of_the_ink_is_the_middle_of_the_input() {
        let out = framed(&picture(FROM, [5, 9], 24), FROM);
        let ink: u64 = out.iter().map(|&ink| u64::from(ink)).sum();
        let sum = |place: fn(usize) -> usize| -> u64 {
            let all = out.iter().enumerate();
            all.map(|(at, &ink)| (2 * place(at) as u64 + 1) * u64::from(ink))
                .sum()
        };
        for place in [(|at| at / 24) as fn(usize) -> usize, |at| at % 24] {
            let middle = sum(place) as f64 / ink as f64 / 2.0;
            assert!((middle - 12.0).abs() < 0.25, "{middle}");
        }
    }

    /// A dot does not fill the input, nor does a line leave it.
    #[test]
    fn dots_and_lines_fit() {
        let mut dot = vec![0; FROM.len()];
        for row in 20..22 {
            dot[row * FROM.w + 30..][..2].fill(255);
        }
        let out = framed(&dot, FROM);
        assert!(
            out.iter().any(|&ink| ink > 200)
                && out.iter().filter(|&&ink| ink >= 128).count() < TO.len() / 5
        );
        let mut line = vec![0; FROM.len()];
        line[20 * FROM.w..][..FROM.w].fill(255);
        let out = framed(&line, FROM);
        let reached: Vec<usize> = (0..TO.w)
            .filter(|x| out[12 * TO.w + x] > 0 || out[11 * TO.w + x] > 0)
            .collect();
        assert!(
            reached[0] <= 1 && reached[reached.len() - 1] >= 22,
            "{reached:?}"
        );
    }

    #[test]
    fn without_a_mark_it_is_the_whole_picture() {
        let square = Square::around_mark(&[0; 12], Hwc::new(2, 6, 1));
        assert_eq!(
            (square.side, square.middle_y, square.middle_x),
            (6 * 256, 256, 3 * 256)
        );
        let flat = Square::around_mark(&[100; 36], Hwc::new(6, 6, 1));
        let mut out = [0; 9];
        flat.resample(&[100; 36], Hwc::new(6, 6, 1), &mut out, Hwc::new(3, 3, 1));
        assert_eq!(out, [100; 9]);
    }

    #[test]
    fn growing_is_smooth() {
        // Twice as large as the picture's pixels: means of neighbours between them.
        let (from, to) = (Hwc::new(4, 4, 1), Hwc::new(8, 8, 1));
        let picture = [0, 200, 0, 0].repeat(4);
        let square = Square {
            middle_y: 512,
            middle_x: 512,
            side: 1024,
        };
        let mut out = [0; 64];
        square.resample(&picture, from, &mut out, to);
        assert_eq!(out[32..40], [0, 50, 150, 150, 50, 0, 0, 0]);
    }

    proptest! {
        /// Whatever the picture, it is framed, and is never darker than it was.
        #[test]
        fn any_picture(
            h in 1..50_usize, w in 1..50_usize, side in 1..30_usize, seed: u64,
        ) {
            let shape = Hwc::new(h, w, 1);
            let mut state = seed | 1;
            let picture: Vec<u8> = (0..shape.len()).map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            }).collect();
            let to = Hwc::new(side, side, 1);
            let mut out = vec![0; to.len()];
            Framing::Mark.resample(&picture, shape, &mut out, to).unwrap();
            prop_assert!(out.iter().max() <= picture.iter().max());
        }
    }
}
