//! `onelook`: parse, run, exit code; nothing else.

use std::process::ExitCode;

use clap::Parser;
use host::cmd::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(verdict) => verdict.exit_code().into(),
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code().into()
        }
    }
}
