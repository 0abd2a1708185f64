//! `cargo xtask test`: everything CI runs, step by step.
//!
//! In: which steps. Out: each step's outcome and time, and how many checks passed and failed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use tools::Progress;

use super::steps::{self, Workbench};

/// One part of the run, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// cargo fmt --check, of both workspaces
    Fmt,
    /// see that modules import only what their layer may, and where `unsafe` is
    Layers,
    /// install libtorch, onnxruntime, a firmware compiler, QEMU and Chromium
    Setup,
    /// build the workspace with training
    Build,
    /// clippy with and without training, and of the firmware
    Clippy,
    /// build the documentation; a warning is an error
    Doc,
    /// build the firmware of each board, measure it, and see that no allocator or panic is in it
    Firmware,
    /// solve small problems of every operator on every board
    Selftest,
    /// try link, clock, flash, camera and watchdog of every board
    Devices,
    /// weigh the engine of each board, without which no program answers
    Engine,
    /// check the firmware's operators in QEMU, and count their instructions
    Bench,
    /// build shared for other processors
    Shared,
    /// run all tests
    Test,
    /// run the tests of shared in an interpreter that checks every access to memory
    Miri,
    /// feed random bytes to shared for twelve seconds
    Fuzz,
    /// train for a minute, export and verify
    TrainSmoke,
}

/// What takes long and seldom finds what the other steps do not.
const LEFT_OUT_WHEN_QUICK: [Step; 7] = [
    Step::Doc,
    Step::Selftest,
    Step::Devices,
    Step::Engine,
    Step::Shared,
    Step::Miri,
    Step::TrainSmoke,
];

/// Which steps to run and when to stop.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave out doc, selftest, devices, engine, shared, miri and train-smoke
    #[arg(long)]
    quick: bool,
    /// Run only these steps
    #[arg(long, value_name = "STEP", num_args = 1.., conflicts_with = "quick")]
    only: Vec<Step>,
    /// List the steps and end
    #[arg(long)]
    list: bool,
    /// Run the remaining steps after one has failed
    #[arg(long)]
    keep_going: bool,
}

impl Options {
    fn steps(&self) -> Vec<Step> {
        let wanted = |step: &Step| {
            let named = self.only.is_empty() || self.only.contains(step);
            named && !(self.quick && LEFT_OUT_WHEN_QUICK.contains(step))
        };
        Step::value_variants()
            .iter()
            .copied()
            .filter(wanted)
            .collect()
    }
}

/// What a step found. A step counts as one check, the test step as the tests it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Checks that passed.
    pub(crate) passed: u64,
    /// Checks that failed; the step has failed when there is one.
    pub(crate) failed: u64,
    /// A few words for the table.
    pub(crate) note: String,
}

impl Outcome {
    /// One check that passed.
    pub(crate) fn passed(note: impl Into<String>) -> Self {
        Self {
            passed: 1,
            failed: 0,
            note: note.into(),
        }
    }

    /// Nothing was checked here, and everybody shall see it.
    pub(crate) fn skipped(reason: &str, progress: &Progress) -> Self {
        progress.note(&format!("SKIPPED, NOTHING WAS CHECKED: {reason}"));
        Self {
            passed: 0,
            failed: 0,
            note: format!("SKIPPED: {reason}"),
        }
    }

    /// One check that failed.
    pub(crate) fn failed(note: impl Into<String>) -> Self {
        Self {
            passed: 0,
            failed: 1,
            note: note.into(),
        }
    }
}

/// Runs the steps.
pub(crate) fn run(options: &Options, progress: &Progress) -> ExitCode {
    if options.list {
        for step in options.steps() {
            let help = step.to_possible_value();
            let help = help
                .as_ref()
                .and_then(|value| value.get_help())
                .map(ToString::to_string);
            println!("{:<12} {}", name(step), help.unwrap_or_default());
        }
        return ExitCode::SUCCESS;
    }
    let steps = options.steps();
    let mut bench = Workbench::new(*progress);
    let mut rows = Vec::new();
    for (index, &step) in steps.iter().enumerate() {
        progress.note(&format!(
            "\n=== {} ({}/{})",
            name(step),
            index + 1,
            steps.len()
        ));
        let start = Instant::now();
        let outcome = steps::run(step, &mut bench);
        let failed = outcome.failed > 0;
        rows.push((step, outcome, start.elapsed()));
        if failed && !options.keep_going {
            break;
        }
    }
    println!("{}", summary(&steps, &rows));
    let failed = rows.iter().any(|(_, outcome, _)| outcome.failed > 0);
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn summary(steps: &[Step], rows: &[(Step, Outcome, Duration)]) -> String {
    let mut lines = vec![String::new()];
    for (step, outcome, time) in rows {
        let word = match outcome {
            Outcome { failed: 1.., .. } => "FAILED",
            Outcome { passed: 0, .. } => "SKIPPED",
            Outcome { .. } => "ok",
        };
        let seconds = time.as_secs_f64();
        let line = format!(
            "{:<12} {word:<7} {seconds:>7.1} s  {}",
            name(*step),
            outcome.note
        );
        lines.push(line.trim_end().to_owned());
    }
    for step in steps.get(rows.len()..).unwrap_or_default() {
        lines.push(format!("{:<12} not run", name(*step)));
    }
    let total = |count: fn(&Outcome) -> u64| rows.iter().map(|row| count(&row.1)).sum::<u64>();
    let (passed, failed) = (
        total(|outcome| outcome.passed),
        total(|outcome| outcome.failed),
    );
    lines.push(format!("{passed} passed, {failed} failed"));
    lines.join("\n")
}

fn name(step: Step) -> String {
    step.to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(quick: bool, only: &[Step]) -> Options {
        Options {
            quick,
            only: only.to_vec(),
            list: false,
            keep_going: false,
        }
    }

    #[test]
    fn steps_keep_their_order_and_can_be_chosen() {
        assert_eq!(options(false, &[]).steps(), Step::value_variants());
        let quick = options(true, &[]).steps();
        assert!(quick.contains(&Step::Test) && !quick.contains(&Step::TrainSmoke));
        let chosen = options(false, &[Step::Test, Step::Fmt]).steps();
        assert_eq!(chosen, [Step::Fmt, Step::Test]);
    }

    #[test]
    fn the_last_line_counts_what_ran() {
        let second = Duration::from_secs(1);
        let tests = Outcome {
            passed: 40,
            failed: 2,
            note: "2 failed".into(),
        };
        let rows = [
            (Step::Fmt, Outcome::passed(""), second),
            (Step::Test, tests, second),
        ];
        let skipped = Outcome::skipped("no nightly", &Progress::quiet());
        let text = summary(&[Step::Miri], &[(Step::Miri, skipped, second)]);
        assert!(
            text.ends_with("s  SKIPPED: no nightly\n0 passed, 0 failed"),
            "{text}"
        );
        let text = summary(&[Step::Fmt, Step::Test, Step::TrainSmoke], &rows);
        assert!(
            text.ends_with("train-smoke  not run\n41 passed, 2 failed"),
            "{text}"
        );
        assert!(
            text.contains("test         FAILED      1.0 s  2 failed"),
            "{text}"
        );
    }
}
