//! `cargo xtask firmware engine`.
//!
//! In: a board. Out: what its engine takes of the flash, with the portable kernels and with the
//! board's own, optimised for size and as it ships.

use tools::firmware::Board;
use tools::firmware::engine::{Goal, Kernels, LIMIT, weigh};
use tools::{Progress, SetupError};

/// The figures, and those that the limit is for.
pub(crate) struct Report {
    /// A table.
    pub(crate) text: String,
    /// Bytes of the portable engine, optimised for size.
    pub(crate) portable: u64,
}

/// Weighs four engines.
///
/// # Errors
/// One cannot be built, computes in floating point, or the portable one is above the limit.
pub(crate) fn report(board: Board, progress: &Progress) -> Result<Report, SetupError> {
    let refuse = |what: String, next: &str| SetupError::Missing {
        what,
        next: next.into(),
    };
    let mut lines = Vec::new();
    let mut portable = 0;
    for (goal, optimised) in [(Goal::Size, "size"), (Goal::Speed, "speed")] {
        for (kernels, name) in [(Kernels::Portable, "portable"), (Kernels::Chosen, "chosen")] {
            let weight = weigh(board, kernels, goal, progress)?;
            lines.push(format!("{name:<8} kernels, for {optimised:<5} {weight}"));
            if weight.float_instructions > 0 {
                let count = weight.float_instructions;
                let what = format!("the engine holds {count} floating-point instructions");
                return Err(refuse(what, "keep floats to `shared::ops::sigmoid`"));
            }
            if (kernels, goal) == (Kernels::Portable, Goal::Size) {
                portable = weight.total();
            }
        }
    }
    let text = lines.join("\n");
    if portable > LIMIT {
        let what = format!("{text}\nthe portable engine takes {portable} bytes, above {LIMIT}");
        return Err(refuse(what, "see firmware/README.md, \"Engine\""));
    }
    Ok(Report { text, portable })
}
