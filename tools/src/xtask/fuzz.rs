//! `cargo xtask fuzz`.
//!
//! In: targets and a time. Out: inputs tried by each, one line a target.

use clap::Args;
use clap::builder::PossibleValuesParser;
use tools::fuzz::{self, TARGETS, Target};
use tools::{Progress, SetupError};

/// What to run and for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Run each target for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// Run only this target; may be given again
    #[arg(long, value_name = "TARGET", value_parser = names())]
    target: Vec<String>,
    /// Write the seeds into tests/fuzz/corpus/ and end
    #[arg(long, conflicts_with_all = ["seconds", "target"])]
    write_seeds: bool,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(TARGETS.map(|target| target.name))
}

/// Does what the command line says.
pub(crate) fn run(options: &Options, progress: &Progress) -> Result<(), SetupError> {
    if options.write_seeds {
        return fuzz::write_seeds();
    }
    if let Some(reason) = fuzz::missing() {
        return Err(SetupError::Missing {
            what: "the fuzz targets cannot be built here".into(),
            next: reason.into(),
        });
    }
    let named = |target: &Target| {
        options.target.is_empty() || options.target.iter().any(|name| name == target.name)
    };
    let targets: Vec<_> = TARGETS.into_iter().filter(named).collect();
    for (name, tried) in all(&targets, options.seconds, progress)? {
        println!("{name:<13} {tried:>12} inputs");
    }
    Ok(())
}

/// Builds and runs targets, one after the other; each with how many inputs it tried.
pub(crate) fn all(
    targets: &[Target],
    seconds: u64,
    progress: &Progress,
) -> Result<Vec<(&'static str, u64)>, SetupError> {
    let programs = fuzz::build(progress)?;
    let run = |target: &Target| {
        progress.note(&format!("fuzzing {} for {seconds} s", target.name));
        fuzz::run(&programs, *target, seconds).map(|tried| (target.name, tried))
    };
    targets.iter().map(run).collect()
}
