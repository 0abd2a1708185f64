//! `onelook inspect`: what is in a model file, or in a network before it is trained, layer by layer,
//! and what it costs on a device.

use std::ops::Range;
use std::path::PathBuf;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde::Serialize;
use shared::model::{ModelView, Placement};
use shared::ops::Operator;
use shared::shape::{Hwc, Window};

use super::budget::untrained_model;
use super::model_file::ModelFile;
use super::{Failure, Verdict};
use crate::boards::{BOARDS, Budget};
use crate::calibration::CalibrationReport;
use crate::config::Config;
use crate::quantize::exact::{FloatOnly, float_only};
use crate::report::CALIBRATION_NOTE;
use crate::spec::{LayerSpec, NetSpec};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    subject: Subject,
    /// Print the same as JSON on stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Subject {
    /// The model file, or micro or nano, which ship.
    #[arg(value_name = "NAME|model.onelook")]
    path: Option<PathBuf>,
    /// A preset's network, not trained.
    #[arg(long)]
    preset: Option<String>,
    /// The network of a configuration, not trained.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A network in words.
#[derive(Debug, Serialize)]
struct Inspection {
    provenance: String,
    /// `[h][w][c]`.
    input: [usize; 3],
    macs: u64,
    parameters: usize,
    layers: Vec<LayerRow>,
    /// What a device needs; absent when the network stays in floating point.
    #[serde(flatten)]
    device: Option<DeviceCosts>,
    /// What a trained model has.
    #[serde(flatten)]
    trained: Option<Trained>,
    /// Why the network stays in floating point.
    float_only: Vec<FloatOnly>,
}

#[derive(Debug, Serialize)]
struct DeviceCosts {
    file_bytes: usize,
    arena_bytes: usize,
    embedding_bytes: usize,
    /// Where in the arena each step works.
    steps: Vec<StepRow>,
    /// What the model takes of some boards.
    boards: Vec<Budget>,
}

/// One layer, or two that run as one; places are `[first, end]` bytes of the arena.
#[derive(Debug, Serialize)]
struct StepRow {
    /// First and last layer.
    layers: [usize; 2],
    operator: &'static str,
    input: [usize; 2],
    scratch: [usize; 2],
    output: [usize; 2],
    /// Bytes of all three that are in use.
    bytes: usize,
}

#[derive(Debug, Serialize)]
struct Trained {
    fingerprint: String,
    logit_exponent: u8,
    /// Which scores unknown marks reach; absent when that was not measured.
    calibration: Option<CalibrationReport>,
}

/// One layer.
#[derive(Debug, Serialize)]
struct LayerRow {
    operator: &'static str,
    /// Absent for an operator that sees all of its input.
    window: Option<WindowRow>,
    /// `[h][w][c]`.
    output: [usize; 3],
    weights: usize,
    macs: u64,
    /// Real output = `q * 2^-exponent`; of a trained model.
    exponent: Option<u8>,
    /// Largest sum that any input can reach, below 2^24; of a trained model.
    bound: Option<i64>,
}

#[derive(Debug, Serialize)]
struct WindowRow {
    kernel: usize,
    stride: usize,
    pad: usize,
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let inspection = match &args.subject.path {
        Some(path) => {
            let model = ModelFile::read(path)?;
            of_model(&model.view()?)
        }
        None => of_config(&args.subject.untrained()?)?,
    };
    if args.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&inspection).map_err(Failure::work)?
        );
    } else {
        print!("{}", inspection.words());
    }
    Ok(Verdict::Success)
}

impl Subject {
    fn untrained(&self) -> Result<Config, Failure> {
        let config = match (&self.config, &self.preset) {
            (Some(path), _) => Config::read(path),
            (None, preset) => Config::preset(preset.as_deref().unwrap_or_default()),
        };
        config.map_err(Failure::usage)
    }
}

