//! Arguments that several commands share, and what they stand for.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Failure, spinner};
use crate::config::{Config, Split};
use crate::dataset::{Background, Dataset, VALIDATION_ALPHABETS};
use crate::omniglot::{self, DataError, Places, Run, Source};
use crate::{glyphs, image_folder, trials};

/// Seed of the synthetic glyphs: the same for every command, so that `evaluate` sees the alphabets
/// that belong to what was trained on.
const GLYPH_SEED: u64 = 1;

/// A finished run, and the drawings to look at it with.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SubjectArgs {
    /// Folder of a finished run.
    #[arg(value_name = "RUN")]
    pub(super) folder: PathBuf,
    #[command(flatten)]
    pub(super) data: DataArgs,
    /// Print the figures as JSON on stdout.
    #[arg(long)]
    pub(super) json: bool,
}

/// Where the drawings come from.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DataArgs {
    /// Folder with Omniglot's archives, or with them unpacked [default: ONELOOK_DATA, then the
    /// cache, then a download].
    #[arg(long, value_name = "DIR|ZIP")]
    data: Option<PathBuf>,
    /// Which drawings: Omniglot, or generated glyphs for a first try without it.
    #[arg(long, value_enum, default_value_t = DatasetName::Omniglot)]
    dataset: DatasetName,
}

/// A family of drawings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DatasetName {
    /// Lake's Omniglot.
    Omniglot,
    /// Seeded stroke glyphs.
    Synthetic,
}

/// Part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Half {
    /// Never seen in training: the only ones that a claim may rest on.
    Evaluation,
    /// Background alphabets that chose the checkpoint.
    HeldOut,
    /// Background alphabets that the network learned from.
    Training,
}

impl DatasetName {
    /// As in files.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Omniglot => "omniglot",
            Self::Synthetic => "synthetic",
        }
    }
}

impl Half {
    /// Its drawings.
    pub(super) fn of(self, drawings: &Drawings) -> Result<Dataset, Failure> {
        Ok(match self {
            Self::Evaluation => drawings.evaluation()?,
            Self::HeldOut => drawings.background()?.validation().clone(),
            Self::Training => drawings.background()?.training().clone(),
        })
    }
}

/// Drawings, opened but not all read.
pub(super) enum Drawings {
    Omniglot(Source),
    Synthetic(Box<glyphs::Synthetic>),
}

/// Pictures of the user's own instead of a data set.
pub(super) fn read_images(folder: &Path) -> Result<Dataset, Failure> {
    let bar = spinner("reading pictures");
    let read = image_folder::load(folder).map_err(Failure::usage)?;
    bar.finish_and_clear();
    for remark in &read.remarks {
        eprintln!("note: {remark}");
    }
    eprintln!(
        "drawings: {} pictures of {} classes in {}",
        read.dataset.n_drawings(),
        read.dataset.n_characters(),
        folder.display()
    );
    Ok(read.dataset)
}

impl DataArgs {
    /// Finds the drawings and says where; downloads Omniglot when it is nowhere.
    pub(super) fn open(&self) -> Result<Drawings, Failure> {
        let drawings = self.find()?;
        match &drawings {
            Drawings::Omniglot(source) => {
                eprintln!("drawings: Omniglot in {}", source.folder().display());
            }
            Drawings::Synthetic(_) => {
                eprintln!(
                    "drawings: generated glyphs; no figure below says anything about Omniglot"
                );
            }
        }
        Ok(drawings)
    }

    /// `omniglot` or `synthetic`.
    pub(super) fn name(&self) -> &'static str {
        self.dataset.name()
    }

    /// The same place, another family of drawings.
    pub(super) fn of(&self, dataset: DatasetName) -> Self {
        let data = self.data.clone();
        Self { data, dataset }
    }

    /// As [`Self::open`], without a word.
    pub(super) fn find(&self) -> Result<Drawings, Failure> {
        if self.dataset == DatasetName::Synthetic {
            return Ok(Drawings::Synthetic(Box::new(glyphs::load(GLYPH_SEED))));
        }
        let places = Places::of_process(self.data.clone(), super::download::folder()?);
        let source = match places.locate() {
            Err(DataError::NotFound { .. }) => {
                super::download::fetch(None)?;
                places.locate().map_err(Failure::work)?
            }
            located => located.map_err(Failure::usage)?,
        };
        Ok(Drawings::Omniglot(source))
    }
}

impl Drawings {
    /// Alphabets to train on, split for selection.
    pub(super) fn background(&self) -> Result<Background, Failure> {
        let split = match self {
            Self::Omniglot(source) => {
                let bar = spinner("reading the background alphabets");
                let dataset = omniglot::load_background(source).map_err(Failure::work)?;
                bar.finish_and_clear();
                Background::new(dataset, &VALIDATION_ALPHABETS)
            }
            Self::Synthetic(glyphs) => {
                let held_out: Vec<&str> = glyphs.held_out.iter().map(String::as_str).collect();
                Background::new(glyphs.background.clone(), &held_out)
            }
        };
        split.map_err(Failure::work)
    }

    /// Alphabets to train on, split as a configuration wants it.
    #[cfg_attr(
        not(feature = "train"),
        expect(dead_code, reason = "only training asks for it")
    )]
    pub(super) fn background_for(&self, config: &Config) -> Result<Background, Failure> {
        let all = |background: Background| {
            let [mut whole, held_out] = background.into_halves();
            whole.alphabets.extend(held_out.alphabets);
            whole
        };
        let split = match config
            .pairs
            .as_ref()
            .map_or(Split::HeldOut, |pairs| pairs.split)
        {
            Split::HeldOut => return self.background(),
            Split::Paper => Background::of_paper(all(self.background()?), self.evaluation()?),
            Split::PeekAtEvaluation => {
                Background::peeking(all(self.background()?), self.evaluation()?)
            }
        };
        split.map_err(Failure::usage)
    }

    /// Alphabets for the report.
    pub(super) fn evaluation(&self) -> Result<Dataset, Failure> {
        match self {
            Self::Omniglot(source) => omniglot::load_evaluation(source).map_err(Failure::work),
            Self::Synthetic(glyphs) => Ok(glyphs.evaluation.clone()),
        }
    }

    /// Lake's runs, or glyph runs of the same shape under a name of their own.
    pub(super) fn lake20(&self) -> Result<trials::TrialSet, Failure> {
        match self {
            Self::Omniglot(source) => {
                let runs: Vec<Run> = omniglot::load_runs(source).map_err(Failure::work)?;
                Ok(trials::lake20(&runs))
            }
            Self::Synthetic(glyphs) => {
                let mut set = trials::lake20(&glyphs.runs);
                set.protocol = format!("synthetic_{}", set.protocol);
                Ok(set)
            }
        }
    }
}
