//! Builds the firmware, which is its own workspace for another target.
//!
//! In: a board and a program. Out: the ELF file, how much flash and RAM it takes, and how many
//! instructions its operators run.

mod audit;
pub mod bench;
mod devices;
pub mod engine;
mod flash;
mod hardware;
mod kernels;
mod layout;
mod pins;
mod selftest;
mod size;
mod symbols;
mod toolchain;
mod uf2;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use audit::audit;
pub use devices::{DevicesError, FLASH_LEN, FLASH_START, devices, new_flash};
pub use flash::{Flashed, flash};
pub use kernels::kernels;
pub use layout::Layout;
pub use pins::pins;
pub use selftest::selftest;
pub use size::{Size, size};
pub use symbols::Symbols;
pub use toolchain::{Toolchain, installed, toolchain};

use sha2::{Digest, Sha256};

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
    /// What the compiler is told of its processor, where the target says less.
    pub cpu: Option<&'static str>,
    /// The QEMU machine that simulates it; of hardware, that of its twin, which has the same processor and
    /// runs the same session.
    pub machine: &'static str,
    /// Bytes of that machine's memory, which holds the data flash: QEMU takes no other number.
    pub memory: u64,
}

impl Board {
    /// The variable by which tests are told the ELF file of [`Program::Trials`].
    #[must_use]
    pub fn variable(self) -> String {
        format!("ONELOOK_FIRMWARE_{}", self.name.to_uppercase())
    }

    /// The variable by which tests are told the ELF file of [`Program::Device`].
    #[must_use]
    pub fn device_variable(self) -> String {
        format!("ONELOOK_DEVICE_{}", self.name.to_uppercase())
    }

    /// The variable by which tests are told the ELF file of a device that takes only what is signed for
    /// [`EXAMPLE_KEY`].
    #[must_use]
    pub fn signed_variable(self) -> String {
        format!("ONELOOK_SIGNED_DEVICE_{}", self.name.to_uppercase())
    }
}

/// The variable that holds the public key of who may send models to a device.
pub const KEY_VARIABLE: &str = "ONELOOK_PUBLIC_KEY";

/// The public key of test 1 of RFC 8032. Its private key is printed there, so only tests may use it.
pub const EXAMPLE_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

/// ARM's MPS2 with a Cortex-M4F, as QEMU simulates it.
pub const AN386: Board = Board {
    name: "an386",
    feature: "board-an386",
    target: "thumbv7em-none-eabihf",
    cpu: None,
    machine: "mps2-an386",
    memory: 16 << 20,
};

/// ARM's MPS2 with a Cortex-M7F.
pub const AN500: Board = Board {
    name: "an500",
    feature: "board-an500",
    target: "thumbv7em-none-eabihf",
    cpu: None,
    machine: "mps2-an500",
    memory: 16 << 20,
};

/// ARM's MPS2 with a Cortex-M33F. Its target leaves out the DSP instructions.
pub const AN505: Board = Board {
    name: "an505",
    feature: "board-an505",
    target: "thumbv8m.main-none-eabihf",
    cpu: Some("cortex-m33"),
    machine: "mps2-an505",
    memory: 16 << 20,
};

/// ARM's MPS3 with a Cortex-M55. Its target leaves out Helium.
pub const AN547: Board = Board {
    name: "an547",
    feature: "board-an547",
    target: "thumbv8m.main-none-eabihf",
    cpu: Some("cortex-m55"),
    machine: "mps3-an547",
    memory: 2 << 30,
};

/// Raspberry Pi Pico 2: an RP2350 with a Cortex-M33F. Its twin is [`AN505`].
pub const PICO2: Board = Board {
    name: "pico2",
    feature: "board-pico2",
    ..AN505
};

/// Adafruit Feather nRF52840 Express: an nRF52840 with a Cortex-M4F. Its twin is [`AN386`].
pub const NRF52840: Board = Board {
    name: "nrf52840",
    feature: "board-nrf52840",
    ..AN386
};

/// Boards that one can buy. QEMU simulates none of them.
pub const REAL_BOARDS: [Board; 2] = [PICO2, NRF52840];

/// All boards that QEMU simulates.
pub const BOARDS: [Board; 4] = [AN386, AN500, AN505, AN547];

/// The targets of all boards.
pub const TARGETS: [&str; 2] = [AN386.target, AN547.target];

/// A program of the firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Answers N-way trials.
    Trials,
    /// Enrols, remembers and recognises: what ships.
    Device,
    /// Runs every operator between two marks.
    Bench,
    /// Solves small problems of every shape, each operator against its reference.
    Selftest,
    /// Tries the devices of the board.
    Devices,
    /// The engine alone, to be weighed.
    Engine,
    /// The checklist of a board that one can buy.
    Bringup,
}

impl Program {
    /// The name of its file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trials => "onelook-firmware",
            Self::Device => "onelook-device",
            Self::Bench => "onelook-bench",
            Self::Selftest => "onelook-selftest",
            Self::Devices => "onelook-devices",
            Self::Engine => "onelook-engine",
            Self::Bringup => "onelook-bringup",
        }
    }
}

/// The firmware's folder.
#[must_use]
pub fn folder() -> PathBuf {
    repo::root().join("firmware")
}

/// Builds a program for `board` and returns its ELF file. Cargo's messages go to stderr. A device takes
/// models from anybody, whatever [`KEY_VARIABLE`] says.
///
/// # Errors
/// There is no toolchain and none can be installed, or the build fails.
pub fn build(board: Board, program: Program, progress: &Progress) -> Result<PathBuf, SetupError> {
    build_with(board, program, "release", board.feature, progress)
}

