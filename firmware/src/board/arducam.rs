//! The Arducam Mega on a board's SPI.
//!
//! In: the driver of `shared::arducam`. Out: grey pictures of 128×128, or what is wrong with the camera. It is
//! set up before the first picture, and again after it has failed, so that it may be plugged in later.

use shared::arducam::{Mega, MegaError, Side};
use shared::link::CameraFault;
use shared::support_set::MAX_CAPTURE;

use super::chip::spi::{Spi, Stuck};
use super::chip::timer::Counter;

const SIDE: Side = Side::S128;
const _: () = assert!(SIDE.pixels() * SIDE.pixels() <= MAX_CAPTURE);

/// A picture in the buffer that was given for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub h: u16,
    /// Columns.
    pub w: u16,
}

/// The camera.
#[derive(Debug)]
pub struct Camera {
    mega: Mega<Spi, Counter>,
    is_set_up: bool,
}

impl Camera {
    /// # Safety
    /// Called once, after the chip's clocks and pins were started.
    pub(super) unsafe fn new() -> Self {
        // SAFETY: the obligation is the same.
        let mega = unsafe { Mega::new(Spi::new(), Counter::new()) };
        Self {
            mega,
            is_set_up: false,
        }
    }

    /// Resets the camera, sets it up, and says which sensor it has.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn set_up(&mut self) -> Result<u8, CameraFault> {
        let sensor = self.mega.start().map_err(|error| fault(&error));
        self.is_set_up = sensor.is_ok();
        sensor
    }

    /// Takes a picture into the start of `buffer`.
    ///
    /// # Errors
    /// What is wrong with the camera; what is in `buffer` is then of no use.
    pub fn capture(&mut self, buffer: &mut [u8]) -> Result<Picture, CameraFault> {
        if !self.is_set_up {
            self.set_up()?;
        }
        let taken = self.mega.capture(SIDE, buffer);
        // A dark or frozen picture says nothing against the settings, and only a camera that was not set up
        // anew can be known to be frozen.
        self.is_set_up = matches!(taken, Ok(()) | Err(MegaError::Black | MegaError::Frozen));
        let side = SIDE.pixels() as u16;
        match taken {
            Ok(()) => Ok(Picture { h: side, w: side }),
            Err(error) => Err(fault(&error)),
        }
    }
}

fn fault(error: &MegaError<Stuck>) -> CameraFault {
    CameraFault::from(error)
}
