//! Tries the devices of a board in QEMU: link, clock, data flash, camera and watchdog.
//!
//! In: a board. Out: how many answers of `onelook-devices` were right; the first wrong one is an error. In the
//! middle the emulator is killed, as a power cut would, and started again on the same flash.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Board, Program, build};
use crate::qemu::{Qemu, QemuError, Running};
use crate::{Progress, SetupError};

/// The file that is the board's memory, in the emulator's folder.
const MEMORY: &str = "flash.bin";
/// The flash of `firmware/memory/*.x` in it, region `NV`.
pub const FLASH_START: u64 = 13 << 20;
/// Its bytes.
pub const FLASH_LEN: usize = 3 << 20;
/// QEMU on a busy machine may take a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// The worked example of `shared/PROTOCOL.md`, and that this program is too busy for it.
const REQUEST: &[u8] = b"m\x00\x02\x01\x06\x01\x07\xb2\x4e\x37\x00";
const REPLY: &[u8] = b"\x01\x08\x01\x01\x02\x39\x31\xbf\x1f\x00";

/// A device does not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevicesError {
    /// The program could not be built.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// QEMU could not be started.
    #[error(transparent)]
    Qemu(#[from] QemuError),
    /// The link to QEMU, or a file for it.
    #[error(
        "{board}: after `{asked}`: {source}\nnext: run it again with more memory and disk free; if it stays, look at firmware/src/board/uart.rs"
    )]
    Io {
        /// The board.
        board: &'static str,
        /// What was asked last.
        asked: String,
        /// What went wrong.
        source: io::Error,
    },
    /// An answer is wrong.
    #[error(
        "{board}: `{asked}` was answered by `{said}`, not `{expected}`\nnext: firmware/src/bin/devices.rs says what it tries; look at that device in firmware/src/board"
    )]
    Answer {
        /// The board.
        board: &'static str,
        /// What was asked.
        asked: String,
        /// What it said.
        said: String,
        /// What was expected.
        expected: String,
    },
}

/// A new, erased flash in `file`, for [`Qemu::memory`].
///
/// # Errors
/// The file cannot be written.
pub fn new_flash(file: &Path, board: Board) -> io::Result<()> {
    let mut file = File::create(file)?;
    file.set_len(board.memory)?;
    file.seek(SeekFrom::Start(FLASH_START))?;
    file.write_all(&vec![0xff; FLASH_LEN])
}

/// Tries all devices; returns the number of right answers.
///
/// # Errors
/// The program cannot be built or run, or an answer is wrong.
pub fn devices(board: Board, progress: &Progress) -> Result<u64, DevicesError> {
    let elf = build(board, Program::Devices, progress)?;
    progress.note(&format!("trying the devices of {} in QEMU", board.name));
    let failed = |source| DevicesError::Io {
        board: board.name,
        asked: "the start".into(),
        source,
    };
    let folder = tempfile::tempdir().map_err(failed)?;
    new_flash(&folder.path().join(MEMORY), board).map_err(failed)?;
    let start = || Talk::start(&elf, board, folder.path());

    let mut talk = start()?;
    let parts = "samples 2097152 models 266240 266240";
    talk.ask("i", &format!("board {} {parts}", board.name))?;
    talk.ask("q", "q")?;
    try_clock(&mut talk)?;
    try_sleep(&mut talk)?;
    for (letter, answer) in [("f", "erased"), ("p", ""), ("f", "pattern")] {
        try_flash(&mut talk, letter, answer)?;
    }
    talk.ask("b", "refused 4")?;
    let mut right = talk.right;
    drop(talk);

    let mut talk = start()?;
    for (letter, answer) in [("f", "pattern"), ("e", ""), ("f", "erased")] {
        try_flash(&mut talk, letter, answer)?;
    }
    try_camera(&mut talk, folder.path())?;
    talk.frame()?;
    talk.ask("d", "fed")?;
    talk.ask("w", "hello")?;
    talk.ask("f", "flash erased")?;
    right += talk.right;
    talk.end()?;
    Ok(right + 1)
}

fn try_flash(talk: &mut Talk, letter: &str, state: &str) -> Result<(), DevicesError> {
    match letter {
        "e" => talk.ask(letter, "erased"),
        "p" => talk.ask(letter, "programmed"),
        _ => talk.ask(letter, &format!("flash {state}")),
    }
}

/// The board's second is as long as the host's, to 5 %.
fn try_clock(talk: &mut Talk) -> Result<(), DevicesError> {
    let outer = Instant::now();
    let first = talk.time()?;
    let inner = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    let least = inner.elapsed();
    let second = talk.time()?;
    let most = outer.elapsed();
    let gone = second.saturating_sub(first);
    if gone >= least.mul_f64(0.95) && gone <= most.mul_f64(1.05) {
        talk.right += 1;
        return Ok(());
    }
    Err(talk.wrong("t", &format!("{gone:?}"), &format!("{least:?} to {most:?}")))
}

/// Ticks wake a sleeper now and then, and a byte at once. How many come depends on how busy the host is.
fn try_sleep(talk: &mut Talk) -> Result<(), DevicesError> {
    let sent = talk.line.write_all(b"s");
    sent.map_err(|source| talk.broken("s", source))?;
    std::thread::sleep(Duration::from_millis(500));
    let said = talk.line(".")?;
    let ticks: Option<u32> = said.strip_prefix("slept ").and_then(|n| n.parse().ok());
    if ticks.is_some_and(|ticks| (1..200).contains(&ticks)) {
        talk.right += 1;
        return Ok(());
    }
    Err(talk.wrong("s", &said, "slept <1 to 199>"))
}

