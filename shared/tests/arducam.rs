//! The driver against a simulator of the camera's registers, with everything that may be wrong with it.

#![allow(clippy::panic, reason = "helpers of tests")]

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use embedded_hal::delay::DelayNs;
use embedded_hal::spi::{ErrorType, Operation, SpiDevice};
use shared::arducam::{Mega, MegaError, Side};
use shared::link::CameraFault;

/// What is wrong with a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// The line floats high, or is held low.
    Floating(u8),
    Sensor(u8),
    NeverIdle,
    NeverDone,
    /// So many bytes are missing.
    Short(u32),
    Frozen,
    Black,
}

/// A camera as its registers show it.
struct Camera {
    trouble: Trouble,
    /// Grey is the second byte of two.
    second: bool,
    registers: [u8; 128],
    /// Looks at the state until the next picture or register is done.
    busy: u32,
    picture: Vec<u8>,
    /// How much of it was read; the first burst has a byte before it.
    read: usize,
    first: bool,
    pictures: u32,
    /// Every command, as the bytes that went out.
    transcript: Vec<Vec<u8>>,
}

impl Camera {
    fn new(trouble: Trouble, second: bool) -> Self {
        Self {
            trouble,
            second,
            registers: [0; 128],
            busy: 0,
            picture: Vec::new(),
            read: 0,
            first: true,
            pictures: 0,
            transcript: Vec::new(),
        }
    }

    fn side(&self) -> usize {
        match self.registers[0x21] {
            0x0a => 96,
            0x0b => 128,
            other => panic!("resolution {other}"),
        }
    }

    /// What the picture shows: a slope, and noise that no two pictures share.
    fn grey(&self, at: usize) -> u8 {
        let noise = match self.trouble {
            Trouble::Frozen => 0,
            Trouble::Black => return 0,
            _ => self.pictures as usize,
        };
        (40 + at % self.side() + (at * 7 + noise) % 3) as u8
    }

    fn write(&mut self, address: u8, value: u8) {
        self.registers[usize::from(address)] = value;
        self.busy = 3;
        if (address, value) == (0x04, 2) {
            assert_eq!(self.registers[0x20], 3, "pictures are YUV");
            assert_eq!(self.registers[0x27], 4, "without colour");
            self.pictures += 1;
            let pixels = self.side() * self.side();
            let pairs = (0..pixels).flat_map(|at| {
                let grey = self.grey(at);
                if self.second {
                    [128, grey]
                } else {
                    [grey, 128]
                }
            });
            self.picture = pairs.collect();
            (self.read, self.first) = (0, true);
        }
    }

    fn register(&mut self, address: u8) -> u8 {
        let length = match self.trouble {
            Trouble::Short(missing) => (self.picture.len() as u32).saturating_sub(missing),
            _ => self.picture.len() as u32,
        };
        match address {
            0x40 => match self.trouble {
                Trouble::Sensor(id) => id,
                _ => 0x82,
            },
            0x44 => {
                self.busy = self.busy.saturating_sub(1);
                let idle = self.busy == 0 && self.trouble != Trouble::NeverIdle;
                let done = self.busy == 0 && self.trouble != Trouble::NeverDone;
                (if idle { 2 } else { 1 }) | u8::from(done && !self.picture.is_empty()) << 2
            }
            0x45..=0x47 => length.to_le_bytes()[usize::from(address) - 0x45],
            other => panic!("register {other:#x} is not read"),
        }
    }

    /// One command: what goes out, and how many bytes come back.
    fn command(&mut self, out: &[u8], n: usize) -> Vec<u8> {
        self.transcript.push(out.to_vec());
        if let Trouble::Floating(level) = self.trouble {
            return vec![level; n];
        }
        match *out {
            [address, value] if address & 0x80 != 0 => {
                self.write(address & 0x7f, value);
                vec![0; n]
            }
            [0x3c, ref rest @ ..] => {
                assert_eq!(
                    rest.len(),
                    usize::from(self.first),
                    "a byte before the first burst"
                );
                self.first = false;
                let bytes = self.picture[self.read..self.read + n].to_vec();
                self.read += n;
                bytes
            }
            [address, 0, 0] => vec![0, 0, self.register(address)],
            _ => panic!("{out:x?} is no command"),
        }
    }
}

#[derive(Clone)]
struct Bus(Rc<RefCell<Camera>>);

impl ErrorType for Bus {
    type Error = Infallible;
}

impl SpiDevice for Bus {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        let mut camera = self.0.borrow_mut();
        match operations {
            [Operation::Write(out)] => drop(camera.command(out, 0)),
            [Operation::TransferInPlace(bytes)] => {
                let answer = camera.command(bytes, bytes.len());
                bytes.copy_from_slice(&answer);
            }
            [Operation::Write(out), Operation::Read(bytes)] => {
                let answer = camera.command(out, bytes.len());
                bytes.copy_from_slice(&answer);
            }
            other => panic!("{other:?}"),
        }
        Ok(())
    }
}

/// Counts the time that was waited.
#[derive(Clone, Default)]
struct Clock(Rc<RefCell<u64>>);

