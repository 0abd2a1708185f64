//! `cargo xtask bench`.
//!
//! In: boards. Out: a table or JSON for each; with `--check` a comparison with the baselines, with
//! `--bless` new baselines.

mod table;

use clap::{Args, Subcommand};
use tools::Progress;
use tools::firmware::BOARDS;
use tools::firmware::Board;
use tools::firmware::bench::baseline::{self, Verdict};
use tools::firmware::bench::{self, BenchError};

use super::boards::Simulated;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Instructions of each operator and net, counted exactly in QEMU
    ///
    /// Every operator is first checked on the target by its reference. Counts depend on the compiler
    /// and nothing else. Cycles and milliseconds are estimates by a simple model of a Cortex-M4 with
    /// memory that never waits: a load 2 cycles, an access to n words 1 + n, a division 12, a taken
    /// branch 2 more, all else 1.
    Firmware(Options),
}

/// How to measure the firmware.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measure only this board; may be given again
    #[arg(long, value_name = "BOARD")]
    board: Vec<Simulated>,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["bless", "check"])]
    json: bool,
    /// Write the counts into firmware/bench/, to be compared with from now on
    #[arg(long, conflicts_with = "check")]
    bless: bool,
    /// Fail when a layer needs 0.5 % more instructions than in firmware/bench/
    #[arg(long)]
    check: bool,
}

/// Measures. `false` when a check failed.
pub(crate) fn run(what: &What, progress: &Progress) -> Result<bool, BenchError> {
    let What::Firmware(options) = what;
    let mut boards: Vec<_> = options.board.iter().map(|name| name.0).collect();
    if boards.is_empty() {
        boards.extend(BOARDS);
    }
    if options.check {
        let outcome = check(&boards, progress)?;
        println!("{}", outcome.text);
        return Ok(outcome.failures == 0);
    }
    let mut reports = Vec::new();
    for board in boards {
        let report = bench::run(board, progress)?;
        if options.bless {
            println!("{}", baseline::write(board, &report)?.display());
        } else if !options.json {
            println!("{}", table::table(board, &report));
        }
        reports.push((board, report));
    }
    if options.json {
        println!("{:#}", table::json(&reports));
    }
    Ok(true)
}

/// What a comparison with the baselines found.
#[derive(Default)]
pub(crate) struct Checked {
    /// Layers that were compared.
    pub(crate) compared: u64,
    /// Layers that are worse, of those that were compared or are gone.
    pub(crate) failures: u64,
    /// Boards that were not compared.
    not_compared: Vec<&'static str>,
    /// A line for each board and for each layer that changed.
    pub(crate) text: String,
}

impl Checked {
    /// All in a few words.
    pub(crate) fn summary(&self) -> String {
        let Self {
            compared, failures, ..
        } = self;
        let mut text = format!("{compared} layers compared, {failures} worse");
        if !self.not_compared.is_empty() {
            text += &format!("; NOT COMPARED: {}", self.not_compared.join(", "));
        }
        text
    }
}

/// Compares boards with their baselines. A board that cannot be compared is run all the same.
pub(crate) fn check(boards: &[Board], progress: &Progress) -> Result<Checked, BenchError> {
    let mut checked = Checked::default();
    let mut lines = Vec::new();
    for &board in boards {
        let report = bench::run(board, progress)?;
        let verdict = baseline::read(board)?.map(|baseline| baseline::compare(&baseline, &report));
        let rows = report.rows.len();
        lines.extend(judge(board, rows, verdict, &mut checked));
    }
    checked.text = lines.join("\n");
    Ok(checked)
}

/// Counts a board's verdict and puts it into words.
fn judge(
    board: Board,
    rows: usize,
    verdict: Option<Verdict>,
    checked: &mut Checked,
) -> Vec<String> {
    let name = board.name;
    let next = format!("`cargo xtask bench firmware --board {name} --bless`");
    match verdict {
        None => {
            checked.not_compared.push(name);
            vec![format!(
                "{name}: NOT COMPARED: it has no baseline; next: {next}"
            )]
        }
        Some(Verdict::OtherCompiler { baseline, found }) => {
            checked.not_compared.push(name);
            vec![format!(
                "{name}: NOT COMPARED: the baseline is of {baseline}, this is {found}"
            )]
        }
        Some(Verdict::Compared { failures, notes }) => {
            checked.compared += rows as u64;
            checked.failures += failures.len() as u64;
            let worse = failures.len();
            let mut lines = vec![format!("{name}: {rows} layers compared, {worse} worse")];
            lines.extend(failures.iter().map(|line| format!("  WORSE {line}")));
            lines.extend(notes.iter().map(|line| format!("  note: {line}")));
            if lines.len() > 1 {
                lines.push(format!("  next: when this is meant, {next}"));
            }
            lines
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tools::firmware::AN386;

    #[test]
    fn what_is_not_compared_is_said_aloud_and_is_no_failure() {
        let mut checked = Checked::default();
        let other = Verdict::OtherCompiler {
            baseline: "rustc 1".into(),
            found: "rustc 2".into(),
        };
        let lines = judge(AN386, 30, Some(other), &mut checked);
        assert!(lines[0].contains("NOT COMPARED") && lines[0].contains("rustc 2"));
        assert_eq!((checked.compared, checked.failures), (0, 0));
        assert!(checked.summary().ends_with("NOT COMPARED: an386"));
    }

    #[test]
    fn a_note_comes_with_the_command_that_blesses() {
        let mut checked = Checked::default();
        let verdict = Verdict::Compared {
            failures: vec![],
            notes: vec!["a shrank".into()],
        };
        let lines = judge(AN386, 30, Some(verdict), &mut checked);
        assert!(lines.last().unwrap().contains("--board an386 --bless"));
        assert_eq!((checked.compared, checked.failures), (30, 0));
        assert_eq!(checked.summary(), "30 layers compared, 0 worse");
    }
}
