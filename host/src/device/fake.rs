//! A device and a bad line for tests: it answers every message from memory, and the line drops,
//! doubles, damages and delays frames as it is told.
//!
//! In: a [`Mischief`]. Out: the host's end of the line; what the device carried out.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use shared::link::{
    Captured, Command, Decoder, Enrolled, Event, Fault, Hello, Info, MAX_CHUNK, MAX_FRAME,
    PROTOCOL, Packet, Quality, Reply, Request, Sample, Settings, Target, UpdateFault, encode,
    parse,
};

/// One end of a line.
pub(crate) struct End {
    from: Receiver<Vec<u8>>,
    to: Sender<Vec<u8>>,
    rest: Vec<u8>,
}

/// A line.
pub(crate) fn line() -> (End, End) {
    let ((to_device, at_device), (to_host, at_host)) = (channel(), channel());
    let end = |from, to| End {
        from,
        to,
        rest: Vec::new(),
    };
    (end(at_host, to_device), end(at_device, to_host))
}

impl Read for End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = match self.from.recv_timeout(Duration::from_millis(2)) {
                Ok(bytes) => bytes,
                Err(RecvTimeoutError::Timeout) => return Err(ErrorKind::TimedOut.into()),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            };
        }
        let count = self.rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(count)
    }
}

impl Write for End {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(ErrorKind::BrokenPipe);
        self.to.send(buffer.to_vec()).map_err(gone)?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What goes wrong, each as a share of frames.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mischief {
    /// Requests and answers that are lost.
    pub(super) lost: f64,
    /// Answers that come twice.
    pub(super) doubled: f64,
    /// Requests and answers with a changed byte.
    pub(super) damaged: f64,
    /// Answers behind an event.
    pub(super) events: f64,
    /// Requests that are first answered by [`Fault::Busy`].
    pub(super) busy: f64,
    /// The line is cut after so many requests.
    pub(super) cut_after: Option<u32>,
    /// The device says this to its host's hello.
    pub(super) protocol: Option<u16>,
    /// It offers places in the model that are never right.
    pub(super) astray: bool,
}

/// A sample: its number, its class, its rows and columns, its picture.
type Kept = (u32, String, (u16, u16), Vec<u8>);

/// What the device has done; its thread gives it back when the host's end is dropped.
#[derive(Debug, Default)]
pub(super) struct Device {
    pub(super) capture: Vec<u8>,
    pub(super) size: (u16, u16),
    pub(super) samples: Vec<Kept>,
    pub(super) settings: Option<Settings>,
    pub(super) model: Vec<u8>,
    pub(super) committed: bool,
    /// Requests carried out.
    pub(super) done: u32,
    sha256: [u8; 32],
    len: u32,
    next_sample: u32,
}

/// Starts a device at the other end of a line.
pub(super) fn start(mischief: Mischief, seed: u64) -> (End, JoinHandle<Device>) {
    let (host, end) = line();
    let thread = std::thread::spawn(move || {
        Bad {
            end,
            mischief,
            rng: ChaCha8Rng::seed_from_u64(seed),
            device: Device::default(),
        }
        .run()
    });
    (host, thread)
}

struct Bad {
    end: End,
    mischief: Mischief,
    rng: ChaCha8Rng,
    device: Device,
}

impl Bad {
    fn run(mut self) -> Device {
        let mut decoder = Decoder::new();
        let mut last: Option<(u16, Vec<u8>)> = None;
        let mut requests = 0;
        let mut chunk = [0; 512];
        loop {
            let count = match self.end.read(&mut chunk) {
                Ok(0) => return self.device,
                Ok(count) => count,
                Err(_) => continue,
            };
            let mut bytes = chunk[..count].to_vec();
            if self.happens(self.mischief.damaged) {
                let at = self.rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << self.rng.random_range(0..8);
            }
            let mut bytes = bytes.as_slice();
            while let Some(frame) = decoder.push_bytes(&mut bytes) {
                let Ok(request) = frame.and_then(parse::<Request<'_>>) else {
                    continue;
                };
                requests += 1;
                if self
                    .mischief
                    .cut_after
                    .is_some_and(|limit| requests > limit)
                {
                    return self.device;
                }
                if self.happens(self.mischief.lost) {
                    continue;
                }
                let answer = match &last {
                    Some((id, answer)) if *id == request.id => answer.clone(),
                    _ if self.happens(self.mischief.busy) => {
                        let busy = Packet::Reply {
                            id: request.id,
                            result: Err(Fault::Busy),
                        };
                        self.end.write_all(&framed(&busy)).ok();
                        continue;
                    }
                    _ => {
                        let answer = self.device.answer(&request, self.mischief);
                        last = Some((request.id, answer.clone()));
                        answer
                    }
                };
                self.reply(answer);
            }
        }
    }

    fn reply(&mut self, mut answer: Vec<u8>) {
        if self.happens(self.mischief.events) {
            let event = framed(&Packet::Event(Event::Log("something happened")));
            self.end.write_all(&event).ok();
        }
        if self.happens(self.mischief.lost) {
            return;
        }
        if self.happens(self.mischief.damaged) {
            let at = self.rng.random_range(0..answer.len());
            answer[at] ^= 1 << self.rng.random_range(0..8);
        }
        let times = 1 + usize::from(self.happens(self.mischief.doubled));
        for _ in 0..times {
            self.end.write_all(&answer).ok();
        }
    }

    fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.random_bool(share)
    }
}

pub(super) fn framed(packet: &Packet<'_>) -> Vec<u8> {
    let mut frame = [0; MAX_FRAME];
    encode(packet, &mut frame).unwrap().to_vec()
}

