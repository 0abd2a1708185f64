//! Fetches wheels with pip, where only package registries can be reached.
//!
//! In: requirements with the names and checksums of their wheels. Out: the wheel files in a
//! folder. pip is asked for the wheels of one fixed Python and platform, so the files are the same
//! whatever Python runs it; each is checked against its SHA-256 before it gets its final name.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::cache::{create_folder, remove};
use crate::fetch::{Checksum, part_of};
use crate::{Progress, SetupError, process};

/// One wheel.
pub(crate) struct Wheel {
    /// What to ask pip for, with an exact version.
    pub(crate) requirement: &'static str,
    /// The file pip saves.
    pub(crate) file: &'static str,
    /// The file's SHA-256.
    pub(crate) sha256: &'static str,
}

/// Nothing that pip downloads here takes longer on a line that is any use.
const LIMIT: Duration = Duration::from_secs(3 * 3600);

/// A Python that has pip, as torch-sys would choose it.
pub(crate) fn python() -> Result<&'static str, SetupError> {
    let program = interpreter();
    let next = "install Python 3 with pip (on Debian: apt-get install python3-pip)";
    let mut command = Command::new(program);
    command.args(["-m", "pip", "--version"]);
    process::run(&mut command, Duration::from_secs(60), next).map(|_| program)
}

/// The interpreter of the active virtual environment, else `python3`.
pub(crate) fn interpreter() -> &'static str {
    if std::env::var_os("VIRTUAL_ENV").is_some() {
        "python"
    } else {
        "python3"
    }
}

/// Downloads the wheels into `folder`; those that are there already are not fetched again.
pub(crate) fn download(
    wheels: &[Wheel],
    platforms: &[&str],
    folder: &Path,
    progress: &Progress,
) -> Result<(), SetupError> {
    let program = python()?;
    create_folder(folder)?;
    for wheel in wheels {
        let to = folder.join(wheel.file);
        let checksum = Checksum::Sha256(wheel.sha256);
        if to.is_file() && checksum.check(&to, "").is_ok() {
            continue;
        }
        let part = part_of(&to);
        remove(&part)?;
        create_folder(&part)?;
        let spinner = progress.spinner(&format!("downloading {} with pip", wheel.requirement));
        let mut command = request(program, wheel.requirement, platforms, &part);
        process::run(
            &mut command,
            LIMIT,
            "check the network and pip's index, then run again",
        )?;
        drop(spinner);
        let arrived = part.join(wheel.file);
        let next = "check which index pip is set to (`pip config list`), then run again";
        checksum.check(&arrived, next)?;
        std::fs::rename(&arrived, &to).map_err(|e| SetupError::io("rename", &arrived, e))?;
        remove(&part)?;
    }
    Ok(())
}

fn request(program: &str, requirement: &str, platforms: &[&str], part: &Path) -> Command {
    let mut command = Command::new(program);
    command.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-input",
        "--no-deps",
    ]);
    // A second copy in pip's own cache would double half a gigabyte.
    command.args([
        "--disable-pip-version-check",
        "--no-cache-dir",
        "--only-binary=:all:",
    ]);
    command.args([
        "--implementation",
        "cp",
        "--python-version",
        "3.11",
        "--abi",
        "cp311",
    ]);
    for platform in platforms {
        command.args(["--platform", platform]);
    }
    command.arg("--dest").arg(part).arg(requirement);
    // pip collects the file in the temporary folder first, which may be small; the cache is not.
    command.env("TMPDIR", part);
    command
}
