//! Distortions of training drawings: what separates two drawers of one character.
//!
//! In: a [`Drawing`] of any size and a random generator. Out: the network's input, distorted: affine
//! (Koch et al. 2015, section 3.3), a smooth warp, and a thicker or thinner pen; then framed as a device
//! frames it. A [`Pose`] turns or mirrors a whole alphabet, which makes another alphabet of it. `place` says
//! where an input's pixels lie in a drawing, `paper` what ink is there.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::dataset::Drawing;
use crate::spec::Framing;

mod paper;
mod place;

pub(crate) use paper::{Paper, change_pen};
use place::{Place, product};

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
    /// Probability that a drawing is replaced by what a device makes of a simulated capture of it
    /// ([`crate::capture_sim`]), and is then distorted as any other.
    #[serde(skip_serializing_if = "is_zero")]
    pub captures: f32,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::float_cmp,
    reason = "serde asks for a reference; only the exact zero turns it off"
)]
fn is_zero(amount: &f32) -> bool {
    *amount == 0.0
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            probability: 0.9,
            rotation: 12.0,
            shear: 0.2,
            scale: 0.2,
            shift: 0.02,
            warp: 0.03,
            pen: 0.6,
            poses: true,
            captures: 0.0,
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
            captures: 0.0,
        }
    }

    /// Koch et al. 2015, section 3.3: each part with a probability of one half, 2 of 105 pixels of shift.
    #[must_use]
    pub const fn koch() -> Self {
        Self {
            probability: 0.5,
            rotation: 10.0,
            shear: 0.3,
            scale: 0.2,
            shift: 2.0 / 105.0,
            ..Self::none()
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
            ("augment.captures", self.captures, 1.0, "0 to 1"),
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

    /// How many there are to draw from.
    #[must_use]
    pub const fn count(config: &AugmentConfig) -> usize {
        if config.poses { 8 } else { 1 }
    }

    /// Which of them this is; the upright one is number 0.
    #[must_use]
    pub const fn number(self) -> usize {
        (self.quarter_turns % 4) as usize * 2 + self.mirrored as usize
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
/// Displacement of every node, down and right.
type Warp = [[[f32; 2]; NODES]; NODES];

/// Distorts drawings into inputs of one size. Holds scratch memory, so one for each thread.
#[derive(Debug)]
pub struct Augmenter {
    config: AugmentConfig,
    side: usize,
    framing: Framing,
    penned: Vec<u8>,
    paper: Paper,
}

impl Augmenter {
    /// For networks whose input is `side`×`side` and shows that part of a drawing.
    #[must_use]
    pub fn new(config: AugmentConfig, side: usize, framing: Framing) -> Self {
        Self {
            config,
            side,
            framing,
            penned: Vec::new(),
            paper: Paper::default(),
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
        let ink = if rng.random::<f32>() < self.config.pen {
            change_pen(drawing, amount, &mut self.penned);
            &self.penned
        } else {
            &drawing.ink
        };
        // A drawing that shrinks to half its size or so is averaged first, as the device does.
        let shrinks = drawing.h.min(drawing.w) * 2 >= self.side * 3;
        self.paper.lay(ink, drawing.h, drawing.w, shrinks);
        let place = match self.framing {
            Framing::Picture => Place {
                matrix,
                middle: [0.5 + shift[0], 0.5 + shift[1]],
            },
            Framing::Mark => Place::around_mark(ink, [drawing.h, drawing.w], matrix, shift),
        };
        self.sample(&place, &warp, out);
    }

    fn sample(&self, place: &Place, warp: &Warp, out: &mut Vec<u8>) {
        let Place { matrix, middle } = place;
        let step = 1.0 / self.side as f32;
        for y in 0..self.side {
            let v = (y as f32 + 0.5) * step;
            for x in 0..self.side {
                let u = (x as f32 + 0.5) * step;
                let [warp_v, warp_u] = displacement(warp, v, u);
                let (v, u) = (v - 0.5, u - 0.5);
                let ink = self.paper.ink_at(
                    matrix[0][0] * v + matrix[0][1] * u + middle[0] + warp_v,
                    matrix[1][0] * v + matrix[1][1] * u + middle[1] + warp_u,
                );
                out.push((ink + 0.5) as u8);
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

    fn warp(&self, rng: &mut ChaCha8Rng) -> Warp {
        let limit = self.signed(self.config.warp, rng).abs();
        let mut node = || rng.random::<f32>().mul_add(2.0, -1.0) * limit;
        std::array::from_fn(|_| std::array::from_fn(|_| [node(), node()]))
    }
}

/// The warp at a point of the unit square: between nodes it eases from one to the next, so that it
/// has no creases.
fn displacement(warp: &Warp, y: f32, x: f32) -> [f32; 2] {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::engine::{Input, network_input};
    use rand::SeedableRng;
    use shared::shape::Hwc;

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
        Augmenter::new(config, side, Framing::Picture).apply(drawing, pose, &mut rng(), &mut out);
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

    /// What training shows of a mark is what a device sees of it, undistorted or turned.
    #[test]
    fn a_framed_drawing_is_what_a_device_sees() {
        let mut drawing = Drawing {
            h: 40,
            w: 40,
            ink: vec![0; 1600],
        };
        for i in 0..20 {
            for at in [(5 + i, 9), (5, 9 + i), (15, 9 + i)] {
                for thick in 0..3 {
                    drawing.ink[(at.0 + thick) * 40 + at.1] = 255;
                }
            }
        }
        for quarter_turns in [0, 1] {
            let pose = Pose {
                quarter_turns,
                mirrored: false,
            };
            let mut seen = Vec::new();
            let config = AugmentConfig::none();
            Augmenter::new(config, 20, Framing::Mark).apply(&drawing, pose, &mut rng(), &mut seen);
            let mut turned = drawing.clone();
            if quarter_turns == 1 {
                for at in 0..1600 {
                    turned.ink[at] = drawing.ink[(39 - at % 40) * 40 + at / 40];
                }
            }
            let input = Input {
                shape: Hwc::new(20, 20, 1),
                framing: Framing::Mark.into(),
            };
            let expected = network_input(&turned, input).unwrap();
            let differences = seen.iter().zip(&expected);
            let differences = differences.map(|(a, b)| u64::from(a.abs_diff(*b)));
            // Sampled here, averaged over areas there.
            let sum = differences.sum::<u64>();
            let ink: u64 = expected.iter().map(|&ink| u64::from(ink)).sum();
            assert!(sum * 8 < ink, "{quarter_turns}: {sum} of {ink}");
        }
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