impl Device {
    fn answer(&mut self, request: &Request<'_>, mischief: Mischief) -> Vec<u8> {
        let id = request.id;
        self.done += 1;
        if let (Command::Hello { .. }, Some(speaks)) = (request.command, mischief.protocol) {
            let result = Err(Fault::Protocol { speaks });
            return framed(&Packet::Reply { id, result });
        }
        let result = match self.carry_out(request.command) {
            Ok(Reply::Written { .. }) if mischief.astray => Ok(Reply::Written { next: 7 }),
            other => other,
        };
        framed(&Packet::Reply { id, result })
    }

    fn carry_out<'a>(&'a mut self, command: Command<'a>) -> Result<Reply<'a>, Fault<'a>> {
        match command {
            Command::Hello { .. } => Ok(Reply::Hello(Hello {
                protocol: PROTOCOL,
                board: "fake",
                firmware: "1.2.3",
                model: [7; 16],
            })),
            Command::Info => Ok(Reply::Info(self.info())),
            Command::Capture => {
                self.size = (40, 50);
                self.capture = (0..2000).map(|index| (index % 253) as u8).collect();
                Ok(self.captured())
            }
            Command::ReadCapture { offset } => Ok(chunk(&self.capture, offset)),
            Command::WriteCapture {
                h,
                w,
                offset,
                bytes,
            } => self.write_capture((h, w), offset, bytes),
            Command::Enrol { label, .. } => self.enrol(label),
            Command::List { index } => {
                let sample = self
                    .samples
                    .get(usize::from(index))
                    .ok_or(Fault::NoSuchSample)?;
                let (sample, label, (h, w), _) = sample;
                let (sample, h, w) = (*sample, *h, *w);
                Ok(Reply::Sample(Sample {
                    sample,
                    label,
                    h,
                    w,
                    fresh: true,
                }))
            }
            Command::ReadSample { sample, offset } => {
                let sample = self.samples.iter().find(|kept| kept.0 == sample);
                Ok(chunk(&sample.ok_or(Fault::NoSuchSample)?.3, offset))
            }
            Command::Forget {
                target: Target::All,
            } => {
                let samples = self.samples.drain(..).count() as u16;
                Ok(Reply::Done { samples })
            }
            Command::Configure { settings } => Ok(Reply::Settings(*self.settings.insert(settings))),
            Command::UpdateBegin { .. }
            | Command::UpdateWrite { .. }
            | Command::UpdateCommit { .. } => self.update(command),
            _ => Err(Fault::NotUnderstood),
        }
    }

    fn info(&self) -> Info {
        Info {
            input: [48, 48],
            max_capture: 20_000,
            samples: self.samples.len() as u16,
            classes: 1,
            max_samples: 64,
            flash_free: 1,
            flash_bank: 2,
            flash_epoch: 3,
            damaged: 0,
            stale: 0,
            max_model: 1 << 20,
            uptime: 5,
        }
    }

    fn captured(&self) -> Reply<'static> {
        let (h, w) = self.size;
        Reply::Captured(Captured {
            h,
            w,
            quality: Quality::Good,
        })
    }

    fn write_capture<'a>(
        &mut self,
        size: (u16, u16),
        offset: u32,
        bytes: &[u8],
    ) -> Result<Reply<'a>, Fault<'a>> {
        if offset == 0 {
            self.capture.clear();
        }
        if offset as usize != self.capture.len() {
            return Err(Fault::Offset {
                expected: self.capture.len() as u32,
            });
        }
        self.size = size;
        self.capture.extend(bytes);
        if self.capture.len() == usize::from(size.0) * usize::from(size.1) {
            return Ok(self.captured());
        }
        Ok(Reply::Written {
            next: self.capture.len() as u32,
        })
    }

    fn enrol<'a>(&mut self, label: &'a str) -> Result<Reply<'a>, Fault<'a>> {
        if let Some(twin) = self.samples.iter().find(|kept| kept.3 == self.capture) {
            return Err(Fault::Duplicate { sample: twin.0 });
        }
        self.next_sample += 1;
        let sample = self.next_sample;
        self.samples
            .push((sample, label.into(), self.size, self.capture.clone()));
        let samples = self.samples.len() as u16;
        Ok(Reply::Enrolled(Enrolled {
            sample,
            quality: Quality::Good,
            samples,
            classes: 1,
        }))
    }

    fn update<'a>(&mut self, command: Command<'a>) -> Result<Reply<'a>, Fault<'a>> {
        match command {
            Command::UpdateBegin { len, sha256 } => {
                if sha256 != self.sha256 {
                    self.model.clear();
                }
                (self.len, self.sha256) = (len, sha256);
            }
            Command::UpdateWrite { offset, bytes } if offset as usize == self.model.len() => {
                self.model.extend(bytes);
            }
            Command::UpdateWrite { .. } => {
                return Err(Fault::Offset {
                    expected: self.model.len() as u32,
                });
            }
            _ => {
                let right = <[u8; 32]>::from(Sha256::digest(&self.model)) == self.sha256;
                if self.model.len() != self.len as usize || !right {
                    return Err(Fault::Update(UpdateFault::Digest));
                }
                self.committed = true;
                return Ok(Reply::Done { samples: 0 });
            }
        }
        Ok(Reply::Written {
            next: self.model.len() as u32,
        })
    }
}

fn chunk(all: &[u8], offset: u32) -> Reply<'_> {
    let rest = all.get(offset as usize..).unwrap_or_default();
    Reply::Chunk {
        offset,
        total: all.len() as u32,
        bytes: rest.get(..MAX_CHUNK).unwrap_or(rest),
    }
}
