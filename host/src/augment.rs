//! Distortions of training drawings: what separates two drawers of one character.
//!
//! In: a [`Drawing`] of any size and a random generator. Out: the network's input, distorted: affine
//! (Koch et al. 2015, section 3.3), a smooth warp, and a thicker or thinner pen. A [`Pose`] turns or
//! mirrors a whole alphabet, which makes another alphabet of it.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::dataset::Drawing;

/// How far drawings are distorted. Every amount is drawn evenly between its two signs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Probability of the affine part and, apart from it, of the warp.
    pub probability: f32,
    /// Largest rotation in degrees.
    pub rotation: f32,
    /// Largest shear.
    pub shear: f32,
    /// Largest relative change of the width and of the height.
    pub scale: f32,
    /// Largest shift as a share of the image's side.
    pub shift: f32,
    /// Largest displacement of the warp's nodes as a share of the image's side.
    pub warp: f32,
    /// Probability that the pen is thicker or thinner, by up to a pixel on each side of the line.
    pub pen: f32,
    /// Whether whole alphabets are turned by quarters and mirrored.
    pub poses: bool,
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            probability: 0.9,
            rotation: 12.0,
            shear: 0.2,
            scale: 0.2,
            shift: 0.06,
            warp: 0.03,
            pen: 0.6,
            poses: true,
        }
    }
}

impl AugmentConfig {
    /// No distortion at all.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            probability: 0.0,
            rotation: 0.0,
            shear: 0.0,
            scale: 0.0,
            shift: 0.0,
            warp: 0.0,
            pen: 0.0,
            poses: false,
        }
    }

    /// The first field out of range, with what it must be.
    #[must_use]
    pub fn out_of_range(&self) -> Option<(&'static str, &'static str)> {
        let limits = [
            ("augment.probability", self.probability, 1.0, "0 to 1"),
            ("augment.rotation", self.rotation, 180.0, "0 to 180 degrees"),
            ("augment.shear", self.shear, 1.0, "0 to 1"),
            ("augment.scale", self.scale, 0.9, "0 to 0.9"),
            ("augment.shift", self.shift, 0.5, "0 to 0.5"),
            ("augment.warp", self.warp, 0.2, "0 to 0.2"),
            ("augment.pen", self.pen, 1.0, "0 to 1"),
        ];
        let bad = limits
            .into_iter()
            .find(|(_, value, limit, _)| !(0.0..=*limit).contains(value));
        bad.map(|(field, _, _, rule)| (field, rule))
    }
}

/// One of the eight ways to lay a square sheet on a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pose {
    /// Quarter turns, 0 to 3.
    pub quarter_turns: u8,
    /// Whether the sheet is seen from behind.
    pub mirrored: bool,
}

impl Pose {
    /// The sheet as it was drawn.
    pub const UPRIGHT: Self = Self {
        quarter_turns: 0,
        mirrored: false,
    };

    /// Any pose, or [`Self::UPRIGHT`] where the configuration wants none.
    #[must_use]
    pub fn random(config: &AugmentConfig, rng: &mut ChaCha8Rng) -> Self {
        if !config.poses {
            return Self::UPRIGHT;
        }
        Self {
            quarter_turns: rng.random_range(0..4),
            mirrored: rng.random(),
        }
    }

    const fn matrix(self) -> [[f32; 2]; 2] {
        let [[a, b], [c, d]] = match self.quarter_turns % 4 {
            0 => [[1.0, 0.0], [0.0, 1.0]],
            1 => [[0.0, -1.0], [1.0, 0.0]],
            2 => [[-1.0, 0.0], [0.0, -1.0]],
            _ => [[0.0, 1.0], [-1.0, 0.0]],
        };
        if self.mirrored {
            [[-a, -b], [c, d]]
        } else {
            [[a, b], [c, d]]
        }
    }
}

/// Nodes of the warp along each axis.
const NODES: usize = 5;
/// Samples along each axis of an output pixel: drawings shrink by about this factor.
const SAMPLES: usize = 2;

/// Distorts drawings into inputs of one size. Holds scratch memory, so one for each thread.
#[derive(Debug)]
pub struct Augmenter {
    config: AugmentConfig,
    side: usize,
    penned: Vec<u8>,
}

impl Augmenter {
    /// For networks whose input is `side`×`side`.
    #[must_use]
    pub const fn new(config: AugmentConfig, side: usize) -> Self {
        Self {
            config,
            side,
            penned: Vec::new(),
        }
    }

