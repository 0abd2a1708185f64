//! Puts a program into a board: by copying to the drive of its boot loader, or with a debug probe.
//!
//! In: a program's ELF and UF2 files. Out: the way that was taken. The drive is looked for where the
//! operating system mounts drives; it counts when its `INFO_UF2.TXT` names the board, so that no program comes
//! onto another board's drive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::hardware::{Hardware, hardware};
use super::{Board, Image};
use crate::{SetupError, process};

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
pub fn flash(board: Board, image: &Image, drive: Option<&Path>) -> Result<Flashed, SetupError> {
    let hardware = hardware(board).ok_or_else(|| board.is_simulated())?;
    if let Some(drive) = drive {
        return copy(&hardware, &image.uf2, drive);
    }
    let Hardware { drive, press, .. } = hardware;
    match drives(&hardware, &places()).as_slice() {
        [drive] => copy(&hardware, &image.uf2, drive),
        [] if process::on_path("probe-rs") => probe(hardware.probe_chip, &image.elf),
        [] => Err(SetupError::Missing {
            what: format!(
                "no drive {drive} is mounted, and there is no `probe-rs` on the path: the board cannot be reached"
            ),
            next: format!(
                "{press}, and mount the drive that it shows (or name it with `--drive`); with a debug probe, \
                 `cargo install probe-rs-tools`"
            ),
        }),
        several => Err(SetupError::Missing {
            what: format!("several boards wait for a program: {several:?}"),
            next: "name one of them with `--drive`".into(),
        }),
    }
}

fn copy(hardware: &Hardware, uf2: &Path, drive: &Path) -> Result<Flashed, SetupError> {
    if !is_board(hardware, drive) {
        return Err(SetupError::Missing {
            what: format!(
                "{} is no drive of {}: its {INFO} is not there or says something else",
                drive.display(),
                hardware.wanted
            ),
            next: "name the folder where the drive is mounted; docs/hardware.md says which boards there are".into(),
        });
    }
    let name = uf2.file_name().unwrap_or_default();
    let target = drive.join(name);
    fs::copy(uf2, &target).map_err(|source| SetupError::Io {
        action: "write",
        path: target.clone(),
        source,
        next: format!("{} again, then run the same command", hardware.press),
    })?;
    Ok(Flashed::Copied(target))
}

fn probe(chip: &str, elf: &Path) -> Result<Flashed, SetupError> {
    let next = "look at the probe's cable and wires, then run it by hand";
    for command in ["download", "reset"] {
        let mut probe = Command::new("probe-rs");
        probe.args([command, "--chip", chip]);
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
fn drives(hardware: &Hardware, places: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for place in places {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        found.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| is_board(hardware, path)),
        );
    }
    if cfg!(windows) {
        let letters = ('D'..='Z').map(|letter| PathBuf::from(format!("{letter}:\\")));
        found.extend(letters.filter(|path| is_board(hardware, path)));
    }
    found.sort();
    found.dedup();
    found
}

fn is_board(hardware: &Hardware, drive: &Path) -> bool {
    fs::read_to_string(drive.join(INFO)).is_ok_and(|info| hardware.takes(&info))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::{Layout, NRF52840, PICO2};

    fn drive(place: &Path, name: &str, info: &str) -> PathBuf {
        let path = place.join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join(INFO), info).unwrap();
        path
    }

    fn image(place: &Path) -> Image {
        let uf2 = place.join("onelook-device.uf2");
        fs::write(&uf2, b"blocks").unwrap();
        Image {
            elf: "elf".into(),
            uf2,
            sha256: String::new(),
            layout: Layout {
                rows: Vec::new(),
                flash: 0,
                ram: 0,
                room: (0, 0),
            },
        }
    }

    #[test]
    fn only_a_drive_of_the_board_is_written_to() {
        let place = tempfile::tempdir().unwrap();
        let pico2 = "UF2 Bootloader v1.0\nModel: Raspberry Pi RP2350\nBoard-ID: RP2350\n";
        let feather = "Model: Adafruit Feather nRF52840 Express\nSoftDevice: S140 version 6.1.1\n";
        let drives_of = [
            (PICO2, drive(place.path(), "RP2350", pico2)),
            (NRF52840, drive(place.path(), "FTHR840BOOT", feather)),
        ];
        let other = drive(place.path(), "RPI-RP2", "Board-ID: RPI-RP2\n");
        fs::create_dir(place.path().join("stick")).unwrap();
        let image = image(place.path());
        for (board, wanted) in &drives_of {
            let hardware = hardware(*board).unwrap();
            let found = drives(&hardware, &[place.path().into()]);
            assert_eq!(found, std::slice::from_ref(wanted));
            let flashed = flash(*board, &image, Some(wanted)).unwrap();
            let target = wanted.join("onelook-device.uf2");
            assert_eq!(flashed, Flashed::Copied(target.clone()));
            assert_eq!(fs::read(target).unwrap(), b"blocks");
            let others = drives_of.iter().map(|(_, drive)| drive.as_path());
            let others = others.filter(|drive| drive != wanted);
            for wrong in others.chain([other.as_path(), place.path()]) {
                let error = flash(*board, &image, Some(wrong)).unwrap_err();
                assert!(error.to_string().contains("is no drive of a"), "{error}");
            }
        }
    }
}
