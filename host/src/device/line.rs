//! A byte stream as a line of frames, with time limits.
//!
//! In: a stream whose `read` gives up after a short while. Out: packets; what is damaged is counted and
//! left out.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Instant;

use shared::link::{Decoder, FrameError, MAX_FRAME, Packet, Request, encode, parse};

/// Bytes that are kept to show what a line that is not ours says.
const BEGIN: usize = 24;

pub(super) struct Line<S> {
    stream: S,
    decoder: Decoder,
    input: Vec<u8>,
    /// What of `input` was not looked at yet.
    from: usize,
    pub(super) traffic: Traffic,
}

/// What came over the line so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic {
    /// Bytes.
    pub(super) received: u64,
    /// Frames that were messages.
    pub(super) packets: u64,
    /// Frames that were not.
    pub(super) damaged: u64,
    /// The first bytes.
    begin: Vec<u8>,
}

impl Traffic {
    /// The first bytes, as far as they can be printed.
    pub(super) fn begin(&self) -> String {
        format!("`{}`", self.begin.escape_ascii())
    }
}

impl<S: Read + Write> Line<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            decoder: Decoder::new(),
            input: Vec::new(),
            from: 0,
            traffic: Traffic::default(),
        }
    }

    /// The frame of `request`; `None` when it does not fit one.
    pub(super) fn frame(request: &Request<'_>) -> Option<Vec<u8>> {
        // A zero first: it ends whatever a half-sent frame before this one left at the device.
        let mut frame = vec![0; MAX_FRAME + 1];
        let len = encode(request, frame.get_mut(1..)?).ok()?.len();
        frame.truncate(len + 1);
        Some(frame)
    }

    /// Sends bytes. A device that does not take them is not an error here: it will not answer either.
    pub(super) fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        match self
            .stream
            .write_all(frame)
            .and_then(|()| self.stream.flush())
        {
            Err(error) if is_quiet(&error) => Ok(()),
            result => result,
        }
    }

    /// Hands packets to `take` until it returns something or it is `deadline`.
    pub(super) fn receive<T>(
        &mut self,
        deadline: Instant,
        mut take: impl FnMut(Packet<'_>) -> Option<T>,
    ) -> io::Result<Option<T>> {
        loop {
            if let Some(taken) = self.parse(&mut take) {
                return Ok(Some(taken));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Looks at what was read already.
    fn parse<T>(&mut self, take: &mut impl FnMut(Packet<'_>) -> Option<T>) -> Option<T> {
        let mut rest = self.input.get(self.from..).unwrap_or_default();
        while let Some(frame) = self.decoder.push_bytes(&mut rest) {
            self.from = self.input.len() - rest.len();
            match frame.and_then(parse::<Packet<'_>>) {
                Ok(packet) => {
                    self.traffic.packets += 1;
                    if let Some(taken) = take(packet) {
                        return Some(taken);
                    }
                }
                // Whole, so it is from a device; an event of a later version, most likely.
                Err(FrameError::NotUnderstood) => self.traffic.packets += 1,
                Err(FrameError::TooLong | FrameError::Damaged) => self.traffic.damaged += 1,
            }
        }
        self.input.clear();
        self.from = 0;
        None
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the other end closed it",
            )),
            Ok(count) => {
                let came = chunk.get(..count).unwrap_or_default();
                self.input.extend_from_slice(came);
                let room = BEGIN.saturating_sub(self.traffic.begin.len());
                self.traffic.begin.extend(came.iter().take(room));
                self.traffic.received += came.len() as u64;
                Ok(())
            }
            Err(error) if is_quiet(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether an error only says that nothing moved in time.
fn is_quiet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
