//! `onelook evaluate`: how often an exported model is right, and what it must beat.
//!
//! In: a run's folder, drawings and what to ask. Out: tables or one JSON value ([`Figures`]), and on
//! request a picture of the hardest confusions. [`material`] draws the trials, [`contest`] has them
//! decided, [`standard`] is what every report of a run contains.

mod contest;
mod material;
mod standard;

use std::path::PathBuf;

use clap::ValueEnum;

use super::args::{Half, SubjectArgs};
use super::{Failure, Verdict};
use crate::evaluate::alphabets::Catalogue;
use crate::evaluate::figures::{Agreement, Figures, Shots};
use crate::evaluate::tables;
use crate::export::Bundle;
use crate::files::write_whole;
use crate::plot::canvas::png;
use crate::plot::errors::Gallery;
use contest::Contest;
use material::Material;
pub(super) use standard::{
    float_bundle_rows, float_rows, float_trials, model_rows, same_or_different, standard_trials,
};

/// Trials of each protocol that is drawn, not given.
const TRIALS: usize = 10_000;
/// The same where a simulated device answers them.
const DEVICE_TRIALS: usize = 400;
/// How often every character is asked for in the all-way protocol.
const ALL_WAY_REPEATS: usize = 5;
/// Classes of a trial, as in Lake's runs.
const WAYS: usize = 20;
const SEED: u64 = 0x7472_6961;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Marks of your own instead of Omniglot: a folder with a folder of pictures for each class
    /// (DIR/class/*.png), or with folders of these (DIR/alphabet/class/*.png). PNG, JPEG, BMP or PGM
    /// of any size, dark on light or light on dark.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "dataset", "alphabets"])]
    images: Option<PathBuf>,
    /// Which alphabets of the data set.
    #[arg(long, value_enum, default_value_t = Half::Evaluation)]
    alphabets: Half,
    /// See every drawing through the camera simulator first: does light, pose or noise matter?
    #[arg(long, value_enum, value_name = "HOW", conflicts_with = "images")]
    captures: Option<Captures>,
    /// Which task; several with commas [default: lake20; with --images within].
    #[arg(long, value_enum, value_delimiter = ',')]
    protocol: Vec<Protocol>,
    /// Classes per trial, for within and mixed; several with commas: accuracy against N
    /// [default: 20, or as many as --images has].
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = whole)]
    ways: Vec<usize>,
    /// Examples per class, for within and mixed; several with commas [default: 1].
    #[arg(long, value_name = "K", value_delimiter = ',', value_parser = whole)]
    shots: Vec<usize>,
    /// Number of trials of each drawn task; in the open-set protocol so many of enrolled classes,
    /// and so many unknown ones [default: 10000, on the device 400].
    #[arg(long, value_name = "COUNT", value_parser = whole)]
    trials: Option<usize>,
    /// Seed of the drawn trials.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// What runs the network; several with commas. The exported encoder in tract and ort, and the
    /// firmware in QEMU, are compared with shared trial by trial.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "shared")]
    engine: Vec<EngineName>,
    /// Also chance, the modified Hausdorff distance and the untrained network, on the same trials.
    #[arg(long)]
    baselines: bool,
    /// Also the accuracy on each alphabet.
    #[arg(long)]
    per_alphabet: bool,
    /// Draw the hardest confusions of the first task and engine into a picture.
    #[arg(long, value_name = "FILE.png")]
    confusions: Option<PathBuf>,
}

fn whole(text: &str) -> Result<usize, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=1_000_000).contains(number));
    number.ok_or_else(|| "a number from 1 to 1000000".to_owned())
}

/// Which classes meet in a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// Lake's 400 fixed trials, 20-way within one alphabet.
    Lake20,
    /// Drawn within one alphabet, two drawers. N above an alphabet's size leaves it out.
    Within,
    /// Drawn from all alphabets at once: easier.
    Mixed,
    /// Every character at once, 659-way in Omniglot's evaluation half; --trials does not apply.
    AllWay,
    /// 5, 20 and 50 classes enrolled, 1 and 5 shots: are unknown marks told from known ones? Decided
    /// by shared.
    OpenSet,
}

