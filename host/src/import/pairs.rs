//! Pairs of drawings: of the same character, and of two characters of one alphabet.
//!
//! In: alphabets that may be trained on. Out: [`Pairs`], as many of the one kind as of the other,
//! always by two drawers; and how well a network tells the kinds apart.

use rand::seq::index;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use shared::shape::ShapeError;

use super::fit::Pair;
use crate::dataset::Dataset;
use crate::engine::float::Float;
use crate::engine::{Embedder, EngineError, Input, network_input};

/// Drawings of each character.
const DRAWERS: usize = 4;
const SEED: u64 = 0x7061_6972;

/// Network inputs and pairs of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairs {
    /// Every drawing that a pair uses, once, `[h][w]`.
    pub images: Vec<Vec<u8>>,
    /// In a random order, so that a part of them is of all alphabets.
    pub pairs: Vec<Pair>,
}

impl Pairs {
    /// Draws pairs of every character of `data`, always the same ones.
    ///
    /// # Errors
    /// [`ShapeError`] when a drawing cannot be brought to the size of `input`.
    pub fn draw(data: &Dataset, input: Input) -> Result<Self, ShapeError> {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let (mut drawings, mut pairs) = (Vec::new(), Vec::new());
        for alphabet in &data.alphabets {
            let n_drawers = alphabet.n_drawers();
            let (n_characters, count) = (alphabet.characters.len(), DRAWERS.min(n_drawers));
            if n_characters < 2 || count < 2 {
                continue;
            }
            let first = drawings.len();
            let at = |character: usize, drawer: usize| first + character * count + drawer;
            let drawers = index::sample(&mut rng, n_drawers, count).into_vec();
            for (c, character) in alphabet.characters.iter().enumerate() {
                drawings.extend(drawers.iter().map(|&drawer| &character.drawings[drawer]));
                for (a, b) in (0..count).flat_map(|a| (0..a).map(move |b| (a, b))) {
                    let other = (c + rng.random_range(1..n_characters)) % n_characters;
                    pairs.push(Pair {
                        images: [at(c, a), at(c, b)],
                        same: true,
                    });
                    pairs.push(Pair {
                        images: [at(c, a), at(other, b)],
                        same: false,
                    });
                }
            }
        }
        let order = index::sample(&mut rng, pairs.len(), pairs.len());
        let images = drawings
            .par_iter()
            .map(|drawing| network_input(drawing, input));
        Ok(Self {
            images: images.collect::<Result<_, _>>()?,
            pairs: order.iter().map(|at| pairs[at]).collect(),
        })
    }

    /// The same pairs in the other colours.
    #[must_use]
    pub fn turned_over(&self) -> Self {
        let turn = |image: &Vec<u8>| image.iter().map(|ink| 255 - ink).collect();
        Self {
            images: self.images.iter().map(turn).collect(),
            pairs: self.pairs.clone(),
        }
    }

    /// The embeddings of the images.
    ///
    /// # Errors
    /// [`EngineError`] when the network takes other images.
    pub fn embeddings(&self, float: &Float<'_>) -> Result<Vec<Vec<f32>>, EngineError> {
        self.images
            .par_iter()
            .map(|image| float.embed(image))
            .collect()
    }

    /// How often a pair of the same character has a larger logit than a pair of different ones:
    /// 1 is perfect, 0.5 chance, less than that the wrong way round.
    ///
    /// # Errors
    /// [`EngineError`] when the network takes other images.
    pub fn separation(&self, float: &Float<'_>) -> Result<f64, EngineError> {
        let embeddings = self.embeddings(float)?;
        let logits = self.pairs.iter().map(|pair| {
            let [a, b] = pair.images.map(|image| &embeddings[image]);
            Ok((float.logit(a, b)?, pair.same))
        });
        Ok(area_under_curve(
            logits.collect::<Result<_, EngineError>>()?,
        ))
    }
}

/// Of the receiver operating characteristic; ties count half.
fn area_under_curve(mut ranked: Vec<(f64, bool)>) -> f64 {
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
    use shared::image::Framing;
    use shared::shape::Hwc;

    #[test]
    fn pairs_are_by_two_drawers_and_half_of_each_kind() {
        let data = glyphs::synthetic(1, "background", 2, 5);
        let input = Input {
            shape: Hwc::new(8, 8, 1),
            framing: Framing::Picture,
        };
        let drawn = Pairs::draw(&data, input).unwrap();
        let Pairs { images, pairs } = &drawn;
        assert_eq!((images.len(), pairs.len()), (2 * 5 * DRAWERS, 2 * 5 * 12));
        assert_eq!(pairs.iter().filter(|pair| pair.same).count(), 60);
        for Pair {
            images: [a, b],
            same,
        } in pairs
        {
            assert_ne!(a % DRAWERS, b % DRAWERS);
            assert_eq!(a / DRAWERS == b / DRAWERS, *same);
            assert_eq!(a / (5 * DRAWERS), b / (5 * DRAWERS), "one alphabet");
        }
        assert_eq!(Pairs::draw(&data, input), Ok(drawn.clone()));
        assert_eq!(drawn.turned_over().turned_over(), drawn);
    }

    #[test]
    fn ties_count_half() {
        let area = |logits: [f64; 4]| {
            area_under_curve(logits.into_iter().zip([true, false, true, false]).collect())
        };
        assert_eq!(area([3.0, 1.0, 4.0, 2.0]), 1.0);
        assert_eq!(area([1.0, 3.0, 2.0, 4.0]), 0.0);
        assert_eq!(area([5.0; 4]), 0.5);
        assert_eq!(area_under_curve(Vec::new()), 0.5);
    }
}