/// One picture after the other, each way to have none, and one that is replaced.
fn try_camera(talk: &mut Talk, folder: &Path) -> Result<(), DevicesError> {
    talk.ask("c", "Absent")?;
    let camera = folder.join("camera");
    let put = |name: &str, head: &str, pixels: &[u8]| {
        fs::create_dir_all(&camera)?;
        // As a whole, because the program may look at any time.
        fs::write(camera.join("new"), [head.as_bytes(), pixels].concat())?;
        fs::rename(camera.join("new"), camera.join(name))
    };
    let grey: Vec<u8> = (0..=255).cycle().take(160 * 120).collect();
    let steps: [(&str, &str, &[u8], &str); 8] = [
        (
            "000.pgm",
            "P5\n# of ink\n160 120\n255\n",
            &grey,
            "picture 120 160 2448000",
        ),
        ("000.pgm", "P5 160 120 255\n", &grey, "Frozen"),
        ("001.pgm", "P5 3 2 255\n", &[0; 6], "Black"),
        ("002.pgm", "P5 2000 80 255\n", &[7; 160_000], "WrongFormat"),
        ("003.pgm", "P6 1 2 255\n", &[7; 6], "WrongFormat"),
        ("shot.pgm", "P5 3 2 255\n", &[1; 6], "picture 2 3 6"),
        ("shot.pgm", "P5 3 2 255\n", &[1; 6], "picture 2 3 6"),
        ("shot.pgm", "P5 3 2 255\n", &[1; 5], "WrongFormat"),
    ];
    for (name, head, pixels, answer) in steps {
        put(name, head, pixels).map_err(|source| talk.broken(name, source))?;
        talk.ask("c", answer)?;
    }
    Ok(())
}

/// A running program and the line to it.
struct Talk {
    board: &'static str,
    line: TcpStream,
    running: Running,
    right: u64,
}

impl Talk {
    /// Starts the program and hears its `hello`.
    fn start(elf: &Path, board: Board, folder: &Path) -> Result<Self, DevicesError> {
        let failed = |source| DevicesError::Io {
            board: board.name,
            asked: "the start".into(),
            source,
        };
        // QEMU calls us, so that not even the first byte is lost.
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let running = Qemu::new(elf, board.machine)
            .folder(folder)
            .timeout(PATIENCE)
            .serial_to(address)
            .memory(&folder.join(MEMORY), board.memory)
            .spawn()?;
        let line = accept(&listener).map_err(failed)?;
        line.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut talk = Self {
            board: board.name,
            line,
            running,
            right: 0,
        };
        talk.ask("", "hello")?;
        Ok(talk)
    }

    fn broken(&self, asked: &str, source: io::Error) -> DevicesError {
        DevicesError::Io {
            board: self.board,
            asked: asked.into(),
            source,
        }
    }

    fn wrong(&self, asked: &str, said: &str, expected: &str) -> DevicesError {
        DevicesError::Answer {
            board: self.board,
            asked: asked.into(),
            said: said.into(),
            expected: expected.into(),
        }
    }

    /// Sends bytes, and takes those that come back up to `end`.
    fn exchange(&mut self, bytes: &[u8], end: u8) -> io::Result<Vec<u8>> {
        self.line.write_all(bytes)?;
        let mut said = Vec::new();
        let mut byte = [0];
        while said.last() != Some(&end) {
            self.line.read_exact(&mut byte)?;
            said.extend(byte);
        }
        Ok(said)
    }

    fn line(&mut self, asked: &str) -> Result<String, DevicesError> {
        let said = self.exchange(asked.as_bytes(), b'\n');
        let said = said.map_err(|source| self.broken(asked, source))?;
        Ok(String::from_utf8_lossy(&said).trim_end().into())
    }

    fn ask(&mut self, asked: &str, expected: &str) -> Result<(), DevicesError> {
        let said = self.line(asked)?;
        if said == expected {
            self.right += 1;
            return Ok(());
        }
        Err(self.wrong(asked, &said, expected))
    }

    fn time(&mut self) -> Result<Duration, DevicesError> {
        let said = self.line("t")?;
        let numbers: Vec<u64> = said
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        match numbers[..] {
            [fine, coarse] if coarse.abs_diff(fine / 1000) < 1000 => {
                Ok(Duration::from_micros(fine))
            }
            _ => Err(self.wrong("t", &said, "time <microseconds> <milliseconds>")),
        }
    }

    fn frame(&mut self) -> Result<(), DevicesError> {
        let said = self.exchange(REQUEST, 0);
        let said = said.map_err(|source| self.broken("m", source))?;
        if said == REPLY {
            self.right += 1;
            return Ok(());
        }
        Err(self.wrong("m", &format!("{said:02x?}"), &format!("{REPLY:02x?}")))
    }

    /// Tells the program to end.
    fn end(mut self) -> Result<(), DevicesError> {
        let sent = self.line.write_all(b"x");
        sent.map_err(|source| self.broken("x", source))?;
        self.running.finish()?;
        Ok(())
    }
}

/// QEMU's call; not for ever, because it may have refused its arguments.
fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((line, _)) => {
                line.set_nonblocking(false)?;
                return Ok(line);
            }
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(error) if start.elapsed() > PATIENCE => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
