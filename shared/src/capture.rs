//! From a camera's picture to ink on paper, and whether there is a mark to learn from.
//!
//! In: a grey picture `[h][w]`, dark on light or light on dark, unevenly lit. Out: a [`Look`], which
//! develops the picture into ink (255 = full, 0 = paper) and says what speaks against it. Integers only;
//! the picture itself is what a sample keeps, so that a later release may look at it otherwise.
//!
//! | file     | what it finds out                                              |
//! |----------|----------------------------------------------------------------|
//! | `paper`  | how bright the paper is at every place                         |
//! | `parts`  | which ink belongs to the mark, and whether there are several   |
//! | `shrink` | how a frame that is too large becomes a picture, row by row    |

use crate::link::Quality;
use crate::shape::Hwc;

mod paper;
mod parts;
mod shrink;

pub use shrink::{MAX_SHRUNK_WIDTH, Shrink};

use paper::{Grid, Paper};
use parts::{Parts, Peaks};

/// Grows with every change of what a grey value becomes, so that samples are embedded again.
pub const REVISION: u8 = 3;

/// Ink differs from paper by no less than this, in 255ths of the paper's grey where ink is dark, or there
/// is no mark.
const EMPTY: u8 = 16;
/// Ink that differs by less is too faint to learn from: noise of a sensor is a quarter of it.
const FAINT: u8 = 48;
/// A mark has more pixels than this.
const SPECK: usize = 8;
/// Of 100 pixels at the picture's edge, those that may be ink before the mark counts as cut off.
const EDGE_PERCENT: usize = 4;
/// What two places that are two pixels apart differ by, in percent of the mark's depth, at its sharpest
/// edges: a blur with a deviation of two pixels leaves so much.
const SHARP_PERCENT: usize = 38;
/// Of 100 pixels, those that may be ink before it counts as no mark but a dark picture; half of those at
/// the edge say the same.
const INK_PERCENT: usize = 50;

/// What a picture's grey values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    shape: Hwc,
    paper: Paper,
    /// Whether ink is darker than paper.
    dark: bool,
    /// How much ink differs from paper.
    depth: u8,
    /// How much paper differs from itself, for its grain and the sensor's noise.
    grain: u8,
    parts: Parts,
    quality: Quality,
}

impl Look {
    /// Looks at a picture. What differs most from its paper is ink.
    ///
    /// An empty picture, or one whose length is not its shape's, is [`Quality::Empty`].
    #[must_use]
    pub fn at(picture: &[u8], shape: Hwc) -> Self {
        let mut look = Self {
            shape,
            paper: Paper::flat(shape, 255),
            dark: true,
            depth: 255,
            grain: 0,
            parts: Parts::NONE,
            quality: Quality::Empty,
        };
        if shape.check(picture.len()).is_err() || picture.is_empty() || shape.c != 1 {
            return look;
        }
        let seen = Paper::seen(picture, shape);
        look.paper = seen.on_average();
        look.dark = look.is_dark(picture);
        look.paper = seen.without_ink(look.dark);
        let (inks, papers, peaks) = look.tally(picture);
        let depth = deepest(&inks);
        look.depth = depth.max(EMPTY);
        look.grain = reached(&papers, 32);
        if depth >= EMPTY {
            look.parts = peaks.sort(depth.div_ceil(2));
            look.quality = look.judge(picture, &inks);
        }
        look
    }

    /// What can be said about the picture.
    #[must_use]
    pub const fn quality(&self) -> Quality {
        self.quality
    }

