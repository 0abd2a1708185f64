//! `onelook import`: a network that was trained elsewhere, on its way into a run's folder.
//!
//! Read ([`source`]) → fold → head, comparison with the file in onnxruntime ([`network`]) → what
//! `onelook export` does. Nothing is written before the network is known to be the file's.

mod network;
mod source;

use std::path::PathBuf;

use clap::ValueEnum;

use super::args::DataArgs;
use super::budget::BudgetArgs;
use super::export::{self, Job};
use super::run_folder::RunArgs;
use super::{Failure, Verdict};
use crate::augment::AugmentConfig;
use crate::checkpoint::{self, CHECKPOINT};
use crate::config::{Config, ImportConfig, TrainConfig};
use crate::engine::Input;
use crate::files::{create_folder, write_whole};
use crate::import;
use crate::import::fold::{Folded, Ink, Look, fold};
use crate::report;
use network::Import;
use source::{File, from_folder, given_head, name_of};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// ONNX file with an encoder, one image to an embedding, or with a whole siamese network, two
    /// images to a logit or a probability.
    #[arg(value_name = "FILE.onnx")]
    file: PathBuf,
    /// The head of an encoder, an nn.Linear(d, 1) on |a - b|: .onnx, or weight and bias in .json,
    /// .toml or .safetensors [default: the file's own, or one fitted to the background alphabets].
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
    /// What a label of 1 meant when the head was trained.
    #[arg(long, value_enum, default_value_t = LabelOne::Same)]
    label_one: LabelOne,
    /// Colour of the ink in the images that the network was trained on. Omniglot's own files, as
    /// torchvision loads them, have black ink.
    #[arg(long, value_enum, default_value_t = InkName::White)]
    ink: InkName,
    /// Range of the greys: 0..1 is what ToTensor() makes.
    #[arg(long, value_enum, default_value_t = RangeName::Unit, allow_hyphen_values = true)]
    range: RangeName,
    /// Mean that Normalize() took from greys of 0 to 1.
    #[arg(
        long,
        requires = "std",
        conflicts_with = "range",
        allow_negative_numbers = true
    )]
    mean: Option<f64>,
    /// Deviation that it then divided them by.
    #[arg(long, requires = "mean")]
    std: Option<f64>,
    /// Folder of PNGs, dark marks on light paper, that set the scales of the activations [default:
    /// drawings of the background alphabets].
    #[arg(long, value_name = "DIR")]
    calibration: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    budget: BudgetArgs,
    /// Print the report as JSON on stdout.
    #[arg(long)]
    json: bool,
}

/// What a label of 1 meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LabelOne {
    /// Both images show the same mark.
    Same,
    /// They show different marks.
    Different,
}

/// Colour of the ink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InkName {
    /// White marks on black.
    White,
    /// Black marks on white.
    Black,
}

/// Range of the greys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RangeName {
    /// As ToTensor() makes them.
    #[value(name = "0..1")]
    Unit,
    /// As an image file has them.
    #[value(name = "0..255")]
    Bytes,
    /// As Normalize(0.5, 0.5) makes them.
    #[value(name = "-1..1")]
    Signed,
}

impl Args {
    fn look(&self) -> Result<Look, Failure> {
        let (scale, shift) = match (self.mean, self.std, self.range) {
            (Some(mean), Some(std), _) if std > 0.0 && std.is_finite() && mean.is_finite() => {
                (1.0 / std, -mean / std)
            }
            (Some(_), ..) => return Err(Failure::Usage("--std must be more than 0".to_owned())),
            (None, _, RangeName::Unit) => (1.0, 0.0),
            (None, _, RangeName::Bytes) => (255.0, 0.0),
            (None, _, RangeName::Signed) => (2.0, -1.0),
        };
        let ink = match self.ink {
            InkName::White => Ink::White,
            InkName::Black => Ink::Black,
        };
        Ok(Look { ink, scale, shift })
    }

    /// The file's stem: the run's name.
    fn default_name(&self) -> &str {
        let stem = self.file.file_stem().and_then(|stem| stem.to_str());
        stem.unwrap_or("imported")
    }
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let look = args.look()?;
    let file = File::read(&args.file)?;
    let refused = |error| Failure::Usage(format!("{}: {error}", args.file.display()));
    let parsed = import::parse_with(&file.bytes, &file.external).map_err(refused)?;
    let folded = fold(parsed.image, &parsed.encoder, look).map_err(refused)?;
    let given = given_head(args, &parsed, &folded)?;
    let folder = args.run.unoccupied(args.default_name())?;
    let origin = match (&args.head, &given) {
        (Some(path), _) => format!("from {}", name_of(path)),
        (None, Some(_)) => "the file's own".to_owned(),
        (None, None) => "fitted to the background alphabets".to_owned(),
    };
    eprintln!(
        "{}: {} layers, head {origin}",
        args.file.display(),
        folded.spec.layers.len()
    );
    for note in &folded.notes {
        eprintln!("note: {note}");
    }

    let config = config(args, &file, &folded, look, &origin);
    args.budget.check(&config)?;

    let drawings = args.data.open()?;
    let background = drawings.background()?;
    let input = Input::of_spec(&folded.spec);
    let calibration = match &args.calibration {
        Some(folder) => from_folder(folder, input)?,
        None => export::calibration(&background, input)?,
    };
    let import = Import {
        args,
        parsed: &parsed,
        look,
        folded: &folded,
        calibration: &calibration,
    };
    let (net, check) = import.network(given, &background)?;
    create_folder(&folder).map_err(Failure::work)?;
    write_whole(&folder.join("config.toml"), config.to_toml().as_bytes()).map_err(Failure::work)?;
    checkpoint::write(&folder.join(CHECKPOINT), &net, &config).map_err(Failure::work)?;
    let import = report::Import {
        file: name_of(&args.file),
        producer: parsed.producer.clone(),
        opset: parsed.opset,
        head: origin,
        notes: folded.notes.clone(),
        check,
    };
    let job = Job {
        folder: &folder,
        net: &net,
        config: &config,
        held_out: background.validation(),
        json: args.json,
    };
    job.finish(&drawings, &calibration, export::Origin::Imported(import))
}

/// The configuration that goes into the run's files.
fn config(args: &Args, file: &File, folded: &Folded, look: Look, head: &str) -> Config {
    let ink = match look.ink {
        Ink::White => "white",
        Ink::Black => "black",
    };
    Config {
        preset: "custom".to_owned(),
        train: TrainConfig::default(),
        augment: AugmentConfig::default(),
        pairs: None,
        network: Some(folded.spec.clone()),
        import: Some(ImportConfig {
            file: name_of(&args.file),
            sha256: file.sha256(),
            ink: ink.to_owned(),
            scale: look.scale,
            shift: look.shift,
            head: head.to_owned(),
        }),
    }
}
