//! `onelook inspect`: what is in a model file, or in a network before it is trained, layer by layer,
//! and what it costs on a device.

use std::ops::Range;
use std::path::PathBuf;

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
use crate::spec::{LayerSpec, NetSpec};

mod words;

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
