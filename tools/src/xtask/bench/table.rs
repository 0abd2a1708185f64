//! A bench's report for people and for programs.
//!
//! In: a report. Out: text, or JSON with the same figures.

use serde_json::{Value, json};
use tools::firmware::bench::peers::{cmsis_nn, sum};
use tools::firmware::bench::{Report, Row};
use tools::firmware::{AN386, AN505, Board};

/// Clocks of common boards, in MHz: nRF52840, RP2350, STM32F407.
const CLOCKS: [u32; 3] = [64, 150, 168];

/// Whether the cycle model may be used: it is a Cortex-M4's, and a Cortex-M33 is much like it. A
/// Cortex-M7 runs two instructions at a time, a Cortex-M55 needs two cycles for a vector.
fn has_model(board: Board) -> bool {
    [AN386, AN505].contains(&board)
}

/// The report's rows, and the sum that peers are compared by.
fn rows(report: &Report) -> Vec<Row> {
    let mut rows = report.rows.clone();
    rows.extend(sum(report));
    rows
}

fn milliseconds(row: &Row, clock: u32) -> f64 {
    row.cycles as f64 / (f64::from(clock) * 1000.0)
}

/// Instructions per multiply-accumulate of CMSIS-NN, and how many times ours that is.
fn compared(board: Board, row: &Row) -> Option<(f64, f64)> {
    let theirs = cmsis_nn(board, &row.layer)?;
    Some((theirs, theirs / row.per_mac()?))
}

/// The report as a table.
pub(super) fn table(board: Board, report: &Report) -> String {
    let names = [
        "layer",
        "MAC",
        "instr",
        "instr/MAC",
        "CMSIS-NN",
        "ratio",
        "~cycles",
        "~ms@64",
        "~ms@150",
        "~ms@168",
        "stack",
        "arena",
    ];
    let rows: Vec<_> = rows(report).iter().map(|row| cells(board, row)).collect();
    let mut lines = vec![format!(
        "{} ({}), {}; program {} bytes",
        board.name, board.machine, report.rustc, report.text
    )];
    lines.extend(align(&names.map(String::from), &rows));
    if has_model(board) {
        lines.push(
            "~ estimates: a model of a Cortex-M4 whose memory never waits (tools/plugin/thumb.rs)"
                .into(),
        );
    }
    if rows
        .iter()
        .any(|[_, _, _, _, theirs, ..]| !theirs.is_empty())
    {
        lines.push("ratio: CMSIS-NN's instructions over ours; above 1 we need fewer".into());
    }
    lines.join("\n") + "\n"
}

const COLUMNS: usize = 9 + CLOCKS.len();

fn cells(board: Board, row: &Row) -> [String; COLUMNS] {
    let compared = compared(board, row);
    let decimals = |value: Option<f64>, places| {
        value.map_or(String::new(), |value| format!("{value:.places$}"))
    };
    let cycles = has_model(board).then_some(row.cycles);
    let [slow, middle, fast] =
        CLOCKS.map(|clock| decimals(cycles.map(|_| milliseconds(row, clock)), 2));
    [
        row.layer.clone(),
        row.macs.to_string(),
        row.instructions.to_string(),
        decimals(row.per_mac(), 3),
        decimals(compared.map(|(theirs, _)| theirs), 3),
        decimals(compared.map(|(_, ratio)| ratio), 2),
        cycles.map_or(String::new(), |cycles| cycles.to_string()),
        slow,
        middle,
        fast,
        row.stack.to_string(),
        row.arena.to_string(),
    ]
}

/// The first column to the left, the others to the right; columns without content are left out.
fn align(names: &[String; COLUMNS], rows: &[[String; COLUMNS]]) -> Vec<String> {
    let widest = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = names
        .iter()
        .enumerate()
        .filter(|(column, _)| widest(*column) > 0)
        .map(|(column, name)| (column, name.len().max(widest(column))))
        .collect();
    let line = |cells: &[String; COLUMNS]| {
        let cells = widths.iter().map(|&(column, width)| match column {
            0 => format!("{:<width$}", cells[column]),
            _ => format!("{:>width$}", cells[column]),
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    std::iter::once(names).chain(rows).map(line).collect()
}

/// The reports as JSON.
pub(super) fn json(reports: &[(Board, Report)]) -> Value {
    let board = |(board, report): &(Board, Report)| {
        let rows: Vec<_> = rows(report)
            .iter()
            .map(|row| json_row(*board, row))
            .collect();
        json!({
            "board": report.board,
            "machine": board.machine,
            "rustc": report.rustc,
            "text": report.text,
            "rows": rows,
        })
    };
    reports.iter().map(board).collect()
}

fn json_row(board: Board, row: &Row) -> Value {
    let compared = compared(board, row);
    let estimate = has_model(board).then(|| {
        let milliseconds =
            CLOCKS.map(|clock| (format!("{clock}"), json!(milliseconds(row, clock))));
        json!({
            "cycles": row.cycles,
            "milliseconds_at_mhz": milliseconds.into_iter().collect::<serde_json::Map<_, _>>(),
        })
    });
    json!({
        "layer": row.layer,
        "macs": row.macs,
        "outputs": row.outputs,
        "arena": row.arena,
        "digest": row.digest,
        "instructions": row.instructions,
        "instructions_per_mac": row.per_mac(),
        "cmsis_nn_instructions_per_mac": compared.map(|(theirs, _)| theirs),
        "cmsis_nn_ratio": compared.map(|(_, ratio)| ratio),
        "loads": row.loads,
        "stores": row.stores,
        "taken_branches": row.branches,
        "cortex_m4_estimate": estimate,
        "stack": row.stack,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(layer: &str) -> Report {
        Report {
            board: "an386".into(),
            rustc: "rustc 1".into(),
            text: 100,
            rows: vec![Row {
                layer: layer.into(),
                macs: 2_654_208,
                outputs: 1,
                arena: 2,
                digest: None,
                instructions: 2_654_208,
                loads: 1,
                stores: 1,
                branches: 1,
                cycles: 6_400_000,
                stack: 8,
            }],
        }
    }

    #[test]
    fn a_peers_layer_is_compared_and_estimated() {
        let text = table(AN386, &report("conv3x3-6x6x64-128"));
        let row: Vec<_> = text.lines().nth(2).unwrap().split_whitespace().collect();
        assert_eq!(row[3..7], ["1.000", "1.720", "1.72", "6400000"]);
        assert_eq!(row[7], "100.00");
    }

    #[test]
    fn no_estimate_for_a_processor_without_a_model() {
        let report = report("micro");
        let text = table(tools::firmware::AN547, &report);
        assert!(!text.contains('~') && !text.contains("CMSIS-NN"), "{text}");
        let json = json(&[(tools::firmware::AN547, report)]);
        assert!(json[0]["rows"][0]["cortex_m4_estimate"].is_null());
        assert_eq!(json[0]["rows"][0]["instructions_per_mac"], 1.0);
    }
}
