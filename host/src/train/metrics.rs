//! `metrics.jsonl`: one line of figures per validation.
//!
//! In: [`Metrics`]. Out: a line at the end of the file; a resumed run first drops the lines that it
//! will write again.

use std::io::Write;
use std::path::Path;

use super::TrainError;
use crate::files::{WriteError, write_whole};
pub use crate::metrics::{METRICS_FILE, Metrics};

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
