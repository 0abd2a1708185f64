//! The report of a run: `report.json` for programs, `report.md` and the closing table for people.
//!
//! In: what the stages measured. Out: the same numbers in three forms. Every accuracy names its
//! protocol and engine and stands beside its trial count and standard error.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde::{Deserialize, Serialize};

use crate::calibration::CalibrationReport;
use crate::config::Precision;
use crate::evaluate::open::OpenEvaluation;
use crate::import::check::Check;
use crate::quantize::QuantReport;
use crate::trials::Accuracy;
use crate::verify::VerifyReport;

/// Name of the file for programs.
pub const REPORT_JSON: &str = "report.json";
/// Name of the file for people.
pub const REPORT_MARKDOWN: &str = "report.md";

/// Everything a run measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Name of the run's folder.
    pub name: String,
    /// Version of this program.
    pub version: String,
    /// SHA-256 of the resolved configuration.
    pub config_hash: String,
    /// What the network costs on a device.
    pub network: Network,
    /// How it was trained; absent when the folder of a checkpoint that was exported again does not say it.
    pub training: Option<Training>,
    /// Where it comes from; absent when it was trained here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<Import>,
    /// What rounding cost; absent when the network stays in floating point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<QuantReport>,
    /// Which scores unknown marks reach; absent when that was not measured.
    pub calibration: Option<CalibrationReport>,
    /// Accuracies.
    pub accuracy: Vec<Row>,
    /// Whether all engines agree.
    pub parity: VerifyReport,
    /// Wall time of each stage.
    pub stages: Vec<Stage>,
}

/// What the network costs on a device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Network {
    /// Preset, or `custom`.
    pub preset: String,
    /// Weights and biases of the deployed form.
    pub parameters: usize,
    /// Multiply-accumulates of one embedding.
    pub macs: u64,
    /// What it takes; absent when it stays in floating point.
    #[serde(flatten)]
    pub device: Option<Footprint>,
}

/// Memory on a device.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Footprint {
    /// Bytes of `model.onelook`.
    pub model_bytes: usize,
    /// Bytes of activations.
    pub arena_bytes: usize,
    /// Bytes of one embedding.
    pub embedding_bytes: usize,
}

/// How a network was trained.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Training {
    /// Optimizer steps.
    pub steps: usize,
    /// Wall time of training and validation.
    pub seconds: f64,
    /// Images per second, data pipeline included, validation left out.
    pub images_per_second: f64,
    /// Number format of the convolutions.
    pub precision: Precision,
    /// Step whose network was kept.
    pub best_step: usize,
    /// Its within-alphabet 20-way one-shot accuracy on the held-out background alphabets.
    pub validation_accuracy: f64,
    /// Background alphabets trained on.
    pub training_alphabets: usize,
    /// Background alphabets held out for selection.
    pub validation_alphabets: usize,
    /// SHA-256 over the training drawings.
    pub data: String,
}

/// Where a network comes from that was trained elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Import {
    /// Name of the ONNX file.
    pub file: String,
    /// Who wrote it.
    pub producer: String,
    /// Version of the operators it uses.
    pub opset: i64,
    /// Where the head comes from.
    pub head: String,
    /// What was added to its layers, and why.
    pub notes: Vec<String>,
    /// The float network against the file in onnxruntime.
    pub check: Check,
}

/// One accuracy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// Which trials.
    pub protocol: String,
    /// What decided.
    pub engine: String,
    /// How well.
    pub accuracy: Accuracy,
    /// Decisions where several classes shared the best logit; the first of them was taken.
    pub ties: Option<usize>,
}

/// Wall time of a stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stage {
    /// Which.
    pub name: String,
    /// How long.
    pub seconds: f64,
}

/// The report of a run cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {message}; `onelook export RUN` writes it again")]
pub struct ReportError {
    path: PathBuf,
    message: String,
}

