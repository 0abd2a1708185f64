//! What each step of `cargo xtask test` does.
//!
//! In: a step and the workbench, which remembers what has been installed and built. Out: the step's
//! outcome. Whatever builds, builds with the same features, so that nothing is compiled twice.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tools::firmware::{self, AN386, AN547, BOARDS, Board, Program, TARGETS};
use tools::{Progress, SetupError, fuzz, layers, libtorch, miri, onnxruntime, process, qemu, repo};

use super::setup;
use super::test::{Outcome, Step};

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
        Step::Firmware => build_firmware(bench),
        Step::Selftest => selftest(bench),
        Step::Layers => layers::check().map(Outcome::passed),
        Step::Devices => devices(bench),
        Step::Engine => weigh_engines(bench),
        Step::Bench => bench_firmware(bench),
        Step::Shared => build_shared(bench),
        Step::Test => test(bench),
        Step::Miri => miri(bench),
        Step::Fuzz => fuzz_all(bench),
        Step::TrainSmoke => train_smoke(bench),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        let text = error.to_string();
        Outcome::failed(text.lines().next().unwrap_or_default())
    })
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
    let mut lines = vec![
        format!("libtorch: {}", libtorch.display()),
        format!("onnxruntime: {}", onnxruntime.display()),
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
    for board in BOARDS {
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

fn build_firmware(bench: &mut Workbench) -> Result<Outcome> {
    let mut notes = Vec::new();
    for built in bench.firmware()? {
        let Built {
            board,
            trials,
            device,
        } = built;
        let functions = firmware::audit(trials)? + firmware::audit(device)?;
        let kernels = firmware::kernels(trials, *board)?;
        let size = firmware::size(device)?;
        let (name, flash, ram) = (board.name, size.flash(), size.ram());
        notes.push(format!(
            "{name}: {functions} symbols, {kernels} DSP or Helium instructions in kernels, the device has flash {flash}, RAM {ram}"
        ));
    }
    let signed = bench.signed()?;
    firmware::audit(&signed)?;
    let flash = firmware::size(&signed)?.flash();
    notes.push(format!("with a key for models {flash} on {}", AN386.name));
    let notes = notes.join("; ");
    Ok(Outcome::passed(format!("no heap, no panic; {notes}")))
}

/// Every operator against its reference, on the target.
fn selftest(bench: &mut Workbench) -> Result<Outcome> {
    let mut notes = Vec::new();
    for board in BOARDS {
        match firmware::selftest(board, &bench.progress) {
            Ok(problems) => notes.push(format!("{}: {problems}", board.name)),
            Err(error) => {
                eprintln!("error: {error}");
                let text = error.to_string();
                return Ok(Outcome::failed(text.lines().next().unwrap_or_default()));
            }
        }
    }
    let notes = notes.join(", ");
    Ok(Outcome::passed(format!("problems solved on {notes}")))
}

/// Link, clock, flash, camera and watchdog, with a power cut in between.
fn devices(bench: &mut Workbench) -> Result<Outcome> {
    let mut notes = Vec::new();
    for board in BOARDS {
        match firmware::devices(board, &bench.progress) {
            Ok(right) => notes.push(format!("{}: {right}", board.name)),
            Err(error) => {
                eprintln!("error: {error}");
                let text = error.to_string();
                return Ok(Outcome::failed(text.lines().next().unwrap_or_default()));
            }
        }
    }
    let notes = notes.join(", ");
    Ok(Outcome::passed(format!("right answers of {notes}")))
}

/// What parsing, encoding and deciding take of the flash.
fn weigh_engines(bench: &mut Workbench) -> Result<Outcome> {
    let mut notes = Vec::new();
    for board in [AN386, AN547] {
        let report = super::engine::report(board, &bench.progress)?;
        bench.progress.note(&report.text);
        notes.push(format!("{}: {} bytes", board.name, report.portable));
    }
    Ok(Outcome::passed(format!("portable, {}", notes.join("; "))))
}

/// Instructions against the baselines, after every operator was checked on the target.
fn bench_firmware(bench: &mut Workbench) -> Result<Outcome> {
    let checked = match super::bench::check(&BOARDS, &bench.progress) {
        Ok(checked) => checked,
        Err(error) => {
            eprintln!("error: {error}");
            let text = error.to_string();
            return Ok(Outcome::failed(text.lines().next().unwrap_or_default()));
        }
    };
    bench.progress.note(&checked.text);
    Ok(Outcome {
        passed: checked.compared.saturating_sub(checked.failures),
        failed: checked.failures,
        note: checked.summary(),
    })
}

fn build_shared(bench: &mut Workbench) -> Result<Outcome> {
    for target in firmware::SHARED_TARGETS {
        firmware::build_shared(target, &bench.progress)?;
    }
    Ok(Outcome::passed(firmware::SHARED_TARGETS.join(", ")))
}

fn test(bench: &mut Workbench) -> Result<Outcome> {
    let mut command = bench.cargo("test --workspace --no-fail-fast --features host/train")?;
    qemu::provide(&bench.progress)?;
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

/// The sum of the lines that end each test program.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Reads `test result: ok. 12 passed; 0 failed; 1 ignored; …`; other lines count nothing.
    fn read(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in counts.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let count = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += count,
                Some("failed") => self.failed += count,
                Some("ignored") => self.ignored += count,
                _ => {}
            }
        }
    }

    fn outcome(self, ended_well: bool) -> Outcome {
        let Self {
            passed,
            failed,
            ignored,
        } = self;
        let mut note = format!("{passed} tests passed, {failed} failed, {ignored} ignored");
        // A test that does not compile or crashes its program prints no such line.
        let unseen = !ended_well && failed == 0;
        if unseen {
            note.push_str("; a test program did not compile or crashed");
        }
        Outcome {
            passed,
            failed: failed + u64::from(unseen),
            note,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_and_a_crash_is_no_success() {
        let mut tally = Tally::default();
        tally.read("test a::b ... ok");
        tally.read("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.52s");
        tally.read("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s");
        assert_eq!(
            tally,
            Tally {
                passed: 16,
                failed: 2,
                ignored: 1
            }
        );
        assert_eq!(tally.outcome(false).failed, 2);
        let crashed = Tally {
            passed: 3,
            ..Tally::default()
        }
        .outcome(false);
        assert_eq!((crashed.passed, crashed.failed), (3, 1));
        assert_eq!(
            Tally {
                passed: 3,
                ..Tally::default()
            }
            .outcome(true)
            .failed,
            0
        );
    }

    #[test]
    fn output_is_seen_line_by_line_and_the_end_is_reported() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; printf 'two\\377\\n'; exit 1"]);
        let mut seen = Vec::new();
        assert!(!show_lines(command, |line| seen.push(line.to_owned())).unwrap());
        assert_eq!(seen, ["one", "two\u{fffd}"]);
    }
}
