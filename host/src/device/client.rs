//! A client that asks one thing at a time and repeats it until it is answered.
//!
//! In: a byte stream to a device. Out: the reply, or a [`DeviceError`] that says what is wrong. A repeat
//! carries the number of what it repeats, so the device carries nothing out twice.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use shared::link::{Command, Event, Fault, PROTOCOL, Packet, Reply, Request};

use super::DeviceError;
use super::answers::Greeting;
use super::line::Line;
use super::refusal::Refusal;

/// How long to wait before a request is sent again, and when to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Least wait before the first repeat; it doubles with each one, and is longer on a slow line.
    pub first: Duration,
    /// Longest wait between repeats.
    pub most: Duration,
    /// How long a request may take that asks for no work.
    pub patience: Duration,
    /// How long one may take that asks for a picture, an embedding or a write to flash, or that moves a
    /// piece of something longer.
    pub work: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(400),
            most: Duration::from_secs(10),
            patience: Duration::from_secs(8),
            work: Duration::from_secs(60),
        }
    }
}

/// What is called with every event.
pub type EventSink<'e> = Box<dyn FnMut(Event<'_>) + 'e>;

/// A device that has said hello.
pub struct Client<'e, S> {
    line: Line<S>,
    pace: Pace,
    /// Wait before the first repeat, as the line has shown that it needs.
    wait: Duration,
    last_id: u16,
    on_event: EventSink<'e>,
    greeting: Greeting,
}

impl<'e, S: Read + Write> Client<'e, S> {
    /// Says hello over `stream`, whose `read` must give up after a short while (100 ms, say).
    ///
    /// # Errors
    /// [`DeviceError`]: each reason why there is no Onelook device that this program understands.
    pub fn connect(stream: S, pace: Pace, on_event: EventSink<'e>) -> Result<Self, DeviceError> {
        let mut client = Self {
            line: Line::new(stream),
            pace,
            wait: pace.first,
            // Not the same for every program, so that an answer to another one's request is not taken
            // for one to ours.
            last_id: std::process::id() as u16,
            on_event,
            greeting: Greeting::default(),
        };
        client.hello()?;
        Ok(client)
    }

    /// What the device said when it was greeted.
    #[must_use]
    pub const fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Says hello again, as after a restart.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn hello(&mut self) -> Result<(), DeviceError> {
        let before = self.line.traffic.clone();
        let hello = Command::Hello { protocol: PROTOCOL };
        let greeting = self.ask(hello, |reply| match reply {
            Reply::Hello(hello) => Some(Greeting::from(hello)),
            _ => None,
        });
        self.greeting = match greeting {
            Ok(greeting) if greeting.protocol == PROTOCOL => greeting,
            Ok(greeting) => return Err(version(greeting.protocol)),
            Err(DeviceError::NoAnswer { seconds, .. })
                if self.line.traffic.received == before.received =>
            {
                return Err(DeviceError::Silent { seconds });
            }
            Err(DeviceError::NoAnswer { .. }) if self.line.traffic.packets == before.packets => {
                return Err(DeviceError::NotOurs {
                    received: self.line.traffic.received - before.received,
                    begin: self.line.traffic.begin(),
                });
            }
            Err(error) => return Err(speaks(&error).map_or(error, version)),
        };
        Ok(())
    }

    /// Hands events to the callback until `time` has passed.
    ///
    /// # Errors
    /// [`DeviceError::LinkLost`].
    pub fn listen(&mut self, time: Duration) -> Result<(), DeviceError> {
        let on_event = &mut self.on_event;
        let nothing = self.line.receive(Instant::now() + time, |packet| {
            if let Packet::Event(event) = packet {
                on_event(event);
            }
            None::<()>
        });
        let lost = |source| DeviceError::LinkLost {
            what: "hear what happens",
            source,
        };
        nothing.map(drop).map_err(lost)
    }

