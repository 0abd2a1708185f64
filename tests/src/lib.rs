//! What the integration tests share: the device in QEMU.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tools::firmware::AN386;
use tools::qemu::{Output, Qemu, QemuError};

/// Long enough for a machine that is busy with other tests.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Runs the firmware in QEMU, with `folder` as the place of its files.
///
/// # Errors
/// [`QemuError`] when the firmware refuses its files or does not end.
///
/// # Panics
/// When `ONELOOK_FIRMWARE_ELF` is not set: a test that cannot run must not pass.
#[allow(clippy::panic, reason = "only tests call this")]
pub fn run_device(folder: &Path) -> Result<Output, QemuError> {
    let Some(elf) = std::env::var_os("ONELOOK_FIRMWARE_ELF").map(PathBuf::from) else {
        panic!(
            "ONELOOK_FIRMWARE_ELF is not set: `cargo xtask test` builds the firmware and sets it"
        );
    };
    Qemu::new(&elf, AN386.machine)
        .folder(folder)
        .timeout(TIMEOUT)
        .run()
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