    /// Appends the distorted drawing, `[side][side]`, to `out`.
    pub fn apply(
        &mut self,
        drawing: &Drawing,
        pose: Pose,
        rng: &mut ChaCha8Rng,
        out: &mut Vec<u8>,
    ) {
        // Every draw is made whatever the probabilities say, so that images stay comparable
        // between configurations.
        let matrix = product(pose.matrix(), self.affine(rng));
        let shift = [
            self.signed(self.config.shift, rng),
            self.signed(self.config.shift, rng),
        ];
        let warp = self.warp(rng);
        let amount = rng.random::<f32>().mul_add(2.0, -1.0);
        let use_pen = rng.random::<f32>() < self.config.pen;
        let ink = if use_pen {
            change_pen(drawing, amount, &mut self.penned);
            &self.penned
        } else {
            &drawing.ink
        };

        let step = 1.0 / self.side as f32;
        let sub_step = step / SAMPLES as f32;
        for y in 0..self.side {
            for x in 0..self.side {
                let [wy, wx] =
                    displacement(&warp, (y as f32 + 0.5) * step, (x as f32 + 0.5) * step);
                let mut sum = 0.0;
                for sample in 0..SAMPLES * SAMPLES {
                    let (i, j) = (sample / SAMPLES, sample % SAMPLES);
                    let v = y as f32 * step + (i as f32 + 0.5) * sub_step - 0.5;
                    let u = x as f32 * step + (j as f32 + 0.5) * sub_step - 0.5;
                    let v_from = matrix[0][0] * v + matrix[0][1] * u + shift[0] + wy;
                    let u_from = matrix[1][0] * v + matrix[1][1] * u + shift[1] + wx;
                    sum += bilinear(ink, drawing.h, drawing.w, v_from + 0.5, u_from + 0.5);
                }
                out.push((sum / (SAMPLES * SAMPLES) as f32 + 0.5) as u8);
            }
        }
    }

    /// An amount between `-limit` and `limit`, or 0 where this part is left out.
    fn signed(&self, limit: f32, rng: &mut ChaCha8Rng) -> f32 {
        let amount = rng.random::<f32>().mul_add(2.0, -1.0) * limit;
        if rng.random::<f32>() < self.config.probability {
            amount
        } else {
            0.0
        }
    }

    /// Output to input: rotation, shear, scale.
    fn affine(&self, rng: &mut ChaCha8Rng) -> [[f32; 2]; 2] {
        let angle = self.signed(self.config.rotation, rng).to_radians();
        let shear = [
            self.signed(self.config.shear, rng),
            self.signed(self.config.shear, rng),
        ];
        let scale = [
            1.0 + self.signed(self.config.scale, rng),
            1.0 + self.signed(self.config.scale, rng),
        ];
        let rotate = [[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]];
        let rest = [[1.0 / scale[0], shear[0]], [shear[1], 1.0 / scale[1]]];
        product(rotate, rest)
    }

    fn warp(&self, rng: &mut ChaCha8Rng) -> [[[f32; 2]; NODES]; NODES] {
        let limit = self.signed(self.config.warp, rng).abs();
        let mut node = || rng.random::<f32>().mul_add(2.0, -1.0) * limit;
        std::array::from_fn(|_| std::array::from_fn(|_| [node(), node()]))
    }
}

