//! Runs the firmware's bench in QEMU and counts.
//!
//! In: a board. Out: for each operator and net, its size, its exact instructions, and an estimate of
//! its cycles.

pub mod baseline;
pub mod peers;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Board, Program, Symbols, build, size, toolchain};
use crate::icount::{Icount, Region};
use crate::qemu::{Qemu, QemuError};
use crate::{Progress, SetupError};

/// The functions around every region, from `firmware/src/board/mark.rs`.
const MARKS: [&str; 2] = ["onelook_mark_start", "onelook_mark_stop"];

/// The bench of one board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The board's name.
    pub board: String,
    /// The compiler: another one makes other instructions.
    pub rustc: String,
    /// Bytes of code and constants of the program that ships.
    pub text: u64,
    /// Layers and nets, in the order of the bench.
    pub rows: Vec<Row>,
}

impl Report {
    /// The row of one layer.
    #[must_use]
    pub fn row(&self, layer: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.layer == layer)
    }
}

/// One layer or net. Counts are exact, without the marks' own instructions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Operator and shapes; `net`, or `net/index-layer`.
    pub layer: String,
    /// Multiply-accumulates, padding counted; 0 where there are none.
    pub macs: u64,
    /// Values of the output.
    pub outputs: u64,
    /// Bytes of input, scratch and output; for a net its arena.
    pub arena: u64,
    /// CRC-32 of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Instructions.
    pub instructions: u64,
    /// Instructions that load.
    pub loads: u64,
    /// Instructions that store.
    pub stores: u64,
    /// Branches that were taken.
    pub branches: u64,
    /// Cycles of a Cortex-M4 by the model in `tools/plugin/thumb.rs`: an estimate.
    pub cycles: u64,
    /// Bytes of stack.
    pub stack: u64,
}

/// The bench could not be run, or an operator is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// Something could not be installed or built.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The bench failed in QEMU.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// What the bench wrote and what was counted do not fit.
    #[error(
        "the bench on {board}: {reason}\nnext: report this; firmware/src/bin/bench and tools/src/firmware/bench.rs disagree"
    )]
    Lines {
        /// The board.
        board: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// A file is not a baseline.
    #[error(
        "{path}: {source}\nnext: take it from version control, or write it again with `cargo xtask bench firmware --bless`"
    )]
    Baseline {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Row {
    /// Instructions per multiply-accumulate; `None` where there are none.
    #[must_use]
    pub fn per_mac(&self) -> Option<f64> {
        (self.macs > 0).then(|| self.instructions as f64 / self.macs as f64)
    }
}

/// Builds the bench for a board and runs it.
///
/// # Errors
/// It cannot be built or run, or one of its operators does not equal its reference.
pub fn run(board: Board, progress: &Progress) -> Result<Report, BenchError> {
    let rustc = toolchain(board.target, progress)?.version()?;
    let text = size(&build(board, Program::Trials, progress)?)?.text;
    let elf = build(board, Program::Bench, progress)?;
    let icount = Icount::provide(progress)?.regions(&Symbols::read(&elf)?, MARKS)?;
    let _spinner = progress.spinner(&format!("running {} in QEMU", Program::Bench.name()));
    let (output, counts) = icount.run(Qemu::new(&elf, board.machine).timeout(LIMIT))?;
    let rows = rows(&output?.stdout, &counts.regions);
    Ok(Report {
        board: board.name.into(),
        rustc,
        text,
        rows: rows.map_err(|reason| BenchError::Lines {
            board: board.name,
            reason,
        })?,
    })
}

/// Seconds on a desktop core, minutes on a busy one.
const LIMIT: Duration = Duration::from_secs(300);

/// Joins the bench's lines, one for each region, with the regions. The first measures the marks.
fn rows(stdout: &str, regions: &[Region]) -> Result<Vec<Row>, String> {
    let lines: Vec<_> = stdout.lines().collect();
    if lines.len() != regions.len() {
        let (lines, regions) = (lines.len(), regions.len());
        return Err(format!(
            "wrote {lines} lines, but {regions} regions were counted"
        ));
    }
    let mut pairs = lines.into_iter().zip(regions);
    let (Some((_, marks)), true) = (pairs.next(), stdout.starts_with("layer empty ")) else {
        return Err("does not start with the empty layer".into());
    };
    pairs
        .map(|(line, region)| row(line, region, marks))
        .collect()
}

fn row(line: &str, region: &Region, marks: &Region) -> Result<Row, String> {
    let word = |name: &str| {
        let mut words = line.split(' ').skip_while(|word| *word != name).skip(1);
        words.next()
    };
    let number = |name: &str| {
        let value = word(name).and_then(|value| value.parse().ok());
        value.ok_or_else(|| format!("wrote `{line}`, which has no number `{name}`"))
    };
    let without = |of: fn(&Region) -> u64| of(region).saturating_sub(of(marks));
    Ok(Row {
        layer: word("layer").unwrap_or_default().into(),
        macs: number("macs")?,
        outputs: number("outputs")?,
        arena: number("arena")?,
        digest: word("digest").map(Into::into),
        instructions: without(|region| region.instructions),
        loads: without(|region| region.loads),
        stores: without(|region| region.stores),
        branches: without(|region| region.branches),
        cycles: without(|region| region.cycles),
        stack: without(|region| region.stack),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report of layers with so many instructions each.
    pub(super) fn report(layers: &[(&str, u64)]) -> Report {
        let row = |&(layer, instructions): &(&str, u64)| Row {
            layer: layer.into(),
            macs: 10,
            outputs: 1,
            arena: 2,
            digest: Some("0123abcd".into()),
            instructions,
            loads: 1,
            stores: 1,
            branches: 1,
            cycles: 1,
            stack: 1,
        };
        Report {
            board: "an386".into(),
            rustc: "rustc 1".into(),
            text: 100,
            rows: layers.iter().map(row).collect(),
        }
    }

    fn region(instructions: u64) -> Region {
        Region {
            depth: 0,
            instructions,
            loads: 1,
            stores: 1,
            branches: 2,
            cycles: instructions * 2,
            stack: 4,
        }
    }

    const EMPTY: &str = "layer empty macs 0 outputs 0 arena 0\n";

    #[test]
    fn the_marks_cost_is_taken_off() {
        let stdout = format!("{EMPTY}layer a macs 12 outputs 3 arena 9 digest 0123abcd\n");
        let rows = rows(&stdout, &[region(6), region(100)]).unwrap();
        assert_eq!(rows.len(), 1);
        let row = &rows[0];
        assert_eq!(
            (row.layer.as_str(), row.macs, row.outputs, row.arena),
            ("a", 12, 3, 9)
        );
        assert_eq!((row.instructions, row.cycles, row.branches), (94, 188, 0));
        assert_eq!(row.digest.as_deref(), Some("0123abcd"));
    }

    #[test]
    fn lines_and_regions_must_fit() {
        assert!(rows(EMPTY, &[]).unwrap_err().contains("1 lines"));
        assert!(rows("layer a macs 1 outputs 1 arena 1\n", &[region(6)]).is_err());
        let odd = format!("{EMPTY}layer a macs many\n");
        assert!(
            rows(&odd, &[region(6), region(7)])
                .unwrap_err()
                .contains("`macs`")
        );
    }
}
