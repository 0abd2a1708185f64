//! The Arducam Mega, a camera on SPI alone: mode 0, up to 8 MHz, chip select held through a command.
//!
//! In: an [`SpiDevice`] and a delay. Out: grey pictures of 96×96 or 128×128, read from the camera's memory
//! row by row, or the [`MegaError`] that tells a camera that is not there from one that is slow, broken or
//! another one. Every wait has an end. **No camera has been tried**: what is below follows the maker's
//! application note ("Mega SPI Camera Series", September 2023) and the register names of the maker's MIT
//! licensed `ArducamCamera.c`; a simulator of the same registers is in this crate's tests.
//!
//! The camera sends YUV 4:2:2, of which grey is every other byte; the sources do not say which. It is told
//! to see black and white, so that the other bytes are 128, and the driver takes those that are not.

use embedded_hal::delay::DelayNs;
use embedded_hal::spi::{Operation, SpiDevice};

use crate::checksum::Crc32;
use crate::link::CameraFault;

/// Registers; bit 7 of an address says that it is written.
mod register {
    /// Bit 0 clears the flag of a finished picture, bit 1 begins one (`ARDUCHIP_FIFO`).
    pub(super) const FIFO: u8 = 0x04;
    /// Bit 6 resets sensor and bridge (`CAM_REG_SENSOR_RESET`).
    pub(super) const RESET: u8 = 0x07;
    /// Address of the sensor on the bridge's own bus (`CAM_REG_DEBUG_DEVICE_ADDRESS`).
    pub(super) const SENSOR_ADDRESS: u8 = 0x0a;
    /// 1 JPEG, 2 RGB, 3 YUV (`CAM_REG_FORMAT`).
    pub(super) const FORMAT: u8 = 0x20;
    /// Picture size; bit 7 is video (`CAM_REG_CAPTURE_RESOLUTION`).
    pub(super) const RESOLUTION: u8 = 0x21;
    /// 4 is black and white (`CAM_REG_COLOR_EFFECT_CONTROL`).
    pub(super) const EFFECT: u8 = 0x27;
    /// Many bytes of the picture (`BURST_FIFO_READ`).
    pub(super) const BURST: u8 = 0x3c;
    /// Which sensor it is (`CAM_REG_SENSOR_ID`).
    pub(super) const SENSOR_ID: u8 = 0x40;
    /// Bits 0 and 1 are 2 when the bridge is idle, bit 2 when a picture is there (`CAM_REG_SENSOR_STATE`,
    /// `ARDUCHIP_TRIG`).
    pub(super) const STATE: u8 = 0x44;
    /// Bytes of the picture, lowest first, in three registers (`FIFO_SIZE1`).
    pub(super) const LENGTH: [u8; 3] = [0x45, 0x46, 0x47];
}

const WRITE: u8 = 0x80;
const CLEAR: u8 = 1;
const BEGIN: u8 = 2;
const RESET: u8 = 0x40;
const SENSOR_ADDRESS: u8 = 0x78;
const YUV: u8 = 3;
const BLACK_AND_WHITE: u8 = 4;
const IDLE: u8 = 2;
const IDLE_BITS: u8 = 3;
const DONE: u8 = 4;

/// Sensors that count their picture sizes as [`Side`] does: 5 MP and 3 MP, two of each.
const SENSORS: core::ops::RangeInclusive<u8> = 0x81..=0x84;
/// A colour that is none.
const NEUTRAL: u8 = 128;
/// Between two looks at the state.
const LOOK_MS: u32 = 2;
/// For a register, and for a picture: below the watchdog's 5 seconds.
const IDLE_MS: u32 = 1000;
const PICTURE_MS: u32 = 3000;
/// Longest row, in bytes.
const ROW: usize = 2 * 128;

/// Rows and columns of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// 96 × 96.
    S96 = 0x0a,
    /// 128 × 128.
    S128 = 0x0b,
}

impl Side {
    /// In pixels.
    #[must_use]
    pub const fn pixels(self) -> usize {
        match self {
            Self::S96 => 96,
            Self::S128 => 128,
        }
    }
}

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MegaError<E> {
    /// The bus fails.
    Bus(E),
    /// All bits that come back are the same: no camera, no power, or a wire is off.
    NoAnswer,
    /// The sensor is not one that this driver knows.
    WrongSensor {
        /// What it says it is.
        id: u8,
    },
    /// The bridge is still busy with a register.
    Busy {
        /// Its state.
        state: u8,
    },
    /// No picture in time.
    NoPicture,
    /// A picture of another length.
    Length {
        /// Bytes of the picture that was asked for.
        expected: u32,
        /// Bytes that the camera has.
        got: u32,
    },
    /// The buffer is too short for the picture.
    Buffer,
    /// The same picture as before, byte by byte: a sensor has noise.
    Frozen,
    /// Every byte is 0.
    Black,
}

impl<E> From<&MegaError<E>> for CameraFault {
    fn from(error: &MegaError<E>) -> Self {
        match error {
            MegaError::Bus(_) | MegaError::NoAnswer => Self::Absent,
            MegaError::WrongSensor { .. } => Self::WrongChip,
            MegaError::Busy { .. } | MegaError::NoPicture => Self::Timeout,
            MegaError::Length { .. } | MegaError::Buffer => Self::WrongFormat,
            MegaError::Frozen => Self::Frozen,
            MegaError::Black => Self::Black,
        }
    }
}

/// A camera.
#[derive(Debug)]
pub struct Mega<S, D> {
    spi: S,
    delay: D,
    /// Size that the camera is set to.
    side: Option<Side>,
    /// Whether grey is the second byte of two.
    second: bool,
    /// Of the last picture.
    last: Option<u32>,
}