    /// Turns the picture that was looked at into ink: 0 up to an eighth of the mark's depth, or twice the
    /// paper's grain; 255 from seven eighths on where ink is dark, from half where it is light, since light
    /// ink is paler where there is less light.
    pub fn develop(&self, picture: &mut [u8]) {
        for (y, row) in picture.chunks_exact_mut(self.shape.w.max(1)).enumerate() {
            let line = self.paper.line(y);
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = match self.parts.is_shade([y, x]) {
                    true => 0,
                    false => self.ink(self.side(differences(*pixel, line.at(x)))),
                };
            }
        }
    }

    fn ink(&self, difference: u8) -> u8 {
        let (depth, eighth) = (i32::from(self.depth), i32::from(self.depth / 8));
        let full = if self.dark { depth - eighth } else { depth / 2 };
        let least = eighth.max(2 * i32::from(self.grain)).min(full / 2);
        let ink = ((i32::from(difference) - least) * 255).checked_div(full - least);
        ink.unwrap_or(0).clamp(0, 255) as u8
    }

    /// That of ink.
    const fn side(&self, [darker, lighter]: [u8; 2]) -> u8 {
        if self.dark { darker } else { lighter }
    }

    /// Whether what differs most is darker than what is around it. In grey values: as a share of a dark
    /// board's light, its noise would be more than chalk.
    fn is_dark(&self, picture: &[u8]) -> bool {
        let (mut darker, mut lighter) = ([0; 256], [0; 256]);
        for (y, row) in picture.chunks_exact(self.shape.w.max(1)).enumerate() {
            let line = self.paper.line(y);
            for (x, &grey) in row.iter().enumerate() {
                let paper = line.at(x);
                count(&mut darker, paper.saturating_sub(grey));
                count(&mut lighter, grey.saturating_sub(paper));
            }
        }
        deepest(&darker) >= deepest(&lighter)
    }

    /// How many pixels differ from the paper how much, in the direction of ink and in the other one; and
    /// where the ink is.
    fn tally(&self, picture: &[u8]) -> (Counts, Counts, Peaks) {
        let (mut inks, mut papers) = ([0; 256], [0; 256]);
        let mut peaks = Peaks::new(Grid::new(self.shape));
        for (y, row) in picture.chunks_exact(self.shape.w.max(1)).enumerate() {
            let line = self.paper.line(y);
            for (x, &grey) in row.iter().enumerate() {
                let under = line.at(x);
                let [darker, lighter] = differences(grey, under);
                // Both in the same units: those of ink.
                let (ink, paper) = match self.dark {
                    true => (darker, lighter),
                    false => (lighter, under.saturating_sub(grey)),
                };
                count(&mut inks, ink);
                count(&mut papers, paper);
                peaks.add([y, x], ink);
            }
        }
        (inks, papers, peaks)
    }

    fn judge(&self, picture: &[u8], inks: &Counts) -> Quality {
        let half = self.depth.div_ceil(2);
        let ink = inks.iter().skip(usize::from(half));
        let ink: usize = ink.map(|&count| usize::from(count)).sum();
        let [edge, at_edge] = self.edge(picture, half);
        if ink < SPECK {
            Quality::Empty
        } else if ink * 100 > picture.len() * INK_PERCENT || at_edge * 2 > edge {
            Quality::Full
        } else if self.depth < FAINT || self.depth / 4 < self.grain {
            Quality::Faint
        } else if at_edge * 100 > edge * EDGE_PERCENT {
            Quality::Clipped
        } else if self.parts.several {
            Quality::Several
        } else if self.steepest(picture) * 100 < usize::from(self.depth) * SHARP_PERCENT {
            Quality::Blurred
        } else {
            Quality::Good
        }
    }

    /// Pixels at the picture's edge, and those of them that differ as much as `half`.
    fn edge(&self, picture: &[u8], half: u8) -> [usize; 2] {
        let (h, w) = (self.shape.h, self.shape.w.max(1));
        let mut found = [0, 0];
        for (y, row) in picture.chunks_exact(w).enumerate() {
            let line = self.paper.line(y);
            let step = if y == 0 || y + 1 == h {
                1
            } else {
                (w - 1).max(1)
            };
            for (x, &grey) in row.iter().enumerate().step_by(step) {
                let is_ink = self.side(differences(grey, line.at(x))) >= half;
                let is_ink = is_ink && !self.parts.is_shade([y, x]);
                found = [found[0] + 1, found[1] + usize::from(is_ink)];
            }
        }
        found
    }

    /// How much the mark's sharpest edges rise over two pixels, as ink is measured.
    fn steepest(&self, picture: &[u8]) -> usize {
        let w = self.shape.w.max(1);
        let grey = |y: Option<usize>, x: Option<usize>| {
            let x = x.filter(|&x| x < w)?;
            picture.get(y? * w + x).copied()
        };
        let mut counts = [0; 256];
        for (y, row) in picture.chunks_exact(w).enumerate() {
            let line = self.paper.line(y);
            for x in (0..row.len()).filter(|&x| self.parts.is_mark([y, x])) {
                let (here, across) = (Some(y), Some(x));
                let beside = grey(here, x.checked_sub(1)).zip(grey(here, Some(x + 1)));
                let above = grey(y.checked_sub(1), across).zip(grey(Some(y + 1), across));
                let rises = [beside, above].map(|pair| pair.map_or(0, |(a, b)| a.abs_diff(b)));
                let (rise, paper) = (rises[0].max(rises[1]), line.at(x));
                let [share, _] = differences(paper.saturating_sub(rise), paper);
                count(&mut counts, if self.dark { share } else { rise });
            }
        }
        usize::from(reached(&counts, 32))
    }
}

