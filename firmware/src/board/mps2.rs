//! ARM's MPS2 and MPS3 boards in QEMU: files, text and the exit status by semihosting.
//!
//! In: files in the folder where the emulator runs. Out: their bytes in buffers of fixed size,
//! standard output, and the emulator's exit status. The boards differ in the processor, which the
//! compiler is told, and in the memory map, `memory/<board>.x`; nothing here depends on either.

use core::ffi::CStr;
use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m_semihosting::debug;
use cortex_m_semihosting::hio::{self, HostStream};

use shared::model::ModelView;
use shared::support_set::MAX_CAPTURE;

use super::camera::Camera;
use super::clock::Clock;
use super::devices::Devices;
use super::host_file::{FileError, HostFile};
use super::nor::Flash;
use super::panel::Panel;
use super::sleep::Sleep;
use super::slot::Slot;
use super::uart::Uart;
use super::watchdog::Watchdog;

/// A poll takes far less: a layer, or the erase of a sector.
pub const WATCHDOG_MS: u32 = 5_000;
/// Largest model, as a real board's flash slot would hold.
const MODEL_LEN: usize = 256 * 1024;
/// Largest arena, as a real board's RAM would hold.
const ARENA_LEN: usize = 64 * 1024;
/// Largest trials file: 3640 images of 48×48.
const TRIALS_LEN: usize = 8 * 1024 * 1024;
/// Embeddings of one file: 7269 of 576 values, and one byte for each.
const EMBEDDINGS_LEN: usize = 4 * 1024 * 1024;
/// Supports of one trial.
const MAX_SUPPORTS: usize = 1024;

// SAFETY: `.psram` is a section of `memory/psram.x` for data without a content.
#[unsafe(link_section = ".psram.model")]
static MODEL: Slot<[u8; MODEL_LEN]> = Slot::new();
// SAFETY: as above.
#[unsafe(link_section = ".psram.trials")]
static TRIALS: Slot<[u8; TRIALS_LEN]> = Slot::new();
// SAFETY: as above.
#[unsafe(link_section = ".psram.embeddings")]
static EMBEDDINGS: Slot<[u8; EMBEDDINGS_LEN]> = Slot::new();
/// Whether the buffers were handed out.
static TAKEN: AtomicBool = AtomicBool::new(false);
static ARENA: Slot<[u8; ARENA_LEN]> = Slot::new();
static LOGITS: Slot<[i32; MAX_SUPPORTS]> = Slot::new();

/// The buffers of the program that lives, all zero at first.
pub struct Buffers {
    /// For the model file of the host.
    pub model: &'static mut [u8],
    /// For activations.
    pub arena: &'static mut [u8],
    /// For the picture.
    pub pixels: &'static mut [u8],
}

impl Buffers {
    /// The buffers; `None` the second time.
    #[must_use]
    pub fn take() -> Option<Self> {
        static PIXELS: Slot<[u8; MAX_CAPTURE]> = Slot::new();
        if TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: `TAKEN` lets one call come here or to `Board::take`, and integers may be zero.
        Some(unsafe {
            Self {
                model: MODEL.take(),
                arena: ARENA.take(),
                pixels: PIXELS.take(),
            }
        })
    }
}

/// The board's buffers, all zero at first.
pub struct Memory {
    /// For the model file.
    pub model: &'static mut [u8],
    /// For the trials file.
    pub trials: &'static mut [u8],
    /// For the embeddings of all images.
    pub embeddings: &'static mut [u8],
    /// For activations.
    pub arena: &'static mut [u8],
    /// For the logits of one trial.
    pub logits: &'static mut [i32],
}

/// Text to the host and files from it.
pub struct Board {
    stdout: HostStream,
}

impl Board {
    /// The board and its buffers; `None` the second time, or when nobody listens.
    pub fn take() -> Option<(Self, Memory)> {
        if TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        let stdout = hio::hstdout().ok()?;
        // SAFETY: `TAKEN` lets one call come here, and integers may be zero.
        let memory = unsafe {
            Memory {
                model: MODEL.take(),
                trials: TRIALS.take(),
                embeddings: EMBEDDINGS.take(),
                arena: ARENA.take(),
                logits: LOGITS.take(),
            }
        };
        Some((Self { stdout }, memory))
    }

    /// Reads a whole file into the start of `buffer`.
    pub fn read_file<'b>(
        &mut self,
        name: &CStr,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], FileError> {
        read_file(name, buffer)
    }
}

/// Reads a whole file of the host into the start of `buffer`.
pub fn read_file<'b>(name: &CStr, buffer: &'b mut [u8]) -> Result<&'b [u8], FileError> {
    let file = HostFile::open(name)?;
    let len = file.len()?;
    let limit = buffer.len();
    let target = buffer
        .get_mut(..len)
        .ok_or(FileError::TooLarge { len, limit })?;
    file.read(target)?;
    Ok(target)
}

/// The model that a device has until it is sent another: the host's file `model.onelook`.
pub fn first_model(buffer: &mut [u8]) -> Option<ModelView<'_>> {
    let file = read_file(c"model.onelook", buffer).ok()?;
    ModelView::new_checked(file).ok()
}

/// All devices of the board.
///
/// # Safety
/// Called once.
pub(super) unsafe fn gather() -> Devices {
    // SAFETY: the obligation is the same.
    unsafe {
        Devices {
            uart: Uart::new(),
            flash: Flash::new(),
            camera: Camera::new(),
            clock: Clock::new(),
            watchdog: Watchdog::new(),
            sleep: Sleep::new(),
            panel: Panel::new(),
        }
    }
}

/// Writes a line to the host's terminal, if it has one.
pub fn say(line: &impl fmt::Display) {
    if let Ok(mut stdout) = hio::hstdout() {
        let _ = writeln!(stdout, "{line}");
    }
}

/// Starts again, as after power-on.
pub fn restart() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

impl fmt::Write for Board {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.stdout.write_str(text)
    }
}

/// Ends the program; the emulator exits with 0 for `Ok` and 1 for `Err`.
pub fn exit(verdict: Result<(), ()>) -> ! {
    debug::exit(match verdict {
        Ok(()) => debug::EXIT_SUCCESS,
        Err(()) => debug::EXIT_FAILURE,
    });
    // Without an emulator nobody took the exit: wait for a person.
    loop {
        cortex_m::asm::wfi();
    }
}
