//! `onelook import`: a network that was trained elsewhere, on its way into a run's folder.
//!
//! Read → fold → head → compare with the file in onnxruntime → what `onelook export` does. Nothing
//! is written before the network is known to be the file's.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use sha2::{Digest, Sha256};
use shared::shape::Hwc;
use tools::Progress;

use super::args::DataArgs;
use super::budget::BudgetArgs;
use super::export::{self, Job};
use super::run_folder::RunArgs;
use super::{Failure, Verdict, spinner};
use crate::augment::AugmentConfig;
use crate::checkpoint::{self, CHECKPOINT};
use crate::config::{Config, ImportConfig, TrainConfig};
use crate::dataset::{Background, Dataset, hex};
use crate::engine::float::Float;
use crate::engine::network_input;
use crate::engine::original::Original;
use crate::files::{create_folder, write_whole};
use crate::float_net::{FloatHead, FloatNet};
use crate::import::check::{Check, Subject, TOLERANCE};
use crate::import::fold::{Folded, Ink, Look, fold};
use crate::import::pairs::Pairs;
use crate::import::tensor::External;
use crate::import::{self, Head, Parsed, fit, shift};
use crate::omniglot;
use crate::report;

/// Images that the network is compared with its file on.
const CHECKED: usize = 17;
/// Most calibration images that are taken from a folder.
const MOST_CALIBRATION: usize = 4096;
/// Below this, a head says *different* where it should say *same*.
const TURNED_OVER: f64 = 0.4;
/// By how much white ink on black must beat black ink on white, or the reverse, to be mentioned.
const BETTER: f64 = 0.1;

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
    let file = read(&args.file)?;
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
    let input = folded.spec.input();
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
        json: args.json,
    };
    job.finish(&drawings, &calibration, export::Origin::Imported(import))
}

/// A network on its way.
struct Import<'a> {
    args: &'a Args,
    parsed: &'a Parsed,
    look: Look,
    folded: &'a Folded,
    calibration: &'a [Vec<u8>],
}

impl Import<'_> {
    /// The whole network, compared with its file.
    fn network(
        &self,
        given: Option<FloatHead>,
        background: &Background,
    ) -> Result<(FloatNet, Check), Failure> {
        let values = self.folded.embedding_scale.len();
        let mut net = FloatNet {
            spec: self.folded.spec.clone(),
            filters: self.folded.filters.clone(),
            head: FloatHead {
                weight_hwc: vec![0.0; values],
                bias: 0.0,
            },
        };
        if let Some(layer) = self.folded.open {
            shift::lift(&mut net, layer, self.calibration).map_err(Failure::work)?;
            eprintln!(
                "note: the embedding has negative values; a constant lifts them, which no difference shows"
            );
        }
        let is_given = given.is_some();
        net.head = match given {
            Some(head) => head,
            None => fitted(&net, background.training())?,
        };
        let check = self.compare(&net)?;
        if is_given && self.args.label_one == LabelOne::Different {
            let FloatHead { weight_hwc, bias } = &mut net.head;
            let values = weight_hwc.iter_mut().chain([bias]);
            values.for_each(|value| *value = -*value);
        }
        self.check_sense(&net, background.validation(), is_given)?;
        Ok((net, check))
    }

    /// The network and the file say the same of the same images.
    fn compare(&self, net: &FloatNet) -> Result<Check, Failure> {
        let library = tools::onnxruntime::provide(&Progress::stderr()).map_err(Failure::work)?;
        let mut original = Original::open(&library, &self.args.file).map_err(Failure::work)?;
        let float = Float::new(net).map_err(Failure::work)?;
        let subject = Subject {
            float: &float,
            embedding: net.spec.embedding().map_err(Failure::work)?,
            embedding_scale: &self.folded.embedding_scale,
            output: self.parsed.output,
            image: self.parsed.image,
            look: self.look,
        };
        let images = &self.calibration[..CHECKED.min(self.calibration.len())];
        let check = subject
            .compare(&mut original, images)
            .map_err(Failure::work)?;
        if check.holds() {
            eprintln!(
                "compared with the file in onnxruntime: at most {:.1e} of the largest value differs",
                check.max_error
            );
            return Ok(check);
        }
        let file = self.args.file.display();
        if check.max_error.is_nan() {
            return Err(Failure::Usage(format!(
                "{file}: the network says the same of every image; is it trained, and are --ink and --range those of its training?"
            )));
        }
        Err(Failure::Work(format!(
            "{file}: the imported network differs from the file in onnxruntime by {:.1e} of the largest value, more than {TOLERANCE:.0e}; this is a fault of onelook import, please report it with the file",
            check.max_error
        )))
    }

    /// Whether the head says *same* of the same characters, and the images have the right colours:
    /// on background alphabets that fitted nothing.
    fn check_sense(&self, net: &FloatNet, data: &Dataset, is_given: bool) -> Result<(), Failure> {
        let drawn = Pairs::draw(data, net.spec.input()).map_err(Failure::work)?;
        let float = Float::new(net).map_err(Failure::work)?;
        let separation = drawn.separation(&float).map_err(Failure::work)?;
        eprintln!(
            "pairs of held-out background alphabets told apart: {:.1} % (50 is chance)",
            100.0 * separation
        );
        if is_given && separation < TURNED_OVER {
            let other = match self.args.label_one {
                LabelOne::Same => "different",
                LabelOne::Different => "same",
            };
            return Err(Failure::Usage(format!(
                "the head's logit is larger for different characters than for the same one; say what a label of 1 meant with --label-one {other}"
            )));
        }
        let turned = drawn
            .turned_over()
            .separation(&float)
            .map_err(Failure::work)?;
        if turned > separation + BETTER {
            let ink = match self.args.ink {
                InkName::White => "black",
                InkName::Black => "white",
            };
            eprintln!(
                "warning: with --ink {ink} it would be {:.1} %; which colour was the ink that the network was trained on?",
                100.0 * turned
            );
        }
        Ok(())
    }
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
        network: Some(folded.spec.clone()),
        import: Some(ImportConfig {
            file: name_of(&args.file),
            sha256: hex(&Sha256::digest(&file.bytes)),
            ink: ink.to_owned(),
            scale: look.scale,
            shift: look.shift,
            head: head.to_owned(),
        }),
    }
}

