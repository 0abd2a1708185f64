//! A device on a desk: a session, its flash, a camera that shows what it is told, and the host's end of
//! the wire.
#![allow(dead_code, reason = "each test uses a part of it")]

use shared::image::Framing;
use shared::link::{
    CameraFault, Command, Decoder, Fault, MAX_FRAME, PROTOCOL, Packet, Reply, Request, encode,
    parse,
};
use shared::model::{HeadRepr, LayerRepr, ModelRepr, ModelView};
use shared::session::{Action, Identity, IsSigned, Session};
use shared::shape::{Hwc, Window};
use shared::slots::{self, InUse, Mapped};
use shared::store;

use crate::flash;

/// Flash with words and sectors as a microcontroller's.
pub(crate) type Flash = flash::Flash<4, 4096, 4>;

impl Mapped for Flash {
    fn mapped(&self, at: u32, len: u32) -> Option<&[u8]> {
        self.bytes.get(at as usize..)?.get(..len as usize)
    }
}

/// Rows and columns of the pictures here.
const SIDE: usize = 40;
/// Their pixels.
pub(crate) const PIXELS: usize = SIDE * SIDE;
const STORE: store::Layout = store::Layout {
    at: 0,
    bank_len: 128 << 10,
};
const FLASH_LEN: usize = 256 << 10;
const SLOT_LEN: usize = 64 << 10;

/// The logit of a picture against itself.
pub(crate) const BIAS: i32 = 6000;

/// A model that compares pictures of 16×16 a quarter of which it keeps; `seed` weighs the pixels.
pub(crate) fn model(seed: u32) -> Vec<u8> {
    let window = Window {
        kernel: 2,
        stride: 2,
        pad: 0,
    };
    let weight: Vec<i8> = (0..64).map(|i| -4 - ((i * seed) % 3) as i8).collect();
    let model = ModelRepr {
        input: Hwc::new(16, 16, 1),
        input_exponent: 8,
        framing: Framing::Picture,
        layers: &[LayerRepr::MaxPool2d { window }],
        head: HeadRepr {
            weight: &weight,
            bias: BIAS,
            logit_exponent: 12,
        },
        calibration: None,
        provenance: "a test",
    };
    let mut bytes = vec![0; model.buffer_len()];
    let mut fingerprint = [7; 32];
    fingerprint[0] = seed as u8;
    model.emit(&mut bytes, |_| fingerprint).unwrap();
    ModelView::new_checked(&bytes).unwrap();
    bytes
}

/// A picture without a mark.
pub(crate) fn empty() -> Vec<u8> {
    (0..PIXELS).map(|i| 220 + (i % 3) as u8).collect()
}

/// A drawing of mark `class`: the same walk of ink, on other paper.
pub(crate) fn mark(class: u32, drawing: u32) -> Vec<u8> {
    let mut picture: Vec<u8> = (0..PIXELS as u32)
        .map(|i| 215 + ((i * 7 + drawing * 13) % 9) as u8)
        .collect();
    let mut state = class.wrapping_mul(0x9e37_79b9);
    let (mut y, mut x) = (SIDE / 2, SIDE / 2);
    for _ in 0..12 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (down, right) = ((state >> 20) % 3, (state >> 25) % 3);
        for _ in 0..4 {
            y = (y + down as usize).clamp(5, SIDE - 5) - 1;
            x = (x + right as usize).clamp(5, SIDE - 5) - 1;
            for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                picture[(y + dy) * SIDE + x + dx] = 30 + (drawing * 5) as u8;
            }
        }
    }
    picture
}

/// The device and who talks to it.
pub(crate) struct Desk {
    session: Option<Session<'static, Flash>>,
    /// The slot that the session does not have.
    in_use: Option<Flash>,
    file: &'static [u8],
    /// From the next start on: who checks the signature of a model.
    pub(crate) is_signed: Option<IsSigned>,
    /// What the camera shows.
    pub(crate) camera: Result<Vec<u8>, CameraFault>,
    decoder: Decoder,
    id: u16,
    now: u64,
}

impl Desk {
    /// A new device with `model` as its built-in model.
    pub(crate) fn new(model: &[u8]) -> Self {
        let mut desk = Self {
            session: None,
            in_use: None,
            is_signed: None,
            file: model.to_vec().leak(),
            camera: Err(CameraFault::Absent),
            decoder: Decoder::new(),
            id: 0,
            now: 0,
        };
        let slots = [Flash::new(SLOT_LEN, 2), Flash::new(SLOT_LEN, 3)];
        desk.power_on(Flash::new(FLASH_LEN, 1), slots);
        desk.greet();
        desk
    }

    fn power_on(&mut self, flash: Flash, slots: [Flash; 2]) {
        let (in_use, spare) = slots::choose(slots);
        // A desk has memory to spare for a copy of the model.
        let copy = in_use.model().map(|model| &*model.bytes().to_vec().leak());
        let file = copy.unwrap_or(self.file);
        self.in_use = Some(InUse::into_slot(in_use));
        let identity = Identity {
            board: "desk",
            firmware: "0",
            store: STORE,
            is_signed: self.is_signed,
        };
        let session = Session::start(
            identity,
            flash,
            Some(ModelView::new_checked(file).unwrap()),
            Some(spare),
            vec![0; 64 << 10].leak(),
            vec![0; shared::support_set::MAX_CAPTURE].leak(),
        );
        self.session = Some(session.unwrap());
    }

