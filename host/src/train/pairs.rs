//! Batches of pairs, half of them two drawings of one character: what Koch et al. 2015 (section 3.3) and the
//! post train on.
//!
//! In: background drawings and a seed. Out: [`PairBatch`]es in step order, drawn on a thread of their own.
//! With a set, its pairs are numbers: pair `i` is drawn from a generator keyed by (seed, `i`), its copy `c` is
//! distorted by one keyed by (seed, `i`, `c`), an epoch is a permutation keyed by (seed, epoch). So a set of a
//! million pairs takes no memory, and step `k` is the same batch whether or not the run was interrupted.

use rand::seq::{SliceRandom, index};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::augment::{AugmentConfig, Augmenter, Pose};
use crate::config::{Others, PairConfig};
use crate::dataset::{Character, Dataset, Drawing};
use crate::spec::NetSpec;

/// Keep the draws of pairs, of their copies, of orders and of single batches apart.
const PAIR_SEED: u64 = 0x7061_6972;
const COPY_SEED: u64 = 0x636f_7079;
const EPOCH_SEED: u64 = 0x6570_6f63;
const STEP_SEED: u64 = 0x7374_6570;

/// The images of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct PairBatch {
    /// Ink as `[2][n][h][w]`: the first images of all pairs, then the second ones.
    pub images: Vec<u8>,
    /// `[n]`, 1 where both show one character, else 0.
    pub same: Vec<f32>,
}

/// Two drawings.
#[derive(Debug, Clone, Copy)]
struct Pair<'d> {
    drawings: [&'d Drawing; 2],
    same: bool,
}

/// Draws batches.
#[derive(Debug)]
pub struct Pairs<'d> {
    /// Characters with two drawings to use, alphabet by alphabet.
    alphabets: Vec<Vec<&'d Character>>,
    config: PairConfig,
    seed: u64,
    augment: AugmentConfig,
    augmenter: Augmenter,
    /// For the pairs themselves, beside their copies.
    plain: Augmenter,
    /// Which epoch's order that is, and the order: numbers of pairs and copies.
    order: Option<(usize, Vec<u32>)>,
}

impl<'d> Pairs<'d> {
    /// Batches for `network`'s input; `None` when no two characters have two drawings each.
    #[must_use]
    pub fn new(
        data: &'d Dataset,
        config: &PairConfig,
        seed: u64,
        augment: &AugmentConfig,
        network: &NetSpec,
    ) -> Option<Self> {
        let twice = |character: &&Character| character.drawings.len() > 1;
        let alphabets = data.alphabets.iter();
        let alphabets = alphabets.map(|a| a.characters.iter().filter(twice).collect::<Vec<_>>());
        let alphabets: Vec<_> = alphabets
            .filter(|characters| !characters.is_empty())
            .collect();
        let (side, framing) = (network.input_side, network.framing);
        (alphabets.iter().flatten().count() > 1).then(|| Self {
            alphabets,
            config: config.clone(),
            seed,
            augment: augment.clone(),
            augmenter: Augmenter::new(augment.clone(), side, framing),
            plain: Augmenter::new(AugmentConfig::none(), side, framing),
            order: None,
        })
    }

    /// The batch of step `step`.
    #[must_use]
    pub fn batch(&mut self, step: usize) -> PairBatch {
        match self.config.epoch() {
            Some(epoch) => self.of_set(step / epoch, step % epoch),
            None => self.anew(step),
        }
    }

    /// Batch number `place` of an epoch through the set.
    fn of_set(&mut self, epoch: usize, place: usize) -> PairBatch {
        let order = match self.order.take() {
            Some((of, order)) if of == epoch => order,
            _ => {
                let n = self.config.count * (1 + self.config.copies);
                let mut order: Vec<u32> = (0..n as u32).collect();
                order.shuffle(&mut keyed(self.seed ^ EPOCH_SEED, epoch));
                order
            }
        };
        let (batch, versions) = (self.config.batch, 1 + self.config.copies);
        let mut pending = Pending::default();
        // A set that is smaller than a batch is seen several times in it.
        for &member in order.iter().cycle().skip(place * batch).take(batch) {
            let member = member as usize;
            let pair = self.pair(member / versions);
            let augmenter = match member % versions {
                0 => &mut self.plain,
                _ => &mut self.augmenter,
            };
            let mut rng = keyed(self.seed ^ COPY_SEED, member);
            pending.push(pair, augmenter, Pose::UPRIGHT, &mut rng);
        }
        self.order = Some((epoch, order));
        pending.finish()
    }

