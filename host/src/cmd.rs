//! The commands: one file each. A command does its work, says so in words or JSON, and returns a
//! [`Verdict`].

mod args;
mod bench;
mod budget;
mod capture_sim;
mod completions;
mod dataset;
mod device;
mod doctor;
mod download;
mod evaluate;
mod export;
mod heads;
mod import;
mod inspect;
#[cfg(not(feature = "train"))]
mod launch;
mod live;
mod model_file;
mod plot;
mod quiz;
mod run_folder;
mod search;
mod sign;
mod simulate;
mod train_export;
mod verify;

use clap::{Parser, Subcommand};

/// How a command ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As asked.
    Success,
    /// Two engines disagree.
    Mismatch,
    /// The user pressed Ctrl-C.
    Interrupted,
}

impl Verdict {
    /// Process exit code.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Mismatch => 3,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command failed: what was asked for was wrong, or the work did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The command line or a file that the user wrote: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Anything else: exit code 1.
    #[error("{0}")]
    Work(String),
}

impl Failure {
    /// Process exit code.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Work(_) => 1,
        }
    }

    /// A failure of the work, in the error's own words.
    fn work(error: impl std::fmt::Display) -> Self {
        Self::Work(error.to_string())
    }

    /// A failure of what was asked for, in the error's own words.
    fn usage(error: impl std::fmt::Display) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Teach a microcontroller to recognise a mark from one look.
#[derive(Debug, Parser)]
#[command(name = "onelook", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train, quantize, export and verify: all of it, ending with a table and files in runs/<name>/.
    TrainExport(train_export::Args),
    /// Search for a better recipe or network: many short trainings, the best of which train on.
    Search(search::Args),
    /// Quantize and export a trained checkpoint again.
    Export(export::Args),
    /// Take over a network that was trained elsewhere: quantize, export and verify an ONNX file.
    Import(import::Args),
    /// Measure N-way one-shot accuracy of an exported model.
    Evaluate(evaluate::Args),
    /// Train one encoder under several heads, siamese, matching, a classifier's, and compare them.
    Heads(heads::Args),
    /// Draw the figures of a run, as SVG and PNG with their numbers, and a page that shows them.
    Plot(plot::Args),
    /// Take the N-way one-shot test yourself, and see how often you and the model are right.
    Quiz(quiz::Args),
    /// Count alphabets, characters, pairs and tasks of the drawings.
    Dataset(dataset::Args),
    /// Write drawings as a cheap camera would see them: slanting, unevenly lit, blurred, noisy.
    CaptureSim(capture_sim::Args),
    /// Compare the model's logits in shared, tract and onnxruntime, bit for bit.
    Verify(verify::Args),
    /// Measure how fast shared, tract and onnxruntime run a network on this computer.
    Bench(bench::Args),
    /// Show what is in a model file, or in a network before it is trained, and what it costs on a
    /// device.
    Inspect(inspect::Args),
    /// Teach a device, ask it, look after it.
    Device(device::Args),
    /// Serve a page that shows what a device sees and makes of it, and teaches it.
    Live(live::Args),
    /// Sign a model for devices that take no others, or make the keys for that.
    Sign(sign::Args),
    /// Run the real firmware in QEMU, as a device to play with.
    Simulate(simulate::Args),
    /// Look for what on this computer may keep Onelook from working.
    Doctor(doctor::Args),
    /// Download Omniglot into the cache.
    Download(download::Args),
    /// Print completions for a shell.
    Completions(completions::Args),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] in words that name the file or field and the fix.
    pub fn run(self) -> Result<Verdict, Failure> {
        match self.command {
            Command::TrainExport(args) => train_export::run(args),
            Command::Search(args) => search::run(args),
            Command::Export(args) => export::run(&args),
            Command::Import(args) => import::run(&args),
            Command::Evaluate(args) => evaluate::run(&args),
            Command::Heads(args) => heads::run(&args),
            Command::Plot(args) => plot::run(&args),
            Command::Quiz(args) => quiz::run(&args),
            Command::Dataset(args) => dataset::run(&args),
            Command::CaptureSim(args) => capture_sim::run(&args),
            Command::Verify(args) => verify::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Device(args) => device::run(&args),
            Command::Live(args) => live::run(&args),
            Command::Sign(args) => sign::run(&args),
            Command::Simulate(args) => simulate::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Download(args) => download::run(&args),
            Command::Completions(args) => completions::run(&args),
        }
    }
}

/// A spinner on stderr for work of unknown length; nothing when stderr is not a terminal.
fn spinner(message: &'static str) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new_spinner().with_message(message);
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}
