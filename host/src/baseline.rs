//! What a network must beat: nearest neighbour on pixels.
//!
//! In: a [`TrialSet`]. Out: an [`Accuracy`] on the very same trials.

use rayon::prelude::*;

use crate::dataset::Drawing;
use crate::trials::{Accuracy, Trial, TrialSet};

/// 1-nearest-neighbour with the Euclidean distance between drawings (Koch et al. 2015, table 1). A
/// tie counts as wrong.
#[must_use]
pub fn nearest_pixels(set: &TrialSet) -> Accuracy {
    let decide = |trial: &Trial| {
        let query = &set.images[trial.query];
        let distance = |shots: &Vec<usize>| {
            let distances = shots
                .iter()
                .map(|&shot| squared_distance(query, &set.images[shot]));
            distances.min().unwrap_or(u64::MAX)
        };
        let distances: Vec<u64> = trial.support.iter().map(distance).collect();
        let right = distances.get(trial.answer).copied().unwrap_or(u64::MAX);
        distances
            .iter()
            .enumerate()
            .all(|(class, &d)| class == trial.answer || d > right)
    };
    let correct = set.trials.par_iter().filter(|trial| decide(trial)).count();
    Accuracy::of(correct, set.trials.len())
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
}
