//! `cargo xtask`: installs what Onelook needs, builds the firmware, runs everything CI runs.
//!
//! In: a command line. Out: results on standard output, progress on standard error, and an exit
//! code: 0 when all is well, 1 when something failed, 2 for a command line that is not understood.

use std::process::ExitCode;

use clap::Parser;

mod xtask;

fn main() -> ExitCode {
    match xtask::run(xtask::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