    /// Pair number `number` of the set: alphabets take turns, so do pairs that match and others.
    fn pair(&self, number: usize) -> Pair<'d> {
        let mut rng = keyed(self.seed ^ PAIR_SEED, number);
        let alphabet = number % self.alphabets.len();
        let characters = &self.alphabets[alphabet];
        let character = characters[rng.random_range(0..characters.len())];
        match number / self.alphabets.len() % 2 {
            0 => self.matching(character, &mut rng),
            _ => self.different(alphabet, character, &mut rng),
        }
    }

    /// As the post's: each pair of another character, the first half of them does not match.
    fn anew(&mut self, step: usize) -> PairBatch {
        let mut rng = keyed(self.seed ^ STEP_SEED, step);
        let alphabets = self.alphabets.iter().enumerate();
        let all =
            alphabets.flat_map(|(place, characters)| characters.iter().map(move |c| (place, *c)));
        let all: Vec<(usize, &Character)> = all.collect();
        let n = self.config.batch;
        let mut chosen = Vec::new();
        while chosen.len() < n {
            // With fewer characters than pairs they take turns.
            chosen.extend(index::sample(
                &mut rng,
                all.len(),
                all.len().min(n - chosen.len()),
            ));
        }
        let mut pending = Pending::default();
        for (place, at) in chosen.into_iter().enumerate() {
            let (alphabet, character) = all[at];
            let pair = match place < n / 2 {
                true => self.different(alphabet, character, &mut rng),
                false => self.matching(character, &mut rng),
            };
            let pose = Pose::random(&self.augment, &mut rng);
            pending.push(pair, &mut self.augmenter, pose, &mut rng);
        }
        pending.finish()
    }

    /// Two drawers' drawings of a character.
    fn matching(&self, character: &'d Character, rng: &mut ChaCha8Rng) -> Pair<'d> {
        let drawers = index::sample(rng, self.drawers(character), 2);
        Pair {
            drawings: [0, 1].map(|place| &*character.drawings[drawers.index(place)]),
            same: true,
        }
    }

    /// A drawing of a character and one of another, by any drawers.
    fn different(
        &self,
        alphabet: usize,
        character: &'d Character,
        rng: &mut ChaCha8Rng,
    ) -> Pair<'d> {
        let mates = &self.alphabets[alphabet];
        let other = match self.config.others {
            Others::SameAlphabet if mates.len() > 1 => another(mates, character, rng),
            _ => another(&self.alphabets.concat(), character, rng),
        };
        let drawings = [character, other].map(|character| {
            let drawer = rng.random_range(0..self.drawers(character));
            &*character.drawings[drawer]
        });
        Pair {
            drawings,
            same: false,
        }
    }

    /// How many drawings of a character are used.
    fn drawers(&self, character: &Character) -> usize {
        match self.config.drawers {
            0 => character.drawings.len(),
            limit => limit.min(character.drawings.len()),
        }
    }
}

/// Any of `all` but `character`, which is one of them and not the only one.
fn another<'d>(
    all: &[&'d Character],
    character: &Character,
    rng: &mut ChaCha8Rng,
) -> &'d Character {
    let place = all.iter().position(|other| std::ptr::eq(*other, character));
    let step = rng.random_range(1..all.len());
    all[(place.unwrap_or(0) + step) % all.len()]
}

fn keyed(seed: u64, stream: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    rng
}

/// A batch that is being drawn.
#[derive(Default)]
struct Pending {
    images: [Vec<u8>; 2],
    same: Vec<f32>,
}

impl Pending {
    fn push(
        &mut self,
        pair: Pair<'_>,
        augmenter: &mut Augmenter,
        pose: Pose,
        rng: &mut ChaCha8Rng,
    ) {
        for (drawing, images) in pair.drawings.into_iter().zip(&mut self.images) {
            augmenter.apply(drawing, pose, rng, images);
        }
        self.same.push(if pair.same { 1.0 } else { 0.0 });
    }

    fn finish(self) -> PairBatch {
        PairBatch {
            images: self.images.concat(),
            same: self.same,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::glyphs;
    use crate::spec::Framing;

    const SIDE: usize = 105;

    fn pairs<'d>(data: &'d Dataset, config: &PairConfig) -> Pairs<'d> {
        let network = NetSpec {
            input_side: SIDE,
            framing: Framing::Picture,
            layers: vec![],
        };
        Pairs::new(data, config, 3, &AugmentConfig::koch(), &network).unwrap()
    }

