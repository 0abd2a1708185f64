//! `report.json` of a run, as far as a page shows it.
//!
//! In: the file, of this version or an older one. Out: a [`RunReport`], or an error that names the
//! field. What a page does not show is passed over, and what an older version did not write is empty.

use std::path::Path;

use serde::Deserialize;

use super::PlotError;
use crate::report::REPORT_JSON;

/// What a run measured.
#[derive(Debug, Clone, Deserialize)]
pub struct RunReport {
    /// Name of the run's folder.
    pub name: String,
    /// Version of the program that wrote it.
    pub version: String,
    /// SHA-256 of the resolved configuration.
    pub config_hash: String,
    /// What the network costs.
    pub network: Network,
    /// How it was trained; none when a checkpoint was exported again.
    pub training: Option<Training>,
    /// Where it comes from, when it was trained elsewhere.
    #[serde(default)]
    pub import: Option<Import>,
    /// Thresholds for unknown marks.
    #[serde(default)]
    pub calibration: Option<Calibration>,
    /// Accuracies.
    pub accuracy: Vec<Row>,
    /// Whether all engines agree.
    pub parity: Parity,
    /// Wall times.
    #[serde(default)]
    pub stages: Vec<Stage>,
}

/// What the network costs on a device.
#[derive(Debug, Clone, Deserialize)]
pub struct Network {
    /// Preset, or `custom`.
    pub preset: String,
    /// Weights and biases.
    pub parameters: u64,
    /// Multiply-accumulates of one embedding.
    pub macs: u64,
    /// Bytes of the model file.
    pub model_bytes: u64,
    /// Bytes of activations.
    pub arena_bytes: u64,
    /// Bytes of one embedding.
    pub embedding_bytes: u64,
}

/// How it was trained.
#[derive(Debug, Clone, Deserialize)]
pub struct Training {
    /// Optimizer steps.
    pub steps: u64,
    /// Wall time.
    pub seconds: f64,
    /// Images per second.
    pub images_per_second: f64,
    /// The step that was kept.
    pub best_step: u64,
    /// Its validation accuracy.
    pub validation_accuracy: f64,
    /// Alphabets trained on.
    pub training_alphabets: u64,
    /// Alphabets that chose the step.
    pub validation_alphabets: u64,
}

/// Where it comes from.
#[derive(Debug, Clone, Deserialize)]
pub struct Import {
    /// Name of the ONNX file.
    pub file: String,
    /// Who wrote it.
    pub producer: String,
}

/// Thresholds by enrolled classes and rate of false accepts.
#[derive(Debug, Clone, Deserialize)]
pub struct Calibration {
    /// Rates, in a million.
    pub far_ppm: Vec<u32>,
    /// By number of classes.
    pub rows: Vec<CalibrationRow>,
}

/// Thresholds for a number of classes.
#[derive(Debug, Clone, Deserialize)]
pub struct CalibrationRow {
    /// Enrolled classes.
    pub classes: u32,
    /// In the order of the rates.
    pub thresholds: Vec<i32>,
    /// Share of same-class pairs that reach them, in a thousand.
    pub reached_permille: Vec<u16>,
}

/// One accuracy.
#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    /// Which trials.
    pub protocol: String,
    /// What decided.
    pub engine: String,
    /// How well.
    pub accuracy: Accuracy,
    /// Ties, where they are counted.
    pub ties: Option<u64>,
}

/// How often a decision was right.
#[derive(Debug, Clone, Deserialize)]
pub struct Accuracy {
    /// Decisions.
    pub trials: u64,
    /// Share of right ones.
    pub mean: f64,
    /// Binomial.
    pub standard_error: f64,
    /// Wilson's.
    pub interval95: [f64; 2],
}

/// What the engines said of the same images.
#[derive(Debug, Clone, Deserialize)]
pub struct Parity {
    /// SHA-256 of the model file.
    pub model_sha256: String,
    /// Pairs of images.
    pub pairs: u64,
    /// The integer network.
    pub engines: Vec<Engine>,
}

/// One engine against the device's code.
#[derive(Debug, Clone, Deserialize)]
pub struct Engine {
    /// Its name.
    pub engine: String,
    /// Logits that are not equal.
    pub differing_logits: u64,
    /// Embeddings that are not equal.
    pub differing_embeddings: u64,
    /// Decisions that are not equal.
    pub differing_decisions: u64,
    /// Wall time.
    pub seconds: f64,
}

/// Wall time of a stage.
#[derive(Debug, Clone, Deserialize)]
pub struct Stage {
    /// Which.
    pub name: String,
    /// How long.
    pub seconds: f64,
}

impl RunReport {
    /// The report of the run in `folder`.
    ///
    /// # Errors
    /// [`PlotError::File`] when it is not there or not a report.
    pub fn read(folder: &Path) -> Result<Self, PlotError> {
        let path = folder.join(REPORT_JSON);
        let failed = |message: String| PlotError::File {
            path: path.clone(),
            message: format!("{message}; `onelook export RUN` writes it again"),
        };
        let bytes = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))
    }
}
