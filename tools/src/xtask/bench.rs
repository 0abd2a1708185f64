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
use tools::firmware::bench::{self, BenchError, Report};

use super::BoardName;

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
    board: Vec<BoardName>,
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
pub(crate) struct Checked {
    /// Layers that were compared.
    pub(crate) compared: u64,
    /// Layers that are worse.
    pub(crate) failures: u64,
    /// A line for each, and what else is to be said.
    pub(crate) text: String,
}

/// Compares boards with their baselines; a board without one is named and left out.
pub(crate) fn check(boards: &[Board], progress: &Progress) -> Result<Checked, BenchError> {
    let mut checked = Checked {
        compared: 0,
        failures: 0,
        text: String::new(),
    };
    let mut lines = Vec::new();
    for &board in boards {
        let Some(baseline) = baseline::read(board)? else {
            lines.push(format!("{}: no baseline", board.name));
            continue;
        };
        let report = bench::run(board, progress)?;
        check_one(board, &baseline, &report, &mut checked, &mut lines);
    }
    checked.text = lines.join("\n");
    Ok(checked)
}

fn check_one(
    board: Board,
    baseline: &Report,
    report: &Report,
    checked: &mut Checked,
    lines: &mut Vec<String>,
) {
    let name = board.name;
    match baseline::compare(baseline, report) {
        Verdict::OtherCompiler { baseline, found } => lines.push(format!(
            "{name}: NOTHING WAS COMPARED: the baseline is of {baseline}, this is {found}"
        )),
        Verdict::Compared { failures, notes } => {
            let rows = report.rows.len();
            checked.compared += rows as u64;
            checked.failures += failures.len() as u64;
            lines.push(format!(
                "{name}: {rows} layers compared, {} worse",
                failures.len()
            ));
            let (some_failures, some_notes) = (!failures.is_empty(), !notes.is_empty());
            lines.extend(failures.iter().map(|line| format!("  WORSE {line}")));
            lines.extend(notes.iter().map(|line| format!("  note: {line}")));
            if some_failures || some_notes {
                lines.push(format!(
                    "  next: when this is meant, `cargo xtask bench firmware --board {name} --bless`"
                ));
            }
        }
    }
}