    /// Alphabet, character and drawer of every image in a pair, by what it looks like undistorted.
    fn places(pairs: &mut Pairs<'_>, data: &Dataset) -> BTreeMap<Vec<u8>, [usize; 3]> {
        let mut places = BTreeMap::new();
        for (a, alphabet) in data.alphabets.iter().enumerate() {
            for (c, character) in alphabet.characters.iter().enumerate() {
                for (d, drawing) in character.drawings.iter().enumerate() {
                    let mut image = Vec::new();
                    pairs
                        .plain
                        .apply(drawing, Pose::UPRIGHT, &mut keyed(1, 1), &mut image);
                    places.insert(image, [a, c, d]);
                }
            }
        }
        places
    }

    /// Both images of each pair.
    fn images(batch: &PairBatch) -> Vec<[&[u8]; 2]> {
        let images: Vec<&[u8]> = batch.images.chunks(SIDE * SIDE).collect();
        let (first, second) = images.split_at(batch.same.len());
        first.iter().zip(second).map(|(a, b)| [*a, *b]).collect()
    }

    #[test]
    fn a_set_is_half_and_half_and_even_over_alphabets() {
        let data = glyphs::synthetic(5, "background", 3, 8);
        let config = PairConfig {
            count: 60,
            copies: 0,
            drawers: 4,
            batch: 20,
            ..PairConfig::default()
        };
        let mut pairs = pairs(&data, &config);
        let places = places(&mut pairs, &data);
        let mut per_alphabet = [[0; 2]; 3];
        let mut first_epoch = Vec::new();
        for step in 0..3 {
            let batch = pairs.batch(step);
            for ([a, b], same) in images(&batch).into_iter().zip(&batch.same) {
                let ([a1, c1, d1], [a2, c2, d2]) = (places[a], places[b]);
                assert_eq!(a1, a2);
                assert_eq!(*same == 1.0, c1 == c2);
                assert!(*same == 0.0 || d1 != d2);
                assert!(d1 < 4 && d2 < 4);
                per_alphabet[a1][usize::from(c1 == c2)] += 1;
            }
            first_epoch.extend(images(&batch).into_iter().map(|pair| pair.concat()));
        }
        assert_eq!(per_alphabet, [[10; 2]; 3]);
        // The next epoch has the same pairs in another order.
        let second: Vec<_> = (3..6).map(|step| pairs.batch(step)).collect();
        let mut second: Vec<_> = second
            .iter()
            .flat_map(images)
            .map(|pair| pair.concat())
            .collect();
        assert_ne!(first_epoch, second);
        first_epoch.sort();
        second.sort();
        assert_eq!(first_epoch, second);
    }

    #[test]
    fn copies_are_distorted_and_the_pair_itself_is_there() {
        let data = glyphs::synthetic(5, "background", 2, 4);
        let config = PairConfig {
            count: 4,
            copies: 8,
            batch: 36,
            ..PairConfig::default()
        };
        let mut pairs = pairs(&data, &config);
        let places = places(&mut pairs, &data);
        let batch = pairs.batch(0);
        let whole = |pair: &[&[u8]; 2]| pair.iter().all(|image| places.contains_key(*image));
        let undistorted = images(&batch).iter().filter(|pair| whole(pair)).count();
        // A copy of which no part is distorted is one in 2^14.
        assert_eq!(undistorted, 4);
    }

    #[test]
    fn drawn_anew_every_pair_is_of_another_character() {
        let data = glyphs::synthetic(5, "background", 3, 8);
        let config = PairConfig {
            batch: 8,
            ..PairConfig::seed()
        };
        let mut pairs = pairs(&data, &config);
        let places = places(&mut pairs, &data);
        pairs.augmenter = Augmenter::new(AugmentConfig::none(), SIDE, Framing::Picture);
        let (batch, again, next) = (pairs.batch(5), pairs.batch(5), pairs.batch(6));
        assert_eq!(batch, again);
        assert_ne!(batch, next);
        assert_eq!(batch.same, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
        let mut firsts = Vec::new();
        for ([a, b], same) in images(&batch).into_iter().zip(&batch.same) {
            let ([a1, c1, _], [a2, c2, _]) = (places[a], places[b]);
            assert_eq!(*same == 1.0, (a1, c1) == (a2, c2));
            firsts.push((a1, c1));
        }
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 8);
    }

    #[test]
    fn nothing_to_pair_is_said() {
        let mut data = glyphs::synthetic(5, "background", 1, 1);
        data.alphabets[0].characters.truncate(1);
        let network = NetSpec::preset("micro").unwrap();
        let config = PairConfig::default();
        assert!(Pairs::new(&data, &config, 1, &AugmentConfig::none(), &network).is_none());
    }
}
