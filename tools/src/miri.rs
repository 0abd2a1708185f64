//! Runs the tests of `shared` in miri, which checks every access to memory.
//!
//! In: a nightly toolchain with the component `miri`. Out: a command, or why there is none. The tests
//! themselves know that they are interpreted and draw fewer and smaller problems.

use std::process::Command;
use std::time::Duration;

use crate::{process, repo};

/// Why miri cannot run here, if it cannot.
#[must_use]
pub fn missing() -> Option<String> {
    let mut command = cargo();
    command.args(["miri", "--version"]);
    // The first call after an installation may build something.
    let there = process::run(&mut command, Duration::from_secs(120), "");
    there.is_err().then(|| {
        "no nightly with miri: rustup toolchain install nightly --component miri,rust-src".into()
    })
}

/// `cargo miri test` of `shared`, for this machine or another target, which need not be able to run
/// here: `i686-unknown-linux-gnu` has addresses of 32 bits, as a device has.
#[must_use]
pub fn command(target: Option<&str>) -> Command {
    let mut command = cargo();
    command.args(["miri", "test", "--package", "shared", "--lib"]);
    command.args(["--features", "portable"]);
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    // The operators in floating point run on a desktop only; neither they nor captures have an access of their
    // own kind, and a single frame takes minutes here.
    command.args(["--", "--skip", "ops::float", "--skip", "capture::"]);
    // The property tests seed themselves from the system, and would write down what fails.
    command.env("MIRIFLAGS", "-Zmiri-disable-isolation");
    command.env("PROPTEST_CASES", "1");
    command.env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
    command
}

/// The nightly cargo, whatever toolchain runs this program.
fn cargo() -> Command {
    let mut command = process::cargo_elsewhere("cargo");
    command.arg("+nightly").current_dir(repo::root());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_handed_on() {
        let said = process::describe(&command(Some("i686-unknown-linux-gnu")));
        assert!(said.starts_with("cargo +nightly miri test --package shared"));
        assert!(said.contains("--target i686-unknown-linux-gnu"), "{said}");
    }
}
