//! Training batches, drawn and distorted on a thread of their own while libtorch computes.
//!
//! In: background drawings and a seed. Out: [`Batch`]es in step order. A batch holds several
//! within-alphabet episodes; each class appears once by each of a few drawers, whom all classes of an
//! episode share, as in Lake's runs: one drew the queries, another the supports.
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
    /// Classes; drawing `i` of every drawer is the same character.
    pub n_classes: usize,
    /// Drawers of an episode.
    pub n_drawers: usize,
    /// Ink as `[n_drawers][n_classes][h][w]`.
    pub images: Vec<u8>,
}

/// Draws batches.
#[derive(Debug)]
pub struct Batches<'d> {
    data: &'d Dataset,
    /// At most.
    n_classes: usize,
    n_way: usize,
    n_drawers: usize,
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
            n_drawers: train.drawings,
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
        let usable = self.data.alphabets.iter();
        let usable = usable.filter(|alphabet| alphabet.n_drawers() >= self.n_drawers);
        let mut alphabets: Vec<&Alphabet> = usable.collect();
        alphabets.shuffle(&mut rng);
        let mut by_drawer = vec![Vec::<u8>::new(); self.n_drawers];
        let mut missing = self.n_classes;
        for alphabet in alphabets {
            let n_way = self.n_way.min(alphabet.characters.len()).min(missing);
            self.episode(alphabet, n_way, &mut rng, &mut by_drawer);
            missing -= n_way;
        }
        Batch {
            n_classes: self.n_classes - missing,
            n_drawers: self.n_drawers,
            images: by_drawer.concat(),
        }
    }

    /// Appends a drawing of each of `n_way` characters to the images of every drawer.
    fn episode(
        &mut self,
        alphabet: &Alphabet,
        n_way: usize,
        rng: &mut ChaCha8Rng,
        by_drawer: &mut [Vec<u8>],
    ) {
        // Turned as a whole, an alphabet is another alphabet; turned letter by letter, some
        // syllabaries would contain a character twice.
        let pose = Pose::random(&self.augment, rng);
        let drawers = index::sample(rng, alphabet.n_drawers(), by_drawer.len());
        for class in index::sample(rng, alphabet.characters.len(), n_way) {
            let character = &alphabet.characters[class];
            for (drawer, images) in drawers.iter().zip(by_drawer.iter_mut()) {
                self.augmenter
                    .apply(&character.drawings[drawer], pose, rng, images);
            }
        }
    }
}