fn of_model(model: &ModelView<'_>) -> Inspection {
    let layers = model.layers().map(|layer| {
        let window = window(&layer.operator);
        let filters = layer.operator.filters();
        LayerRow {
            operator: layer.operator.name(),
            window: window.map(WindowRow::from),
            output: extents(layer.operator.output()),
            weights: filters.map_or(0, |filters| filters.weight().len()),
            macs: layer.operator.macs(),
            exponent: Some(layer.out_exponent),
            bound: filters.map(|filters| filters.bound()),
        }
    });
    let layers: Vec<LayerRow> = layers.collect();
    let biases = model
        .layers()
        .filter_map(|layer| Some(layer.operator.filters()?.c_out()));
    let head = model.embedding_len() + 1;
    Inspection {
        provenance: model.provenance().to_owned(),
        input: extents(model.input()),
        macs: layers.iter().map(|layer| layer.macs).sum(),
        parameters: layers.iter().map(|layer| layer.weights).sum::<usize>()
            + biases.sum::<usize>()
            + head,
        layers,
        device: Some(DeviceCosts::of(model)),
        trained: Some(Trained {
            fingerprint: crate::dataset::hex(&model.fingerprint()),
            logit_exponent: model.decider().logit_exponent(),
            calibration: model.calibration().as_ref().map(CalibrationReport::of),
        }),
        float_only: Vec::new(),
    }
}

/// The plan of a network that is not trained.
fn of_config(config: &Config) -> Result<Inspection, Failure> {
    let spec = config.network().map_err(Failure::usage)?;
    let float_only = float_only(&spec).map_err(Failure::usage)?;
    let device = if float_only.is_empty() {
        let model = untrained_model(&spec, &super::export::provenance(config))?;
        let model = ModelView::new_checked(&model).map_err(Failure::usage)?;
        Some(DeviceCosts::of(&model))
    } else {
        None
    };
    Ok(Inspection {
        provenance: format!("{}, not trained", config.preset),
        input: extents(spec.input()),
        macs: spec.macs().map_err(Failure::usage)?,
        parameters: spec.parameters().map_err(Failure::usage)?,
        layers: planned_rows(&spec)?,
        device,
        trained: None,
        float_only,
    })
}

fn planned_rows(spec: &NetSpec) -> Result<Vec<LayerRow>, Failure> {
    let shapes = spec.shapes().map_err(Failure::usage)?;
    let layers = spec.layers.iter().zip(shapes.windows(2));
    let rows = layers.map(|(layer, shapes)| {
        let (input, output) = (shapes[0], shapes[1]);
        let weights = layer.weights(input);
        let sees_all = matches!(
            layer,
            LayerSpec::Linear { .. } | LayerSpec::GlobalAveragePool
        );
        LayerRow {
            operator: layer.name(),
            window: (!sees_all).then(|| layer.window(input).into()),
            output: extents(output),
            weights: weights.map_or(0, |weights| weights.len()),
            macs: weights.map_or(0, |weights| (weights.taps() * output.len()) as u64),
            exponent: None,
            bound: None,
        }
    });
    Ok(rows.collect())
}

const fn extents(shape: Hwc) -> [usize; 3] {
    [shape.h, shape.w, shape.c]
}

impl From<Window> for WindowRow {
    fn from(window: Window) -> Self {
        let Window {
            kernel,
            stride,
            pad,
        } = window;
        Self {
            kernel,
            stride,
            pad,
        }
    }
}

impl DeviceCosts {
    fn of(model: &ModelView<'_>) -> Self {
        Self {
            file_bytes: model.bytes().len(),
            arena_bytes: model.arena_len(),
            embedding_bytes: model.embedding_len(),
            steps: steps(model),
            boards: BOARDS
                .map(|board| {
                    let ram = model.arena_len() + model.embedding_len();
                    Budget::new(board, model.bytes().len(), ram)
                })
                .into(),
        }
    }
}

fn steps(model: &ModelView<'_>) -> Vec<StepRow> {
    let mut layer = 0;
    let steps = model.steps().enumerate().filter_map(|(index, operator)| {
        let first = layer;
        layer += operator.layers();
        let place = Placement::new(index, &operator, model.arena_len())?;
        let ends = |range: Range<usize>| [range.start, range.end];
        Some(StepRow {
            layers: [first, layer - 1],
            operator: operator.name(),
            input: ends(place.input),
            scratch: ends(place.scratch),
            output: ends(place.output),
            bytes: operator.arena_len(),
        })
    });
    steps.collect()
}

/// The window of an operator that has one.
const fn window(operator: &Operator<'_>) -> Option<Window> {
    match operator {
        Operator::Conv2d(op) => Some(op.window()),
        Operator::DepthwiseConv2d(op) => Some(op.window()),
        Operator::MaxPool2d(op) => Some(op.window()),
        Operator::Pointwise(_) => Some(Window {
            kernel: 1,
            stride: 1,
            pad: 0,
        }),
        // A step of an encoder, never a layer of a file.
        Operator::ConvMaxPool2d(_) | Operator::Linear(_) | Operator::GlobalAveragePool(_) => None,
    }
}

