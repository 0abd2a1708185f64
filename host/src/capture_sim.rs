//! The camera simulator: drawings as a cheap camera would see them on paper.
//!
//! In: a [`Drawing`] and a generator. Out: a grey capture `[h][w]`: the mark by a pen of another width, on
//! grained paper or as chalk on a board, seen slanting and from any side a little, under uneven light that a
//! shadow may cross, through a lens that blurs and darkens the corners, on a sensor with noise and an
//! exposure of its own. What a device makes of it is [`developed`]. Every draw is evenly distributed in the
//! ranges below unless it says otherwise; nothing was fitted to a real camera.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use shared::capture::Look;
use shared::shape::Hwc;

use crate::augment::{Paper, change_pen};
use crate::dataset::{Dataset, Drawing};
use crate::device::images::Grey;

mod scene;

use scene::Scene;

/// Rows and columns of a capture: the Arducam Mega's 128×128, and the largest that a sample keeps.
pub const SIDE: usize = 128;

/// Seed of the held-out captures.
pub const SEED: u64 = 0x6361_7074;

/// A capture of a drawing.
#[must_use]
pub fn capture(drawing: &Drawing, rng: &mut ChaCha8Rng) -> Grey {
    let scene = Scene::draw(rng);
    let mut ink = Vec::new();
    change_pen(drawing, scene.pen, &mut ink);
    let mut paper = Paper::default();
    paper.lay(&ink, drawing.h, drawing.w, false);
    let mut light = reflected(&scene, &paper, extent(drawing));
    scene.light.fall_on(&mut light, SIDE);
    blur(&mut light, scene.blur);
    let pixels = light.iter().map(|&light| scene.sensor.expose(light, rng));
    Grey {
        h: SIDE,
        w: SIDE,
        pixels: pixels.collect(),
    }
}

/// Where a drawing's mark lies: its middle and half its longer side, as shares of the drawing's sides.
fn extent(drawing: &Drawing) -> ([f32; 2], f32) {
    let marked = drawing
        .ink
        .iter()
        .enumerate()
        .filter(|(_, ink)| **ink >= 128);
    let (mut least, mut most) = ([usize::MAX; 2], [0; 2]);
    for (at, _) in marked {
        for (axis, at) in [at / drawing.w, at % drawing.w].into_iter().enumerate() {
            (least[axis], most[axis]) = (least[axis].min(at), most[axis].max(at + 1));
        }
    }
    if most[0] == 0 {
        return ([0.5; 2], 0.5);
    }
    let sides = [drawing.h, drawing.w].map(|side| side as f32);
    let middle = [0, 1].map(|axis| (least[axis] + most[axis]) as f32 / 2.0 / sides[axis]);
    let half = [0, 1].map(|axis| (most[axis] - least[axis]) as f32 / 2.0 / sides[axis]);
    (middle, half[0].max(half[1]))
}

/// The share of light that comes back from what each pixel sees.
fn reflected(scene: &Scene, paper: &Paper, (middle, half): ([f32; 2], f32)) -> Vec<f32> {
    let grain = scene.grain(SIDE);
    let pixels = (0..SIDE * SIDE).map(|at| {
        let place = scene
            .pose
            .on_paper([at / SIDE, at % SIDE].map(|place| (place as f32 + 0.5) / SIDE as f32 - 0.5));
        // A place on the paper is in units of the mark's longer side.
        let [v, u] = [0, 1].map(|axis| middle[axis] + place[axis] * 2.0 * half);
        let inside = [v, u].iter().all(|place| (0.0..1.0).contains(place));
        let ink = if inside {
            paper.ink_at(v, u) / 255.0
        } else {
            0.0
        };
        let ground = scene.ground * grain[at];
        ground + (scene.ink - ground) * ink
    });
    pixels.collect()
}

