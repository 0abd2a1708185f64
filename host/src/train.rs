//! Training: background drawings in, a [`FloatNet`](crate::float_net::FloatNet) out.
//!
//! Reading order: [`net`] (the network), [`loss`], `classifier`, `teacher`, [`optimizer`], `ema` (what is exported), [`batch`]
//! and [`pairs`] (what it sees), `state` (one step), [`schedule`], `validate`, [`run`] (the loop), [`rung`] (a trial of a
//! search); `engine` runs what was trained, [`heads`] compares it with other heads. These files, and
//! no others, name `tch`.

pub mod batch;
pub mod checkpoint;
mod classifier;
mod ema;
mod engine;
pub mod heads;
pub mod loss;
pub mod metrics;
pub mod net;
pub mod optimizer;
pub mod pairs;
pub mod run;
pub mod rung;
pub mod schedule;
mod state;
mod teacher;
mod validate;

pub use engine::Libtorch;
pub use run::{Outcome, Session};
pub use state::{Progress, Trained};

/// Why training stopped early.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The layers of the network do not fit each other.
    #[error(transparent)]
    Spec(#[from] crate::spec::SpecError),
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A checkpoint cannot be read or does not belong to this network.
    #[error("{path}: {message}; start again without --resume, or with the run it belongs to")]
    Checkpoint {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        message: String,
    },
    /// A teacher cannot be read or takes another input.
    #[error("train.teachers: {folder}: {message}")]
    Teacher {
        /// Its folder.
        folder: std::path::PathBuf,
        /// Why.
        message: String,
    },
    /// A file of the run cannot be written.
    #[error(transparent)]
    Write(#[from] crate::files::WriteError),
    /// The held-out alphabets cannot form a validation trial.
    #[error(transparent)]
    Trials(#[from] crate::trials::TrialError),
    /// A validation drawing cannot become a network input.
    #[error(transparent)]
    Input(#[from] shared::shape::ShapeError),
    /// The loss is no longer a number.
    #[error("step {step}: the loss is {loss}; lower train.learning_rate")]
    Diverged {
        /// At which step.
        step: usize,
        /// The loss.
        loss: f64,
    },
    /// No pair can be drawn.
    #[error("no two characters have two drawings each: there is no pair to train on")]
    NothingToPair,
    /// The thread that draws batches stopped.
    #[error("the thread that draws training images stopped")]
    Batches,
}

#[cfg(test)]
mod tests;