    fn greet(&mut self) {
        self.work();
        let protocol = PROTOCOL;
        self.ask(Command::Hello { protocol }, |result| {
            assert!(matches!(result, Ok(Reply::Hello(_))), "{result:?}");
        });
    }

    /// Off and on again; nothing is worked at yet.
    pub(crate) fn restart(&mut self) {
        let (flash, spare) = self.session.take().unwrap().into_flash();
        let slots = [self.in_use.take().unwrap(), spare.unwrap()];
        self.power_on(flash, slots);
    }

    /// Off and on again.
    pub(crate) fn power_off(&mut self) {
        self.restart();
        self.greet();
    }

    /// Lets the device make one step.
    pub(crate) fn step(&mut self) -> Action {
        self.now += 1000;
        let now = self.now;
        self.session().poll(now)
    }

    /// Hands a request over and lets nobody work at it.
    pub(crate) fn send(&mut self, id: u16, command: Command<'_>) {
        let mut frame = [0; MAX_FRAME];
        let frame = encode(&Request { id, command }, &mut frame).unwrap();
        self.session().receive(frame);
    }

    /// Shows the camera's picture, as a board does.
    pub(crate) fn capture(&mut self) {
        let session = self.session.as_mut().unwrap();
        session.captured(|buffer| {
            let picture = self.camera.as_ref().map_err(|fault| *fault)?;
            buffer[..picture.len()].copy_from_slice(picture);
            let side = picture.len().isqrt() as u16;
            Ok((side, side))
        });
    }

    pub(crate) fn session(&mut self) -> &mut Session<'static, Flash> {
        self.session.as_mut().unwrap()
    }

    /// Lets the device work until it waits; what it sends.
    pub(crate) fn work(&mut self) -> Vec<Vec<u8>> {
        let mut frames = vec![];
        loop {
            let action = self.step();
            if action == Action::Capture {
                self.capture();
            }
            let session = self.session.as_mut().unwrap();
            let bytes = session.outgoing().to_vec();
            session.sent(bytes.len());
            for &byte in &bytes {
                if let Some(frame) = self.decoder.push(byte) {
                    frames.push(frame.unwrap().to_vec());
                }
            }
            if bytes.is_empty() && matches!(action, Action::Idle | Action::Restart) {
                return frames;
            }
        }
    }

    /// The reply's bytes to a request with a number of one's choice.
    pub(crate) fn ask_as(&mut self, id: u16, command: Command<'_>) -> Option<Vec<u8>> {
        self.send(id, command);
        self.work()
            .into_iter()
            .find(|frame| matches!(parse(frame), Ok(Packet::Reply { id: of, .. }) if of == id))
    }

    /// Asks and hands the answer on.
    pub(crate) fn ask<T>(
        &mut self,
        command: Command<'_>,
        answer: impl FnOnce(Result<Reply<'_>, Fault<'_>>) -> T,
    ) -> T {
        self.id += 1;
        let frame = self.ask_as(self.id, command).expect("an answer");
        match parse(&frame).unwrap() {
            Packet::Reply { result, .. } => answer(result),
            Packet::Event(_) => unreachable!("`ask_as` takes replies"),
        }
    }

    /// Asks for what must be refused; how.
    #[track_caller]
    pub(crate) fn fault(&mut self, command: Command<'_>) -> String {
        self.ask(command, |result| format!("{:?}", result.unwrap_err()))
    }

    /// Asks for what must be done to so many samples.
    #[track_caller]
    pub(crate) fn done(&mut self, command: Command<'_>, samples: u16) {
        self.ask(command, |result| {
            assert_eq!(result, Ok(Reply::Done { samples }));
        });
    }

    /// Puts a picture into the capture buffer.
    pub(crate) fn show(&mut self, picture: &[u8]) {
        let side = SIDE as u16;
        for (index, bytes) in picture.chunks(700).enumerate() {
            let command = Command::WriteCapture {
                h: side,
                w: side,
                offset: index as u32 * 700,
                bytes,
            };
            self.ask(command, |result| assert!(result.is_ok(), "{result:?}"));
        }
    }

    /// Teaches a picture.
    #[track_caller]
    pub(crate) fn enrol(&mut self, label: &str, picture: &[u8]) {
        self.show(picture);
        let command = Command::Enrol {
            label,
            force: false,
        };
        self.ask(command, |result| {
            assert!(matches!(result, Ok(Reply::Enrolled(_))), "{result:?}");
        });
    }

    /// The fingerprint that the device says.
    pub(crate) fn model_in_use(&mut self) -> [u8; 16] {
        let protocol = PROTOCOL;
        self.ask(Command::Hello { protocol }, |result| match result {
            Ok(Reply::Hello(hello)) => hello.model,
            other => panic!("{other:?}"),
        })
    }
}
