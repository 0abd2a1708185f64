//! Runs the fuzz targets of `tests/fuzz`.
//!
//! In: a target and a time. Out: how many inputs were tried, or the file of the one that broke a
//! promise. libFuzzer comes with the crate libfuzzer-sys and is built by the C++ compiler; its
//! coverage counters come from flags that a stable rustc has, so no nightly is needed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cache::{Cache, create_folder};
use crate::{Progress, SetupError, process, repo};

/// A fuzz target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Bytes of its longest input: enough for what it reads, and no more, for speed.
    pub max_len: usize,
}

/// All targets.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "model",
        max_len: 512,
    },
    Target {
        name: "model_forged",
        max_len: 768,
    },
    Target {
        name: "trials",
        max_len: 256,
    },
    Target {
        name: "image",
        max_len: 96,
    },
    Target {
        name: "operators",
        max_len: 192,
    },
    // More than the largest frame, so that overlong ones come up too.
    Target {
        name: "wire",
        max_len: 1200,
    },
];

/// As `cargo fuzz` has them, without a sanitizer: `shared` has no `unsafe` in its portable code.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// The folder of the targets.
#[must_use]
pub fn folder() -> PathBuf {
    repo::root().join("tests/fuzz")
}

/// Why the targets cannot be built here, if they cannot.
#[must_use]
pub fn missing() -> Option<&'static str> {
    let set = std::env::var_os("CXX").is_some_and(|value| !value.is_empty());
    let found = set || ["c++", "g++", "clang++"].into_iter().any(process::on_path);
    (!found).then_some("no C++ compiler, which libFuzzer is built with: apt-get install g++")
}

/// Replays the seeds and some noise over them, without a fuzzer.
///
/// # Errors
/// A promise is broken, or the committed seeds are not those that the code writes.
pub fn replay() -> Result<(), SetupError> {
    let mut command = cargo();
    command.args(["test", "--quiet", "--lib", "--no-default-features"]);
    inherit(&mut command, "the messages above say what to change")
}

/// Writes the seeds into `corpus/`.
///
/// # Errors
/// They cannot be written.
pub fn write_seeds() -> Result<(), SetupError> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--example", "seeds"]);
    command.arg("--no-default-features");
    inherit(&mut command, "the messages above say what to change")
}

/// Builds all targets and returns the folder of their programs.
///
/// # Errors
/// They do not build.
pub fn build(progress: &Progress) -> Result<PathBuf, SetupError> {
    let host = host()?;
    let target = folder().join("target");
    progress.note("building the fuzz targets with coverage counters");
    let mut command = cargo();
    command.args(["build", "--bins", "--target", &host]);
    // Not `CARGO_ENCODED_RUSTFLAGS` of an outer cargo, which would win over these.
    command.env_remove("CARGO_ENCODED_RUSTFLAGS");
    command.env("RUSTFLAGS", FLAGS);
    command.arg("--target-dir").arg(&target);
    inherit(&mut command, "the messages above say what to change")?;
    Ok(target.join(host).join("debug"))
}

/// Runs one target for a time; what it finds interesting is kept in the cache for the next time.
///
/// Returns how many inputs were tried.
///
/// # Errors
/// A promise is broken; the message names the file with the input.
pub fn run(programs: &Path, target: Target, seconds: u64) -> Result<u64, SetupError> {
    let corpus = Cache::open()?.path("fuzz").join(target.name);
    create_folder(&corpus)?;
    let artifacts = folder().join("artifacts");
    create_folder(&artifacts)?;
    let prefix = format!("{}/{}-", artifacts.display(), target.name);
    let mut command = Command::new(programs.join(target.name));
    command
        .args([
            format!("-max_len={}", target.max_len),
            format!("-max_total_time={seconds}"),
            format!("-artifact_prefix={prefix}"),
        ])
        .args(["-print_final_stats=1", "-reload=0", "-timeout=60"])
        .arg(&corpus)
        .arg(folder().join("corpus").join(target.name));
    // A unit may take its whole time-out at the end.
    let limit = Duration::from_secs(seconds + 120);
    let failed = |reason: String| SetupError::Command {
        command: process::describe(&command_line(programs, target)),
        reason,
        next: format!(
            "run it with the file {prefix}… as its only argument; then make it a test beside the code"
        ),
    };
    let captured = process::capture(&mut command, limit)
        .map_err(|error| failed(format!("could not be started: {error}")))?;
    let tried = executions(&captured.stderr);
    match captured.status {
        Some(status) if status.success() => Ok(tried),
        Some(status) => {
            let said = process::tail(&captured.stderr, 12);
            Err(failed(format!("broke a promise ({status}):\n{said}")))
        }
        None => Err(failed("did not end".into())),
    }
}

fn command_line(programs: &Path, target: Target) -> Command {
    Command::new(programs.join(target.name))
}

/// `stat::number_of_executed_units: 123`.
fn executions(said: &str) -> u64 {
    said.lines()
        .filter_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

fn cargo() -> Command {
    let mut command = process::cargo();
    command.current_dir(folder());
    command
}

/// This machine's target: with one named, the flags are not for build scripts.
fn host() -> Result<String, SetupError> {
    let mut command = Command::new("rustc");
    command.arg("-vV").current_dir(repo::root());
    let next = "install Rust with rustup, https://rustup.rs";
    let said = process::run(&mut command, Duration::from_secs(60), next)?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| SetupError::Missing {
        what: "`rustc -vV` names no host".into(),
        next: next.into(),
    })
}

fn inherit(command: &mut Command, next: &str) -> Result<(), SetupError> {
    let failed = |command: &Command, reason: String| SetupError::Command {
        command: process::describe(command),
        reason,
        next: next.into(),
    };
    let status = command.stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(command, format!("failed ({status})"))),
        Err(error) => Err(failed(command, format!("could not be started: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_read_from_the_statistics() {
        let said = "#128 DONE\nstat::number_of_executed_units: 673897\nstat::peak_rss_mb: 27";
        assert_eq!(executions(said), 673_897);
        assert_eq!(executions("crashed"), 0);
    }

    #[test]
    fn every_target_has_its_program_and_its_seeds() {
        let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).unwrap();
        for target in TARGETS {
            let line = format!("name = \"{}\"", target.name);
            assert!(manifest.contains(&line), "{line}");
            assert!(folder().join("corpus").join(target.name).is_dir());
        }
        let programs = manifest.matches("[[bin]]").count();
        assert_eq!(programs, TARGETS.len());
    }
}
