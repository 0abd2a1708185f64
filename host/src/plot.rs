//! Figures of a run, and the page that shows them.
//!
//! In: a model, drawings, `metrics.jsonl`, `report.json`. Out: every figure as SVG and as PNG, with
//! its numbers as CSV or JSON beside it, so that anyone can draw it again; and one HTML page that
//! needs no other file. [`canvas`] and [`chart`] draw, [`sheet`] shows drawings, the other modules
//! are one figure each, [`record`] is what they leave in a folder, [`page`] is the page.

pub mod accuracy;
pub mod alphabets;
pub mod canvas;
pub mod chart;
pub mod errors;
pub mod page;
pub mod record;
pub mod search;
pub mod sheet;
pub mod tasks;
pub mod threshold;
pub mod training;

use std::path::PathBuf;

use crate::engine::EngineError;
use crate::evaluate::EvaluateError;
use crate::files::WriteError;
use crate::metrics::MetricsError;
use crate::trials::TrialError;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// A backend refused.
    #[error("the figure cannot be drawn: {0}")]
    Draw(String),
    /// There is nothing to draw.
    #[error("{0}")]
    Nothing(String),
    /// Numbers that are no CSV or JSON.
    #[error("the figure's numbers cannot be written: {0}")]
    Data(String),
    /// A file of the run cannot be used.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the fix.
        message: String,
    },
    /// The training's figures cannot be read.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Trials cannot be drawn.
    #[error(transparent)]
    Trials(#[from] TrialError),
    /// Trials cannot be decided.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The model gave no answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Rows as CSV, with a header.
///
/// # Errors
/// [`PlotError::Data`].
pub fn csv<R: serde::Serialize>(rows: &[R]) -> Result<String, PlotError> {
    let failed = |error: &dyn std::fmt::Display| PlotError::Data(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// Anything as JSON for people.
///
/// # Errors
/// [`PlotError::Data`].
pub fn json<V: serde::Serialize>(value: &V) -> Result<String, PlotError> {
    let text = serde_json::to_string_pretty(value);
    text.map_err(|error| PlotError::Data(error.to_string()))
}

#[cfg(test)]
mod tests;
