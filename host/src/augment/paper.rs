//! What ink lies at a place of a drawing, and with another pen.
//!
//! In: a drawing. Out: its ink between pixels ([`Paper`]), or the drawing with thicker or thinner lines.

use crate::dataset::Drawing;

/// Points of ink with a margin of empty paper, so that looking beside it needs no branch.
#[derive(Debug, Default)]
pub(crate) struct Paper {
    h: f32,
    w: f32,
    /// Where the first point lies, in pixels from the drawing's edge.
    origin: f32,
    stride: usize,
    /// `[h + 4][w + 4]`: one row and column of paper in front, the rest behind.
    points: Vec<f32>,
}

impl Paper {
    /// Points are the drawing's pixels, or the corners between them, each the mean of the four
    /// pixels that meet there.
    pub(crate) fn lay(&mut self, ink: &[u8], h: usize, w: usize, average: bool) {
        (self.h, self.w, self.stride) = (h as f32, w as f32, w + 4);
        self.origin = if average { 0.0 } else { 0.5 };
        self.points.clear();
        self.points.resize((h + 4) * self.stride, 0.0);
        if w == 0 {
            return;
        }
        let share = if average { 0.25 } else { 1.0 };
        let offsets = if average { 0..2 } else { 0..1 };
        for (row, ink) in ink.chunks_exact(w).enumerate() {
            for (down, right) in offsets
                .clone()
                .flat_map(|d| offsets.clone().map(move |r| (d, r)))
            {
                let first = (row + 1 + down) * self.stride + 1 + right;
                for (point, &ink) in self.points[first..first + w].iter_mut().zip(ink) {
                    *point += share * f32::from(ink);
                }
            }
        }
    }

    /// Ink at `(v, u)` of the unit square, bilinear; paper outside.
    pub(crate) fn ink_at(&self, v: f32, u: f32) -> f32 {
        let y = (v * self.h + 1.0 - self.origin).clamp(0.0, self.h + 2.0);
        let x = (u * self.w + 1.0 - self.origin).clamp(0.0, self.w + 2.0);
        // Not negative, so the cast is the floor, and much faster than calling it.
        let (row, column) = (y as u32 as usize, x as u32 as usize);
        let (fy, fx) = (y - row as f32, x - column as f32);
        let at = row * self.stride + column;
        let (top, bottom) = (
            self.points.get(at..at + 2),
            self.points.get(at + self.stride..),
        );
        let (Some(&[a, b]), Some(&[c, d, ..])) = (top, bottom) else {
            return 0.0;
        };
        let (top, bottom) = (a + (b - a) * fx, c + (d - c) * fx);
        top + (bottom - top) * fy
    }
}

/// A thicker pen for `amount` towards 1, a thinner one towards -1: the largest or smallest ink of a
/// cross of five pixels, mixed with the drawing.
pub(crate) fn change_pen(drawing: &Drawing, amount: f32, out: &mut Vec<u8>) {
    out.clone_from(&drawing.ink);
    let (w, weight) = (drawing.w, (amount.abs() * 256.0) as u16);
    if w < 3 {
        return;
    }
    // Row by row without a branch inside, which the compiler turns into vector code.
    let rows = drawing
        .ink
        .chunks_exact(w)
        .zip(drawing.ink.chunks_exact(w).skip(1));
    let rows = rows.zip(drawing.ink.chunks_exact(w).skip(2));
    for (((above, row), below), out) in rows.zip(out.chunks_exact_mut(w).skip(1)) {
        let sides = row[..w - 2].iter().zip(&row[2..]).zip(&row[1..w - 1]);
        let all = sides.zip(above[1..w - 1].iter().zip(&below[1..w - 1]));
        let out = out[1..w - 1].iter_mut();
        if amount > 0.0 {
            for (out, (((&left, &right), &ink), (&up, &down))) in out.zip(all) {
                *out = mix(ink, ink.max(left).max(right).max(up).max(down), weight);
            }
        } else {
            for (out, (((&left, &right), &ink), (&up, &down))) in out.zip(all) {
                *out = mix(ink, ink.min(left).min(right).min(up).min(down), weight);
            }
        }
    }
}

/// `weight` of 256 parts of `b`, the rest of `a`.
const fn mix(a: u8, b: u8, weight: u16) -> u8 {
    ((a as u16 * (256 - weight) + b as u16 * weight) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pen_thickens_and_thins() {
        let mut drawing = Drawing {
            h: 7,
            w: 7,
            ink: vec![0; 49],
        };
        for y in 2..5 {
            for x in 2..5 {
                drawing.ink[y * 7 + x] = 255;
            }
        }
        let total = |amount: f32| {
            let mut out = Vec::new();
            change_pen(&drawing, amount, &mut out);
            out.iter().map(|&v| u32::from(v)).sum::<u32>()
        };
        assert!(total(1.0) > total(0.5) && total(0.5) > total(0.0));
        assert_eq!(total(-1.0), 255);
    }
}
