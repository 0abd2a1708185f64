//! A device in QEMU that lives: its flash outlives it, its power goes, and a host talks to it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use host::device::{Address, Client, Pace, Port};
use tempfile::TempDir;
use tools::firmware::{Board, new_flash};
use tools::qemu::{Qemu, Running};

/// How long a start may take on a machine that is busy with other tests.
const START: Duration = Duration::from_secs(60);

/// Repeats come late: the line is good, and the machine may be slow.
const PACE: Pace = Pace {
    first: Duration::from_secs(5),
    most: Duration::from_secs(20),
    patience: Duration::from_secs(90),
    work: Duration::from_secs(180),
};

/// A client of a simulated device.
pub type Host = Client<'static, Port>;

/// The device's parts that stay when the power goes.
#[derive(Debug)]
pub struct Life {
    board: Board,
    elf: PathBuf,
    folder: TempDir,
}

#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "only tests call this"
)]
impl Life {
    /// A new device of `board` with erased flash and `model` as the file that it falls back to.
    #[must_use]
    pub fn new(board: Board, model: &[u8]) -> Self {
        Self::with_elf(board, &board.device_variable(), model)
    }

    /// As [`Self::new`], a device that takes only what is signed for `tools::firmware::EXAMPLE_KEY`.
    #[must_use]
    pub fn signed(board: Board, model: &[u8]) -> Self {
        Self::with_elf(board, &board.signed_variable(), model)
    }

    fn with_elf(board: Board, variable: &str, model: &[u8]) -> Self {
        let Some(elf) = std::env::var_os(variable) else {
            panic!("{variable} is not set: `cargo xtask test` builds the firmware and sets it");
        };
        let life = Self {
            board,
            elf: elf.into(),
            folder: tempfile::tempdir().unwrap(),
        };
        new_flash(&life.flash(), board).unwrap();
        std::fs::write(life.folder().join("model.onelook"), model).unwrap();
        life
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The firmware.
    #[must_use]
    pub fn elf(&self) -> &Path {
        &self.elf
    }

    /// Another device whose flash holds the same.
    #[must_use]
    pub fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["flash.bin", "model.onelook"] {
            std::fs::copy(self.folder().join(name), folder.path().join(name)).unwrap();
        }
        Self {
            board: self.board,
            elf: self.elf.clone(),
            folder,
        }
    }

    /// The file that is the board's memory.
    #[must_use]
    pub fn flash(&self) -> PathBuf {
        self.folder().join("flash.bin")
    }

    /// What will run at the next start.
    #[must_use]
    pub fn run(&self) -> Qemu {
        Qemu::new(&self.elf, self.board.machine)
            .folder(self.folder())
            .serial_unix(&self.socket())
            .memory(&self.flash(), self.board.memory)
    }

    /// The socket that is its serial line.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder().join("uart")
    }

    /// Power on.
    #[must_use]
    pub fn start(&self) -> (Running, Host) {
        self.start_as(&self.run())
    }

    /// Power on, with a run that was changed.
    #[must_use]
    pub fn start_as(&self, run: &Qemu) -> (Running, Host) {
        std::fs::remove_file(self.socket()).ok();
        let running = run.spawn().unwrap();
        let begin = Instant::now();
        let port = loop {
            match Port::open(&Address::Unix(self.socket())) {
                Ok(port) => break port,
                Err(error) => assert!(begin.elapsed() < START, "{error}; {:?}", running.said()),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let host = Client::connect(port, PACE, Box::new(|_| ()));
        let host = host.unwrap_or_else(|error| panic!("{error}; {:?}", running.said()));
        (running, host)
    }
}
