//! Koch's verification task (Koch et al. 2015, section 4.2): do two drawings show one character?
//!
//! In: drawings and an engine. Out: how often the answer is right, over pairs of which half show one character.
//! The answer is yes where the probability is above one half.

use rand::seq::index;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{EvaluateError, network_inputs};
use crate::dataset::{Alphabet, Dataset};
use crate::engine::{Embedder, Score};
use crate::trials::{Accuracy, Pool, TrialError, TrialSet};

/// Pairs of drawings, both of one alphabet, by two drawers.
#[derive(Debug, Clone)]
pub struct VerificationSet {
    /// Its images; there are no trials.
    pool: TrialSet,
    pairs: Vec<Pair>,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    /// Indices of images.
    images: [usize; 2],
    /// Whether they show one character.
    same: bool,
}

impl VerificationSet {
    /// `n_pairs` pairs; alphabets take turns, so do pairs of one character and others.
    ///
    /// # Errors
    /// [`TrialError`] when no alphabet has two characters by two drawers.
    pub fn draw(data: &Dataset, n_pairs: usize, seed: u64) -> Result<Self, TrialError> {
        let enough = |a: &&Alphabet| a.characters.len() > 1 && a.n_drawers() > 1;
        let alphabets: Vec<_> = data.alphabets.iter().filter(enough).collect();
        let mut pool = Pool::new("same_or_different_within_alphabet".to_owned());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pairs = Vec::new();
        for (number, alphabet) in alphabets.iter().cycle().take(n_pairs).enumerate() {
            let (n, drawers) = (alphabet.characters.len(), alphabet.n_drawers());
            let drawers = index::sample(&mut rng, drawers, 2);
            let (first, step) = (rng.random_range(0..n), rng.random_range(1..n));
            let same = (number / alphabets.len()).is_multiple_of(2);
            let second = if same { first } else { (first + step) % n };
            let images = [(first, 0), (second, 1)].map(|(character, by)| {
                pool.image(&alphabet.characters[character].drawings[drawers.index(by)])
            });
            pairs.push(Pair { images, same });
        }
        let twice = data.alphabets.iter().filter(|a| a.n_drawers() > 1);
        let sizes = twice.map(|a| a.characters.len());
        let refusal = TrialError {
            task: "alphabet",
            n_way: 2,
            k_shot: 1,
            most: sizes.max().unwrap_or(0),
        };
        match pairs.is_empty() {
            true => Err(refusal),
            false => Ok(Self {
                pool: pool.finish(),
                pairs,
            }),
        }
    }

    /// Name of the task.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.pool.protocol
    }

    /// How often `engine` is right.
    ///
    /// # Errors
    /// [`EvaluateError`] when it gives no answer.
    pub fn decide<E: Embedder>(&self, engine: &E) -> Result<Accuracy, EvaluateError> {
        let images = network_inputs(&self.pool.images, engine.input())?;
        let embeddings = images.par_iter().map(|image| engine.embed(image));
        let embeddings: Vec<_> = embeddings.collect::<Result<_, _>>()?;
        let right = self.pairs.par_iter().map(|pair| {
            let [a, b] = pair.images.map(|index| &embeddings[index]);
            // A logit of 0 is a probability of one half.
            Ok((engine.logit(a, b)?.value() > 0.0) == pair.same)
        });
        let right: Vec<bool> = right.collect::<Result<_, EvaluateError>>()?;
        let correct = right.iter().filter(|right| **right).count();
        Ok(Accuracy::of(correct, right.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{EngineError, Input};
    use crate::glyphs;
    use crate::spec::Framing;
    use shared::shape::Hwc;

    /// Says yes to what has the same amount of ink: to a drawing and itself.
    struct SameInk(f64);

    impl Embedder for SameInk {
        type Embedding = u64;
        type Logit = f64;

        fn name(&self) -> &'static str {
            "same ink"
        }

        fn input(&self) -> Input {
            Input {
                shape: Hwc::new(105, 105, 1),
                framing: Framing::Picture.into(),
            }
        }

        fn embed(&self, input: &[u8]) -> Result<u64, EngineError> {
            Ok(input.iter().map(|&ink| u64::from(ink)).sum())
        }

        fn logit(&self, query: &u64, support: &u64) -> Result<f64, EngineError> {
            Ok(if query == support { 1.0 } else { self.0 })
        }
    }

    #[test]
    fn half_of_the_pairs_are_of_one_character() {
        let data = glyphs::synthetic(3, "evaluation", 4, 6);
        let set = VerificationSet::draw(&data, 80, 1).unwrap();
        assert_eq!(set.pairs.iter().filter(|pair| pair.same).count(), 40);
        // Two drawers never draw the same: whoever says no to them is right in one half of the pairs.
        assert!(
            set.pairs
                .iter()
                .all(|pair| pair.images[0] != pair.images[1])
        );
        let accuracy = |otherwise| set.decide(&SameInk(otherwise)).unwrap().mean;
        assert!((accuracy(-1.0) - 0.5).abs() < 0.05);
        assert!((accuracy(1.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn one_character_is_too_few() {
        let mut data = glyphs::synthetic(3, "evaluation", 1, 6);
        data.alphabets[0].characters.truncate(1);
        assert!(VerificationSet::draw(&data, 10, 1).is_err());
    }
}
