//! From a camera's picture to ink on paper, and whether there is a mark to learn from.
//!
//! In: a grey picture `[h][w]`, dark on light or light on dark. Out: a [`Look`], which turns each
//! grey value into ink (255 = full, 0 = paper) and says what speaks against the picture. Integers
//! only; the picture itself is not changed, because it is what a sample keeps.

use crate::link::Quality;
use crate::shape::Hwc;

/// Grows with every change of what a grey value becomes, so that samples are embedded again.
pub const REVISION: u8 = 1;

/// Ink differs from paper by no less than this, or there is no mark.
const EMPTY: u8 = 16;
/// Ink that differs by less is too faint to learn from: noise of a sensor is a quarter of it.
const FAINT: u8 = 48;
/// A mark has more pixels than this.
const SPECK: usize = 8;
/// Of 100 pixels at the picture's edge, those that may be ink before the mark counts as cut off.
const EDGE_PERCENT: usize = 4;
/// Of 100 pixels, those that may be ink before it counts as no mark but a dark picture.
const INK_PERCENT: usize = 50;

/// What a picture's grey values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The paper's grey value.
    paper: u8,
    /// Whether ink is darker than paper.
    dark: bool,
    /// How much ink differs from paper.
    depth: u8,
    quality: Quality,
}

impl Look {
    /// Looks at a picture. What its edge shows most is paper.
    ///
    /// An empty picture, or one whose length is not its shape's, is [`Quality::Empty`].
    #[must_use]
    pub fn at(picture: &[u8], shape: Hwc) -> Self {
        let mut look = Self {
            paper: 255,
            dark: true,
            depth: 255,
            quality: Quality::Empty,
        };
        if shape.check(picture.len()).is_err() || picture.is_empty() || shape.c != 1 {
            return look;
        }
        look.paper = median(edge(picture, shape));
        let darker = depth(picture.iter().map(|&v| look.paper.saturating_sub(v)));
        let lighter = depth(picture.iter().map(|&v| v.saturating_sub(look.paper)));
        look.dark = darker >= lighter;
        look.depth = darker.max(lighter).max(EMPTY);
        look.quality = if darker.max(lighter) < EMPTY {
            Quality::Empty
        } else {
            look.judge(picture, shape)
        };
        look
    }

    /// What can be said about the picture.
    #[must_use]
    pub const fn quality(&self) -> Quality {
        self.quality
    }

    /// Ink of a grey value: 0 up to an eighth of the mark's depth, 255 from seven eighths on.
    #[must_use]
    pub fn ink(&self, grey: u8) -> u8 {
        let (depth, margin) = (i32::from(self.depth), i32::from(self.depth / 8));
        let above = i32::from(self.difference(grey)) - margin;
        let ink = (above * 255).checked_div(depth - 2 * margin).unwrap_or(0);
        ink.clamp(0, 255) as u8
    }

    /// How far a value lies from the paper, in the direction of ink.
    const fn difference(&self, grey: u8) -> u8 {
        if self.dark {
            self.paper.saturating_sub(grey)
        } else {
            grey.saturating_sub(self.paper)
        }
    }

    fn judge(&self, picture: &[u8], shape: Hwc) -> Quality {
        let is_ink = |&grey: &u8| self.difference(grey) >= self.depth.div_ceil(2);
        let ink = picture.iter().filter(|grey| is_ink(grey)).count();
        let at_edge = edge(picture, shape).filter(is_ink).count();
        if ink < SPECK {
            Quality::Empty
        } else if ink * 100 > picture.len() * INK_PERCENT {
            Quality::Full
        } else if self.depth < FAINT {
            Quality::Faint
        } else if at_edge * 100 > edge(picture, shape).count() * EDGE_PERCENT {
            Quality::Clipped
        } else {
            Quality::Good
        }
    }
}

/// First and last row, first and last column; a corner belongs to both.
fn edge(picture: &[u8], shape: Hwc) -> impl Iterator<Item = u8> {
    let (w, last) = (shape.w, picture.len().saturating_sub(shape.w));
    let top = picture.get(..w).unwrap_or(&[]);
    let bottom = picture.get(last..).unwrap_or(&[]);
    let left = picture.iter().step_by(w.max(1));
    let right = picture.iter().skip(w.saturating_sub(1)).step_by(w.max(1));
    top.iter().chain(bottom).chain(left).chain(right).copied()
}

/// How many of a picture's values are what.
fn histogram(values: impl Iterator<Item = u8>) -> [u16; 256] {
    let mut counts = [0_u16; 256];
    for value in values {
        if let Some(count) = counts.get_mut(usize::from(value)) {
            *count = count.saturating_add(1);
        }
    }
    counts
}

fn median(values: impl Iterator<Item = u8>) -> u8 {
    let counts = histogram(values);
    let all: usize = counts.iter().map(|&count| usize::from(count)).sum();
    let mut below = 0;
    for (value, &count) in (0_u8..=255).zip(&counts) {
        below += usize::from(count);
        if below * 2 > all {
            return value;
        }
    }
    255
}

/// The difference that one pixel in 512 reaches, four at least: neither noise nor a dead pixel.
fn depth(differences: impl Iterator<Item = u8>) -> u8 {
    let counts = histogram(differences);
    let all: usize = counts.iter().map(|&count| usize::from(count)).sum();
    let mut above = 0;
    // Zipped with the values as `median` does, and reversed, this would panic for all the compiler knows.
    for (value, &count) in counts.iter().enumerate().rev() {
        above += usize::from(count);
        if above >= (all / 512).max(4) {
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
            assert_eq!((look.ink(paper), look.ink(ink)), (0, 255));
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
        let look = Look::at(&picture, SHAPE);
        assert_eq!((look.ink(200), look.ink(60)), (0, 255));
    }
}
