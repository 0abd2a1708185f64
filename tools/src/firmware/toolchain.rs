//! A compiler for the bare-metal target.
//!
//! In: the target's name. Out: rustup's, when its standard library is there or can be fetched;
//! otherwise Debian's compiler, which comes with the sources of `core`, so that `core` is built
//! along with the firmware.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Board;
use crate::{Progress, SetupError, apt, process};

/// Where Debian puts what is needed.
const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const CARGO_CLIPPY: &str = "/usr/bin/cargo-clippy";
const CORE_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/core/Cargo.toml";

/// The oldest compiler that the firmware builds with: `rust-version` in its manifest.
const OLDEST: (u32, u32) = (1, 95);

const MINUTES: Duration = Duration::from_secs(600);

/// How the firmware is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// The toolchain of `rust-toolchain.toml`, with the target's standard library.
    Rustup,
    /// Debian's compiler, with `core` built from its sources.
    Debian {
        /// The linker.
        linker: PathBuf,
    },
}

/// Finds a toolchain for `target`, or installs one.
///
/// # Errors
/// There is none, and it cannot be installed here; the message has the command to type.
pub fn toolchain(target: &str, progress: &Progress) -> Result<Toolchain, SetupError> {
    let sysroot = sysroot();
    if sysroot
        .as_deref()
        .is_some_and(|sysroot| has_core(sysroot, target))
    {
        return Ok(Toolchain::Rustup);
    }
    if debian_compiler().is_none_or(|said| check_version(&said, target).is_err()) {
        if add_target(target, progress) {
            return Ok(Toolchain::Rustup);
        }
        let packages = [
            "rustc-web",
            "rust-web-src",
            "cargo-web",
            "binutils-arm-none-eabi",
        ];
        let why = format!("there is no Rust compiler for {target}, `rustup target add` failed");
        let alternative = format!(", or `rustup target add {target}` where its server is reached");
        apt::install(&packages, &why, &alternative, progress)?;
        let said = debian_compiler().ok_or_else(|| SetupError::Missing {
            what: format!("{RUSTC}, {CARGO} and {CORE_SOURCE} are not all there"),
            next: format!("run `rustup target add {target}`"),
        })?;
        check_version(&said, target)?;
    }
    Ok(Toolchain::Debian {
        linker: linker(sysroot.as_deref(), progress)?,
    })
}

/// What [`toolchain`] would find, in words; nothing is installed. `None`: it would have to install one.
#[must_use]
pub fn installed(target: &str) -> Option<String> {
    let sysroot = sysroot();
    if let Some(sysroot) = sysroot
        .as_deref()
        .filter(|sysroot| has_core(sysroot, target))
    {
        return Some(format!("rustup's, in {}", sysroot.display()));
    }
    let said = debian_compiler()?;
    check_version(&said, target).ok()?;
    Some(format!(
        "Debian's {}, which builds core as well",
        said.trim()
    ))
}

impl Toolchain {
    /// `cargo <subcommand>` for `target`; run it in the firmware's folder.
    #[must_use]
    pub fn cargo(&self, subcommand: &str, target: &str) -> Command {
        match self {
            Self::Rustup => {
                let mut command = process::cargo_elsewhere("cargo");
                command.args([subcommand, "--target", target]);
                command
            }
            Self::Debian { linker } => debian(CARGO, subcommand, target, linker),
        }
    }

    /// What the compiler says about its version.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn version(&self) -> Result<String, SetupError> {
        let mut command = match self {
            Self::Rustup => process::cargo_elsewhere("rustc"),
            Self::Debian { .. } => process::cargo_elsewhere(RUSTC),
        };
        command.current_dir(crate::repo::root()).arg("-V");
        let said = process::run(&mut command, MINUTES, "run `cargo xtask setup firmware`")?;
        Ok(said.trim().into())
    }

    /// `cargo clippy` for `target`. Clippy must be of the same version as the compiler, so Debian's
    /// is installed when Debian's compiler is used.
    pub(super) fn clippy(&self, target: &str, progress: &Progress) -> Result<Command, SetupError> {
        let Self::Debian { linker } = self else {
            return Ok(self.cargo("clippy", target));
        };
        if !Path::new(CARGO_CLIPPY).is_file() {
            let why = "there is no clippy of the version of /usr/bin/rustc";
            let alternative = format!(", or `rustup target add {target}`");
            apt::install(&["rust-web-clippy"], why, &alternative, progress)?;
        }
        // The program itself: `cargo clippy` would find rustup's first.
        let mut command = debian(CARGO_CLIPPY, "clippy", target, linker);
        command.env("CARGO", CARGO);
        Ok(command)
    }
}

fn debian(program: &str, subcommand: &str, target: &str, linker: &Path) -> Command {
    let mut command = process::cargo_elsewhere(program);
    command.args([subcommand, "-Z", "build-std=core", "--target", target]);
    // Building `core` is an unstable option, which a stable compiler takes only with this.
    command.env("RUSTC", RUSTC).env("RUSTC_BOOTSTRAP", "1");
    // Not RUSTFLAGS: those would silence the ones in the firmware's own configuration.
    command.env(variable(target, "LINKER"), linker);
    command
}

