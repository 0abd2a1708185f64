//! Runs a firmware in QEMU.
//!
//! In: an ELF file, a machine, a folder whose files the program may read and write through
//! semihosting; where it goes on by itself, also a serial line and a file that is its memory. Out: what the
//! program wrote; a program that fails or does not end is an error.

mod running;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::process::{self, Captured, tail};
use crate::{Progress, SetupError, apt};

pub use running::Running;

const PROGRAM: &str = "qemu-system-arm";

/// What a program in QEMU left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// What it wrote to its standard output (`hprintln!`).
    pub stdout: String,
    /// What it and QEMU wrote to standard error (`heprintln!`).
    pub stderr: String,
    /// How QEMU ended; the program decides by `debug::exit`.
    pub status: ExitStatus,
}

/// A run did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QemuError {
    /// QEMU could not be started.
    #[error(
        "cannot start `{command}` in {folder}: {source}\nnext: look whether that folder is there, and run `cargo xtask setup qemu`"
    )]
    Start {
        /// The command line.
        command: String,
        /// The folder it was to run in.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The program has not ended in time.
    #[error(
        "{elf} did not end within {seconds} s on {machine}; it last said:\n{said}\nnext: give it more time, or look for where it waits"
    )]
    Timeout {
        /// The program.
        elf: PathBuf,
        /// The machine.
        machine: String,
        /// The limit.
        seconds: u64,
        /// The end of what it wrote.
        said: String,
    },
    /// The program ended with a failure, or QEMU refused it.
    #[error(
        "{elf} failed on {machine} ({status}); it last said:\n{said}\nnext: the lines above come from the program or from QEMU; the files it read are in {folder}"
    )]
    Guest {
        /// The program.
        elf: PathBuf,
        /// The machine.
        machine: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        said: String,
        /// Its folder.
        folder: PathBuf,
    },
}

/// QEMU on the PATH, installed first when it is not there.
///
/// # Errors
/// It is missing and cannot be installed here; the message has the command to type.
pub fn provide(progress: &Progress) -> Result<(), SetupError> {
    if process::on_path(PROGRAM) {
        return Ok(());
    }
    let why = format!("there is no {PROGRAM} on the PATH");
    apt::install(
        &[PROGRAM],
        &why,
        " or the QEMU package of your system",
        progress,
    )
}

/// What the QEMU on the PATH says of its version; `None`: there is none.
#[must_use]
pub fn installed() -> Option<String> {
    let mut command = Command::new(PROGRAM);
    let said = process::run(command.arg("--version"), Duration::from_secs(30), "").ok()?;
    said.lines().next().map(Into::into)
}

/// A form of QEMU's plugin interface that `tools/plugin/interface.rs` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PluginInterface {
    /// QEMU 6 to 8.
    Version1,
    /// QEMU 9.1 and later.
    Version3,
}

/// Which plugin this QEMU takes.
///
/// # Errors
/// It was built without plugins, or takes them in a form that is not known.
pub(crate) fn plugin_interface() -> Result<PluginInterface, SetupError> {
    let ask = |argument| {
        let mut command = Command::new(PROGRAM);
        process::run(command.arg(argument), Duration::from_secs(30), "")
    };
    interface_of(&ask("--help")?, &ask("--version")?)
}

fn interface_of(help: &str, version: &str) -> Result<PluginInterface, SetupError> {
    if !help.lines().any(|line| line.starts_with("-plugin")) {
        let what =
            format!("this {PROGRAM} cannot count instructions: it was built without plugins");
        let next = "use Debian's qemu-system-arm, or build QEMU with --enable-plugins";
        return Err(SetupError::Missing {
            what,
            next: next.into(),
        });
    }
    let number = version.split_once("version ").map(|(_, rest)| rest);
    let number = number.and_then(|rest| rest.split_whitespace().next());
    let number = number.unwrap_or_default();
    let mut parts = number.split('.').map_while(|part| part.parse::<u32>().ok());
    match (parts.next(), parts.next()) {
        (Some(6..=8), _) => Ok(PluginInterface::Version1),
        (Some(9), Some(1..)) | (Some(10..), _) => Ok(PluginInterface::Version3),
        _ => Err(SetupError::Version {
            place: "the PATH".into(),
            name: PROGRAM,
            found: number.into(),
            needed: "a version whose plugins are known (6 to 8, or 9.1 and later)".into(),
            next: "use Debian's qemu-system-arm".into(),
        }),
    }
}

/// Where the program's first UART is.
#[derive(Debug, Clone)]
enum Serial {
    Unix(PathBuf),
    Tcp(SocketAddr),
    To(SocketAddr),
}

/// A run to come.
#[derive(Debug, Clone)]
pub struct Qemu {
    elf: PathBuf,
    machine: String,
    folder: PathBuf,
    limit: Duration,
    plugin: Option<String>,
    serial: Option<Serial>,
    memory: Option<(PathBuf, u64)>,
}

impl Qemu {
    /// A run of `elf` on `machine`, for a minute at most, in the current folder.
    #[must_use]
    pub fn new(elf: &Path, machine: &str) -> Self {
        Self {
            elf: elf.into(),
            machine: machine.into(),
            folder: ".".into(),
            limit: Duration::from_secs(60),
            plugin: None,
            serial: None,
            memory: None,
        }
    }

    /// A plugin and its arguments, as QEMU's `-plugin` takes them.
    #[must_use]
    pub fn plugin(mut self, description: &str) -> Self {
        self.plugin = Some(description.into());
        self
    }

