//! A trial of a search up to one of its rungs: a run as any other, with a limit.
//!
//! In: a [`Job`]. Out: the validation at the rung's step. The run is configured for its whole length, so that
//! learning rates are those of a whole run, and the next rung goes on from the checkpoint with the same bits.

use std::sync::atomic::AtomicBool;

use tch::Device;

use super::metrics::METRICS_FILE;
use super::{Outcome, Session, TrainError};
use crate::dataset::Background;
use crate::metrics;
use crate::search::study::Score;
use crate::search::worker::{Ended, Job};

/// Trains up to the rung, from the start or from where the trial was left.
///
/// # Errors
/// [`TrainError`]; no error but a trial that failed is a loss that is no longer a number, and a network that libtorch
/// refuses, as when its activations do not fit into memory: the same would happen whenever it is tried again.
pub fn train(
    job: &Job<'_>,
    background: &Background,
    interrupted: &AtomicBool,
) -> Result<Ended, TrainError> {
    let session = Session {
        config: job.config,
        background,
        folder: job.folder,
        device: Device::Cpu,
        interrupted,
        stop_at: Some(job.steps),
    };
    match session.run(true) {
        Ok(Outcome::Interrupted { step }) if step < job.steps => Ok(Ended::Interrupted { step }),
        Ok(_) => score(job).map(Ended::Scored),
        Err(error @ (TrainError::Diverged { .. } | TrainError::Torch(_))) => {
            Ok(Ended::Failed(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

/// The last validation: at the rung, or where patience ended before it.
fn score(job: &Job<'_>) -> Result<Score, TrainError> {
    let path = job.folder.join(METRICS_FILE);
    let refuse = |message: String| TrainError::Checkpoint {
        path: path.clone(),
        message,
    };
    let lines = metrics::read(&path).map_err(|error| refuse(error.to_string()))?;
    let last = lines.iter().rfind(|line| line.step <= job.steps);
    let last = last.ok_or_else(|| {
        let folder = job.folder.display();
        refuse(format!(
            "no validation up to step {}; remove {folder} to train it again",
            job.steps
        ))
    })?;
    Ok(Score {
        step: last.step,
        accuracy: last.validation_accuracy,
        standard_error: last.validation_standard_error,
        seconds: last.seconds,
    })
}
