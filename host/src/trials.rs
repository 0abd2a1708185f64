//! N-way k-shot trials: which drawings are the support set, which is the query, which class is
//! right.
//!
//! In: drawings and a protocol. Out: a [`TrialSet`] in which the true class stands at a random
//! place, query and support are different drawings by different drawers, and every protocol has a
//! name of its own: *within-alphabet* and *mixed-alphabet* 20-way are different tasks.

use std::collections::HashMap;
use std::sync::Arc;

use rand::seq::index;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::dataset::{Alphabet, Character, Dataset, Drawing};
use crate::omniglot::Run;

/// Trials over one pool of drawings.
#[derive(Debug, Clone)]
pub struct TrialSet {
    /// Name of the protocol, with N and k.
    pub protocol: String,
    /// Every drawing that a trial uses, once.
    pub images: Vec<Arc<Drawing>>,
    /// The trials.
    pub trials: Vec<Trial>,
}

/// One query against one support set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Per class, the indices of its shots in [`TrialSet::images`].
    pub support: Vec<Vec<usize>>,
    /// Index of the query in [`TrialSet::images`].
    pub query: usize,
    /// The query's class: an index into `support`.
    pub answer: usize,
}

impl TrialSet {
    fn empty(protocol: String) -> Self {
        Self {
            protocol,
            images: Vec::new(),
            trials: Vec::new(),
        }
    }

    /// The same trials without the drawings that none of them uses.
    #[must_use]
    pub fn without_unused(self) -> Self {
        let mut images = Vec::new();
        let mut places = HashMap::new();
        let mut trials = self.trials;
        for trial in &mut trials {
            let shots = trial.support.iter_mut().flatten();
            for index in shots.chain([&mut trial.query]) {
                *index = *places.entry(*index).or_insert_with(|| {
                    images.push(self.images[*index].clone());
                    images.len() - 1
                });
            }
        }
        Self {
            protocol: self.protocol,
            images,
            trials,
        }
    }

    /// Classes of a trial.
    #[must_use]
    pub fn n_way(&self) -> usize {
        self.trials.first().map_or(0, |trial| trial.support.len())
    }

    /// Examples of each class.
    #[must_use]
    pub fn k_shot(&self) -> usize {
        let support = self.trials.first().and_then(|trial| trial.support.first());
        support.map_or(0, Vec::len)
    }
}

/// Lake's 400 trials (Lake et al. 2015): 20 runs within one alphabet each, all supports by one
/// drawer, all queries by another.
#[must_use]
pub fn lake20(runs: &[Run]) -> TrialSet {
    let mut set = TrialSet::empty("lake_within_alphabet_20way_1shot".to_owned());
    for run in runs {
        let first = set.images.len();
        set.images.extend(run.support.iter().cloned());
        let support: Vec<Vec<usize>> = (0..run.support.len()).map(|i| vec![first + i]).collect();
        for (query, &answer) in run.queries.iter().zip(&run.answers) {
            let trial = Trial {
                support: support.clone(),
                query: set.images.len(),
                answer,
            };
            set.images.push(query.clone());
            set.trials.push(trial);
        }
    }
    set
}

/// `n_trials` trials under Lake's rule: one alphabet, one drawer of the query, other drawers of the
/// support (one per shot, the same for all classes).
///
/// # Errors
/// [`TrialError`] when no alphabet has enough characters or drawers.
pub fn within_alphabet(
    data: &Dataset,
    n_way: usize,
    k_shot: usize,
    n_trials: usize,
    seed: u64,
) -> Result<TrialSet, TrialError> {
    let alphabets = large_enough(data, n_way, k_shot)?;
    let mut pool = Pool::new(format!("within_alphabet_{n_way}way_{k_shot}shot"));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..n_trials {
        let alphabet = alphabets[rng.random_range(0..alphabets.len())];
        let characters: Vec<&Character> = alphabet.characters.iter().collect();
        pool.draw(&characters, n_way, k_shot, alphabet.n_drawers(), &mut rng);
    }
    Ok(pool.set)
}

