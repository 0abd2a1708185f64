//! Boards on the command line, and what is done with those that one can buy.
//!
//! In: `--board`. Out: programs, their files, and what lies where; a program in a board.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use tools::firmware::{self, AN386, BOARDS, Board, Flashed, Image, PICO2, Program, REAL_BOARDS};
use tools::{Progress, SetupError};

/// A board of QEMU's.
#[derive(Debug, Args)]
pub(super) struct BoardOption {
    /// The board
    #[arg(long, default_value = AN386.name)]
    pub(super) board: Simulated,
}

/// Any board.
#[derive(Debug, Args)]
pub(super) struct AnyBoard {
    /// The board
    #[arg(long, default_value = AN386.name)]
    pub(super) board: Any,
}

/// A board that one can buy.
#[derive(Debug, Args)]
pub(super) struct RealBoard {
    /// The board
    #[arg(long, default_value = PICO2.name)]
    pub(super) board: Real,
}

/// What to put into a board, and how.
#[derive(Debug, Args)]
pub(super) struct FlashOptions {
    #[command(flatten)]
    board: RealBoard,
    /// The program
    #[arg(long, default_value = "device")]
    program: RealProgram,
    /// The folder where the board's drive is mounted, when it is not found
    #[arg(long, value_name = "DIR")]
    drive: Option<PathBuf>,
}

/// A program for a board that one can buy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RealProgram {
    /// enrols, remembers and recognises
    Device,
    /// the checklist for a new board
    Bringup,
}

/// A name of [`BOARDS`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Simulated(pub(super) Board);

/// A name of either.
#[derive(Debug, Clone, Copy)]
pub(super) struct Any(pub(super) Board);

/// A name of [`REAL_BOARDS`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Real(pub(super) Board);

const N_SIMULATED: usize = BOARDS.len();
const N_REAL: usize = REAL_BOARDS.len();

impl ValueEnum for Simulated {
    fn value_variants<'a>() -> &'a [Self] {
        const NAMES: [Simulated; N_SIMULATED] = {
            let mut names = [Simulated(AN386); N_SIMULATED];
            let mut index = 0;
            while index < N_SIMULATED {
                names[index] = Simulated(BOARDS[index]);
                index += 1;
            }
            names
        };
        &NAMES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name))
    }
}

impl ValueEnum for Any {
    fn value_variants<'a>() -> &'a [Self] {
        const NAMES: [Any; N_SIMULATED + N_REAL] = {
            let mut names = [Any(AN386); N_SIMULATED + N_REAL];
            let mut index = 0;
            while index < names.len() {
                names[index] = Any(if index < N_SIMULATED {
                    BOARDS[index]
                } else {
                    REAL_BOARDS[index - N_SIMULATED]
                });
                index += 1;
            }
            names
        };
        &NAMES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name))
    }
}

impl ValueEnum for Real {
    fn value_variants<'a>() -> &'a [Self] {
        const NAMES: [Real; N_REAL] = {
            let mut names = [Real(PICO2); N_REAL];
            let mut index = 0;
            while index < N_REAL {
                names[index] = Real(REAL_BOARDS[index]);
                index += 1;
            }
            names
        };
        &NAMES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name))
    }
}

/// Builds what a board needs and says where it is.
pub(super) fn build(board: Board, progress: &Progress) -> Result<(), SetupError> {
    let device = firmware::build_device(board, progress)?;
    if !REAL_BOARDS.contains(&board) {
        println!("{}", device.display());
        let trials = firmware::build(board, Program::Trials, progress)?;
        println!("{}", trials.display());
        return Ok(());
    }
    show(&firmware::image(board, device)?);
    let bringup = firmware::build(board, Program::Bringup, progress)?;
    show(&firmware::image(board, bringup)?);
    Ok(())
}

fn show(image: &Image) {
    println!("{}", image.elf.display());
    println!("{}", image.uf2.display());
    println!("  SHA-256 {}", image.sha256);
    println!("{}", image.layout);
}

/// Builds a program and puts it into the board.
pub(super) fn flash(options: &FlashOptions, progress: &Progress) -> Result<(), SetupError> {
    let Real(board) = options.board.board;
    let elf = match options.program {
        RealProgram::Device => firmware::build_device(board, progress)?,
        RealProgram::Bringup => firmware::build(board, Program::Bringup, progress)?,
    };
    let image = firmware::image(board, elf)?;
    match firmware::flash(board, &image, options.drive.as_deref())? {
        Flashed::Copied(path) => {
            println!("copied to {}; the board starts by itself", path.display());
        }
        Flashed::Probed => println!("written by probe-rs"),
    }
    Ok(())
}
