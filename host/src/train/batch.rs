//! Training batches, drawn and distorted on a thread of their own while libtorch computes.
//!
//! In: background drawings and a seed. Out: [`Batch`]es in step order. A batch holds several
//! within-alphabet episodes; each class appears as one drawing by one drawer (the query) and one by
//! another (the support), and all classes of an episode share the two drawers, as in Lake's runs.
//! Every draw comes from a generator keyed by (seed, step), so step `k` is the same batch whether
//! or not the run was interrupted.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::ScopedJoinHandle;

use rand::seq::{IndexedRandom, SliceRandom, index};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::augment::{AugmentConfig, Augmenter, QuarterTurns};
use crate::config::TrainConfig;
use crate::dataset::{Alphabet, Dataset};

/// Batches prepared ahead of libtorch.
const PREFETCH: usize = 4;

/// The images of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Classes; query `i` and support `i` are the same character.
    pub n_classes: usize,
    /// Ink in `0..1` as `[2 * n_classes][h][w]`: all queries, then all supports.
    pub images: Vec<f32>,
}

/// Draws batches.
#[derive(Debug)]
pub struct Batches<'d> {
    data: &'d Dataset,
    n_classes: usize,
    n_way: usize,
    seed: u64,
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
        let characters = data.alphabets.iter().map(|alphabet| alphabet.characters.len()).sum();
        Self {
            data,
            n_classes: (train.episodes * train.n_way).min(characters),
            n_way: train.n_way,
            seed: train.seed,
            augmenter: Augmenter::new(augment.clone(), side),
        }
    }

    /// The batch of step `step`.
    #[must_use]
    pub fn batch(&self, step: usize) -> Batch {
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
        Batch { n_classes: self.n_classes, images: queries }
    }

    /// Appends one drawing of each of `n_way` characters to `queries` and one to `supports`.
    fn episode(
        &self,
        alphabet: &Alphabet,
        n_way: usize,
        rng: &mut ChaCha8Rng,
        queries: &mut Vec<f32>,
        supports: &mut Vec<f32>,
    ) {
        // Turned as a whole, an alphabet is another alphabet; turned letter by letter, some
        // syllabaries would contain a character twice.
        let turns = QuarterTurns::random(rng);
        let n_drawers = alphabet.characters.iter().map(|c| c.drawings.len()).min().unwrap_or(0);
        if n_drawers < 2 {
            return;
        }
        let drawers = index::sample(rng, n_drawers, 2);
        for class in index::sample(rng, alphabet.characters.len(), n_way) {
            let character = &alphabet.characters[class];
            for (drawer, images) in drawers.iter().zip([&mut *queries, &mut *supports]) {
                let image = self.augmenter.augment(&character.drawings[drawer], turns, rng);
                images.extend(image.iter().map(|&ink| f32::from(ink) / 256.0));
            }
        }
    }
}
