//! The command line.
//!
//! In: arguments. Out: calls into the library and their results as text.

mod bench;
mod boards;
mod engine;
mod fuzz;
mod setup;
mod steps;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use boards::{AnyBoard, BoardOption, FlashOptions, RealBoard};
use clap::{Parser, Subcommand};
use tools::firmware::bench::BenchError;
use tools::firmware::{self, Program};
use tools::qemu::{self, Qemu, QemuError};
use tools::{Progress, SetupError, layers, ship};

/// Installs what Onelook needs, builds and measures the firmware, runs the tests.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Installs one thing, or all of them; what is there already is left alone
    Setup {
        /// What to install
        what: setup::What,
        /// Take the Omniglot archives from this folder's address
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
    /// Builds, runs or measures the firmware
    Firmware {
        #[command(subcommand)]
        action: FirmwareCommand,
    },
    /// Measures what has been built
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
    /// Feeds random bytes to `shared` and looks for broken promises
    Fuzz(fuzz::Options),
    /// Checks that modules import only what the layers allow, and where `unsafe` is
    Layers,
    /// Makes the network of a finished run one that ships with the program, in models/
    Ship {
        /// The folder of the run
        run: PathBuf,
    },
    /// Runs everything CI runs
    Test(test::Options),
}

#[derive(Debug, Subcommand)]
enum FirmwareCommand {
    /// Builds the device and a second program, and prints the paths of their files
    ///
    /// For a board of QEMU's the second is the one that answers trials. For one that you can buy it is the
    /// checklist `onelook-bringup`; there are UF2 files as well, and what lies where in flash and RAM. It
    /// fails when the board could not run it.
    ///
    /// With `ONELOOK_PUBLIC_KEY` (64 hex digits, the line in the .pub file of `onelook sign --new-key`) the
    /// device takes only models that are signed for that key. Without it, it takes every model.
    Build(AnyBoard),
    /// Builds a program and puts it into a board, by its UF2 drive or with probe-rs
    Flash(FlashOptions),
    /// Prints the table of a board's pins
    Pins(RealBoard),
    /// Builds the program that answers trials and runs it in QEMU
    Run {
        #[command(flatten)]
        board: BoardOption,
        /// The folder whose files the firmware reads and writes
        #[arg(long, value_name = "DIR", default_value = ".")]
        folder: PathBuf,
        /// Give up after so many seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        timeout: u64,
    },
    /// Builds the device and prints how much flash and RAM it takes
    Size(AnyBoard),
    /// Builds the engine alone and prints what it takes of the flash, by crate
    ///
    /// The engine parses a model, embeds an image and decides. Fails when it takes more than 8 KiB
    /// with the kernels in plain Rust, optimised for size.
    Engine(BoardOption),
    /// Try link, clock, flash, camera and watchdog in QEMU
    Devices(BoardOption),
}

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XtaskError {
    /// Something could not be installed or built.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The firmware failed in QEMU.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// The bench failed.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// A device failed.
    #[error(transparent)]
    Devices(#[from] firmware::DevicesError),
}

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Result<ExitCode, XtaskError> {
    let progress = Progress::stderr();
    match cli.command {
        Command::Setup { what, mirror } => setup::run(what, mirror.as_deref(), &progress)?,
        Command::Firmware { action } => run_firmware(action, &progress)?,
        Command::Bench { what } => {
            if !bench::run(&what, &progress)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Fuzz(options) => fuzz::run(&options, &progress)?,
        Command::Layers => println!("{}", layers::check()?),
        Command::Ship { run } => {
            for file in ship::ship(&run)? {
                println!("{}", file.display());
            }
        }
        Command::Test(options) => return Ok(test::run(&options, &progress)),
    }
    Ok(ExitCode::SUCCESS)
}

fn run_firmware(action: FirmwareCommand, progress: &Progress) -> Result<(), XtaskError> {
    match action {
        FirmwareCommand::Build(AnyBoard { board }) => boards::build(board.0, progress)?,
        FirmwareCommand::Flash(options) => boards::flash(&options, progress)?,
        FirmwareCommand::Pins(RealBoard { board }) => print!("{}", firmware::pins(board.0)?),
        FirmwareCommand::Run {
            board: BoardOption { board },
            folder,
            timeout,
        } => {
            let elf = firmware::build(board.0, Program::Trials, progress)?;
            qemu::provide(progress)?;
            let run = Qemu::new(&elf, board.0.machine).folder(&folder);
            let output = run.timeout(Duration::from_secs(timeout)).run()?;
            eprint!("{}", output.stderr);
            print!("{}", output.stdout);
        }
        FirmwareCommand::Size(AnyBoard { board }) => {
            let elf = firmware::build_device(board.0, progress)?;
            println!("{}", describe_size(firmware::size(&elf)?));
        }
        FirmwareCommand::Engine(BoardOption { board }) => {
            println!("{}", engine::report(board.0, progress)?.text);
        }
        FirmwareCommand::Devices(BoardOption { board }) => {
            qemu::provide(progress)?;
            println!("{} right answers", firmware::devices(board.0, progress)?);
        }
    }
    Ok(())
}

fn describe_size(size: firmware::Size) -> String {
    format!(
        "flash {} bytes (code and constants {}, start values {}), RAM {} bytes without the stack",
        size.flash(),
        size.text,
        size.data,
        size.ram()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tools::firmware::REAL_BOARDS;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["x", "firmware", "run", "--board", "an386", "--timeout", "5"]);
        assert!(matches!(
            cli.command,
            Command::Firmware {
                action: FirmwareCommand::Run { timeout: 5, .. }
            }
        ));
        assert!(Cli::try_parse_from(["x", "firmware", "build", "--board", "an1"]).is_err());
        // QEMU has none of them.
        for board in REAL_BOARDS {
            for (action, is_there) in [("build", true), ("pins", true), ("run", false)] {
                let line = ["x", "firmware", action, "--board", board.name];
                assert_eq!(Cli::try_parse_from(line).is_ok(), is_there, "{line:?}");
            }
        }
        assert!(Cli::try_parse_from(["x", "test", "--only", "nothing"]).is_err());
    }
}