/// An ONNX file and the files beside it that hold its weights.
struct File {
    bytes: Vec<u8>,
    external: External,
}

fn read(path: &Path) -> Result<File, Failure> {
    let refuse = |message: String| Failure::Usage(format!("{}: {message}", path.display()));
    let length = std::fs::metadata(path)
        .map_err(|error| refuse(error.to_string()))?
        .len();
    if length > import::MAX_FILE as u64 {
        return Err(refuse(format!(
            "it has {} MiB, at most {} are read",
            length >> 20,
            import::MAX_FILE >> 20
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    let mut external = External::new();
    let is_onnx = path
        .extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"));
    if is_onnx {
        for name in import::external_files(&bytes).map_err(|error| refuse(error.to_string()))? {
            // One that is missing is named by whoever needs it.
            let beside = path.with_file_name(&name);
            let fits =
                std::fs::metadata(&beside).is_ok_and(|file| file.len() <= import::MAX_FILE as u64);
            if let (true, Ok(content)) = (fits, std::fs::read(&beside)) {
                external.insert(name, content);
            }
        }
    }
    Ok(File { bytes, external })
}

/// The head that came with the network.
fn given_head(args: &Args, parsed: &Parsed, folded: &Folded) -> Result<Option<FloatHead>, Failure> {
    let (head, path): (Option<Head>, &Path) = match (&args.head, &parsed.head) {
        (Some(path), Some(_)) => {
            return Err(Failure::Usage(format!(
                "{} has a head of its own; leave out --head {}, or export its encoder alone",
                args.file.display(),
                path.display()
            )));
        }
        (Some(path), None) => {
            let file = read(path)?;
            let head = Head::from_file(path, &file.bytes, &file.external);
            let head =
                head.map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
            (Some(head), path)
        }
        (None, own) => (own.clone(), &args.file),
    };
    let embedding = folded.spec.embedding().map_err(Failure::usage)?;
    let on = |head: Head| head.on(embedding, &folded.embedding_scale);
    head.map(on)
        .transpose()
        .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

/// A head fitted to alphabets that may be trained on.
fn fitted(net: &FloatNet, data: &Dataset) -> Result<FloatHead, Failure> {
    let bar = spinner("fitting a head");
    let drawn = Pairs::draw(data, net.spec.input()).map_err(Failure::work)?;
    let float = Float::new(net).map_err(Failure::work)?;
    let embeddings = drawn.embeddings(&float).map_err(Failure::work)?;
    let head = fit::fit(&embeddings, &drawn.pairs);
    bar.finish_and_clear();
    head.ok_or_else(|| {
        Failure::Work(
            "no head can be fitted: the network gives all drawings one embedding".to_owned(),
        )
    })
}

/// Every PNG of a folder as a network input.
fn from_folder(folder: &Path, input: Hwc) -> Result<Vec<Vec<u8>>, Failure> {
    let refuse = |path: &Path, message: &dyn std::fmt::Display| {
        Failure::Usage(format!("{}: {message}", path.display()))
    };
    let entries = std::fs::read_dir(folder).map_err(|error| refuse(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
    });
    paths.sort_unstable();
    paths.truncate(MOST_CALIBRATION);
    if paths.len() < 2 {
        return Err(refuse(
            folder,
            &"it holds fewer than 2 PNGs; --calibration needs some hundred drawings",
        ));
    }
    let images = paths.iter().map(|path| {
        let bytes = std::fs::read(path).map_err(|error| refuse(path, &error))?;
        let drawing = omniglot::decode(&bytes).map_err(|error| refuse(path, &error))?;
        network_input(&drawing, input).map_err(|error| refuse(path, &error))
    });
    images.collect()
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
