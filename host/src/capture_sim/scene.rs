//! What happens to be in front of the camera, and the camera.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// One scene.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) pose: Pose,
    /// Thicker than drawn towards 1, thinner towards -1.
    pub(super) pen: f32,
    /// Share of the light that the ground sends back.
    pub(super) ground: f32,
    /// The same of the ink.
    pub(super) ink: f32,
    pub(super) light: Light,
    /// Deviation of the blur in pixels.
    pub(super) blur: f32,
    pub(super) sensor: Sensor,
    /// Of the ground's grain: how strong it is, and what it is drawn from.
    grain: (f32, ChaCha8Rng),
}

impl Scene {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        // One in eight is chalk on a board.
        let board = rng.random_range(0..8) == 0;
        let (ground, ink) = if board {
            (rng.random_range(0.05..0.2), rng.random_range(0.5..0.85))
        } else {
            (rng.random_range(0.7..0.95), rng.random_range(0.05..0.3))
        };
        Self {
            pose: Pose::draw(rng),
            pen: rng.random_range(-0.5..1.0),
            ground,
            ink,
            light: Light::draw(rng),
            blur: rng.random_range(0.3..1.4),
            sensor: Sensor::draw(rng),
            grain: (rng.random_range(0.0..0.03), rng.clone()),
        }
    }

    /// The ground's unevenness at each pixel of a square capture, around 1: fine, and coarse by one value
    /// for every 8 × 8 pixels.
    pub(super) fn grain(&self, side: usize) -> Vec<f32> {
        let (strength, mut rng) = self.grain.clone();
        let mut normal = |count: usize| -> Vec<f32> {
            (0..count)
                .map(|_| StandardNormal.sample(&mut rng))
                .collect()
        };
        let coarse_side = side.div_ceil(8);
        let (fine, coarse) = (normal(side * side), normal(coarse_side * coarse_side));
        let at = |place: usize| coarse[place / side / 8 * coarse_side + place % side / 8];
        let all = fine.iter().enumerate();
        all.map(|(place, fine)| 1.0 + strength * (0.7 * fine + 0.3 * at(place)))
            .collect()
    }
}

/// How the paper lies: from the camera's picture to places on the paper.
#[derive(Debug, Clone)]
pub(super) struct Pose {
    /// The paper's own axes, down and to the right, in the camera's: down, right, away.
    axes: [[f32; 3]; 2],
    /// The mark's middle, in the camera's axes.
    middle: [f32; 3],
    /// The mark's longer side in the same units, of which the picture has one at the mark's distance.
    size: f32,
}

/// Distance of the paper in sides of the picture: an angle of view of 40 degrees.
const DISTANCE: f32 = 1.37;

impl Pose {
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        let size = rng.random_range(0.35..0.7);
        // The mark stays in the picture.
        let room = (0.42 - size / 2.0_f32).max(0.0);
        let degrees = |rng: &mut ChaCha8Rng, most: f32| rng.random_range(-most..most).to_radians();
        let (roll, tilt, turn) = (degrees(rng, 10.0), degrees(rng, 18.0), degrees(rng, 18.0));
        let down = [roll.cos(), -roll.sin(), 0.0];
        let right = [roll.sin(), roll.cos(), 0.0];
        // Around the horizontal axis, then around the vertical one.
        let lean = |[y, x, z]: [f32; 3]| {
            let [y, z] = [
                y * tilt.cos() - z * tilt.sin(),
                y * tilt.sin() + z * tilt.cos(),
            ];
            let [x, z] = [
                x * turn.cos() - z * turn.sin(),
                x * turn.sin() + z * turn.cos(),
            ];
            [y, x, z]
        };
        Self {
            axes: [lean(down), lean(right)],
            middle: [
                rng.random_range(-room..=room),
                rng.random_range(-room..=room),
                DISTANCE,
            ],
            size,
        }
    }

    /// Where the ray through a place of the picture, from its middle in units of its side, meets the
    /// paper: from the mark's middle, in units of its longer side.
    pub(super) fn on_paper(&self, [y, x]: [f32; 2]) -> [f32; 2] {
        let [down, right] = self.axes;
        let normal = [
            down[1] * right[2] - down[2] * right[1],
            down[2] * right[0] - down[0] * right[2],
            down[0] * right[1] - down[1] * right[0],
        ];
        let ray = [y, x, DISTANCE];
        let far = dot(normal, self.middle) / dot(normal, ray);
        let place = [0, 1, 2].map(|axis| far * ray[axis] - self.middle[axis]);
        self.axes.map(|axis| dot(place, axis) / self.size)
    }
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// How bright it is where.
#[derive(Debug, Clone)]
pub(super) struct Light {
    /// Change over the whole picture, down and to the right.
    slope: [f32; 2],
    /// Loss in the corners.
    vignette: f32,
    shadow: Option<Shadow>,
}