/// `n_trials` trials in runs as Lake's: `n_way` characters of one alphabet, one drawer of all supports, another
/// of all queries, each character asked for once. Alphabets take turns.
///
/// # Errors
/// [`TrialError`] when no alphabet has enough characters or drawers.
pub fn runs(
    data: &Dataset,
    n_way: usize,
    n_trials: usize,
    seed: u64,
) -> Result<TrialSet, TrialError> {
    let alphabets = large_enough(data, n_way, 1)?;
    let mut pool = Pool::new(format!("runs_within_alphabet_{n_way}way_1shot"));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for alphabet in alphabets.iter().cycle() {
        if pool.set.trials.len() >= n_trials {
            break;
        }
        let classes = index::sample(&mut rng, alphabet.characters.len(), n_way);
        let classes: Vec<_> = classes.iter().map(|at| &alphabet.characters[at]).collect();
        let drawers = index::sample(&mut rng, alphabet.n_drawers(), 2);
        pool.run(&classes, [drawers.index(0), drawers.index(1)]);
    }
    pool.set.trials.truncate(n_trials);
    Ok(pool.set)
}

/// The alphabets that have enough characters and drawers for a trial; at least one.
fn large_enough(data: &Dataset, n_way: usize, k_shot: usize) -> Result<Vec<&Alphabet>, TrialError> {
    let enough = || data.alphabets.iter().filter(|a| a.n_drawers() > k_shot);
    let alphabets: Vec<_> = enough().filter(|a| a.characters.len() >= n_way).collect();
    if alphabets.is_empty() || n_way == 0 || k_shot == 0 {
        return Err(TrialError {
            task: "alphabet",
            n_way,
            k_shot,
            most: enough().map(|a| a.characters.len()).max().unwrap_or(0),
        });
    }
    Ok(alphabets)
}

/// `n_trials` trials whose classes come from all alphabets at once (Vinyals et al. 2016): an easier
/// task than [`within_alphabet`], because scripts differ more than letters of one script.
///
/// # Errors
/// [`TrialError`] when there are too few characters or drawers.
pub fn mixed(
    data: &Dataset,
    n_way: usize,
    k_shot: usize,
    n_trials: usize,
    seed: u64,
) -> Result<TrialSet, TrialError> {
    let characters: Vec<&Character> = data
        .characters()
        .filter(|c| c.drawings.len() > k_shot)
        .collect();
    if n_way > characters.len() || n_way == 0 || k_shot == 0 {
        return Err(TrialError {
            task: "data set",
            n_way,
            k_shot,
            most: characters.len(),
        });
    }
    let n_drawers = characters
        .iter()
        .map(|c| c.drawings.len())
        .min()
        .unwrap_or(0);
    let mut pool = Pool::new(format!("mixed_alphabets_{n_way}way_{k_shot}shot"));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..n_trials {
        pool.draw(&characters, n_way, k_shot, n_drawers, &mut rng);
    }
    Ok(pool.set)
}

/// Every character of the data set against every other: one drawer draws the whole support set,
/// another all queries, `repeats` times with other drawers. The hardest task there is here.
///
/// # Errors
/// [`TrialError`] when there are fewer than two characters or drawers.
pub fn all_way(data: &Dataset, repeats: usize, seed: u64) -> Result<TrialSet, TrialError> {
    let characters: Vec<&Character> = data.characters().collect();
    let n_way = characters.len();
    let n_drawers = data
        .alphabets
        .iter()
        .map(Alphabet::n_drawers)
        .min()
        .unwrap_or(0);
    if n_way < 2 || n_drawers < 2 {
        return Err(TrialError {
            task: "data set",
            n_way: n_way.max(2),
            k_shot: 1,
            most: if n_drawers < 2 { 0 } else { n_way },
        });
    }
    let mut pool = Pool::new(format!("all_characters_{n_way}way_1shot"));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..repeats {
        let drawers = index::sample(&mut rng, n_drawers, 2);
        pool.run(&characters, [drawers.index(0), drawers.index(1)]);
    }
    Ok(pool.set)
}