/// A result of this driver.
type Answer<T, S> = Result<T, MegaError<<S as embedded_hal::spi::ErrorType>::Error>>;

impl<S: SpiDevice, D: DelayNs> Mega<S, D> {
    /// Does not talk to it yet.
    pub const fn new(spi: S, delay: D) -> Self {
        Self {
            spi,
            delay,
            side: None,
            second: false,
            last: None,
        }
    }

    /// Resets the camera and sets it up; returns which sensor it has.
    ///
    /// # Errors
    /// [`MegaError`], but for those of a picture.
    pub fn start(&mut self) -> Answer<u8, S> {
        (self.side, self.last) = (None, None);
        self.write(register::RESET, RESET)?;
        self.wait_until_idle()?;
        let id = self.read(register::SENSOR_ID)?;
        if !SENSORS.contains(&id) {
            return Err(MegaError::WrongSensor { id });
        }
        self.wait_until_idle()?;
        self.set(register::SENSOR_ADDRESS, SENSOR_ADDRESS)?;
        self.set(register::FORMAT, YUV)?;
        self.set(register::EFFECT, BLACK_AND_WHITE)?;
        Ok(id)
    }

    /// Takes a picture into the front of `pixels`, `[side][side]`, after [`Self::start`].
    ///
    /// # Errors
    /// [`MegaError`].
    pub fn capture(&mut self, side: Side, pixels: &mut [u8]) -> Answer<(), S> {
        let n = side.pixels();
        let pixels = pixels.get_mut(..n * n).ok_or(MegaError::Buffer)?;
        if self.side != Some(side) {
            self.set(register::RESOLUTION, side as u8)?;
            self.side = Some(side);
        }
        // Which byte of two is grey is known after one picture; it stays so.
        if self.take(n, pixels)? {
            self.second = !self.second;
            self.take(n, pixels)?;
        }
        if pixels.iter().all(|&grey| grey == 0) {
            return Err(MegaError::Black);
        }
        let mut crc = Crc32::new();
        crc.update(pixels);
        let seen = Some(crc.finish());
        if self.last == seen {
            return Err(MegaError::Frozen);
        }
        self.last = seen;
        Ok(())
    }

    /// One picture; whether its grey is in the bytes that were left out.
    fn take(&mut self, n: usize, pixels: &mut [u8]) -> Answer<bool, S> {
        self.write(register::FIFO, CLEAR)?;
        self.write(register::FIFO, BEGIN)?;
        self.wait_for_picture()?;
        let mut got = 0;
        for (place, address) in register::LENGTH.into_iter().enumerate() {
            got |= u32::from(self.read(address)?) << (8 * place);
        }
        let expected = (2 * n * n) as u32;
        if got != expected {
            return Err(MegaError::Length { expected, got });
        }
        // How far the bytes that are taken, and the others, are from no colour.
        let mut colours = [0_u32; 2];
        for (index, row) in pixels.chunks_exact_mut(n).enumerate() {
            let mut bytes = [0; ROW];
            let bytes = bytes.get_mut(..2 * n).ok_or(MegaError::Buffer)?;
            self.burst(index == 0, bytes)?;
            for (pair, pixel) in bytes.chunks_exact(2).zip(row) {
                let &[first, second] = pair else { continue };
                let [grey, other] = if self.second {
                    [second, first]
                } else {
                    [first, second]
                };
                *pixel = grey;
                for (colours, byte) in colours.iter_mut().zip([grey, other]) {
                    *colours += u32::from(byte.abs_diff(NEUTRAL));
                }
            }
        }
        Ok(colours[1] > colours[0])
    }

    /// The next bytes of the picture. The first time one byte comes before them.
    fn burst(&mut self, first: bool, bytes: &mut [u8]) -> Answer<(), S> {
        let (command, with_byte) = ([register::BURST], [register::BURST, 0]);
        let command = if first { &with_byte[..] } else { &command[..] };
        let operations = &mut [Operation::Write(command), Operation::Read(bytes)];
        self.spi.transaction(operations).map_err(MegaError::Bus)
    }

    /// Sets a register of the sensor, which the bridge passes on.
    fn set(&mut self, address: u8, value: u8) -> Answer<(), S> {
        self.write(address, value)?;
        self.wait_until_idle()
    }

    fn write(&mut self, address: u8, value: u8) -> Answer<(), S> {
        let written = self.spi.write(&[address | WRITE, value]);
        written.map_err(MegaError::Bus)?;
        self.delay.delay_ms(1);
        Ok(())
    }

    /// A register comes in the third byte.
    fn read(&mut self, address: u8) -> Answer<u8, S> {
        let mut bytes = [address, 0, 0];
        let read = self.spi.transfer_in_place(&mut bytes);
        read.map_err(MegaError::Bus)?;
        Ok(bytes[2])
    }

    fn wait_until_idle(&mut self) -> Answer<(), S> {
        let mut state = 0;
        for _ in 0..IDLE_MS / LOOK_MS {
            state = self.read(register::STATE)?;
            // A line that nothing drives is all ones or all zeros.
            if state & IDLE_BITS == IDLE && state != u8::MAX {
                return Ok(());
            }
            self.delay.delay_ms(LOOK_MS);
        }
        Err(match state {
            0 | u8::MAX => MegaError::NoAnswer,
            _ => MegaError::Busy { state },
        })
    }

    fn wait_for_picture(&mut self) -> Answer<(), S> {
        for _ in 0..PICTURE_MS / LOOK_MS {
            let state = self.read(register::STATE)?;
            if state == u8::MAX {
                return Err(MegaError::NoAnswer);
            }
            if state & DONE != 0 {
                return Ok(());
            }
            self.delay.delay_ms(LOOK_MS);
        }
        Err(MegaError::NoPicture)
    }
}
