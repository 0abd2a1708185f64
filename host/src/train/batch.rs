//! Training batches, drawn and distorted on a thread of their own while libtorch computes.
//!
//! In: background drawings and a seed. Out: [`Batch`]es in step order. A batch holds several
//! within-alphabet episodes; each class appears as one drawing by one drawer (the query) and one by
//! another (the support), and all classes of an episode share the two drawers, as in Lake's runs.
//! Every draw comes from a generator keyed by (seed, step), so step `k` is the same batch whether
//! or not the run was interrupted.

use rand::SeedableRng;
use rand::seq::{SliceRandom, index};
use rand_chacha::ChaCha8Rng;

use crate::augment::{AugmentConfig, Augmenter, Pose};
use crate::config::TrainConfig;
use crate::dataset::{Alphabet, Dataset};

/// The images of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Classes; query `i` and support `i` are the same character.
    pub n_classes: usize,
    /// Ink as `[2 * n_classes][h][w]`: all queries, then all supports.
    pub images: Vec<u8>,
}

/// Draws batches.
#[derive(Debug)]
pub struct Batches<'d> {
    data: &'d Dataset,
    n_classes: usize,
    n_way: usize,
    seed: u64,
    augment: AugmentConfig,
    augmenter: Augmenter,
}

impl<'d> Batches<'d> {
    /// Batches for networks whose input is `side`×`side`.
    #[must_use]
    pub fn new(
        data: &'d Dataset,
        train: &TrainConfig,
        augment: &AugmentConfig,
        side: usize,
    ) -> Self {
        Self {
            data,
            n_classes: (train.episodes * train.n_way).min(data.n_characters()),
            n_way: train.n_way,
            seed: train.seed,
            augment: augment.clone(),
            augmenter: Augmenter::new(augment.clone(), side),
        }
    }

    /// The batch of step `step`.
    #[must_use]
    pub fn batch(&mut self, step: usize) -> Batch {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(step as u64);
        let mut alphabets: Vec<&Alphabet> = self.data.alphabets.iter().collect();
        alphabets.shuffle(&mut rng);
        let (mut queries, mut supports) = (Vec::new(), Vec::new());
        let mut missing = self.n_classes;
        for alphabet in alphabets {
            let n_way = self.n_way.min(alphabet.characters.len()).min(missing);
            self.episode(alphabet, n_way, &mut rng, &mut queries, &mut supports);
            missing -= n_way;
        }
        queries.append(&mut supports);
        Batch {
            n_classes: self.n_classes,
            images: queries,
        }
    }

    /// Appends one drawing of each of `n_way` characters to `queries` and one to `supports`.
    fn episode(
        &mut self,
        alphabet: &Alphabet,
        n_way: usize,
        rng: &mut ChaCha8Rng,
        queries: &mut Vec<u8>,
        supports: &mut Vec<u8>,
    ) {
        // Turned as a whole, an alphabet is another alphabet; turned letter by letter, some
        // syllabaries would contain a character twice.
        let pose = Pose::random(&self.augment, rng);
        let n_drawers = alphabet.n_drawers();
        if n_drawers < 2 {
            return;
        }
        let drawers = index::sample(rng, n_drawers, 2);
        for class in index::sample(rng, alphabet.characters.len(), n_way) {
            let character = &alphabet.characters[class];
            for (drawer, images) in drawers.iter().zip([&mut *queries, &mut *supports]) {
                self.augmenter
                    .apply(&character.drawings[drawer], pose, rng, images);
            }
        }
    }
}
