//! Pairs of drawings: of the same character, and of two characters of one alphabet.
//!
//! In: alphabets that may be trained on. Out: [`Pair`]s, as many of the one kind as of the other,
//! always by two drawers; and how well a head tells the kinds apart.

use std::sync::Arc;

use rand::seq::index;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fit::Pair;
use crate::dataset::{Dataset, Drawing};

/// Drawings of each character.
const DRAWERS: usize = 4;
const SEED: u64 = 0x7061_6972;

/// Drawings and pairs of them.
#[derive(Debug, Clone, Default)]
pub struct Pairs {
    /// Every drawing that a pair uses, once.
    pub images: Vec<Arc<Drawing>>,
    /// Alternately of the same and of different characters.
    pub pairs: Vec<Pair>,
}

/// Draws pairs of every character of `data`; always the same ones.
#[must_use]
pub fn draw(data: &Dataset) -> Pairs {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut drawn = Pairs::default();
    for alphabet in &data.alphabets {
        let n_drawers = alphabet.n_drawers();
        let (n_characters, count) = (alphabet.characters.len(), DRAWERS.min(n_drawers));
        if n_characters < 2 || count < 2 {
            continue;
        }
        let first = drawn.images.len();
        let drawers = index::sample(&mut rng, n_drawers, count).into_vec();
        for character in &alphabet.characters {
            drawn.images.extend(
                drawers
                    .iter()
                    .map(|&drawer| character.drawings[drawer].clone()),
            );
        }
        for character in 0..n_characters {
            for a in 0..count {
                for b in 0..a {
                    let other = (character + rng.random_range(1..n_characters)) % n_characters;
                    let at = |character: usize, drawer: usize| first + character * count + drawer;
                    let images = [at(character, a), at(character, b)];
                    drawn.pairs.push(Pair { images, same: true });
                    let images = [at(character, a), at(other, b)];
                    drawn.pairs.push(Pair {
                        images,
                        same: false,
                    });
                }
            }
        }
    }
    // In a random order, so that a part of them is of all alphabets.
    let order = index::sample(&mut rng, drawn.pairs.len(), drawn.pairs.len());
    drawn.pairs = order.iter().map(|at| drawn.pairs[at]).collect();
    drawn
}

/// How often a pair of the same character has a larger logit than a pair of different ones (the
/// area under the ROC curve): 1 is perfect, 0.5 chance, less than that the wrong way round.
#[must_use]
pub fn separation(pairs: &[Pair], logits: &[f32]) -> f64 {
    let mut ranked: Vec<(f32, bool)> = logits
        .iter()
        .copied()
        .zip(pairs.iter().map(|pair| pair.same))
        .collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut won, mut same) = (0.0_f64, 0.0_f64, 0.0_f64);
    for tied in ranked.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let n_same = tied.iter().filter(|(_, same)| *same).count() as f64;
        let n_different = tied.len() as f64 - n_same;
        won += n_same * (below + n_different / 2.0);
        below += n_different;
        same += n_same;
    }
    if same * below > 0.0 {
        won / (same * below)
    } else {
        0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyphs;

    #[test]
    fn pairs_are_by_two_drawers_and_half_of_each_kind() {
        let data = glyphs::synthetic(1, "background", 2, 5);
        let Pairs { images, pairs } = draw(&data);
        assert_eq!((images.len(), pairs.len()), (2 * 5 * DRAWERS, 2 * 5 * 12));
        assert_eq!(pairs.iter().filter(|pair| pair.same).count(), 60);
        for Pair {
            images: [a, b],
            same,
        } in &pairs
        {
            assert_ne!(a % DRAWERS, b % DRAWERS);
            assert_eq!(a / DRAWERS == b / DRAWERS, *same);
            assert_eq!(a / (5 * DRAWERS), b / (5 * DRAWERS), "one alphabet");
        }
        assert_eq!(draw(&data).pairs, pairs);
    }

    #[test]
    fn separation_counts_ties_half() {
        let pair = |same| Pair {
            images: [0, 1],
            same,
        };
        let pairs = [pair(true), pair(false), pair(true), pair(false)];
        assert_eq!(separation(&pairs, &[3.0, 1.0, 4.0, 2.0]), 1.0);
        assert_eq!(separation(&pairs, &[1.0, 3.0, 2.0, 4.0]), 0.0);
        assert_eq!(separation(&pairs, &[5.0; 4]), 0.5);
        assert_eq!(separation(&[], &[]), 0.5);
    }
}
