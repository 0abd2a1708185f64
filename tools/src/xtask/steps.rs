//! What each step of `cargo xtask test` does.
//!
//! In: a step and the workbench, which remembers what has been installed and built. Out: the step's
//! outcome. Whatever builds, builds with the same features, so that nothing is compiled twice.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tools::firmware::{self, AN386, BOARDS, Board, Program, REAL_BOARDS, TARGETS};
use tools::{
    Progress, SetupError, chromium, fuzz, layers, libtorch, miri, onnxruntime, process, qemu, repo,
};

use super::setup;
use super::test::{Outcome, Step};
use tally::Tally;

mod on_boards;
mod tally;

/// What one run has at hand. A step that is run alone gets here what an earlier one would have left.
pub(crate) struct Workbench {
    progress: Progress,
    onnxruntime: Option<PathBuf>,
    firmware: Vec<Built>,
    signed: Option<PathBuf>,
}

/// A board with its two programs that tests run.
struct Built {
    board: Board,
    trials: PathBuf,
    device: PathBuf,
}

impl Workbench {
    /// Nothing at hand yet.
    pub(crate) fn new(progress: Progress) -> Self {
        Self {
            progress,
            onnxruntime: None,
            firmware: Vec::new(),
            signed: None,
        }
    }

    fn onnxruntime(&mut self) -> Result<PathBuf, SetupError> {
        if let Some(path) = &self.onnxruntime {
            return Ok(path.clone());
        }
        Ok(self
            .onnxruntime
            .insert(onnxruntime::provide(&self.progress)?)
            .clone())
    }

    /// The firmware of every board.
    fn firmware(&mut self) -> Result<&[Built], SetupError> {
        if self.firmware.is_empty() {
            let build = |board| {
                Ok(Built {
                    board,
                    trials: firmware::build(board, Program::Trials, &self.progress)?,
                    device: firmware::build(board, Program::Device, &self.progress)?,
                })
            };
            let built: Result<_, SetupError> = BOARDS.into_iter().map(build).collect();
            self.firmware = built?;
        }
        Ok(&self.firmware)
    }

    /// The device of one board that takes only signed models.
    fn signed(&mut self) -> Result<PathBuf, SetupError> {
        if let Some(path) = &self.signed {
            return Ok(path.clone());
        }
        let elf = firmware::build_signed(AN386, firmware::EXAMPLE_KEY, &self.progress)?;
        Ok(self.signed.insert(elf).clone())
    }

    /// Cargo with libtorch in place.
    fn cargo(&self, arguments: &str) -> Result<Command, SetupError> {
        libtorch::provide(&self.progress)?;
        Ok(plain_cargo(arguments))
    }
}

/// Runs one step.
pub(crate) fn run(step: Step, bench: &mut Workbench) -> Outcome {
    let result = match step {
        Step::Fmt => fmt(),
        Step::Setup => set_up(bench),
        Step::Build => build(bench),
        Step::Clippy => clippy(bench),
        Step::Doc => doc(bench),
        Step::Firmware => on_boards::build(bench),
        Step::Selftest => Ok(on_boards::selftest(bench)),
        Step::Layers => layers::check().map(Outcome::passed),
        Step::Devices => Ok(on_boards::devices(bench)),
        Step::Engine => on_boards::weigh_engines(bench),
        Step::Bench => Ok(on_boards::measure(bench)),
        Step::Shared => on_boards::build_shared(bench),
        Step::Test => test(bench),
        Step::Miri => miri(bench),
        Step::Fuzz => fuzz_all(bench),
        Step::TrainSmoke => train_smoke(bench),
    };
    result.unwrap_or_else(|error| broke(&error))
}

/// Says an error whole, and its first line for the table.
fn broke(error: &impl Display) -> Outcome {
    eprintln!("error: {error}");
    let text = error.to_string();
    Outcome::failed(text.lines().next().unwrap_or_default())
}

type Result<T, E = SetupError> = std::result::Result<T, E>;