/// A trial set under construction: every drawing is kept once.
pub(crate) struct Pool {
    set: TrialSet,
    index: HashMap<*const Drawing, usize>,
}

impl Pool {
    pub(crate) fn new(protocol: String) -> Self {
        Self {
            set: TrialSet::empty(protocol),
            index: HashMap::new(),
        }
    }

    pub(crate) fn finish(self) -> TrialSet {
        self.set
    }

    /// Index of a drawing among the images.
    pub(crate) fn image(&mut self, drawing: &Arc<Drawing>) -> usize {
        let images = &mut self.set.images;
        *self.index.entry(Arc::as_ptr(drawing)).or_insert_with(|| {
            images.push(drawing.clone());
            images.len() - 1
        })
    }

    /// Appends a trial for each character: one drawer draws all supports, another all queries.
    fn run(&mut self, characters: &[&Character], drawers: [usize; 2]) {
        let [support, queries] = drawers.map(|drawer| -> Vec<usize> {
            let drawings = characters
                .iter()
                .map(|character| &character.drawings[drawer]);
            drawings.map(|drawing| self.image(drawing)).collect()
        });
        let support: Vec<Vec<usize>> = support.into_iter().map(|shot| vec![shot]).collect();
        for (answer, query) in queries.into_iter().enumerate() {
            self.set.trials.push(Trial {
                support: support.clone(),
                query,
                answer,
            });
        }
    }

    /// Appends one trial. The true class stands at a random place: a constant answer scores chance.
    fn draw(
        &mut self,
        characters: &[&Character],
        n_way: usize,
        k_shot: usize,
        n_drawers: usize,
        rng: &mut ChaCha8Rng,
    ) {
        let classes = index::sample(rng, characters.len(), n_way).into_vec();
        let answer = rng.random_range(0..n_way);
        let drawers = index::sample(rng, n_drawers, k_shot + 1);
        let query = self.image(&characters[classes[answer]].drawings[drawers.index(0)]);
        let support = classes.iter().map(|&class| {
            let shots = drawers.iter().skip(1);
            shots
                .map(|drawer| self.image(&characters[class].drawings[drawer]))
                .collect()
        });
        let support = support.collect();
        self.set.trials.push(Trial {
            support,
            query,
            answer,
        });
    }
}

/// Too few characters or drawers for a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no {task} has {n_way} characters with {k_shot} + 1 drawers each (the most is {most}); ask for fewer --ways or --shots, at least 1 of each"
)]
pub struct TrialError {
    pub(crate) task: &'static str,
    pub(crate) n_way: usize,
    pub(crate) k_shot: usize,
    /// Characters of the largest that has enough drawers.
    pub(crate) most: usize,
}

/// How often the decision was right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Right decisions.
    pub correct: usize,
    /// All decisions.
    pub trials: usize,
    /// `correct / trials`.
    pub mean: f64,
    /// Binomial: `sqrt(mean (1 - mean) / trials)`.
    pub standard_error: f64,
    /// Wilson's 95 % interval, which also holds near 100 %.
    pub interval95: [f64; 2],
}

impl Accuracy {
    /// From counts.
    #[must_use]
    pub fn of(correct: usize, trials: usize) -> Self {
        let n = trials.max(1) as f64;
        let mean = correct as f64 / n;
        let z = 1.959_964_f64;
        let centre = (mean + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let half = z / (1.0 + z * z / n) * (mean * (1.0 - mean) / n + z * z / (4.0 * n * n)).sqrt();
        Self {
            correct,
            trials,
            mean,
            standard_error: (mean * (1.0 - mean) / n).sqrt(),
            interval95: [(centre - half).max(0.0), (centre + half).min(1.0)],
        }
    }
}

impl std::fmt::Display for Accuracy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (mean, error) = (100.0 * self.mean, 100.0 * self.standard_error);
        write!(f, "{mean:.2} % ± {error:.2}")
    }
}

#[cfg(test)]
mod tests;
