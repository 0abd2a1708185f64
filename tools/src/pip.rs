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
    let pip = [interpreter(), "-m", "pip"];
    let next = "install Python 3 with pip (on Debian: apt-get install python3-pip)";
    process::run(start(&pip).arg("--version"), Duration::from_secs(60), next)?;
    download_with(&pip, wheels, platforms, folder, progress)
}

fn download_with(
    pip: &[&str],
    wheels: &[Wheel],
    platforms: &[&str],
    folder: &Path,
    progress: &Progress,
) -> Result<(), SetupError> {
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
        let mut command = request(pip, wheel.requirement, platforms, &part);
        let next = "check the network and pip's index, then run again";
        process::run(&mut command, LIMIT, next)?;
        drop(spinner);
        let arrived = part.join(wheel.file);
        let next = "check which index pip is set to (`pip config list`), then run again";
        checksum.check(&arrived, next)?;
        std::fs::rename(&arrived, &to).map_err(|e| SetupError::io("rename", &arrived, e))?;
        remove(&part)?;
    }
    Ok(())
}

fn start(pip: &[&str]) -> Command {
    let (program, lead) = pip.split_first().unwrap_or((&"pip", &[]));
    let mut command = Command::new(program);
    command.args(lead);
    command
}

fn request(pip: &[&str], requirement: &str, platforms: &[&str], part: &Path) -> Command {
    let mut command = start(pip);
    command.args(["download", "--quiet", "--no-input", "--no-deps"]);
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

#[cfg(test)]
mod tests {
    use super::*;

    // SHA-256 of "whole wheel".
    const WHEEL: Wheel = Wheel {
        requirement: "thing==1.0",
        file: "thing.whl",
        sha256: "f31569543dc229e1c0e5098af3b31985acad4c7e8432d709c6d2d16a3dfeabbb",
    };

    /// Stands for pip: saves `content` as the wheel and notes each call.
    fn pip_that_saves(folder: &Path, content: &str) -> String {
        let script = folder.join("pip.sh");
        let text = format!(
            "while [ $# -gt 0 ]; do [ \"$1\" = --dest ] && dest=$2; shift; done\n\
             echo x >> {}\nprintf '{content}' > \"$dest/thing.whl\"\n",
            folder.join("calls").display()
        );
        std::fs::write(&script, text).unwrap();
        script.to_str().unwrap().to_owned()
    }

    fn calls(folder: &Path) -> usize {
        std::fs::read_to_string(folder.join("calls"))
            .unwrap()
            .lines()
            .count()
    }

    #[test]
    fn a_cut_off_wheel_is_not_a_wheel_and_a_whole_one_is_fetched_once() {
        let root = tempfile::tempdir().unwrap();
        let wheels = root.path().join("wheels");
        let go = |content: &str| {
            let script = pip_that_saves(root.path(), content);
            let pip = ["sh", script.as_str()];
            download_with(&pip, &[WHEEL], &["any"], &wheels, &Progress::quiet())
        };
        let error = go("whole wh").unwrap_err().to_string();
        assert!(
            error.contains("thing.whl") && error.contains("SHA-256"),
            "{error}"
        );
        assert!(!wheels.join("thing.whl").exists());
        go("whole wheel").unwrap();
        go("whole wheel").unwrap();
        assert_eq!(calls(root.path()), 2);
        std::fs::write(wheels.join("thing.whl"), "whole wh").unwrap();
        go("whole wheel").unwrap();
        assert_eq!(calls(root.path()), 3);
        assert_eq!(std::fs::read_dir(&wheels).unwrap().count(), 1);
    }

    #[test]
    fn a_failing_pip_is_quoted() {
        let root = tempfile::tempdir().unwrap();
        let script = root.path().join("pip.sh");
        std::fs::write(&script, "echo no matching distribution >&2; exit 1").unwrap();
        let pip = ["sh", script.to_str().unwrap()];
        let error = download_with(&pip, &[WHEEL], &[], root.path(), &Progress::quiet());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("no matching distribution") && error.contains("thing==1.0"));
    }
}
