//! Runs other programs, with a time limit, and never forgets what they said.
//!
//! In: a command. Out: its exit status and output, or an error with the end of that output.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::SetupError;

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Captured {
    /// How it ended; `None` when it was killed at the time limit.
    pub status: Option<ExitStatus>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs `command` without input and collects its output; kills it after `limit`.
///
/// # Errors
/// The program could not be started or waited for.
pub fn capture(command: &mut Command, limit: Duration) -> io::Result<Captured> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().map(Collector::start);
    let stderr = child.stderr.take().map(Collector::start);
    let status = wait(&mut child, limit)?;
    Ok(Captured {
        status,
        stdout: stdout.map(Collector::finish).unwrap_or_default(),
        stderr: stderr.map(Collector::finish).unwrap_or_default(),
    })
}

/// How `child` ended; `None` when it has not within `limit`, and then it is killed.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Reads a pipe on its own thread, so that a program that writes much never blocks.
#[derive(Debug)]
pub(crate) struct Collector {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Collector {
    pub(crate) fn start(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                sink.extend_from_slice(chunk.get(..count).unwrap_or_default());
            }
        });
        Self { bytes, reader }
    }

    /// What was read. A grandchild may keep the pipe open, so the wait for its end is bounded.
    pub(crate) fn finish(self) -> String {
        let start = Instant::now();
        while !self.reader.is_finished() && start.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.so_far()
    }

    /// What was read until now.
    pub(crate) fn so_far(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Runs `command` and returns its standard output; anything but success is an error.
pub(crate) fn run(
    command: &mut Command,
    limit: Duration,
    next: &str,
) -> Result<String, SetupError> {
    let failed = |command: &Command, reason: String| SetupError::Command {
        command: describe(command),
        reason,
        next: next.into(),
    };
    let captured = capture(command, limit)
        .map_err(|error| failed(command, format!("could not be started: {error}")))?;
    match captured.status {
        Some(status) if status.success() => Ok(captured.stdout),
        Some(status) => {
            let said = if captured.stderr.trim().is_empty() {
                &captured.stdout
            } else {
                &captured.stderr
            };
            Err(failed(
                command,
                format!("failed ({status}): {}", tail(said, 6)),
            ))
        }
        None => {
            let said = tail(&captured.stderr, 3);
            let reason = format!("did not finish within {} s: {said}", limit.as_secs());
            Err(failed(command, reason))
        }
    }
}

/// The last `count` lines that say something.
#[must_use]
pub fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines
        .get(lines.len().saturating_sub(count)..)
        .unwrap_or_default()
        .join("\n")
}

/// The command line as a person would type it.
#[must_use]
pub fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether `program` is on the PATH.
#[must_use]
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Cargo for the root workspace, free of what an outer `cargo run` sets for its own program.
#[must_use]
pub fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    clear_cargo_env(&mut command, |name| {
        const OWN: [&str; 6] = [
            "TARGET_DIR",
            "INCREMENTAL",
            "BUILD_",
            "PROFILE_",
            "TARGET_",
            "ENCODED_",
        ];
        let rest = name.strip_prefix("CARGO_").unwrap_or_default();
        OWN.iter().any(|own| rest.starts_with(own))
    });
    command.current_dir(crate::repo::root());
    command
}

/// Cargo for the firmware workspace, free of what was set for the host's toolchain and target.
#[must_use]
pub(crate) fn cargo_elsewhere(program: &str) -> Command {
    let mut command = Command::new(program);
    clear_cargo_env(&mut command, |_| false);
    for name in [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
    ] {
        command.env_remove(name);
    }
    // Which toolchain is chosen by `rust-toolchain.toml`, not by the caller's rustup.
    command.env_remove("RUSTUP_TOOLCHAIN");
    command
}

fn clear_cargo_env(command: &mut Command, keep_also: impl Fn(&str) -> bool) {
    // What a person sets about the network, the registry and the machine stays.
    const KEEP: [&str; 7] = [
        "HOME",
        "HTTP_",
        "NET_",
        "REGISTR",
        "SOURCE_",
        "TERM_",
        "BUILD_JOBS",
    ];
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let Some(rest) = name.strip_prefix("CARGO_") else {
            continue;
        };
        if !KEEP.iter().any(|keep| rest.starts_with(keep)) && !keep_also(name) {
            command.env_remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn kills_at_the_limit_and_keeps_what_was_said() {
        let start = Instant::now();
        let mut command = shell("echo early; exec sleep 60");
        let captured = capture(&mut command, Duration::from_millis(300)).unwrap();
        assert!(captured.status.is_none());
        assert_eq!(captured.stdout, "early\n");
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn collects_more_than_a_pipe_holds() {
        let mut command = shell("head -c 1000000 /dev/zero; echo done >&2");
        let captured = capture(&mut command, Duration::from_secs(60)).unwrap();
        assert!(captured.status.unwrap().success());
        assert_eq!(captured.stdout.len(), 1_000_000);
        assert_eq!(captured.stderr, "done\n");
    }

    #[test]
    fn a_failure_names_the_command_its_words_and_the_next_step() {
        let mut command = shell("echo the reason >&2; exit 3");
        let error = run(&mut command, Duration::from_secs(60), "do that")
            .unwrap_err()
            .to_string();
        for part in ["sh -c", "the reason", "3", "next: do that"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        let error = run(
            &mut Command::new("no-such-program"),
            Duration::from_secs(1),
            "install it",
        );
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("could not be started")
        );
    }

    #[test]
    fn a_firmware_build_does_not_see_the_outer_cargo() {
        let command = cargo_elsewhere("cargo");
        let removed = |name: &str| {
            command
                .get_envs()
                .any(|(key, value)| key == name && value.is_none())
        };
        // Set by `cargo test` for this very program.
        assert!(removed("CARGO_MANIFEST_DIR") && removed("RUSTUP_TOOLCHAIN"));
        assert!(!removed("CARGO_HOME"));
    }
}
