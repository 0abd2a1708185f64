//! What the integration tests share: the device in QEMU, and the command line.

pub mod browser;
pub mod clutter;
pub mod flash;
pub mod life;
pub mod nets;
pub mod taught;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tools::firmware::Board;
use tools::qemu::{Output, Qemu, QemuError};

/// Long enough for a machine that is busy with other tests.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The firmware that was built for `board`.
///
/// # Panics
/// When its variable is not set: a test that cannot run must not pass.
#[must_use]
#[allow(clippy::panic, reason = "only tests call this")]
pub fn device_elf(board: Board) -> PathBuf {
    let variable = board.variable();
    let Some(elf) = std::env::var_os(&variable) else {
        panic!("{variable} is not set: `cargo xtask test` builds the firmware and sets it");
    };
    elf.into()
}

/// A run of the firmware in QEMU, with `folder` as the place of its files.
#[must_use]
pub fn device(board: Board, folder: &Path) -> Qemu {
    Qemu::new(&device_elf(board), board.machine)
        .folder(folder)
        .timeout(TIMEOUT)
}

/// Runs the firmware in QEMU, with `folder` as the place of its files.
///
/// # Errors
/// [`QemuError`] when the firmware refuses its files or does not end.
pub fn run_device(board: Board, folder: &Path) -> Result<Output, QemuError> {
    device(board, folder).run()
}

/// The `onelook` program that was built beside the running test.
///
/// # Panics
/// When it is not there.
#[must_use]
#[allow(clippy::panic, reason = "only tests call this")]
pub fn onelook() -> PathBuf {
    // target/debug/deps/cli-… → target/debug/onelook
    let test = std::env::current_exe().unwrap_or_default();
    let program = test
        .ancestors()
        .nth(2)
        .map(|folder| folder.join("onelook"))
        .unwrap_or_default();
    assert!(
        program.exists(),
        "{} is not there: `cargo build --workspace --features host/train` builds it",
        program.display()
    );
    program
}

/// Runs `onelook` in `folder` with an empty cache, so that nothing of this machine shows.
///
/// # Panics
/// When it cannot be started.
#[must_use]
#[allow(clippy::unwrap_used, reason = "only tests call this")]
pub fn run_onelook(folder: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new(onelook())
        .args(arguments)
        .current_dir(folder)
        .env("ONELOOK_CACHE", folder.join("cache"))
        .env_remove("ONELOOK_DATA")
        .output()
        .unwrap()
}

/// The program ended with `code` and said all of `words`.
///
/// # Panics
/// When it did not.
#[track_caller]
pub fn refused(output: &std::process::Output, code: i32, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "`{word}` is not in: {stderr}");
    }
}