/// What becomes of a simulated capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Captures {
    /// Ink on paper, as a device develops it.
    Developed,
    /// Its grey values turned around: what developing is worth.
    Plain,
}

/// Something that runs the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineName {
    /// The float network, before quantization, in the float operators of shared.
    Float,
    /// The same in onnxruntime, which is faster for networks as large as the paper's.
    FloatOrt,
    /// The device's own code on this computer.
    Shared,
    /// The exported int8 encoder in tract.
    Tract,
    /// The exported int8 encoder in onnxruntime, installed when it is missing.
    Ort,
    /// The firmware on a Cortex-M4 in QEMU, built when it is not: embeds every image and answers
    /// every logit there.
    Device,
}

impl EngineName {
    /// Whether its logits are other numbers than the device's.
    const fn is_float(self) -> bool {
        matches!(self, Self::Float | Self::FloatOrt)
    }
}

impl Args {
    /// Trials of each drawn task.
    fn trials(&self) -> usize {
        let slow = self.engine.contains(&EngineName::Device);
        self.trials
            .unwrap_or(if slow { DEVICE_TRIALS } else { TRIALS })
    }

    /// The tasks that were asked for.
    fn protocols(&self) -> Vec<Protocol> {
        match (self.protocol.is_empty(), &self.images) {
            (false, _) => self.protocol.clone(),
            (true, None) => vec![Protocol::Lake20],
            (true, Some(_)) => vec![Protocol::Within],
        }
    }

    /// Refuses what does not go together, before anything is read.
    fn check(&self) -> Result<(), Failure> {
        let protocols = self.protocols();
        let drawn = [Protocol::Within, Protocol::Mixed];
        let refused = |words: &str| Err(Failure::Usage(words.to_owned()));
        let unused = !protocols.iter().any(|protocol| drawn.contains(protocol));
        if unused && !(self.ways.is_empty() && self.shots.is_empty()) {
            return refused(
                "--ways and --shots need --protocol within or mixed: Lake's runs are 20-way 1-shot, all-way and open-set have numbers of their own",
            );
        }
        let lake = protocols.contains(&Protocol::Lake20);
        if lake && (self.images.is_some() || self.alphabets != Half::Evaluation) {
            return refused(
                "Lake's runs are of Omniglot's evaluation alphabets; name --protocol within or mixed",
            );
        }
        if self.confusions.is_some() && protocols[0] == Protocol::OpenSet {
            return refused(
                "--confusions shows trials of lake20, within, mixed or all-way; name one first",
            );
        }
        Ok(())
    }
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    args.check()?;
    let bundle = Bundle::read(&args.subject.folder).map_err(Failure::work)?;
    let material = Material::gather(args)?;
    let contest = Contest {
        args,
        bundle: &bundle,
        material: &material,
        catalogue: Catalogue::of(&material.dataset),
    };
    let figures = contest.run()?;
    if let (Some(path), Some(drawn)) = (&args.confusions, material.drawn.first()) {
        // That of the first engine on the first trials, as a device decides them.
        let decided = figures
            .figures
            .iter()
            .find(|figure| matches!(figure.shots, Shots::One | Shots::Device));
        let accuracy = decided.map(|figure| figure.accuracy);
        let gallery = Gallery {
            set: &drawn.set,
            wrong: accuracy.map_or(0, |accuracy| accuracy.trials - accuracy.correct),
            confusions: &figures.confusions,
        };
        let picture = png(&gallery).map_err(Failure::work)?;
        write_whole(path, &picture).map_err(Failure::work)?;
        eprintln!("confusions: {}", path.display());
    }
    show(args, &figures)?;
    match figures.agreement.iter().all(Agreement::equal) {
        true => Ok(Verdict::Success),
        false => Ok(Verdict::Mismatch),
    }
}

fn show(args: &Args, figures: &Figures) -> Result<(), Failure> {
    if args.subject.json {
        let json = serde_json::to_string_pretty(figures).map_err(Failure::work)?;
        println!("{json}");
    } else {
        println!("{}", tables::page(figures));
    }
    Ok(())
}