impl Report {
    /// Reads `report.json` of the run in `folder`.
    ///
    /// # Errors
    /// [`ReportError`] when it is not there, or not a report of this version.
    pub fn read(folder: &Path) -> Result<Self, ReportError> {
        let path = folder.join(REPORT_JSON);
        let failed = |message: String| ReportError {
            path: path.clone(),
            message,
        };
        let bytes = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))
    }

    /// The accuracies as a Markdown table.
    #[must_use]
    pub fn table(&self) -> String {
        accuracy_table(&self.accuracy)
    }

    /// The page for people.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut page = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_markdown(&mut page);
        page
    }

    fn write_markdown(&self, page: &mut String) -> std::fmt::Result {
        let Network {
            preset,
            parameters,
            macs,
            device,
        } = &self.network;
        writeln!(page, "# {}\n", self.name)?;
        write!(
            page,
            "Network `{preset}`: {parameters} parameters, {macs} MAC per image, "
        )?;
        match device {
            Some(Footprint {
                model_bytes,
                arena_bytes,
                embedding_bytes,
            }) => writeln!(
                page,
                "model {model_bytes} bytes, arena {arena_bytes} bytes, embedding {embedding_bytes} bytes.\n"
            )?,
            None => writeln!(page, "floating point only: nothing for a device.\n")?,
        }
        if let Some(training) = &self.training {
            let Training {
                steps,
                seconds,
                images_per_second,
                best_step,
                ..
            } = training;
            let (train, held_out) = (training.training_alphabets, training.validation_alphabets);
            let validation = 100.0 * training.validation_accuracy;
            writeln!(
                page,
                "Trained {steps} steps in {seconds:.0} s ({images_per_second:.0} images/s) on {train} alphabets; {held_out} others chose step {best_step} ({validation:.1} % there).\n"
            )?;
        }
        if let Some(import) = &self.import {
            let Import {
                file,
                producer,
                opset,
                head,
                check,
                ..
            } = import;
            let Check { pairs, max_error } = check;
            writeln!(
                page,
                "Imported from `{file}` ({producer}, opset {opset}), head {head}. On {pairs} pairs of images the float network differs from the file in onnxruntime by at most {max_error:.1e} of the largest value.\n"
            )?;
            for note in &import.notes {
                writeln!(page, "Note: {note}.\n")?;
            }
        }
        writeln!(page, "## Accuracy\n\n{}\n", self.table())?;
        writeln!(page, "Mean ± standard error; 95 % interval after Wilson.\n")?;
        if let Some(calibration) = &self.calibration {
            writeln!(page, "## Unknown marks\n\n{}\n", calibration.table())?;
            writeln!(page, "{CALIBRATION_NOTE}\n")?;
        }
        writeln!(page, "## Parity\n\n{}\n", self.parity)?;
        writeln!(page, "## Wall time\n")?;
        for Stage { name, seconds } in &self.stages {
            writeln!(page, "- {name}: {seconds:.1} s")?;
        }
        writeln!(
            page,
            "\nConfiguration {}, onelook {}.",
            self.config_hash, self.version
        )
    }
}

/// What the table of a calibration shows.
pub const CALIBRATION_NOTE: &str = "Threshold of the score by enrolled classes and total rate of false accepts, from held-out background alphabets; in brackets the share of same-class pairs that reach it.";

/// The open-set protocol as a Markdown table.
#[must_use]
pub fn open_set_table(rows: &[OpenEvaluation]) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header([
        "protocol",
        "unknown",
        "trials",
        "false accepts",
        "true accepts",
        "right of accepted",
        "true accepts, oracle",
    ]);
    for row in rows {
        table.add_row([
            row.protocol.clone(),
            row.unknown.clone(),
            format!("{} + {}", row.true_accepts.trials, row.false_accepts.trials),
            row.false_accepts.to_string(),
            row.true_accepts.to_string(),
            row.right_of_accepted.to_string(),
            row.oracle_true_accepts.to_string(),
        ]);
    }
    table.to_string()
}

/// Accuracies as a Markdown table.
#[must_use]
pub fn accuracy_table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header([
        "protocol",
        "engine",
        "trials",
        "accuracy",
        "95 % interval",
        "ties",
    ]);
    for Row {
        protocol,
        engine,
        accuracy,
        ties,
    } in rows
    {
        let [low, high] = accuracy.interval95.map(|bound| 100.0 * bound);
        table.add_row([
            protocol.clone(),
            engine.clone(),
            accuracy.trials.to_string(),
            accuracy.to_string(),
            format!("{low:.1}–{high:.1}"),
            ties.map_or_else(|| "–".to_owned(), |ties| ties.to_string()),
        ]);
    }
    table.to_string()
}

/// Digits in groups of three.
#[must_use]
pub fn thousands(value: impl std::fmt::Display) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(18_745_344), "18,745,344");
    }
}