impl Inspection {
    fn words(&self) -> String {
        let [h, w, c] = self.input;
        let Self {
            provenance,
            macs,
            parameters,
            ..
        } = self;
        let mut words = format!(
            "{provenance}\n\ninput {h}×{w}×{c}, {parameters} parameters, {macs} MAC per image\n"
        );
        if let Some(DeviceCosts {
            file_bytes,
            arena_bytes,
            embedding_bytes,
            ..
        }) = &self.device
        {
            words += &format!(
                "{file_bytes} bytes of flash, {arena_bytes} bytes of arena, {embedding_bytes} bytes for each embedding\n"
            );
        }
        if let Some(Trained {
            fingerprint,
            logit_exponent,
            ..
        }) = &self.trained
        {
            words += &format!("fingerprint {fingerprint}\nlogit = q · 2^-{logit_exponent}\n");
        }
        words += &format!("\n{}\n", self.table());
        if self.trained.is_some() {
            words += "\nbound: the largest sum any input can reach; certified below 16777216.\n";
        }
        if let Some(device) = &self.device {
            words += &format!(
                "\nThe arena, by first and last byte:\n\n{}\n",
                device.table()
            );
            words += &format!(
                "\nModel, and arena with one embedding; the program takes some of both:\n\n{}\n",
                device.boards_table()
            );
        }
        if let Some(trained) = &self.trained {
            words += &trained.unknown();
        }
        for reason in &self.float_only {
            words += &format!("\n{reason}\n");
        }
        words
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header([
            "layer", "operator", "kernel", "stride", "pad", "output", "weights", "MAC", "scale",
            "bound",
        ]);
        for (index, layer) in self.layers.iter().enumerate() {
            let [h, w, c] = layer.output;
            let window = |field: fn(&WindowRow) -> usize| or_dash(layer.window.as_ref().map(field));
            table.add_row([
                index.to_string(),
                layer.operator.to_owned(),
                window(|window| window.kernel),
                window(|window| window.stride),
                window(|window| window.pad),
                format!("{h}×{w}×{c}"),
                layer.weights.to_string(),
                layer.macs.to_string(),
                or_dash(layer.exponent.map(|exponent| format!("2^-{exponent}"))),
                or_dash(layer.bound),
            ]);
        }
        table
    }
}

impl Trained {
    fn unknown(&self) -> String {
        let Some(calibration) = &self.calibration else {
            return "\nNot calibrated: a mark is unknown below a probability of one half.\n"
                .to_owned();
        };
        let CalibrationReport { draws, pairs, .. } = calibration;
        format!(
            "\nUnknown marks ({draws} draws for each row, {pairs} same-class pairs):\n\n{}\n\n{CALIBRATION_NOTE}\n",
            calibration.table()
        )
    }
}

impl DeviceCosts {
    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header([
            "layers",
            "step",
            "input",
            "scratch",
            "output",
            "bytes in use",
        ]);
        for step in &self.steps {
            let [first, last] = step.layers;
            let layers = if first == last {
                first.to_string()
            } else {
                format!("{first}, {last}")
            };
            let bytes = |[start, end]: [usize; 2]| match end.checked_sub(start + 1) {
                Some(_) => format!("{start}–{}", end - 1),
                None => "–".to_owned(),
            };
            table.add_row([
                layers,
                step.operator.to_owned(),
                bytes(step.input),
                bytes(step.scratch),
                bytes(step.output),
                step.bytes.to_string(),
            ]);
        }
        table
    }
}

impl DeviceCosts {
    fn boards_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header(["board", "processor", "flash", "RAM", ""]);
        for budget in &self.boards {
            let Budget { board, .. } = budget;
            let share =
                |share: f64, of: usize| format!("{:.1} % of {} KiB", 100.0 * share, of / 1024);
            let fits = if budget.fits() { "fits" } else { "too large" };
            table.add_row([
                board.name.to_owned(),
                board.core.to_owned(),
                share(budget.flash_share, board.flash),
                share(budget.ram_share, board.ram),
                fits.to_owned(),
            ]);
        }
        table
    }
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}
