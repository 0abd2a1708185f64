//! Runs the firmware's selftest in QEMU: every operator against its reference, on the target.
//!
//! In: a board. Out: how many problems it solved; a wrong one is an error with the program's words.

use std::time::Duration;

use super::bench::BenchError;
use super::{Board, Program, build};
use crate::Progress;
use crate::qemu::Qemu;

/// QEMU takes half a minute on an idle desktop.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Runs the selftest; returns the number of problems.
///
/// # Errors
/// It cannot be built or run, an operator is wrong, or it says nothing of any problem.
pub fn selftest(board: Board, progress: &Progress) -> Result<u64, BenchError> {
    let elf = build(board, Program::Selftest, progress)?;
    progress.note(&format!("running the selftest of {} in QEMU", board.name));
    let output = Qemu::new(&elf, board.machine).timeout(TIMEOUT).run()?;
    match problems(&output.stdout) {
        0 => Err(BenchError::Lines {
            board: board.name,
            reason: "the selftest says nothing of any problem".into(),
        }),
        problems => Ok(problems),
    }
}

/// The sum of lines like `selftest conv2d problems 1318`.
fn problems(text: &str) -> u64 {
    let counts = text.lines().filter_map(|line| {
        let (_, count) = line.strip_prefix("selftest ")?.split_once(" problems ")?;
        count.parse::<u64>().ok()
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn operators_add_up() {
        let text = "selftest conv2d problems 1310\nother\nselftest l1_head problems 5\n";
        assert_eq!(super::problems(text), 1315);
        assert_eq!(super::problems("selftest conv2d problems many"), 0);
    }
}
