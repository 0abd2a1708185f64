//! `cargo xtask bench`.
//!
//! In: a board. Out: a table on standard output.

use tools::Progress;
use tools::firmware::bench::{self, BenchError, Report};

use super::BoardOption;

/// What can be measured.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Instructions of each operator and net, counted in QEMU
    Firmware(Options),
}

/// How to measure the firmware.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    board: BoardOption,
}

/// Measures.
pub(crate) fn run(what: &What, progress: &Progress) -> Result<(), BenchError> {
    let What::Firmware(options) = what;
    let report = bench::run(options.board.board.0, progress)?;
    print(&report);
    Ok(())
}

fn print(report: &Report) {
    println!(
        "{:<36} {:>10} {:>11} {:>10}",
        "layer", "MAC", "instr", "instr/MAC"
    );
    for row in &report.rows {
        let per_mac = row.instructions as f64 / row.macs as f64;
        println!(
            "{:<36} {:>10} {:>11} {per_mac:>10.3}",
            row.layer, row.macs, row.instructions
        );
    }
}
