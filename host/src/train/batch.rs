//! Training batches, drawn and distorted on a thread of their own while libtorch computes.
//!
//! In: background drawings and a seed. Out: [`Batch`]es in step order. A batch holds several
//! within-alphabet episodes; each class appears once by each of a few drawers, whom all classes of an
//! episode share, as in Lake's runs: one drew the queries, another the supports.
//! Every draw comes from a generator keyed by (seed, step), so step `k` is the same batch whether
//! or not the run was interrupted.

use rand::seq::{SliceRandom, index};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::augment::{AugmentConfig, Augmenter, Pose};
use crate::capture_sim::{captured_dataset, developed};
use crate::config::TrainConfig;
use crate::dataset::{Alphabet, Dataset};
use crate::spec::NetSpec;

/// Keeps the scenes of captures apart from those of the evaluation.
const CAPTURE_SEED: u64 = 0x7363_656e;

/// The images of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Classes; drawing `i` of every drawer is the same character.
    pub n_classes: usize,
    /// Drawers of an episode.
    pub n_drawers: usize,
    /// Ink as `[n_drawers][n_classes][h][w]`.
    pub images: Vec<u8>,
    /// `[n_classes]`, which of all [`Batches::n_labels`] each class is.
    pub labels: Vec<i64>,
    /// Classes of each episode, which lie side by side.
    pub episodes: Vec<usize>,
}

/// Draws batches.
#[derive(Debug)]
pub struct Batches<'d> {
    data: &'d Dataset,
    /// The same drawings as a device sees captures of them, where the configuration wants some.
    captures: Option<Dataset>,
    /// At most.
    n_classes: usize,
    n_way: usize,
    n_drawers: usize,
    seed: u64,
    augment: AugmentConfig,
    augmenter: Augmenter,
}

impl<'d> Batches<'d> {
    /// Batches for `network`'s input.
    #[must_use]
    pub fn new(
        data: &'d Dataset,
        train: &TrainConfig,
        augment: &AugmentConfig,
        network: &NetSpec,
    ) -> Self {
        let captures = (augment.captures > 0.0).then(|| {
            let seed = train.seed ^ CAPTURE_SEED;
            captured_dataset(data.clone(), seed, developed)
        });
        Self {
            data,
            captures,
            n_classes: (train.episodes * train.n_way).min(data.n_characters()),
            n_way: train.n_way,
            n_drawers: train.drawings,
            seed: train.seed,
            augment: augment.clone(),
            augmenter: Augmenter::new(augment.clone(), network.input_side, network.framing),
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
        let (mut labels, mut episodes) = (Vec::new(), Vec::new());
        let mut missing = self.n_classes;
        for alphabet in alphabets {
            let n_way = self.n_way.min(alphabet.characters.len()).min(missing);
            if n_way == 0 {
                break;
            }
            episodes.push(n_way);
            labels.extend(self.episode(alphabet, n_way, &mut rng, &mut by_drawer));
            missing -= n_way;
        }
        Batch {
            n_classes: self.n_classes - missing,
            n_drawers: self.n_drawers,
            images: by_drawer.concat(),
            labels,
            episodes,
        }
    }

    /// Classes there are: every character in every pose.
    #[must_use]
    pub fn n_labels(data: &Dataset, augment: &AugmentConfig) -> usize {
        data.n_characters() * Pose::count(augment)
    }

    /// Appends a drawing of each of `n_way` characters to the images of every drawer; returns their
    /// labels.
    fn episode(
        &mut self,
        alphabet: &Alphabet,
        n_way: usize,
        rng: &mut ChaCha8Rng,
        by_drawer: &mut [Vec<u8>],
    ) -> Vec<i64> {
        // Turned as a whole, an alphabet is another alphabet; turned letter by letter, some
        // syllabaries would contain a character twice.
        let pose = Pose::random(&self.augment, rng);
        let drawers = index::sample(rng, alphabet.n_drawers(), by_drawer.len());
        let before = self.data.alphabets.iter();
        let before = before.take_while(|other| !std::ptr::eq(*other, alphabet));
        let place = before.clone().count();
        let first: usize = before.map(|other| other.characters.len()).sum();
        let mut labels = Vec::new();
        for class in index::sample(rng, alphabet.characters.len(), n_way) {
            let label = (first + class) * Pose::count(&self.augment) + pose.number();
            labels.push(label as i64);
            let character = &alphabet.characters[class];
            for (drawer, images) in drawers.iter().zip(by_drawer.iter_mut()) {
                let captured = self.captures.as_ref().filter(|_| {
                    let draw: f32 = rng.random();
                    draw < self.augment.captures
                });
                let drawing = match captured {
                    Some(data) => &data.alphabets[place].characters[class].drawings[drawer],
                    None => &character.drawings[drawer],
                };
                self.augmenter.apply(drawing, pose, rng, images);
            }
        }
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Character;
    use crate::engine::{Input, network_input};
    use crate::glyphs;
    use crate::spec::Framing;
    use shared::shape::Hwc;

    const SIDE: usize = 16;

    fn batch(augment: AugmentConfig, data: &Dataset) -> Batch {
        let train = TrainConfig {
            episodes: 3,
            n_way: 5,
            ..TrainConfig::default()
        };
        let network = NetSpec {
            input_side: SIDE,
            framing: Framing::Picture,
            layers: vec![],
        };
        Batches::new(data, &train, &augment, &network).batch(7)
    }

    #[test]
    fn a_label_is_the_number_of_the_character() {
        let data = glyphs::synthetic(5, "background", 3, 8);
        let batch = batch(AugmentConfig::none(), &data);
        let characters: Vec<_> = data.characters().collect();
        let images: Vec<&[u8]> = batch.images.chunks(SIDE * SIDE).collect();
        assert_eq!((batch.n_classes, batch.labels.len()), (15, 15));
        assert_eq!(batch.episodes, [5, 5, 5]);
        let input = Input {
            shape: Hwc::new(SIDE, SIDE, 1),
            framing: Framing::Picture.into(),
        };
        for (place, image) in images.into_iter().enumerate() {
            // Sampled in training, averaged over areas here: like its own drawing more than any other.
            let difference = |character: &Character| {
                let seen = |drawing| network_input(drawing, input).unwrap();
                let drawings = character.drawings.iter();
                let sums = drawings.map(|drawing| {
                    let pairs = seen(drawing).into_iter().zip(image);
                    pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>()
                });
                sums.min()
            };
            let nearest = (0..characters.len()).min_by_key(|&at| difference(characters[at]));
            let label = batch.labels[place % batch.n_classes] as usize;
            assert_eq!(nearest, Some(label), "image {place}");
        }
    }

    #[test]
    fn a_character_has_a_label_for_each_pose() {
        let data = glyphs::synthetic(5, "background", 3, 8);
        let augment = AugmentConfig::default();
        let n_labels = Batches::n_labels(&data, &augment);
        assert_eq!(n_labels, data.n_characters() * 8);
        let batch = batch(augment, &data);
        assert!(
            batch
                .labels
                .iter()
                .all(|&label| (label as usize) < n_labels)
        );
        // All of an episode are laid down alike.
        let poses: Vec<i64> = batch.labels.iter().map(|label| label % 8).collect();
        assert!(
            poses
                .chunks(5)
                .all(|episode| episode.iter().all(|pose| *pose == episode[0]))
        );
    }
}