/// A shadow with a straight, soft edge.
#[derive(Debug, Clone)]
struct Shadow {
    /// Points to the dark side.
    direction: [f32; 2],
    /// Of the edge from the middle.
    distance: f32,
    /// Width of the edge.
    softness: f32,
    /// Share of the light that it takes.
    depth: f32,
}

impl Light {
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        let slope = [0, 1].map(|_| rng.random_range(-0.35..0.35));
        let vignette = rng.random_range(0.0..0.35);
        // Two in five.
        let shadow = (rng.random_range(0..5) < 2).then(|| {
            let angle: f32 = rng.random_range(0.0..std::f32::consts::TAU);
            Shadow {
                direction: [angle.sin(), angle.cos()],
                distance: rng.random_range(-0.4..0.4),
                softness: rng.random_range(0.02..0.3),
                depth: rng.random_range(0.1..0.5),
            }
        });
        Self {
            slope,
            vignette,
            shadow,
        }
    }

    /// Lights a square picture.
    pub(super) fn fall_on(&self, picture: &mut [f32], side: usize) {
        for (at, pixel) in picture.iter_mut().enumerate() {
            let [y, x] =
                [at / side, at % side].map(|place| (place as f32 + 0.5) / side as f32 - 0.5);
            *pixel *= self.at([y, x]);
        }
    }

    fn at(&self, [y, x]: [f32; 2]) -> f32 {
        let slope = 1.0 + self.slope[0] * y + self.slope[1] * x;
        let vignette = 1.0 - self.vignette * (y * y + x * x) / 0.5;
        let shadow = self.shadow.as_ref().map_or(1.0, |shadow| {
            let [down, right] = shadow.direction;
            let inside = (y * down + x * right - shadow.distance) / shadow.softness + 0.5;
            1.0 - shadow.depth * inside.clamp(0.0, 1.0)
        });
        slope * vignette * shadow
    }
}

/// What turns light into a grey value.
#[derive(Debug, Clone)]
pub(super) struct Sensor {
    /// Grey value of all the light.
    gain: f32,
    /// Grey value of none.
    black: f32,
    /// Deviation of the noise of reading.
    read: f32,
    /// Deviation of the noise of light at full light.
    shot: f32,
}

impl Sensor {
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        Self {
            gain: rng.random_range(130.0..280.0),
            black: rng.random_range(0.0..16.0),
            read: rng.random_range(0.5..3.0),
            shot: rng.random_range(1.0..5.0),
        }
    }

    pub(super) fn expose(&self, light: f32, rng: &mut ChaCha8Rng) -> u8 {
        let light = light.max(0.0);
        let [read, shot] = [0, 1].map(|_| {
            let noise: f32 = StandardNormal.sample(rng);
            noise
        });
        let noise = self.read * read + self.shot * light.sqrt() * shot;
        (self.black + self.gain * light + noise)
            .round()
            .clamp(0.0, 255.0) as u8
    }
}
