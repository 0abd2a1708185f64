//! Builds the firmware, which is its own workspace for another target.
//!
//! In: a board. Out: the ELF file, and how much flash and RAM it takes.

mod audit;
mod size;
mod toolchain;

use std::path::{Path, PathBuf};

pub use audit::audit;
pub use size::{Size, size};
pub use toolchain::{Toolchain, toolchain};

use crate::{Progress, SetupError, process, repo};

/// A board that the firmware is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its feature of the firmware.
    pub feature: &'static str,
    /// The Rust target of its processor.
    pub target: &'static str,
    /// The QEMU machine that simulates it.
    pub machine: &'static str,
}

/// ARM's MPS2 with a Cortex-M4F, as QEMU simulates it.
pub const AN386: Board = Board {
    name: "an386",
    feature: "board-an386",
    target: "thumbv7em-none-eabihf",
    machine: "mps2-an386",
};

/// All boards.
pub const BOARDS: [Board; 1] = [AN386];

/// The program's name.
const BINARY: &str = "onelook-firmware";

/// The firmware's folder.
#[must_use]
pub fn folder() -> PathBuf {
    repo::root().join("firmware")
}

/// Builds the firmware for `board` and returns its ELF file. Cargo's messages go to stderr.
///
/// # Errors
/// There is no toolchain and none can be installed, or the build fails.
pub fn build(board: Board, progress: &Progress) -> Result<PathBuf, SetupError> {
    build_in(&folder(), board, &toolchain(board.target, progress)?)
}

fn build_in(folder: &Path, board: Board, toolchain: &Toolchain) -> Result<PathBuf, SetupError> {
    let mut command = toolchain.cargo("build", board.target);
    command
        .current_dir(folder)
        .args(["--release", "--bin", BINARY]);
    command.args(["--features", board.feature]);
    let next = "the compiler's messages above say what to change";
    inherit(&mut command, next)?;
    let elf = folder
        .join("target")
        .join(board.target)
        .join("release")
        .join(BINARY);
    if elf.is_file() {
        return Ok(elf);
    }
    Err(SetupError::Missing {
        what: format!("the firmware was built, but there is no {}", elf.display()),
        next: "look for a `target-dir` in the cargo configuration above firmware/ and remove it"
            .into(),
    })
}

/// Other processors that `shared` must compile for: without an FPU, without DSP, with TrustZone,
/// and two that are not ARM.
pub const SHARED_TARGETS: [&str; 5] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv8m.main-none-eabihf",
    "riscv32imac-unknown-none-elf",
    "wasm32-unknown-unknown",
];

/// Builds the crate `shared` alone for `target`.
///
/// # Errors
/// There is no toolchain and none can be installed, or the build fails.
pub fn build_shared(target: &str, progress: &Progress) -> Result<(), SetupError> {
    let mut command = toolchain(target, progress)?.cargo("build", target);
    command.current_dir(repo::root());
    command.args([
        "--quiet",
        "--release",
        "--package",
        "shared",
        "--target-dir",
    ]);
    // Another compiler than the workspace's may be at work, so not in the workspace's folder.
    command.arg(folder().join("target"));
    inherit(
        &mut command,
        "the compiler's messages above say what to change",
    )
}

/// Checks the firmware with clippy; any warning is an error.
///
/// # Errors
/// There is no clippy for this toolchain, or it has something to say.
pub fn clippy(board: Board, progress: &Progress) -> Result<(), SetupError> {
    let toolchain = toolchain(board.target, progress)?;
    let mut command = toolchain.clippy(board.target, progress)?;
    command
        .current_dir(folder())
        .args(["--features", board.feature, "--", "-D", "warnings"]);
    inherit(&mut command, "clippy's messages above say what to change")
}

/// Checks the firmware's formatting.
///
/// # Errors
/// A file is not formatted.
pub fn fmt() -> Result<(), SetupError> {
    let mut command = process::cargo_elsewhere("cargo");
    command
        .current_dir(folder())
        .args(["fmt", "--all", "--check"]);
    inherit(&mut command, "run `cargo fmt --all` in firmware/")
}

/// Runs a command that speaks for itself on stderr.
fn inherit(command: &mut std::process::Command, next: &str) -> Result<(), SetupError> {
    let failed = |command: &std::process::Command, reason: String| SetupError::Command {
        command: process::describe(command),
        reason,
        next: next.into(),
    };
    let status = command
        .stdin(std::process::Stdio::null())
        .status()
        .map_err(|error| failed(command, format!("could not be started: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(command, format!("failed ({status})")))
    }
}
