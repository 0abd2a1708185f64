//! Restarts a command in a build that can train.
//!
//! `tch` does not compile before libtorch is there, so the plain build of this program installs
//! libtorch and hands the same command line to `cargo run --features train`.

use std::os::unix::process::CommandExt;
use std::path::Path;

use tools::{Progress, process};

use super::{Failure, Verdict};

/// glibc keeps the memory that a step frees for the next one. Left alone it gives large tensors back to the system and
/// takes them again page by page: at 105×105 a third of a step's time.
const KEEP_MEMORY: [(&str, &str); 2] = [
    ("MALLOC_MMAP_MAX_", "0"),
    ("MALLOC_TRIM_THRESHOLD_", "1099511627776"),
];

/// Installs libtorch, then replaces this process. Returns only when that failed.
pub(super) fn with_libtorch() -> Result<Verdict, Failure> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    if !manifest.exists() {
        return Err(Failure::Work(format!(
            "this build of onelook cannot train, and its source ({}) is gone; train from a clone with `cargo run -p host -- train-export`",
            manifest.display()
        )));
    }
    let libtorch = tools::libtorch::provide(&Progress::stderr()).map_err(Failure::work)?;
    eprintln!(
        "libtorch: {}; building with it (minutes, the first time)",
        libtorch.display()
    );
    let mut cargo = process::cargo();
    cargo.env("LIBTORCH", &libtorch);
    let unset = |(name, _): &(&str, &str)| std::env::var_os(name).is_none();
    cargo.envs(KEEP_MEMORY.into_iter().filter(unset));
    cargo.args([
        "run",
        "--quiet",
        "--package",
        "host",
        "--features",
        "train",
        "--manifest-path",
    ]);
    cargo
        .arg(&manifest)
        .arg("--")
        .args(std::env::args_os().skip(1));
    // Paths on the command line are meant from where the user is.
    cargo.current_dir(std::env::current_dir().map_err(Failure::work)?);
    let error = cargo.exec();
    let command = process::describe(&cargo);
    Err(Failure::Work(format!(
        "cannot start `{command}`: {error}; install Rust with rustup"
    )))
}
