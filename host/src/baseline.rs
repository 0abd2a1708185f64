//! What a network must beat: chance, a constant answer, nearest neighbours without learning.
//!
//! In: a [`TrialSet`]. Out: for each of the very same trials the class that a baseline chooses, or
//! none where two are equally near: that counts as wrong.

mod hausdorff;

use rayon::prelude::*;

use crate::dataset::Drawing;
use crate::trials::{Accuracy, TrialSet};

/// A way to decide without a trained network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// Always the first class, as a constant network does: chance, measured on these trials. More
    /// would mean that the trials betray their answer.
    Constant,
    /// 1-nearest-neighbour with the Euclidean distance between drawings (Koch et al. 2015, table 1).
    Pixels,
    /// 1-nearest-neighbour with the modified Hausdorff distance between ink pixels (Dubuisson and
    /// Jain 1994), as the demonstration beside Lake's runs has it: 38.8 % errors there.
    Hausdorff,
}

impl Baseline {
    /// Name for reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "always the first class",
            Self::Pixels => "1-nearest-neighbour on pixels",
            Self::Hausdorff => "modified Hausdorff distance",
        }
    }

    /// The class chosen in each trial. Of several shots the nearest counts.
    #[must_use]
    pub fn decide(self, set: &TrialSet) -> Vec<Option<usize>> {
        match self {
            Self::Constant => vec![Some(0); set.trials.len()],
            Self::Pixels => nearest(set, |a, b| {
                squared_distance(&set.images[a], &set.images[b]) as f64
            }),
            Self::Hausdorff => {
                let points = set
                    .images
                    .par_iter()
                    .map(|drawing| hausdorff::points(drawing));
                let points: Vec<_> = points.collect();
                nearest(set, |a, b| hausdorff::distance(&points[a], &points[b]))
            }
        }
    }
}

/// How often the chosen class is the right one.
#[must_use]
pub fn accuracy(set: &TrialSet, chosen: &[Option<usize>]) -> Accuracy {
    let right = set.trials.iter().zip(chosen);
    let correct = right
        .filter(|(trial, chosen)| Some(trial.answer) == **chosen)
        .count();
    Accuracy::of(correct, set.trials.len())
}

/// [`Baseline::Pixels`] on a set of trials.
#[must_use]
pub fn nearest_pixels(set: &TrialSet) -> Accuracy {
    accuracy(set, &Baseline::Pixels.decide(set))
}

/// The class of the nearest shot; none where two classes are equally near.
fn nearest(set: &TrialSet, distance: impl Fn(usize, usize) -> f64 + Sync) -> Vec<Option<usize>> {
    let decisions = set.trials.par_iter().map(|trial| {
        let of_class = |shots: &Vec<usize>| {
            let distances = shots.iter().map(|&shot| distance(trial.query, shot));
            distances.fold(f64::INFINITY, f64::min)
        };
        let distances: Vec<f64> = trial.support.iter().map(of_class).collect();
        let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
        let mut nearest = (0..distances.len()).filter(|&class| distances[class] <= least);
        let class = nearest.next()?;
        nearest.next().is_none().then_some(class)
    });
    decisions.collect()
}

/// Values whose squared differences add up within 31 bits: 255² · 2¹⁴ < 2³¹.
const CHUNK: usize = 1 << 14;

/// In 32-bit sums that cannot overflow and are not checked for it: compilers make vectors of them.
fn squared_distance(a: &Drawing, b: &Drawing) -> u64 {
    let chunk = |(a, b): (&[u8], &[u8])| {
        let squares = a.iter().zip(b).map(|(&a, &b)| {
            let difference = i32::from(a.abs_diff(b));
            difference.wrapping_mul(difference)
        });
        u64::from(squares.fold(0, i32::wrapping_add).unsigned_abs())
    };
    let chunks = a.ink.chunks(CHUNK).zip(b.ink.chunks(CHUNK));
    chunks.map(chunk).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyphs;
    use crate::trials::{Trial, lake20, mixed};
    use std::sync::Arc;

    fn set(query: [u8; 2]) -> TrialSet {
        let drawing = |ink: [u8; 2]| {
            Arc::new(Drawing {
                h: 1,
                w: 2,
                ink: ink.to_vec(),
            })
        };
        TrialSet {
            protocol: String::new(),
            images: vec![drawing([0, 255]), drawing([255, 0]), drawing(query)],
            trials: vec![Trial {
                support: vec![vec![0], vec![1]],
                query: 2,
                answer: 1,
            }],
        }
    }

    #[test]
    fn nearest_wins_and_ties_lose() {
        assert_eq!(nearest_pixels(&set([200, 10])).correct, 1);
        assert_eq!(nearest_pixels(&set([10, 200])).correct, 0);
        assert_eq!(nearest_pixels(&set([7, 7])).correct, 0);
    }

    /// On Lake's runs every class is asked for once, so a constant answer is right in exactly one
    /// of 20; on drawn trials about so often.
    #[test]
    fn a_constant_answer_scores_chance() {
        let glyphs = glyphs::load(1);
        let constant = |set: &TrialSet| accuracy(set, &Baseline::Constant.decide(set));
        assert_eq!(constant(&lake20(&glyphs.runs)).correct, 20);
        let drawn = mixed(&glyphs.evaluation, 20, 1, 5000, 3).unwrap();
        let [low, high] = constant(&drawn).interval95;
        assert!(low < 0.05 && 0.05 < high, "{low} to {high}");
    }

    #[test]
    fn shapes_beat_pixels_on_glyphs() {
        let glyphs = glyphs::load(1);
        let set = mixed(&glyphs.evaluation, 5, 1, 200, 3).unwrap();
        let hausdorff = accuracy(&set, &Baseline::Hausdorff.decide(&set));
        let pixels = nearest_pixels(&set);
        assert!(hausdorff.correct > pixels.correct, "{hausdorff} {pixels}");
    }
}