    /// The program's first UART, at a socket in the file system. QEMU serves one program after the other
    /// there, and waits for none.
    #[must_use]
    pub fn serial_unix(mut self, socket: &Path) -> Self {
        // QEMU's current folder is another one.
        let socket = std::path::absolute(socket).unwrap_or_else(|_| socket.into());
        self.serial = Some(Serial::Unix(socket));
        self
    }

    /// The program's first UART, at a TCP port of this computer.
    #[must_use]
    pub fn serial_tcp(mut self, address: SocketAddr) -> Self {
        self.serial = Some(Serial::Tcp(address));
        self
    }

    /// The program's first UART, connected to who listens at a TCP port, so that not even its first
    /// byte is lost.
    #[must_use]
    pub fn serial_to(mut self, address: SocketAddr) -> Self {
        self.serial = Some(Serial::To(address));
        self
    }

    /// A file of so many bytes as the machine's memory, which then outlives QEMU: also when it is killed.
    #[must_use]
    pub fn memory(mut self, file: &Path, bytes: u64) -> Self {
        self.memory = Some((file.into(), bytes));
        self
    }

    /// The folder that the program's file names are relative to.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = folder.into();
        self
    }

    /// How long the program may run.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// QEMU cannot be started, the program fails, or it does not end in time (it is then killed).
    pub fn run(&self) -> Result<Output, QemuError> {
        let mut command = self.command();
        let captured =
            process::capture(&mut command, self.limit).map_err(|source| QemuError::Start {
                command: process::describe(&command),
                folder: self.folder.clone(),
                source,
            })?;
        self.judge(captured)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        match &self.memory {
            None => command.args(["-M", &self.machine]),
            Some((file, bytes)) => {
                let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
                let file = doubled_commas(&file);
                command.arg("-M");
                command.arg(format!("{},memory-backend=nv", self.machine));
                let object =
                    format!("memory-backend-file,id=nv,size={bytes},mem-path={file},share=on");
                command.args(["-object", &object])
            }
        };
        let serial = match &self.serial {
            None => "none".to_owned(),
            Some(Serial::Unix(socket)) => {
                format!("unix:{},server=on,wait=off", doubled_commas(socket))
            }
            Some(Serial::Tcp(address)) => format!("tcp:{address},server=on,wait=off"),
            Some(Serial::To(address)) => format!("tcp:{address}"),
        };
        command.args(["-nographic", "-monitor", "none", "-serial", &serial]);
        if let Some(plugin) = &self.plugin {
            command.args(["-plugin", plugin]);
        }
        command.args(["-semihosting-config", "enable=on,target=native", "-kernel"]);
        // The program's folder becomes the current one, so its own path must not depend on it.
        command.arg(std::path::absolute(&self.elf).unwrap_or_else(|_| self.elf.clone()));
        command.current_dir(&self.folder);
        command
    }

    fn judge(&self, captured: Captured) -> Result<Output, QemuError> {
        let Captured {
            status,
            stdout,
            stderr,
        } = captured;
        let (elf, machine) = (self.elf.clone(), self.machine.clone());
        let said = || tail(&format!("{stdout}\n{stderr}"), 12);
        match status {
            Some(status) if status.success() => Ok(Output {
                stdout,
                stderr,
                status,
            }),
            Some(status) => {
                let (said, folder) = (said(), self.folder.clone());
                Err(QemuError::Guest {
                    elf,
                    machine,
                    status,
                    said,
                    folder,
                })
            }
            None => {
                let seconds = self.limit.as_secs();
                Err(QemuError::Timeout {
                    elf,
                    machine,
                    seconds,
                    said: said(),
                })
            }
        }
    }
}

/// A path inside one of QEMU's lists, where a comma is written twice.
fn doubled_commas(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_sees_its_folder_and_qemu_finds_the_program() {
        let run = Qemu::new(Path::new("some/firmware"), "mps2-an386").folder(Path::new("/tmp"));
        let command = run.command();
        assert_eq!(command.get_current_dir(), Some(Path::new("/tmp")));
        let elf = Path::new(command.get_args().last().unwrap());
        assert!(elf.is_absolute() && elf.ends_with("some/firmware"));
    }

    #[test]
    fn every_qemu_gets_the_plugin_that_it_takes() {
        let help = "-semihosting  x\n-plugin [file=]<file>[,<argname>=<argvalue>]\n";
        let of = |number: &str| interface_of(help, &format!("QEMU emulator version {number}\n"));
        assert_eq!(of("7.2.22 (Debian)").unwrap(), PluginInterface::Version1);
        assert_eq!(of("8.2.2").unwrap(), PluginInterface::Version1);
        assert_eq!(of("9.1.0").unwrap(), PluginInterface::Version3);
        assert_eq!(of("10.0.2").unwrap(), PluginInterface::Version3);
        for unknown in ["9.0.4", "5.2.0", ""] {
            assert!(of(unknown).is_err(), "{unknown}");
        }
        let error = interface_of("-semihosting", "QEMU emulator version 7.2.22");
        assert!(error.unwrap_err().to_string().contains("--enable-plugins"));
    }

    #[test]
    fn a_file_that_is_no_program_is_a_failure_with_qemus_words() {
        if !process::on_path(PROGRAM) {
            eprintln!("not tried: no {PROGRAM} here");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no-such-program");
        let run = Qemu::new(&missing, "mps2-an386").folder(folder.path());
        let error = run.run().unwrap_err();
        assert!(matches!(&error, QemuError::Guest { .. }), "{error}");
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_from_a_failing_program() {
        let run = Qemu::new(Path::new("x"), "mps2-an386").folder(Path::new("/no/such/folder"));
        assert!(matches!(run.run().unwrap_err(), QemuError::Start { .. }));
    }
}