fn fmt() -> Result<Outcome> {
    show(plain_cargo("fmt --all --check"), "run `cargo fmt --all`")?;
    firmware::fmt()?;
    let mut plugin = Command::new("rustfmt");
    plugin.current_dir(repo::root());
    plugin.args(["--edition", "2024", "--check", "tools/plugin/icount.rs"]);
    show(plugin, "run it without `--check`")?;
    Ok(Outcome::passed(""))
}

fn set_up(bench: &mut Workbench) -> Result<Outcome> {
    let libtorch = libtorch::provide(&bench.progress)?;
    let onnxruntime = bench.onnxruntime()?;
    qemu::provide(&bench.progress)?;
    let chromium = chromium::provide(&bench.progress)?;
    let mut lines = vec![
        format!("libtorch: {}", libtorch.display()),
        format!("onnxruntime: {}", onnxruntime.display()),
        format!("chromium: {}", chromium.display()),
    ];
    for target in TARGETS {
        let toolchain = firmware::toolchain(target, &bench.progress)?;
        lines.push(format!("firmware: {}", setup::describe(&toolchain, target)));
    }
    for line in lines {
        bench.progress.note(&line);
    }
    Ok(Outcome::passed(""))
}

fn build(bench: &mut Workbench) -> Result<Outcome> {
    let command = bench.cargo("build --workspace --all-targets --features host/train")?;
    show(command, COMPILER)?;
    Ok(Outcome::passed(""))
}

fn clippy(bench: &mut Workbench) -> Result<Outcome> {
    let everything = "clippy --workspace --all-targets --features host/train -- -D warnings";
    show(bench.cargo(everything)?, COMPILER)?;
    // What most commands run is the host without training.
    show(
        plain_cargo("clippy -p host --all-targets -- -D warnings"),
        COMPILER,
    )?;
    for board in BOARDS.into_iter().chain(REAL_BOARDS) {
        firmware::clippy(board, &bench.progress)?;
    }
    Ok(Outcome::passed(""))
}

fn doc(bench: &mut Workbench) -> Result<Outcome> {
    let mut command = bench.cargo("doc --no-deps --workspace --features host/train")?;
    command.env("RUSTDOCFLAGS", "-D warnings");
    show(command, COMPILER)?;
    Ok(Outcome::passed(""))
}

fn test(bench: &mut Workbench) -> Result<Outcome> {
    let mut command = bench.cargo("test --workspace --no-fail-fast --features host/train")?;
    qemu::provide(&bench.progress)?;
    chromium::provide(&bench.progress)?;
    command.env("ORT_DYLIB_PATH", bench.onnxruntime()?);
    for built in bench.firmware()? {
        command.env(built.board.variable(), &built.trials);
        command.env(built.board.device_variable(), &built.device);
    }
    command.env(AN386.signed_variable(), bench.signed()?);
    let mut tally = Tally::default();
    let ended_well = show_lines(command, |line| tally.read(line))?;
    Ok(tally.outcome(ended_well))
}

/// The tests of `shared`, interpreted.
fn miri(bench: &mut Workbench) -> Result<Outcome> {
    if let Some(reason) = miri::missing() {
        return Ok(Outcome::skipped(&reason, &bench.progress));
    }
    let mut tally = Tally::default();
    let ended_well = show_lines(miri::command(None), |line| tally.read(line))?;
    Ok(tally.outcome(ended_well))
}

/// Two seconds a target, from the seeds; a long run is `cargo xtask fuzz`.
fn fuzz_all(bench: &mut Workbench) -> Result<Outcome> {
    fuzz::replay()?;
    if let Some(reason) = fuzz::missing() {
        return Ok(Outcome::skipped(reason, &bench.progress));
    }
    let tried = super::fuzz::all(&fuzz::TARGETS, 2, &bench.progress)?;
    let total: u64 = tried.iter().map(|(_, tried)| tried).sum();
    Ok(Outcome {
        passed: tried.len() as u64 + 1,
        failed: 0,
        note: format!("{} targets, {total} inputs", tried.len()),
    })
}

