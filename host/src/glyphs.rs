//! Seeded stroke glyphs: a data set for machines without Omniglot.
//!
//! In: a seed and sizes. Out: alphabets of characters drawn by several drawers, shaped like
//! Omniglot. A character is a few curves; a drawer bends, shifts and slants them and holds a pen of
//! their own. Good for tests and first tries; no figure about Omniglot comes from here.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::dataset::{Alphabet, Character, Dataset, Drawing};
use crate::omniglot::Run;

/// Height and width, as Omniglot's.
const SIDE: usize = 105;
/// Drawers, as Omniglot's.
const DRAWERS: usize = 20;
/// Points along one curve.
const POINTS: usize = 48;

/// Both halves and Lake-like runs.
#[derive(Debug)]
pub struct Synthetic {
    /// Alphabets to train on and to select with.
    pub background: Dataset,
    /// Names of those that select.
    pub held_out: Vec<String>,
    /// Other alphabets, for the report.
    pub evaluation: Dataset,
    /// 20 runs of 20 trials.
    pub runs: Vec<Run>,
}

/// A small Omniglot of glyphs.
#[must_use]
pub fn load(seed: u64) -> Synthetic {
    let background = synthetic(seed, "background", 14, 24);
    let evaluation = synthetic(seed, "evaluation", 10, 20);
    let held_out = background
        .alphabets
        .iter()
        .rev()
        .take(3)
        .map(|a| a.name.clone())
        .collect();
    let runs = (0..20)
        .map(|index| run(&evaluation.alphabets[index / 2], index % 2))
        .collect();
    Synthetic {
        background,
        held_out,
        evaluation,
        runs,
    }
}

/// `n_alphabets` alphabets of `n_characters` characters.
#[must_use]
pub fn synthetic(seed: u64, half: &str, n_alphabets: usize, n_characters: usize) -> Dataset {
    let alphabet = |index: usize| {
        let name = format!("synthetic_{half}_{index:02}");
        let characters = (0..n_characters).map(|character| Character {
            name: format!("character{:02}", character + 1),
            drawings: drawings(seed, &name, character),
        });
        Alphabet {
            characters: characters.collect(),
            name,
        }
    };
    Dataset {
        alphabets: (0..n_alphabets).map(alphabet).collect(),
    }
}

/// All characters by one drawer against all by another.
fn run(alphabet: &Alphabet, index: usize) -> Run {
    let by = |drawer: usize| {
        alphabet
            .characters
            .iter()
            .map(move |c| c.drawings[drawer].clone())
    };
    let (support, queries) = (
        by(2 * index).collect(),
        by(2 * index + 1).collect::<Vec<_>>(),
    );
    let answers = (0..queries.len()).collect();
    Run {
        support,
        queries,
        answers,
    }
}

/// Four control points of a cubic curve in the unit square.
type Curve = [[f32; 2]; 4];

fn drawings(seed: u64, alphabet: &str, character: usize) -> Vec<Arc<Drawing>> {
    let mut rng = generator(seed, &format!("{alphabet}/{character}"));
    let curves: Vec<Curve> = (0..rng.random_range(2..=4))
        .map(|_| {
            std::array::from_fn(|_| [rng.random_range(0.15..0.85), rng.random_range(0.15..0.85)])
        })
        .collect();
    let drawing = |drawer: usize| {
        let mut rng = generator(seed, &format!("{alphabet}/{character}/{drawer}"));
        Arc::new(draw(&curves, &mut rng))
    };
    (0..DRAWERS).map(drawing).collect()
}

fn generator(seed: u64, name: &str) -> ChaCha8Rng {
    let digest = Sha256::digest(format!("{seed}/{name}").as_bytes());
    ChaCha8Rng::from_seed(digest.into())
}

/// The curves by one drawer: every control point off by a little, the whole slanted and moved.
fn draw(curves: &[Curve], rng: &mut ChaCha8Rng) -> Drawing {
    let slant: f32 = rng.random_range(-0.15..0.15);
    let scale: f32 = rng.random_range(0.85..1.1);
    let shift = [
        rng.random_range(-0.05..0.05),
        rng.random_range(-0.05..0.05_f32),
    ];
    let radius: f32 = rng.random_range(1.0..2.0);
    let mut ink = vec![0; SIDE * SIDE];
    for curve in curves {
        let bent = curve.map(|[y, x]| {
            let (y, x) = (
                y - 0.5 + rng.random_range(-0.04..0.04),
                x - 0.5 + rng.random_range(-0.04..0.04),
            );
            [
                0.5 + shift[0] + scale * y,
                0.5 + shift[1] + scale * (x + slant * y),
            ]
        });
        for point in 0..=POINTS {
            stamp(
                &mut ink,
                bezier(&bent, point as f32 / POINTS as f32),
                radius,
            );
        }
    }
    Drawing {
        h: SIDE,
        w: SIDE,
        ink,
    }
}

fn bezier(curve: &Curve, t: f32) -> [f32; 2] {
    let s = 1.0 - t;
    let weights = [s * s * s, 3.0 * s * s * t, 3.0 * s * t * t, t * t * t];
    std::array::from_fn(|axis| {
        curve
            .iter()
            .zip(weights)
            .map(|(point, w)| point[axis] * w)
            .sum()
    })
}

/// A dot of the pen.
fn stamp(ink: &mut [u8], [v, u]: [f32; 2], radius: f32) {
    let (y, x) = (v * SIDE as f32, u * SIDE as f32);
    let range = |centre: f32| {
        let first = (centre - radius).floor().max(0.0) as usize;
        first..((centre + radius).ceil().max(0.0) as usize + 1).min(SIDE)
    };
    for row in range(y) {
        for column in range(x) {
            let (dy, dx) = (row as f32 + 0.5 - y, column as f32 + 0.5 - x);
            if dy * dy + dx * dx <= radius * radius {
                ink[row * SIDE + column] = 255;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let data = synthetic(1, "background", 2, 3);
        assert_eq!(data, synthetic(1, "background", 2, 3));
        assert_ne!(
            data.fingerprint(),
            synthetic(2, "background", 2, 3).fingerprint()
        );
        assert_eq!((data.n_characters(), data.n_drawings()), (6, 120));
    }

    #[test]
    fn every_drawing_has_ink_and_paper() {
        for character in synthetic(1, "background", 2, 3).characters() {
            for drawing in &character.drawings {
                let ink = drawing.ink.iter().filter(|&&v| v == 255).count();
                assert!((30..SIDE * SIDE / 2).contains(&ink), "{ink} pixels of ink");
            }
        }
    }

    #[test]
    fn runs_are_like_lakes() {
        let synthetic = load(1);
        assert_eq!(synthetic.runs.len(), 20);
        let trials: usize = synthetic.runs.iter().map(|run| run.queries.len()).sum();
        assert_eq!(trials, 400);
        assert_eq!(synthetic.held_out.len(), 3);
    }
}
