//! What is asked: drawings, and the trials drawn from them.
//!
//! In: the command line. Out: a [`Material`] with every set of trials, and what could not be drawn.

use super::super::args::{Half, read_images};
use super::{ALL_WAY_REPEATS, Args, Captures, Protocol, WAYS};
use crate::capture_sim::{self, SEED};
use crate::cmd::{Failure, spinner};
use crate::dataset::{Dataset, Drawing};
use crate::device::images::Grey;
use crate::evaluate::figures::{Skipped, Task};
use crate::trials::{self, TrialError, TrialSet};

/// Drawings and trials.
pub(super) struct Material {
    /// `omniglot`, `synthetic` or `images`.
    pub(super) data: &'static str,
    /// `evaluation`, `held_out`, `training` or `images`.
    pub(super) alphabets: &'static str,
    pub(super) dataset: Dataset,
    pub(super) drawn: Vec<Drawn>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) open_set: bool,
}

/// Trials of one kind.
pub(super) struct Drawn {
    pub(super) task: Task,
    pub(super) set: TrialSet,
}

impl Material {
    /// Reads the drawings and draws all trials.
    pub(super) fn gather(args: &Args) -> Result<Self, Failure> {
        let mut material = match &args.images {
            Some(_) => Self::of_images(args)?,
            None => Self::of_data_set(args)?,
        };
        for protocol in args.protocols() {
            match protocol {
                Protocol::Lake20 => {
                    let mut set = args.subject.data.find()?.lake20()?;
                    if let Some(captures) = args.captures {
                        set.images = capture_sim::captured(&set.images, SEED, captures.seeing());
                    }
                    let task = Task::LakeWithinAlphabet;
                    material.drawn.push(Drawn { task, set });
                }
                Protocol::Within => material.sweep(args, Task::WithinAlphabet)?,
                Protocol::Mixed => material.sweep(args, Task::MixedAlphabets)?,
                Protocol::AllWay => {
                    let set = trials::all_way(&material.dataset, ALL_WAY_REPEATS, args.seed);
                    let task = Task::AllCharacters;
                    let set = set.map_err(Failure::usage)?;
                    material.drawn.push(Drawn { task, set });
                }
                Protocol::OpenSet => material.open_set = true,
            }
        }
        if let Some(captures) = args.captures {
            for drawn in &mut material.drawn {
                drawn.set.protocol = format!("{}_{}", captures.name(), drawn.set.protocol);
            }
        }
        Ok(material)
    }

    fn of(data: &'static str, alphabets: &'static str, dataset: Dataset) -> Self {
        Self {
            data,
            alphabets,
            dataset,
            drawn: Vec::new(),
            skipped: Vec::new(),
            open_set: false,
        }
    }

    fn of_images(args: &Args) -> Result<Self, Failure> {
        let folder = args.images.as_deref().unwrap_or(std::path::Path::new("."));
        Ok(Self::of("images", "images", read_images(folder)?))
    }

    fn of_data_set(args: &Args) -> Result<Self, Failure> {
        let drawings = args.subject.data.open()?;
        let alphabets = match args.alphabets {
            Half::Evaluation => "evaluation",
            Half::HeldOut => "held_out",
            Half::Training => "training",
        };
        let mut dataset = args.alphabets.of(&drawings)?;
        if let Some(captures) = args.captures {
            let bar = spinner("simulating captures");
            dataset = capture_sim::captured_dataset(dataset, SEED, captures.seeing());
            bar.finish_and_clear();
        }
        Ok(Self::of(args.subject.data.name(), alphabets, dataset))
    }

    /// Every number of classes with every number of shots. What does not fit is left out, unless
    /// nothing is left.
    fn sweep(&mut self, args: &Args, task: Task) -> Result<(), Failure> {
        let mut refused: Option<TrialError> = None;
        let before = self.drawn.len();
        for &k_shot in if args.shots.is_empty() {
            &[1]
        } else {
            &args.shots[..]
        } {
            for n_way in self.ways(args, task) {
                match self.draw(task, [n_way, k_shot], args) {
                    Ok(set) => self.drawn.push(Drawn { task, set }),
                    Err(error) => {
                        refused = Some(error);
                        self.skip(task, [n_way, k_shot], error);
                    }
                }
            }
        }
        match refused {
            Some(error) if self.drawn.len() == before => Err(Failure::usage(error)),
            _ => Ok(()),
        }
    }

    fn draw(
        &self,
        task: Task,
        [n_way, k_shot]: [usize; 2],
        args: &Args,
    ) -> Result<TrialSet, TrialError> {
        let draw = match task {
            Task::WithinAlphabet => trials::within_alphabet,
            _ => trials::mixed,
        };
        draw(&self.dataset, n_way, k_shot, args.trials(), args.seed)
    }

    fn skip(&mut self, task: Task, [n_way, k_shot]: [usize; 2], error: TrialError) {
        let reason = error.to_string();
        eprintln!("left out: {n_way}-way {k_shot}-shot: {reason}");
        self.skipped.push(Skipped {
            task,
            n_way,
            k_shot,
            reason,
        });
    }

    /// What was asked for, or 20; of pictures no more than there are classes.
    fn ways(&self, args: &Args, task: Task) -> Vec<usize> {
        if !args.ways.is_empty() {
            return args.ways.clone();
        }
        let alphabets = self.dataset.alphabets.iter();
        let largest = alphabets.map(|alphabet| alphabet.characters.len()).max();
        let most = match task {
            Task::WithinAlphabet => largest.unwrap_or(0),
            _ => self.dataset.n_characters(),
        };
        let limit = if args.images.is_some() { most } else { WAYS };
        vec![WAYS.min(limit)]
    }
}

impl Captures {
    const fn name(self) -> &'static str {
        match self {
            Self::Developed => "captures",
            Self::Plain => "plain_captures",
        }
    }

    /// What becomes of a capture.
    const fn seeing(self) -> fn(Grey) -> Drawing {
        match self {
            Self::Developed => capture_sim::developed,
            Self::Plain => capture_sim::turned_around,
        }
    }
}
