//! The trials that are asked, and their names.
//!
//! In: a [`Plan`] and the trials that it draws from. Out: [`Questions`], the same for the same plan and
//! drawings. Classes are shuffled anew for every trial: Lake's runs show one support set twenty times,
//! and a person would learn its places.

use clap::ValueEnum;
use rand::seq::{SliceRandom, index};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::dataset::{Drawing, hex};
use crate::evaluate::alphabets::Catalogue;
use crate::trials::{Trial, TrialSet};

/// Which classes meet in a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Some of Lake's 400 trials, 20-way within one alphabet.
    Lake20,
    /// Drawn within one alphabet, two drawers.
    Within,
    /// Drawn from all alphabets at once: easier.
    Mixed,
}

impl Protocol {
    /// In words, for these drawings: generated glyphs have runs of the same shape.
    #[must_use]
    pub fn words(self, data: &str) -> &'static str {
        match self {
            Self::Lake20 if data == "omniglot" => "within one alphabet (Lake's runs)",
            Self::Lake20 => "within one alphabet (runs like Lake's)",
            Self::Within => "within one alphabet",
            Self::Mixed => "mixed alphabets",
        }
    }
}

/// What decides which trials are asked, apart from the drawings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Which classes meet.
    pub protocol: Protocol,
    /// Classes of a trial.
    pub n_way: usize,
    /// How many trials.
    pub trials: usize,
    /// Seed of the choice.
    pub seed: u64,
}

/// Trials with names. The shot of class `i` is the only one of `support[i]`.
#[derive(Debug)]
pub struct Questions {
    plan: Plan,
    set: TrialSet,
    alphabets: Vec<String>,
    characters: Vec<Vec<String>>,
}

impl Questions {
    /// Chooses the plan's number of trials of `pool` at random, each with its classes in a random order.
    ///
    /// # Errors
    /// [`TooMany`] when the pool has fewer.
    pub fn choose(plan: Plan, pool: &TrialSet, names: &Catalogue<'_>) -> Result<Self, TooMany> {
        let most = pool.trials.len();
        if plan.trials > most {
            return Err(TooMany {
                trials: plan.trials,
                most,
            });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
        let chosen = index::sample(&mut rng, most, plan.trials);
        let mut set = TrialSet {
            protocol: pool.protocol.clone(),
            images: Vec::new(),
            trials: Vec::new(),
        };
        let (mut alphabets, mut characters) = (Vec::new(), Vec::new());
        for trial in chosen {
            let trial = shuffled(&mut set, pool, &pool.trials[trial], &mut rng);
            let place = |&image: &usize| names.place(&set.images[image]);
            alphabets.push(place(&trial.query).alphabet.to_owned());
            let classes = trial.support.iter().flatten();
            characters.push(classes.map(|i| place(i).character.to_owned()).collect());
            set.trials.push(trial);
        }
        Ok(Self {
            plan,
            set,
            alphabets,
            characters,
        })
    }

    /// What decided.
    #[must_use]
    pub const fn plan(&self) -> Plan {
        self.plan
    }

    /// The trials.
    #[must_use]
    pub const fn set(&self) -> &TrialSet {
        &self.set
    }

    /// Classes of a trial.
    #[must_use]
    pub const fn n_way(&self) -> usize {
        self.plan.n_way
    }

    /// Name of the query's alphabet.
    #[must_use]
    pub fn alphabet(&self, trial: usize) -> &str {
        self.alphabets.get(trial).map_or("", String::as_str)
    }

    /// Name of a class's character.
    #[must_use]
    pub fn character(&self, trial: usize, class: usize) -> &str {
        let classes = self.characters.get(trial);
        let name = classes.and_then(|classes| classes.get(class));
        name.map_or("", String::as_str)
    }

    /// The drawing that is asked for.
    #[must_use]
    pub fn query(&self, trial: usize) -> Option<&Drawing> {
        let trial = self.set.trials.get(trial)?;
        self.set.images.get(trial.query).map(|drawing| &**drawing)
    }

    /// The drawings to choose from, one for each class.
    #[must_use]
    pub fn classes(&self, trial: usize) -> Vec<&Drawing> {
        let support = self.set.trials.get(trial).map(|trial| &trial.support);
        let shots = support.into_iter().flatten().flatten();
        shots
            .filter_map(|&shot| self.set.images.get(shot).map(|drawing| &**drawing))
            .collect()
    }

    /// SHA-256 in hex over all that is asked and its answers: which trials a record is about.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for trial in &self.set.trials {
            hasher.update((trial.answer as u64).to_le_bytes());
            for &image in trial.support.iter().flatten().chain([&trial.query]) {
                let drawing = &self.set.images[image];
                hasher.update((drawing.h as u64).to_le_bytes());
                hasher.update((drawing.w as u64).to_le_bytes());
                hasher.update(&drawing.ink);
            }
        }
        hex(&hasher.finalize())
    }
}

/// The trial with its classes in a random order, and its drawings in `set`.
fn shuffled(set: &mut TrialSet, pool: &TrialSet, trial: &Trial, rng: &mut impl Rng) -> Trial {
    let mut order: Vec<usize> = (0..trial.support.len()).collect();
    order.shuffle(rng);
    let mut keep = |image: usize| {
        set.images.push(pool.images[image].clone());
        set.images.len() - 1
    };
    let query = keep(trial.query);
    let support = order.iter().map(|&class| {
        let shots = trial.support[class].iter().take(1);
        shots.map(|&shot| keep(shot)).collect()
    });
    let support = support.collect();
    let answer = order.iter().position(|&class| class == trial.answer);
    Trial {
        support,
        query,
        answer: answer.unwrap_or_default(),
    }
}

/// More trials than there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "--trials {trials}: there are {most}; ask for at most so many, or draw others with --protocol within"
)]
pub struct TooMany {
    trials: usize,
    most: usize,
}
