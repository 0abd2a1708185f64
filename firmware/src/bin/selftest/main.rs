//! The selftest: small problems of every shape, each operator against its reference, on the target.
//!
//! In: nothing; all data is made here. Out: one line for each operator, and a verdict.
//!
//! ```text
//! selftest conv2d problems 1318
//! wrong pointwise problem 17: output 3 is 4, the reference's is 5
//! ```
//!
//! Nothing is aligned on purpose, output and scratch are not clean, and what lies beside them must
//! stay as it was.
#![no_std]
#![no_main]

mod check;
mod problem;
mod run;

use core::fmt::{self, Write};

use cortex_m_rt::entry;
use firmware::board::{self, Board, Memory};

use check::Check;
use problem::{Problem, Random};
use run::{Buffers, OPERATORS};

/// Problems for each operator; those of a shape that it does not have are left out.
const PROBLEMS: u64 = 1500;

#[entry]
fn main() -> ! {
    let verdict = match Board::take() {
        Some((mut board, memory)) => selftest(&mut board, memory).unwrap_or(Err(())),
        None => Err(()),
    };
    board::exit(verdict)
}

fn selftest(board: &mut Board, memory: Memory) -> Result<Result<(), ()>, fmt::Error> {
    let mut buffers = Buffers {
        parameters: memory.model,
        input: memory.arena,
        check: Check {
            output: memory.trials,
            scratch: memory.embeddings,
        },
    };
    let mut verdict = Ok(());
    for (name, run) in OPERATORS {
        let mut problems = 0;
        for seed in 0..PROBLEMS {
            let mut random = Random::new(seed);
            let problem = Problem::draw(&mut random);
            let Some(outcome) = run(&problem, &mut random, &mut buffers) else {
                continue;
            };
            problems += 1;
            if let Err(why) = outcome {
                writeln!(board, "wrong {name} problem {seed}: {why}; {problem}")?;
                verdict = Err(());
            }
        }
        writeln!(board, "selftest {name} problems {problems}")?;
    }
    Ok(verdict)
}