impl DelayNs for Clock {
    fn delay_ns(&mut self, ns: u32) {
        *self.0.borrow_mut() += u64::from(ns);
    }
}

struct Desk {
    camera: Rc<RefCell<Camera>>,
    clock: Clock,
    mega: Mega<Bus, Clock>,
}

fn desk(trouble: Trouble, second: bool) -> Desk {
    let camera = Rc::new(RefCell::new(Camera::new(trouble, second)));
    let clock = Clock::default();
    let mega = Mega::new(Bus(camera.clone()), clock.clone());
    Desk {
        camera,
        clock,
        mega,
    }
}

#[test]
fn a_picture_is_the_grey_of_the_camera_whichever_byte_that_is() {
    for second in [false, true] {
        for side in [Side::S96, Side::S128] {
            let mut desk = desk(Trouble::None, second);
            assert_eq!(desk.mega.start(), Ok(0x82));
            let n = side.pixels();
            let mut pixels = vec![0; n * n + 5];
            for _ in 0..3 {
                assert_eq!(desk.mega.capture(side, &mut pixels), Ok(()));
                let camera = desk.camera.borrow();
                let expected: Vec<u8> = (0..n * n).map(|at| camera.grey(at)).collect();
                assert_eq!(pixels[..n * n], expected);
                assert_eq!(pixels[n * n..], [0; 5]);
            }
            // Only the first one was taken twice.
            assert_eq!(desk.camera.borrow().pictures, 3 + u32::from(second));
        }
    }
}

/// What the camera is told, byte by byte.
#[test]
fn the_transcript() {
    let mut desk = desk(Trouble::None, false);
    desk.mega.start().unwrap();
    desk.mega.capture(Side::S96, &mut [0; 96 * 96]).unwrap();
    let camera = desk.camera.borrow();
    // Looks at the state are as many as it takes.
    let told = camera.transcript.iter().filter(|bytes| bytes[0] != 0x44);
    let told: Vec<&[u8]> = told.map(Vec::as_slice).collect();
    let expected: [&[u8]; 12] = [
        &[0x87, 0x40],
        &[0x40, 0, 0],
        &[0x8a, 0x78],
        &[0xa0, 3],
        &[0xa7, 4],
        &[0xa1, 0x0a],
        &[0x84, 1],
        &[0x84, 2],
        &[0x45, 0, 0],
        &[0x46, 0, 0],
        &[0x47, 0, 0],
        &[0x3c, 0],
    ];
    assert_eq!(told[..12], expected);
    assert_eq!(told[12..], [&[0x3c][..]; 95]);
}

#[test]
fn every_fault_has_a_name_and_an_end() {
    let cases = [
        (
            Trouble::Floating(0xff),
            MegaError::NoAnswer,
            CameraFault::Absent,
        ),
        (
            Trouble::Floating(0),
            MegaError::NoAnswer,
            CameraFault::Absent,
        ),
        (
            Trouble::Sensor(0x26),
            MegaError::WrongSensor { id: 0x26 },
            CameraFault::WrongChip,
        ),
        (
            Trouble::NeverIdle,
            MegaError::Busy { state: 1 },
            CameraFault::Timeout,
        ),
        (
            Trouble::NeverDone,
            MegaError::NoPicture,
            CameraFault::Timeout,
        ),
        (
            Trouble::Short(2),
            MegaError::Length {
                expected: 2 * 96 * 96,
                got: 2 * 96 * 96 - 2,
            },
            CameraFault::WrongFormat,
        ),
        (Trouble::Frozen, MegaError::Frozen, CameraFault::Frozen),
        (Trouble::Black, MegaError::Black, CameraFault::Black),
    ];
    for (trouble, expected, fault) in cases {
        let mut desk = desk(trouble, false);
        let mut pixels = [0; 96 * 96];
        let mut live = || {
            desk.mega.start()?;
            desk.mega.capture(Side::S96, &mut pixels)?;
            desk.mega.capture(Side::S96, &mut pixels)
        };
        let error = live().unwrap_err();
        assert_eq!(error, expected, "{trouble:?}");
        assert_eq!(CameraFault::from(&error), fault, "{trouble:?}");
        let waited = *desk.clock.0.borrow() / 1_000_000;
        assert!(waited < 5000, "{trouble:?}: {waited} ms");
    }
}

#[test]
fn a_short_buffer_is_refused_before_anything_is_sent() {
    let mut desk = desk(Trouble::None, false);
    desk.mega.start().unwrap();
    let before = desk.camera.borrow().transcript.len();
    let refused = desk.mega.capture(Side::S128, &mut [0; 96 * 96]);
    assert_eq!(refused, Err(MegaError::Buffer));
    assert_eq!(desk.camera.borrow().transcript.len(), before);
}

/// A camera that was unplugged and is there again.
#[test]
fn it_can_be_started_again() {
    let mut desk = desk(Trouble::Floating(0xff), false);
    assert_eq!(desk.mega.start(), Err(MegaError::NoAnswer));
    desk.camera.borrow_mut().trouble = Trouble::None;
    assert_eq!(desk.mega.start(), Ok(0x82));
    assert_eq!(desk.mega.capture(Side::S96, &mut [0; 96 * 96]), Ok(()));
}