/// Cargo's variable for a setting of a target.
fn variable(target: &str, setting: &str) -> String {
    let name = target.to_uppercase().replace(['-', '.'], "_");
    format!("CARGO_TARGET_{name}_{setting}")
}

/// Tells the compiler the board's processor, where the target says less.
pub(super) fn tune(command: &mut Command, board: Board) {
    let Some(cpu) = board.cpu else { return };
    let flags = format!("-C target-cpu={cpu}");
    // Cargo takes the flags of one place only, and the environment's come first.
    match std::env::var("RUSTFLAGS") {
        Ok(others) => command.env("RUSTFLAGS", format!("{others} {flags}")),
        Err(_) => command.env(variable(board.target, "RUSTFLAGS"), flags),
    };
}

/// The folder of the toolchain that the firmware's `rust-toolchain.toml` chooses.
fn sysroot() -> Option<PathBuf> {
    let mut command = process::cargo_elsewhere("rustc");
    command
        .current_dir(crate::repo::root())
        .args(["--print", "sysroot"]);
    process::run(&mut command, MINUTES, "")
        .ok()
        .map(|path| path.trim().into())
}

fn has_core(sysroot: &Path, target: &str) -> bool {
    let libraries = sysroot.join("lib/rustlib").join(target).join("lib");
    std::fs::read_dir(libraries).is_ok_and(|mut files| {
        files.any(|file| {
            file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
        })
    })
}

fn add_target(target: &str, progress: &Progress) -> bool {
    if !process::on_path("rustup") {
        return false;
    }
    let _spinner = progress.spinner(&format!("rustup target add {target}"));
    let mut command = process::cargo_elsewhere("rustup");
    command
        .current_dir(crate::repo::root())
        .args(["target", "add", target]);
    process::run(&mut command, MINUTES, "").is_ok()
        && sysroot().is_some_and(|sysroot| has_core(&sysroot, target))
}

/// What `/usr/bin/rustc -V` says, when everything else is there too.
fn debian_compiler() -> Option<String> {
    let all = [RUSTC, CARGO, CORE_SOURCE]
        .iter()
        .all(|path| Path::new(path).is_file());
    let mut command = process::cargo_elsewhere(RUSTC);
    all.then(|| process::run(command.arg("-V"), MINUTES, "").ok())?
}

fn check_version(said: &str, target: &str) -> Result<(), SetupError> {
    let number = said.split_whitespace().nth(1).unwrap_or_default();
    let mut parts = number.split('.').map_while(|part| part.parse().ok());
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found >= OLDEST {
        return Ok(());
    }
    Err(SetupError::Version {
        place: RUSTC.into(),
        name: "rustc",
        found: number.into(),
        needed: format!("{}.{} or newer", OLDEST.0, OLDEST.1),
        next: format!("run `rustup target add {target}`, which needs no other compiler"),
    })
}

/// rustup's own LLD links as it would for rustup's target; the others do as well.
fn linker(sysroot: Option<&Path>, progress: &Progress) -> Result<PathBuf, SetupError> {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let own = sysroot.map(|path| path.join("lib/rustlib").join(host).join("bin/rust-lld"));
    let candidates = [own, Some("/usr/bin/rust-lld".into()), Some(GNU.into())];
    if let Some(found) = candidates.into_iter().flatten().find(|path| path.is_file()) {
        return Ok(found);
    }
    let why = "there is no linker for ARM";
    apt::install(&["binutils-arm-none-eabi"], why, "", progress).map(|()| GNU.into())
}

const GNU: &str = "/usr/bin/arm-none-eabi-ld";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_that_is_too_old_is_refused() {
        check_version("rustc 1.96.0 (ac68faa20 2026-05-25)", "t").unwrap();
        check_version("rustc 1.95.0", "t").unwrap();
        check_version("rustc 2.0.0", "t").unwrap();
        for old in ["rustc 1.85.0 (4d91de4e4 2025-02-17)", "rustc", ""] {
            let error = check_version(old, "thumb").unwrap_err().to_string();
            assert!(error.contains("rustup target add thumb"), "{error}");
        }
    }

    #[test]
    fn a_target_counts_only_with_its_core() {
        let sysroot = tempfile::tempdir().unwrap();
        assert!(!has_core(sysroot.path(), "thumb"));
        let libraries = sysroot.path().join("lib/rustlib/thumb/lib");
        std::fs::create_dir_all(&libraries).unwrap();
        assert!(!has_core(sysroot.path(), "thumb"));
        std::fs::write(libraries.join("libcore-0123.rlib"), b"").unwrap();
        assert!(has_core(sysroot.path(), "thumb"));
    }

    #[test]
    fn debian_builds_core_and_leaves_flags_alone() {
        let command = debian(CARGO, "build", "thumbv7em-none-eabihf", Path::new("/l"));
        assert!(process::describe(&command).contains("-Z build-std=core --target thumbv7em"));
        let value = |name: &str| {
            command
                .get_envs()
                .find(|(key, _)| *key == name)
                .and_then(|e| e.1)
        };
        assert_eq!(
            value("CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER").unwrap(),
            "/l"
        );
        assert_eq!(value("RUSTC").unwrap(), RUSTC);
        assert_eq!(value("RUSTFLAGS"), None);
    }
}
