//! `onelook completions`: the shell's side of the command line.

use clap::CommandFactory;

use super::{Cli, Failure, Verdict};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which shell.
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    clap_complete::generate(
        args.shell,
        &mut Cli::command(),
        "onelook",
        &mut std::io::stdout(),
    );
    Ok(Verdict::Success)
}
