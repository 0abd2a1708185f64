//! `metrics.jsonl`: one line of figures per validation.
//!
//! In: [`Metrics`]. Out: a line at the end of the file; a resumed run first drops the lines that it
//! will write again.

use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::TrainError;
use crate::files::{WriteError, write_whole};

/// Name of the file with one line of figures per validation.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Metrics {
    /// Steps done.
    pub step: usize,
    /// Mean training loss since the last line.
    pub loss: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Within-alphabet 20-way one-shot accuracy on the held-out background alphabets.
    pub validation_accuracy: f64,
    /// Its standard error.
    pub validation_standard_error: f64,
    /// The same with the weights of the step itself, where their average is what counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unaveraged_accuracy: Option<f64>,
    /// Seconds spent in training so far.
    pub seconds: f64,
    /// Images per second of this sitting.
    pub images_per_second: f64,
}

impl std::fmt::Display for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            step,
            loss,
            seconds,
            images_per_second,
            ..
        } = self;
        let (mean, error) = (
            100.0 * self.validation_accuracy,
            100.0 * self.validation_standard_error,
        );
        write!(
            f,
            "{seconds:>6.0} s  step {step:>6}  {images_per_second:.0} images/s  loss {loss:.4}  validation {mean:.2} % ± {error:.2}"
        )?;
        match self.unaveraged_accuracy {
            Some(accuracy) => write!(f, ", not averaged {:.2} %", 100.0 * accuracy),
            None => Ok(()),
        }
    }
}

/// Appends one line.
///
/// # Errors
/// [`TrainError::Write`] naming the file.
pub fn append(path: &Path, metrics: &Metrics) -> Result<(), TrainError> {
    let failed = |source| WriteError {
        path: path.into(),
        source,
    };
    let line = serde_json::to_string(metrics).unwrap_or_default();
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    file.and_then(|mut file| writeln!(file, "{line}"))
        .map_err(failed)?;
    Ok(())
}

/// Drops the lines behind `step`.
///
/// # Errors
/// [`TrainError::Write`] naming the file.
pub fn keep_until(path: &Path, step: usize) -> Result<(), TrainError> {
    let text = match std::fs::read_to_string(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(WriteError {
                path: path.into(),
                source,
            }
            .into());
        }
        text => text.unwrap_or_default(),
    };
    let kept = text.lines().filter(|line| {
        serde_json::from_str::<Metrics>(line).is_ok_and(|metrics| metrics.step <= step)
    });
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    Ok(write_whole(path, kept.as_bytes())?)
}
