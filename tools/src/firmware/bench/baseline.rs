//! What a board's bench counted when somebody last looked at it.
//!
//! In: `firmware/bench/<board>.json` and a new report. Out: what grew, what shrank, what is gone. The
//! file is written by `cargo xtask bench firmware --bless`, and reviewed like code.

use std::fmt;
use std::path::PathBuf;

use super::{BenchError, Report, Row};
use crate::SetupError;
use crate::firmware::{Board, folder};

/// How much a layer may grow, in thousandths: less than a kernel's gain, more than what the
/// compiler's choice of registers around it costs.
const TOLERANCE: u64 = 5;

/// Where a board's baseline is.
#[must_use]
pub fn path(board: Board) -> PathBuf {
    folder().join("bench").join(format!("{}.json", board.name))
}

/// Reads a board's baseline; `None` when it has none.
///
/// # Errors
/// The file cannot be read, or is not a baseline.
pub fn read(board: Board) -> Result<Option<Report>, BenchError> {
    let path = path(board);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SetupError::io("read", &path, error).into()),
    };
    match serde_json::from_str(&text) {
        Ok(report) => Ok(Some(report)),
        Err(source) => Err(BenchError::Baseline { path, source }),
    }
}

/// Makes a report the board's baseline.
///
/// # Errors
/// The file cannot be written.
pub fn write(board: Board, report: &Report) -> Result<PathBuf, BenchError> {
    let path = path(board);
    let text = emit(report).map_err(|source| BenchError::Baseline {
        path: path.clone(),
        source,
    })?;
    let folder = path.parent().unwrap_or(&path);
    crate::cache::create_folder(folder)?;
    std::fs::write(&path, text).map_err(|error| SetupError::io("write", &path, error))?;
    Ok(path)
}

/// JSON with one row a line, so that a diff shows what changed.
fn emit(report: &Report) -> serde_json::Result<String> {
    let Report {
        board,
        rustc,
        text,
        rows,
    } = report;
    let rows: Vec<_> = rows
        .iter()
        .map(serde_json::to_string)
        .collect::<Result<_, _>>()?;
    let (board, rustc) = (serde_json::to_string(board)?, serde_json::to_string(rustc)?);
    let rows = rows.join(",\n    ");
    Ok(format!(
        "{{\n  \"board\": {board},\n  \"rustc\": {rustc},\n  \"text\": {text},\n  \"rows\": [\n    {rows}\n  ]\n}}\n"
    ))
}

/// How a report compares with its baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Another compiler made the baseline, so nothing was compared.
    OtherCompiler {
        /// The one that made the baseline.
        baseline: String,
        /// The one at work.
        found: String,
    },
    /// Layers were compared.
    Compared {
        /// What must not be: a layer that grew, is gone or computes something else.
        failures: Vec<String>,
        /// What should be blessed: a layer that shrank or is new.
        notes: Vec<String>,
    },
}

/// Compares a report with its baseline.
#[must_use]
pub fn compare(baseline: &Report, found: &Report) -> Verdict {
    if baseline.rustc != found.rustc {
        return Verdict::OtherCompiler {
            baseline: baseline.rustc.clone(),
            found: found.rustc.clone(),
        };
    }
    let (mut failures, mut notes) = (Vec::new(), Vec::new());
    for old in &baseline.rows {
        match found.row(&old.layer) {
            Some(new) => compare_rows(old, new, &mut failures, &mut notes),
            None => failures.push(format!("{} is gone", old.layer)),
        }
    }
    let new = found
        .rows
        .iter()
        .filter(|row| baseline.row(&row.layer).is_none());
    notes.extend(new.map(|row| format!("{} is new", row.layer)));
    if found.text != baseline.text {
        notes.push(format!(
            "the program has {} bytes, had {}",
            found.text, baseline.text
        ));
    }
    Verdict::Compared { failures, notes }
}

fn compare_rows(old: &Row, new: &Row, failures: &mut Vec<String>, notes: &mut Vec<String>) {
    let layer = &old.layer;
    if (old.macs, old.outputs, &old.digest) != (new.macs, new.outputs, &new.digest) {
        failures.push(format!("{layer} computes something else than before"));
        return;
    }
    let change = Change(old.instructions, new.instructions);
    if change.grew() {
        failures.push(format!("{layer} grew: {change}"));
    } else if change.shrank() {
        notes.push(format!("{layer} shrank: {change}"));
    }
}

/// Instructions before and now.
struct Change(u64, u64);

impl Change {
    fn grew(&self) -> bool {
        self.1 * 1000 > self.0 * (1000 + TOLERANCE)
    }

    fn shrank(&self) -> bool {
        self.1 * 1000 < self.0 * (1000 - TOLERANCE)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(old, new) = self;
        let percent = (*new as f64 / *old as f64 - 1.0) * 100.0;
        write!(f, "{new} instructions, {old} before ({percent:+.2} %)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;

    fn compared(old: &[(&str, u64)], new: &[(&str, u64)]) -> (Vec<String>, Vec<String>) {
        match compare(&report(old), &report(new)) {
            Verdict::Compared { failures, notes } => (failures, notes),
            Verdict::OtherCompiler { .. } => panic!("the same compiler"),
        }
    }

    #[test]
    fn half_a_percent_is_the_limit() {
        let old = [("a", 1000), ("b", 1000), ("c", 1000), ("d", 1000)];
        let new = [("a", 1005), ("b", 1006), ("c", 995), ("d", 994)];
        let (failures, notes) = compared(&old, &new);
        assert_eq!(
            failures,
            ["b grew: 1006 instructions, 1000 before (+0.60 %)"]
        );
        assert_eq!(notes, ["d shrank: 994 instructions, 1000 before (-0.60 %)"]);
    }

    #[test]
    fn a_layer_that_is_gone_is_a_failure_and_a_new_one_is_not() {
        let (failures, notes) = compared(&[("a", 1)], &[("b", 1)]);
        assert_eq!(
            (failures, notes),
            (vec!["a is gone".into()], vec!["b is new".into()])
        );
    }

    #[test]
    fn another_result_is_a_failure() {
        let (old, mut new) = (report(&[("a", 1)]), report(&[("a", 1)]));
        new.rows[0].digest = Some("ffffffff".into());
        let Verdict::Compared { failures, .. } = compare(&old, &new) else {
            panic!("the same compiler");
        };
        assert_eq!(failures, ["a computes something else than before"]);
    }

    #[test]
    fn another_compiler_compares_nothing() {
        let (old, mut new) = (report(&[("a", 1)]), report(&[("a", 9)]));
        new.rustc = "rustc 9".into();
        assert!(matches!(compare(&old, &new), Verdict::OtherCompiler { .. }));
    }

    #[test]
    fn what_is_written_is_read() {
        let report = report(&[("a", 1), ("b", 2)]);
        let text = emit(&report).unwrap();
        assert_eq!(
            text.lines()
                .filter(|line| line.contains("\"layer\""))
                .count(),
            2
        );
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