/// Trains, quantizes, exports and verifies in about a minute: the command that a person types
/// first, from end to end.
fn train_smoke(bench: &mut Workbench) -> Result<Outcome> {
    let out = tempfile::tempdir().map_err(|source| SetupError::Io {
        action: "create a folder in",
        path: std::env::temp_dir(),
        source,
        next: "set TMPDIR to a folder that can be written".into(),
    })?;
    // Not `-p host`: with all packages selected, the features are those of the build before.
    let mut command = bench.cargo("run --bin onelook --features host/train --")?;
    command.args([
        "train-export",
        "--minutes",
        "1.2",
        "--name",
        "ci-smoke",
        "--out",
    ]);
    command
        .arg(out.path())
        .env("ORT_DYLIB_PATH", bench.onnxruntime()?);
    let note = match omniglot() {
        Some(folder) => {
            let note = format!("on Omniglot in {}", folder.display());
            command.arg("--data").arg(folder);
            note
        }
        None => {
            let warning = "NO OMNIGLOT HERE: training on synthetic glyphs, so its accuracy says nothing. Set ONELOOK_DATA to Omniglot's folder";
            bench.progress.note(warning);
            command.args(["--dataset", "synthetic"]);
            "on SYNTHETIC data (no Omniglot found)".into()
        }
    };
    show(command, "run the command above by itself")?;
    Ok(Outcome::passed(note))
}

/// Omniglot where `ONELOOK_DATA` says, or beside the repository, or in the cache.
fn omniglot() -> Option<PathBuf> {
    let set = std::env::var_os("ONELOOK_DATA").filter(|value| !value.is_empty());
    let beside = repo::root()
        .parent()
        .map(|parent| parent.join("shared/data/omniglot"));
    let cached = tools::cache::Cache::open()
        .ok()
        .map(|cache| cache.path("omniglot"));
    let whole = |folder: &PathBuf| folder.join("images_background.zip").is_file();
    // What was set is handed on even when it is wrong: the command then says so.
    set.map(PathBuf::from)
        .or_else(|| [beside, cached].into_iter().flatten().find(whole))
}

const COMPILER: &str = "the messages above say what to change";

fn plain_cargo(arguments: &str) -> Command {
    let mut command = process::cargo();
    command.args(arguments.split(' '));
    command
}

/// Runs a command that speaks for itself.
fn show(mut command: Command, next: &str) -> Result<()> {
    eprintln!("$ {}", process::describe(&command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| broken(&command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(SetupError::Command {
        command: process::describe(&command),
        reason: format!("failed ({status})"),
        next: next.into(),
    })
}

/// Runs a command, hands on each line of its output, and says whether it ended well.
fn show_lines(mut command: Command, mut see: impl FnMut(&str)) -> Result<bool> {
    eprintln!("$ {}", process::describe(&command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| broken(&command, &error))?;
    if let Some(stdout) = child.stdout.take() {
        // Bytes: a test may print anything.
        for line in BufReader::new(stdout)
            .split(b'\n')
            .map_while(std::io::Result::ok)
        {
            let line = String::from_utf8_lossy(&line);
            see(&line);
            // A closed standard output must not end the tests.
            writeln!(std::io::stdout(), "{line}").ok();
        }
    }
    child
        .wait()
        .map(|status| status.success())
        .map_err(|error| broken(&command, &error))
}

fn broken(command: &Command, error: &std::io::Error) -> SetupError {
    SetupError::Command {
        command: process::describe(command),
        reason: format!("could not be run: {error}"),
        next: "install Rust with rustup, https://rustup.rs".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_seen_line_by_line_and_the_end_is_reported() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; printf 'two\\377\\n'; exit 1"]);
        let mut seen = Vec::new();
        assert!(!show_lines(command, |line| seen.push(line.to_owned())).unwrap());
        assert_eq!(seen, ["one", "two\u{fffd}"]);
    }
}
