//! `metrics.jsonl`, the diary of a training: one line of figures per validation.
//!
//! In: the file of a run, finished or not. Out: [`Metrics`], or an error that names the line.
//! Whoever trains writes it (`train::metrics`).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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

/// Every validation of a run, the earliest first.
///
/// # Errors
/// [`MetricsError`] naming the file, and the line that is not one.
pub fn read(path: &Path) -> Result<Vec<Metrics>, MetricsError> {
    let text = std::fs::read_to_string(path).map_err(|source| MetricsError::Read {
        path: path.into(),
        source,
    })?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let parse = |(index, line)| {
        serde_json::from_str(line).map_err(|source| MetricsError::Line {
            path: path.into(),
            line: index + 1,
            source,
        })
    };
    lines.map(parse).collect()
}

/// Why there are no figures of a training.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; only a run that was trained here has it")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not what training writes.
    #[error(
        "{path}, line {line}: {source}; remove the line, or take the file as training wrote it"
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_line_that_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(METRICS_FILE);
        let missing = read(&path).unwrap_err().to_string();
        assert!(missing.contains("was trained here"), "{missing}");
        let good = r#"{"step":1,"loss":2,"learning_rate":0.1,"validation_accuracy":0.5,"validation_standard_error":0.1,"seconds":1,"images_per_second":2}"#;
        std::fs::write(&path, format!("{good}\n")).unwrap();
        let metrics = read(&path).unwrap();
        assert_eq!((metrics[0].step, metrics[0].unaveraged_accuracy), (1, None));
        std::fs::write(&path, format!("{good}\n{{\"step\":2\n")).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