/// How much darker and how much lighter than the paper a value is, as what ink means: it takes away a share
/// of the light, so that dark ink is measured in 255ths of it.
fn differences(grey: u8, paper: u8) -> [u8; 2] {
    let taken = u32::from(paper.saturating_sub(grey)) * 255;
    let taken = taken.checked_div(u32::from(paper)).unwrap_or(0);
    [taken as u8, grey.saturating_sub(paper)]
}

/// How often each value is there.
type Counts = [u16; 256];

fn count(counts: &mut Counts, value: u8) {
    if let Some(count) = counts.get_mut(usize::from(value)) {
        *count = count.saturating_add(1);
    }
}

/// The value that one in 512 reaches, four at least: neither noise nor a dead pixel.
fn deepest(counts: &Counts) -> u8 {
    reached(counts, 512)
}

/// The value that one in `share` of the values reaches, four of them at least.
fn reached(counts: &Counts, share: usize) -> u8 {
    let all: usize = counts.iter().map(|&count| usize::from(count)).sum();
    let mut above = 0;
    // Zipped with the values and reversed, this would panic for all the compiler knows.
    for (value, &count) in counts.iter().enumerate().rev() {
        above += usize::from(count);
        if above >= (all / share.max(1)).max(4) {
            return u8::try_from(value).unwrap_or(u8::MAX);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Hwc = Hwc::new(24, 20, 1);

    /// A cross of `ink` on `paper`, `room` pixels from the edge.
    fn cross(paper: u8, ink: u8, room: usize) -> Vec<u8> {
        let mut picture = vec![paper; SHAPE.len()];
        for y in room..SHAPE.h - room {
            picture[y * SHAPE.w + 9..][..3].fill(ink);
        }
        for x in room..SHAPE.w - room {
            picture[12 * SHAPE.w + x] = ink;
        }
        picture
    }

    #[test]
    fn ink_is_ink_dark_on_light_or_light_on_dark() {
        for (paper, ink) in [(255, 0), (0, 255), (200, 90), (40, 140)] {
            let look = Look::at(&cross(paper, ink, 3), SHAPE);
            assert_eq!(look.quality(), Quality::Good, "{paper} {ink}");
            let mut developed = cross(paper, ink, 3);
            look.develop(&mut developed);
            assert_eq!(developed, cross(0, 255, 3), "{paper} {ink}");
        }
    }

    #[test]
    fn what_speaks_against_a_picture() {
        let judged = |picture: &[u8]| Look::at(picture, SHAPE).quality();
        assert_eq!(judged(&vec![77; SHAPE.len()]), Quality::Empty);
        assert_eq!(judged(&cross(100, 110, 3)), Quality::Empty);
        assert_eq!(judged(&cross(100, 130, 3)), Quality::Faint);
        assert_eq!(judged(&cross(255, 0, 0)), Quality::Clipped);
        assert_eq!(judged(&[]), Quality::Empty);
        let mut speck = vec![255; SHAPE.len()];
        speck[200..206].fill(0);
        assert_eq!(judged(&speck), Quality::Empty);
        let mut full = vec![0; SHAPE.len()];
        full[..SHAPE.w].fill(255);
        full[23 * SHAPE.w..].fill(255);
        for row in full.chunks_mut(SHAPE.w) {
            (row[0], row[SHAPE.w - 1]) = (255, 255);
        }
        assert_eq!(judged(&full), Quality::Full);
    }

    #[test]
    fn a_dead_pixel_is_no_paper() {
        let mut picture = cross(200, 60, 3);
        (picture[0], picture[30]) = (0, 255);
        Look::at(&picture, SHAPE).develop(&mut picture);
        assert_eq!(picture[1..30], cross(0, 255, 3)[1..30]);
        assert_eq!(picture[31..], cross(0, 255, 3)[31..]);
    }

    const LARGE: Hwc = Hwc::new(128, 128, 1);

    /// Strokes of seven pixels on paper that is lit as `light` says, in percent: the letter E from `(y, x)`,
    /// `size` high, and where its ink is.
    fn letter(
        light: fn(usize, usize) -> u32,
        [y, x]: [usize; 2],
        size: usize,
    ) -> (Vec<u8>, Vec<bool>) {
        let inked = |at: usize| {
            let (row, column) = (at / LARGE.w, at % LARGE.w);
            let (down, right) = (row.wrapping_sub(y), column.wrapping_sub(x));
            let bar = [0, size / 2 - 4, size - 7]
                .iter()
                .any(|&bar| down.wrapping_sub(bar) < 7);
            down < size && right < size * 2 / 3 && (right < 7 || bar)
        };
        let is_ink: Vec<bool> = (0..LARGE.len()).map(inked).collect();
        let lit = |(at, &ink): (usize, &bool)| {
            let light = light(at / LARGE.w, at % LARGE.w);
            (light * if ink { 40 } else { 210 } / 100) as u8
        };
        (is_ink.iter().enumerate().map(lit).collect(), is_ink)
    }

    fn develops(light: fn(usize, usize) -> u32, at: [usize; 2], size: usize) {
        let (mut picture, is_ink) = letter(light, at, size);
        let look = Look::at(&picture, LARGE);
        assert_eq!(look.quality(), Quality::Good);
        look.develop(&mut picture);
        let wrong = picture
            .iter()
            .zip(&is_ink)
            .filter(|(grey, ink)| (**grey >= 128) != **ink);
        assert_eq!(wrong.count(), 0);
    }

    /// Through the mark, beside it, and in a corner where dark paper is narrower than a stroke may be.
    #[test]
    fn a_shadow_is_no_ink() {
        develops(|y, x| if y * 2 + x > 190 { 55 } else { 100 }, [30, 40], 60);
        develops(|_, x| if x > 110 { 55 } else { 100 }, [30, 20], 80);
        develops(|y, x| if y + x < 24 { 55 } else { 100 }, [40, 40], 60);
        develops(|y, x| 40 + (y + x) as u32 / 5, [30, 40], 60);
    }

    #[test]
    fn two_marks_are_several() {
        let (first, _) = letter(|_, _| 100, [10, 10], 40);
        let (second, _) = letter(|_, _| 100, [76, 80], 40);
        let both: Vec<u8> = first.iter().zip(&second).map(|(a, b)| *a.min(b)).collect();
        assert_eq!(Look::at(&first, LARGE).quality(), Quality::Good);
        assert_eq!(Look::at(&both, LARGE).quality(), Quality::Several);
        // Dots belong to a mark, wherever they are.
        let mut dotted = first;
        for row in 100..109 {
            dotted[row * LARGE.w + 100..][..9].fill(40);
        }
        assert_eq!(Look::at(&dotted, LARGE).quality(), Quality::Good);
    }

    #[test]
    fn an_edge_over_six_pixels_is_blurred() {
        let (picture, _) = letter(|_, _| 100, [20, 20], 80);
        let mean = |reach: usize, at: usize| {
            let (y, x) = (at / LARGE.w, at % LARGE.w);
            let around = (y.saturating_sub(reach)..=(y + reach).min(127)).flat_map(|y| {
                (x.saturating_sub(reach)..=(x + reach).min(127)).map(move |x| [y, x])
            });
            let (count, sum) = around.fold((0, 0), |(count, sum), [y, x]| {
                (count + 1, sum + u32::from(picture[y * LARGE.w + x]))
            });
            (sum / count) as u8
        };
        for (reach, quality) in [(1, Quality::Good), (3, Quality::Blurred)] {
            let blurred: Vec<u8> = (0..LARGE.len()).map(|at| mean(reach, at)).collect();
            assert_eq!(Look::at(&blurred, LARGE).quality(), quality, "{reach}");
        }
    }
}
