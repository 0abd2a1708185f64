//! Frames in and out, and requests that come again.
//!
//! In: bytes, and what is to be told. Out: requests, each once, and bytes. The last answer is kept
//! until the next request, so that a host that lost it can ask again.

use embedded_storage::nor_flash::NorFlash;

use super::Core;
use crate::link::{
    Command, Decoder, Event, Fault, FrameError, MAX_FRAME, PROTOCOL, Packet, Reply, Request,
    encode, parse, request_id,
};
use crate::slots::Mapped;

/// Room for an event's frame: two labels, their logits, and a line for a person.
const EVENT_LEN: usize = 192;

/// A frame on its way out.
#[derive(Debug)]
struct Outgoing<const LEN: usize> {
    frame: [u8; LEN],
    len: usize,
    sent: usize,
}

impl<const LEN: usize> Outgoing<LEN> {
    const fn new() -> Self {
        Self {
            frame: [0; LEN],
            len: 0,
            sent: 0,
        }
    }

    fn put(&mut self, packet: &Packet<'_>) {
        (self.len, self.sent) = (0, 0);
        if let Ok(frame) = encode(packet, &mut self.frame) {
            self.len = frame.len();
        }
    }

    fn rest(&self) -> &[u8] {
        self.frame.get(self.sent..self.len).unwrap_or(&[])
    }
}

/// The device's end of the link.
#[derive(Debug)]
pub(super) struct Line {
    decoder: Decoder,
    reply: Outgoing<MAX_FRAME>,
    event: Outgoing<EVENT_LEN>,
    /// The request that was taken last.
    last: Option<u16>,
    /// Whether it still waits for its reply.
    open: bool,
    /// Which of the two frames was begun and must be sent to its end first.
    event_first: bool,
}

/// What comes of a request.
pub(super) enum Answer<'a> {
    /// This.
    Now(Result<Reply<'a>, Fault<'a>>),
    /// It comes later, from a job.
    Later,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            reply: Outgoing::new(),
            event: Outgoing::new(),
            last: None,
            open: false,
            event_first: false,
        }
    }

    /// Takes a byte; with the last byte of a request, carries it out.
    pub(super) fn receive<F: NorFlash + Mapped>(&mut self, byte: u8, core: &mut Core<'_, F>) {
        // Damaged frames are passed over: the host asks again.
        let Some(Ok(frame)) = self.decoder.push(byte) else {
            return;
        };
        let (id, request) = match parse::<Request<'_>>(frame) {
            Ok(request) => (request.id, Ok(request.command)),
            Err(FrameError::NotUnderstood) => match request_id(frame) {
                Some(id) => (id, Err(Fault::NotUnderstood)),
                None => return,
            },
            Err(_) => return,
        };
        let hello = matches!(request, Ok(Command::Hello { .. }));
        if !hello && self.last == Some(id) {
            // The same request: its answer once more, if it is not on its way or still to come.
            if !self.open && self.reply.rest().is_empty() {
                self.reply.sent = 0;
            }
            return;
        }
        if hello {
            core.cancel();
            self.open = false;
        }
        let refused = request.as_ref().is_ok_and(|command| core.refuses(command));
        if self.open || refused {
            // Not taken: when it comes again it is a new request.
            let result = Err(Fault::Busy);
            self.reply.put(&Packet::Reply { id, result });
            return;
        }
        (self.last, self.open) = (Some(id), true);
        let answer = match request {
            Ok(Command::Hello { protocol }) if protocol != PROTOCOL => {
                Answer::Now(Err(Fault::Protocol { speaks: PROTOCOL }))
            }
            Ok(command) => core.handle(&command),
            Err(fault) => Answer::Now(Err(fault)),
        };
        if let Answer::Now(result) = answer {
            self.open = false;
            self.reply.put(&Packet::Reply { id, result });
        }
    }

    /// Answers the request that waits.
    pub(super) fn answer(&mut self, result: Result<Reply<'_>, Fault<'_>>) {
        if let (Some(id), true) = (self.last, self.open) {
            self.open = false;
            self.reply.put(&Packet::Reply { id, result });
        }
    }

    /// Sends an event. One that was not yet begun to be sent gives way to it.
    pub(super) fn tell(&mut self, event: &Event<'_>) {
        if self.event.sent == 0 || self.event.rest().is_empty() {
            self.event.put(&Packet::Event(*event));
        }
    }

    pub(super) fn outgoing(&self) -> &[u8] {
        if self.event_is_next() {
            self.event.rest()
        } else {
            self.reply.rest()
        }
    }

    pub(super) fn sent(&mut self, count: usize) {
        let event = self.event_is_next();
        let (sent, len) = if event {
            (&mut self.event.sent, self.event.len)
        } else {
            (&mut self.reply.sent, self.reply.len)
        };
        *sent = sent.saturating_add(count).min(len);
        self.event_first = event && *sent < len;
    }

    /// A frame that was begun is sent to its end; otherwise replies go first.
    fn event_is_next(&self) -> bool {
        self.event_first || self.reply.rest().is_empty()
    }
}