    /// Sends `command` until it is answered, and reads the answer with `read`, which gives `None` for a
    /// reply of another kind.
    pub(super) fn ask<T>(
        &mut self,
        command: Command<'_>,
        mut read: impl FnMut(Reply<'_>) -> Option<T>,
    ) -> Result<T, DeviceError> {
        let what = name(&command);
        self.last_id = self.last_id.wrapping_add(1);
        let id = self.last_id;
        let frame = Line::<S>::frame(&Request { id, command });
        let frame = frame.ok_or(DeviceError::TooLong { what })?;
        let limit = if works(&command) {
            self.pace.work
        } else {
            self.pace.patience
        };
        let (start, damaged) = (Instant::now(), self.line.traffic.damaged);
        let mut tries = 0;
        while start.elapsed() < limit {
            tries += 1;
            let sent = Instant::now();
            let answer = self.once(id, what, &frame, self.wait, &mut read)?;
            if let Some(answer) = answer {
                if tries == 1 {
                    self.learn(sent.elapsed());
                }
                return answer;
            }
            // Kept for the next request: repeats on a slow line only make it slower.
            self.wait = self.wait.saturating_mul(2).min(self.pace.most);
        }
        Err(DeviceError::NoAnswer {
            what,
            tries,
            seconds: start.elapsed().as_secs_f32(),
            damaged: self.line.traffic.damaged - damaged,
        })
    }

    /// Waits four times as long as answers take, and comes down from a longer wait step by step.
    fn learn(&mut self, took: Duration) {
        let wait = took.saturating_mul(4).max(self.wait * 3 / 4);
        self.wait = wait.max(self.pace.first).min(self.pace.most);
    }

    /// Sends `frame` and waits for its answer; `None` when it is to be sent again.
    fn once<T>(
        &mut self,
        id: u16,
        what: &'static str,
        frame: &[u8],
        wait: Duration,
        read: &mut impl FnMut(Reply<'_>) -> Option<T>,
    ) -> Result<Option<Result<T, DeviceError>>, DeviceError> {
        let lost = |source| DeviceError::LinkLost { what, source };
        let deadline = Instant::now() + wait;
        self.line.send(frame).map_err(lost)?;
        let on_event = &mut self.on_event;
        let answer = self.line.receive(deadline, |packet| match packet {
            Packet::Event(event) => {
                on_event(event);
                None
            }
            // An answer to an earlier request, which was asked twice and answered twice.
            Packet::Reply { id: other, .. } if other != id => None,
            // Still at it: ask again when it had time.
            Packet::Reply {
                result: Err(Fault::Busy),
                ..
            } => None,
            Packet::Reply { result, .. } => Some(match result {
                Ok(reply) => read(reply).ok_or(DeviceError::WrongAnswer { what }),
                Err(fault) => Err(DeviceError::Refused(Refusal::new(what, fault))),
            }),
        });
        answer.map_err(lost)
    }
}

fn speaks(error: &DeviceError) -> Option<u16> {
    match error.refusal()?.fault {
        Fault::Protocol { speaks } => Some(speaks),
        // It is a device, but of a version that does not know our hello.
        _ => None,
    }
}

const fn version(device: u16) -> DeviceError {
    let host = PROTOCOL;
    if device < host {
        DeviceError::TooOld { device, host }
    } else {
        DeviceError::TooNew { device, host }
    }
}

/// A request in words that follow "to".
const fn name(command: &Command<'_>) -> &'static str {
    match command {
        Command::Hello { .. } => "say hello",
        Command::Info => "tell its state",
        Command::Capture => "take a picture",
        Command::ReadCapture { .. } => "give its picture",
        Command::WriteCapture { .. } => "take over a picture",
        Command::Enrol { .. } => "enrol the picture",
        Command::Score => "recognise the picture",
        Command::ReadLogits { .. } => "give its logits",
        Command::List { .. } => "list its samples",
        Command::ReadSample { .. } => "give a sample's picture",
        Command::Forget { .. } => "forget",
        Command::Rename { .. } => "rename a class",
        Command::Undo => "take back the last change",
        Command::Settings => "tell its settings",
        Command::Configure { .. } => "change its settings",
        Command::UpdateBegin { .. } => "begin an update",
        Command::UpdateWrite { .. } => "take a piece of the model",
        Command::UpdateCommit { .. } => "use the new model",
        Command::UpdateAbort => "give up the update",
        Command::Selftest { .. } => "test itself",
        Command::Bench => "measure an embedding",
        Command::Restart => "start again",
    }
}

/// Whether a request asks for work, or moves so many bytes that a slow line takes seconds.
const fn works(command: &Command<'_>) -> bool {
    !matches!(
        command,
        Command::Hello { .. }
            | Command::Info
            | Command::List { .. }
            | Command::Settings
            | Command::Restart
    )
}