/// Builds the device for the key in [`KEY_VARIABLE`], or for anybody where there is none.
///
/// # Errors
/// As [`build`].
pub fn build_device(board: Board, progress: &Progress) -> Result<PathBuf, SetupError> {
    match std::env::var(KEY_VARIABLE) {
        Ok(key) if !key.is_empty() => build_signed(board, &key, progress),
        _ => build(board, Program::Device, progress),
    }
}

/// Builds the device for a key, beside the one that takes every model.
///
/// # Errors
/// As [`build`], and when it is no key.
pub fn build_signed(board: Board, key: &str, progress: &Progress) -> Result<PathBuf, SetupError> {
    let mut command = toolchain(board.target, progress)?.cargo("build", board.target);
    let features = format!("{},{SIGNED}", board.feature);
    command.env(KEY_VARIABLE, key);
    // Nobody shall flash what the tests left, which takes everybody's models.
    let kind = if key == EXAMPLE_KEY {
        "example-key"
    } else {
        SIGNED
    };
    let folder = target_folder(&format!("{}-{kind}", board.name));
    run_build(
        command,
        board,
        (Program::Device, "release"),
        &features,
        &folder,
    )
}

/// A program for a board that one can buy, checked and ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The linker's file, for a debug probe.
    pub elf: PathBuf,
    /// The file for the drive of the boot loader.
    pub uf2: PathBuf,
    /// Its SHA-256: the same from the same source, compiler and key, wherever it is built.
    pub sha256: String,
    /// What lies where.
    pub layout: Layout,
}

/// Checks a program of a board of [`REAL_BOARDS`] and writes its UF2 file beside it.
///
/// # Errors
/// The board could not run it, or the file cannot be written.
pub fn image(board: Board, elf: PathBuf) -> Result<Image, SetupError> {
    let hardware = hardware::hardware(board).ok_or_else(|| board.is_simulated())?;
    let layout = layout::layout(&hardware, &elf)?;
    let bytes = std::fs::read(&elf).map_err(|e| SetupError::io("read", &elf, e))?;
    let blocks = uf2::uf2(&layout::pieces(&hardware, &elf, &bytes)?, hardware.family);
    let uf2 = elf.with_extension("uf2");
    let digest = Sha256::digest(&blocks);
    let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(&uf2, blocks).map_err(|e| SetupError::io("write", &uf2, e))?;
    Ok(Image {
        elf,
        uf2,
        sha256,
        layout,
    })
}

/// The firmware's feature for [`KEY_VARIABLE`].
const SIGNED: &str = "signed";

/// As [`build`], with another profile and other features.
fn build_with(
    board: Board,
    program: Program,
    profile: &str,
    features: &str,
    progress: &Progress,
) -> Result<PathBuf, SetupError> {
    let mut command = toolchain(board.target, progress)?.cargo("build", board.target);
    command.env_remove(KEY_VARIABLE);
    let folder = target_folder(board.name);
    run_build(command, board, (program, profile), features, &folder)
}

fn run_build(
    mut command: Command,
    board: Board,
    (program, profile): (Program, &str),
    features: &str,
    folder: &Path,
) -> Result<PathBuf, SetupError> {
    toolchain::tune(&mut command, board);
    command.args(["--profile", profile, "--features", features]);
    command.args(["--bin", program.name()]);
    inherit(in_folder(&mut command, folder), COMPILER)?;
    let elf = folder.join(board.target).join(profile).join(program.name());
    if elf.is_file() {
        return Ok(elf);
    }
    Err(SetupError::Missing {
        what: format!("the firmware was built, but there is no {}", elf.display()),
        next: "look for an `artifact-dir` or a profile in the cargo configuration above firmware/"
            .into(),
    })
}

const COMPILER: &str = "the compiler's messages above say what to change";

/// Boards with the same target, and devices with another key, would overwrite each other's programs.
fn target_folder(name: &str) -> PathBuf {
    folder().join("target").join(name)
}

fn in_folder<'a>(command: &'a mut Command, target: &Path) -> &'a mut Command {
    command
        .current_dir(folder())
        .arg("--target-dir")
        .arg(target)
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
    // With all that a device may have of it.
    command.args(["--features", "ed25519"]);
    command.args([
        "--quiet",
        "--release",
        "--package",
        "shared",
        "--target-dir",
    ]);
    // Another compiler than the workspace's may be at work, so not in the workspace's folder.
    command.arg(folder().join("target"));
    inherit(&mut command, COMPILER)
}

/// Checks the firmware with clippy; any warning is an error.
///
/// # Errors
/// There is no clippy for this toolchain, or it has something to say.
pub fn clippy(board: Board, progress: &Progress) -> Result<(), SetupError> {
    let toolchain = toolchain(board.target, progress)?;
    let mut command = toolchain.clippy(board.target, progress)?;
    toolchain::tune(&mut command, board);
    // With a key, because that is more code than without.
    let features = format!("{},{SIGNED}", board.feature);
    command.env(KEY_VARIABLE, EXAMPLE_KEY);
    let command_in = in_folder(&mut command, &target_folder(board.name));
    command_in.args(["--features", &features, "--", "-D", "warnings"]);
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
fn inherit(command: &mut Command, next: &str) -> Result<(), SetupError> {
    let failed = |command: &Command, reason: String| SetupError::Command {
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