/// A blur with a deviation of `sigma` pixels, along both axes.
fn blur(light: &mut [f32], sigma: f32) {
    let reach = (3.0 * sigma).ceil() as usize;
    let weight = |step: usize| (-0.5 * (step as f32 / sigma.max(1e-3)).powi(2)).exp();
    let total: f32 = weight(0) + (1..=reach).map(|step| 2.0 * weight(step)).sum::<f32>();
    for stride in [1, SIDE] {
        let before = light.to_vec();
        for (at, light) in light.iter_mut().enumerate() {
            let place = at / stride % SIDE;
            let beside = |step: usize| {
                let (down, up) = (place.min(step), (SIDE - 1 - place).min(step));
                before[at - down * stride] + before[at + up * stride]
            };
            let sum = (1..=reach)
                .map(|step| weight(step) * beside(step))
                .sum::<f32>();
            *light = (weight(0) * before[at] + sum) / total;
        }
    }
}

/// The grey values turned around, as if light were even: what a device would see that does not look.
#[must_use]
pub fn turned_around(capture: Grey) -> Drawing {
    let Grey { h, w, pixels } = capture;
    let ink = pixels.into_iter().map(|grey| 255 - grey).collect();
    Drawing { h, w, ink }
}

/// What a device makes of a capture: ink on paper.
#[must_use]
pub fn developed(capture: Grey) -> Drawing {
    let Grey { h, w, mut pixels } = capture;
    Look::at(&pixels, Hwc::new(h, w, 1)).develop(&mut pixels);
    Drawing { h, w, ink: pixels }
}

/// Drawings as `see` makes of their captures; each has a scene of its own, keyed by the seed and its place.
#[must_use]
pub fn captured(
    drawings: &[Arc<Drawing>],
    seed: u64,
    see: impl Fn(Grey) -> Drawing + Sync,
) -> Vec<Arc<Drawing>> {
    let drawings = drawings.par_iter().enumerate();
    let seen = drawings.map(|(place, drawing)| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(place as u64);
        Arc::new(see(capture(drawing, &mut rng)))
    });
    seen.collect()
}

/// A data set with [`captured`] drawings. Every character has a seed of its own.
#[must_use]
pub fn captured_dataset(
    mut dataset: Dataset,
    seed: u64,
    see: impl Fn(Grey) -> Drawing + Sync,
) -> Dataset {
    let characters = dataset
        .alphabets
        .iter_mut()
        .flat_map(|alphabet| &mut alphabet.characters);
    for (seed, character) in (seed..).zip(characters) {
        character.drawings = captured(&character.drawings, seed, &see);
    }
    dataset
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyphs;
    use shared::link::Quality;

    fn glyphs() -> Vec<Arc<Drawing>> {
        let data = glyphs::synthetic(3, "background", 2, 10);
        data.characters()
            .flat_map(|c| c.drawings[..4].to_vec())
            .collect()
    }

    #[test]
    fn a_seed_is_a_capture() {
        let capture = |seed| capture(&glyphs()[0], &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(capture(1).pixels, capture(1).pixels);
        assert_ne!(capture(1).pixels, capture(2).pixels);
    }

    /// Most captures are such that a device would learn from them, none is empty.
    #[test]
    fn a_device_finds_the_mark() {
        let mut good = 0;
        let glyphs = glyphs();
        for (seed, drawing) in (0..).zip(&glyphs) {
            let Grey { h, w, pixels } = capture(drawing, &mut ChaCha8Rng::seed_from_u64(seed));
            let look = Look::at(&pixels, Hwc::new(h, w, 1));
            good += usize::from(look.quality() == Quality::Good);
            assert_ne!(look.quality(), Quality::Empty, "seed {seed}");
        }
        assert!(good * 10 >= glyphs.len() * 9, "{good} of {}", glyphs.len());
    }

    #[test]
    fn without_blur_light_stays_where_it_is() {
        let mut light: Vec<f32> = (0..SIDE * SIDE).map(|at| (at % 7) as f32).collect();
        let before = light.clone();
        blur(&mut light, 0.0);
        assert_eq!(light, before);
        blur(&mut light, 2.0);
        let mean = |light: &[f32]| light.iter().sum::<f32>() / light.len() as f32;
        assert!((mean(&light) - mean(&before)).abs() < 0.02);
        assert!(light.iter().all(|&light| (1.0..5.5).contains(&light)));
    }
}