fn product(a: [[f32; 2]; 2], b: [[f32; 2]; 2]) -> [[f32; 2]; 2] {
    let entry = |i: usize, j: usize| a[i][0] * b[0][j] + a[i][1] * b[1][j];
    [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
}

/// The warp at a point of the unit square: between nodes it eases from one to the next, so that it
/// has no creases.
fn displacement(warp: &[[[f32; 2]; NODES]; NODES], y: f32, x: f32) -> [f32; 2] {
    let cell = |t: f32| {
        let scaled = (t * (NODES - 1) as f32).clamp(0.0, (NODES - 1) as f32 - 1e-3);
        let fraction = scaled.fract();
        (
            scaled as usize,
            fraction * fraction * (3.0 - 2.0 * fraction),
        )
    };
    let ((i, fy), (j, fx)) = (cell(y), cell(x));
    std::array::from_fn(|axis| {
        let top = warp[i][j][axis] * (1.0 - fx) + warp[i][j + 1][axis] * fx;
        let bottom = warp[i + 1][j][axis] * (1.0 - fx) + warp[i + 1][j + 1][axis] * fx;
        top * (1.0 - fy) + bottom * fy
    })
}

/// Ink at `(v, u)` in the unit square; paper outside.
fn bilinear(ink: &[u8], h: usize, w: usize, v: f32, u: f32) -> f32 {
    let (y, x) = (v * h as f32 - 0.5, u * w as f32 - 0.5);
    let (y0, x0) = (y.floor(), x.floor());
    let (fy, fx) = (y - y0, x - x0);
    let (y0, x0) = (y0 as isize, x0 as isize);
    if y0 >= 0 && x0 >= 0 && y0 + 1 < h as isize && x0 + 1 < w as isize {
        let at = y0 as usize * w + x0 as usize;
        let [a, b, c, d] = [ink[at], ink[at + 1], ink[at + w], ink[at + w + 1]].map(f32::from);
        return (a * (1.0 - fx) + b * fx) * (1.0 - fy) + (c * (1.0 - fx) + d * fx) * fy;
    }
    let at = |y: isize, x: isize| {
        let inside = (0..h as isize).contains(&y) && (0..w as isize).contains(&x);
        if inside {
            f32::from(ink[y as usize * w + x as usize])
        } else {
            0.0
        }
    };
    (at(y0, x0) * (1.0 - fx) + at(y0, x0 + 1) * fx) * (1.0 - fy)
        + (at(y0 + 1, x0) * (1.0 - fx) + at(y0 + 1, x0 + 1) * fx) * fy
}

/// A thicker pen for `amount` towards 1, a thinner one towards -1: the largest or smallest ink of a
/// cross of five pixels, mixed with the drawing.
fn change_pen(drawing: &Drawing, amount: f32, out: &mut Vec<u8>) {
    let (h, w, ink) = (drawing.h, drawing.w, &drawing.ink);
    let pick = if amount > 0.0 { u8::max } else { u8::min };
    let weight = (amount.abs() * 256.0) as u32;
    out.clone_from(ink);
    for y in 1..h.saturating_sub(1) {
        for x in 1..w.saturating_sub(1) {
            let at = y * w + x;
            let neighbours = [ink[at - w], ink[at + w], ink[at - 1], ink[at + 1]];
            let extreme = neighbours.into_iter().fold(ink[at], pick);
            let mixed = u32::from(ink[at]) * (256 - weight) + u32::from(extreme) * weight;
            out[at] = (mixed >> 8) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use rand::SeedableRng;

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(1)
    }

    /// A 4×4 drawing with ink in its top left quarter, and one dot at its top right.
    fn corner() -> Drawing {
        let mut ink = vec![0; 16];
        for at in [0, 1, 4, 5, 3] {
            ink[at] = 255;
        }
        Drawing { h: 4, w: 4, ink }
    }

    fn apply(config: AugmentConfig, drawing: &Drawing, pose: Pose, side: usize) -> Vec<u8> {
        let mut out = Vec::new();
        Augmenter::new(config, side).apply(drawing, pose, &mut rng(), &mut out);
        out
    }

    #[test]
    fn no_distortion_only_shrinks() {
        let out = apply(AugmentConfig::none(), &corner(), Pose::UPRIGHT, 2);
        assert_eq!(out, [255, 64, 0, 0]);
    }

    #[test]
    fn poses_are_the_eight_of_the_square() {
        let (mut seen, mut inks) = (BTreeSet::new(), BTreeSet::new());
        for quarter_turns in 0..4 {
            for mirrored in [false, true] {
                let pose = Pose {
                    quarter_turns,
                    mirrored,
                };
                let out = apply(AugmentConfig::none(), &corner(), pose, 4);
                let mut sorted = out.clone();
                sorted.sort_unstable();
                inks.insert(sorted);
                seen.insert(out);
            }
        }
        assert_eq!((seen.len(), inks.len()), (8, 1));
    }

    #[test]
    fn distortions_change_the_image_and_repeat_with_the_seed() {
        let drawing = corner();
        let plain = apply(AugmentConfig::none(), &drawing, Pose::UPRIGHT, 8);
        let first = apply(AugmentConfig::default(), &drawing, Pose::UPRIGHT, 8);
        assert_ne!(first, plain);
        assert_eq!(
            first,
            apply(AugmentConfig::default(), &drawing, Pose::UPRIGHT, 8)
        );
    }

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

    #[test]
    fn names_the_field_out_of_range() {
        let config = AugmentConfig {
            warp: 3.0,
            ..AugmentConfig::default()
        };
        assert_eq!(config.out_of_range(), Some(("augment.warp", "0 to 0.2")));
        assert_eq!(AugmentConfig::default().out_of_range(), None);
    }
}
