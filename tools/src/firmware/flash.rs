//! Puts a program into a board: by copying to the drive of its boot loader, or with a debug probe.
//!
//! In: a program's ELF and UF2 files. Out: the way that was taken. The drive is looked for where the
//! operating system mounts drives; it counts when its `INFO_UF2.TXT` names the chip.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{SetupError, process};

/// In `INFO_UF2.TXT`, and the drive's label.
const CHIP: &str = "RP2350";
/// The chip by probe-rs' name.
const PROBE_CHIP: &str = "RP235x";
const INFO: &str = "INFO_UF2.TXT";
const MINUTES: Duration = Duration::from_secs(300);

/// How a program came into a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flashed {
    /// It was copied to this file.
    Copied(PathBuf),
    /// `probe-rs` has written it.
    Probed,
}

/// Takes the drive that was named, or the only one that is mounted, or `probe-rs` where it is installed.
///
/// # Errors
/// There is no way, or it fails; the message says what to do.
pub fn flash(elf: &Path, uf2: &Path, drive: Option<&Path>) -> Result<Flashed, SetupError> {
    if let Some(drive) = drive {
        return copy(uf2, drive);
    }
    match drives(&places()).as_slice() {
        [drive] => copy(uf2, drive),
        [] if process::on_path("probe-rs") => probe(elf),
        [] => Err(SetupError::Missing {
            what: format!(
                "no drive {CHIP} is mounted, and there is no `probe-rs` on the path: the board cannot be reached"
            ),
            next: "hold BOOTSEL while you plug the board in, and mount the drive that it shows (or name it with \
                   `--drive`); with a debug probe, `cargo install probe-rs-tools`"
                .into(),
        }),
        several => Err(SetupError::Missing {
            what: format!("several boards wait for a program: {several:?}"),
            next: "name one of them with `--drive`".into(),
        }),
    }
}

fn copy(uf2: &Path, drive: &Path) -> Result<Flashed, SetupError> {
    if !is_board(drive) {
        return Err(SetupError::Missing {
            what: format!(
                "{} is no drive of a board with an {CHIP}: its {INFO} is not there or names another chip",
                drive.display()
            ),
            next: "name the folder where the drive is mounted".into(),
        });
    }
    let name = uf2.file_name().unwrap_or_default();
    let target = drive.join(name);
    fs::copy(uf2, &target).map_err(|source| SetupError::Io {
        action: "write",
        path: target.clone(),
        source,
        next: "hold BOOTSEL while you plug the board in again, then run the same command".into(),
    })?;
    Ok(Flashed::Copied(target))
}

fn probe(elf: &Path) -> Result<Flashed, SetupError> {
    let next = "look at the probe's cable and wires, then run it by hand";
    for command in ["download", "reset"] {
        let mut probe = Command::new("probe-rs");
        probe.args([command, "--chip", PROBE_CHIP]);
        if command == "download" {
            probe.arg(elf);
        }
        process::run(&mut probe, MINUTES, next)?;
    }
    Ok(Flashed::Probed)
}

/// Folders whose folders are drives, on Linux, macOS and Windows.
fn places() -> Vec<PathBuf> {
    let user = std::env::var("USER").unwrap_or_default();
    let mut places = vec![
        PathBuf::from("/run/media").join(&user),
        PathBuf::from("/media").join(&user),
        "/media".into(),
        "/mnt".into(),
        "/Volumes".into(),
    ];
    if user.is_empty() {
        places.drain(..2);
    }
    places
}

/// The drives of boards, each once.
fn drives(places: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for place in places {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        found.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| is_board(path)),
        );
    }
    if cfg!(windows) {
        let letters = ('D'..='Z').map(|letter| PathBuf::from(format!("{letter}:\\")));
        found.extend(letters.filter(|path| is_board(path)));
    }
    found.sort();
    found.dedup();
    found
}

fn is_board(drive: &Path) -> bool {
    fs::read_to_string(drive.join(INFO)).is_ok_and(|info| info.contains(CHIP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drive(place: &Path, name: &str, info: &str) -> PathBuf {
        let path = place.join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join(INFO), info).unwrap();
        path
    }

    #[test]
    fn only_a_drive_of_the_chip_is_written_to() {
        let place = tempfile::tempdir().unwrap();
        let info = "UF2 Bootloader v1.0\nModel: Raspberry Pi RP2350\nBoard-ID: RP2350\n";
        let wanted = drive(place.path(), "RP2350", info);
        let other = drive(place.path(), "RPI-RP2", "Board-ID: RPI-RP2\n");
        fs::create_dir(place.path().join("stick")).unwrap();
        assert_eq!(
            drives(&[place.path().into()]),
            std::slice::from_ref(&wanted)
        );
        let program = place.path().join("onelook-device.uf2");
        fs::write(&program, b"blocks").unwrap();
        let flashed = flash(Path::new("elf"), &program, Some(&wanted)).unwrap();
        let target = wanted.join("onelook-device.uf2");
        assert_eq!(flashed, Flashed::Copied(target.clone()));
        assert_eq!(fs::read(target).unwrap(), b"blocks");
        for wrong in [other.as_path(), place.path()] {
            let error = flash(Path::new("elf"), &program, Some(wrong)).unwrap_err();
            assert!(error.to_string().contains("no drive of a board"), "{error}");
        }
    }
}
