//! What does not fit one message: pictures, logits and models, piece by piece.
//!
//! In: bytes to send, or a place to read from. Out: all of it, or an error. Every piece says where it
//! belongs, so one that went twice or not at all is put right at once, and a model whose transfer was
//! cut goes on where it stopped.

use std::io::{Read, Write};

use sha2::{Digest, Sha256};
use shared::link::{Command, Fault, MAX_CHUNK, Reply};

use super::answers::Picture;
use super::calls::captured;
use super::images::Grey;
use super::{Client, DeviceError};

/// How often a device may ask for another place than the one that is due.
const DETOURS: u32 = 8;

/// Told how many bytes of how many are done.
pub(super) type OnBytes<'p> = &'p mut dyn FnMut(u32, u32);

/// What came of a piece that was sent.
enum Piece {
    /// The next one starts here.
    Next(u32),
    /// It was the last one of a picture.
    Picture(Picture),
}

impl<S: Read + Write> Client<'_, S> {
    /// The picture in the device's buffer, of the size that [`Client::capture`] told.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn read_capture(&mut self, picture: Picture) -> Result<Grey, DeviceError> {
        let what = "the picture";
        let bytes = self.read_all(what, |offset| Command::ReadCapture { offset })?;
        Grey::new(picture.h.into(), picture.w.into(), bytes).ok_or(DeviceError::WrongAnswer {
            what: "give its picture",
        })
    }

    /// The picture of a sample of this size.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn read_sample(&mut self, sample: u32, h: u16, w: u16) -> Result<Grey, DeviceError> {
        let what = "a sample's picture";
        let bytes = self.read_all(what, |offset| Command::ReadSample { sample, offset })?;
        Grey::new(h.into(), w.into(), bytes).ok_or(DeviceError::WrongAnswer {
            what: "give a sample's picture",
        })
    }

    /// The logits of the last score, one for each sample in the order of [`Client::list`].
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn read_logits(&mut self) -> Result<Vec<i32>, DeviceError> {
        let bytes = self.read_all("the logits", |offset| Command::ReadLogits { offset })?;
        let (words, _) = bytes.as_chunks();
        Ok(words.iter().map(|word| i32::from_le_bytes(*word)).collect())
    }

    /// Puts a picture into the device's buffer, in place of one from its camera.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when it has too many pixels.
    pub fn write_capture(&mut self, grey: &Grey) -> Result<Picture, DeviceError> {
        let what = "the picture";
        // What does not fit is refused by the device with the number of pixels that does.
        let (h, w) = (cap(grey.h), cap(grey.w));
        let total = grey.pixels.len() as u32;
        let (mut offset, mut detours) = (0, 0);
        loop {
            let command = Command::WriteCapture {
                h,
                w,
                offset,
                bytes: piece(&grey.pixels, offset),
            };
            match self.send_piece(command)? {
                Piece::Picture(picture) => return Ok(picture),
                Piece::Next(next) => advance(what, &mut offset, next, total, &mut detours)?,
            }
        }
    }

    /// Sends a model up to the point where [`Client::update_commit`] may follow. What is there already
    /// of this very model is not sent again.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when the device has no place for it.
    pub fn send_model(&mut self, model: &[u8], on_bytes: OnBytes<'_>) -> Result<(), DeviceError> {
        let len = cap_u32(model.len());
        let begin = Command::UpdateBegin {
            len,
            sha256: Sha256::digest(model).into(),
        };
        let mut offset = 0;
        let mut detours = 0;
        if let Piece::Next(next) = self.send_piece(begin)? {
            offset = next.min(len);
        }
        while offset < len {
            on_bytes(offset, len);
            let bytes = piece(model, offset);
            if let Piece::Next(next) = self.send_piece(Command::UpdateWrite { offset, bytes })? {
                advance("the model", &mut offset, next, len, &mut detours)?;
            }
        }
        on_bytes(len, len);
        Ok(())
    }

    fn send_piece(&mut self, command: Command<'_>) -> Result<Piece, DeviceError> {
        let sent = self.ask(command, |reply| match reply {
            Reply::Written { next } => Some(Piece::Next(next)),
            other => captured(other).map(Piece::Picture),
        });
        match sent {
            Err(DeviceError::Refused(refusal)) => match refusal.fault {
                Fault::Offset { expected } => Ok(Piece::Next(expected)),
                _ => Err(DeviceError::Refused(refusal)),
            },
            other => other,
        }
    }

    fn read_all(
        &mut self,
        what: &'static str,
        command: impl Fn(u32) -> Command<'static>,
    ) -> Result<Vec<u8>, DeviceError> {
        let mut all = Vec::new();
        loop {
            let offset = cap_u32(all.len());
            let total = self.ask(command(offset), |reply| match reply {
                Reply::Chunk {
                    offset: at,
                    total,
                    bytes,
                } if at == offset => {
                    all.extend_from_slice(bytes);
                    Some((total, bytes.len()))
                }
                _ => None,
            })?;
            match total {
                (total, _) if all.len() >= total as usize => {
                    all.truncate(total as usize);
                    return Ok(all);
                }
                // An empty piece would be asked for without end.
                (_, 0) => return Err(DeviceError::Astray { what, at: offset }),
                _ => {}
            }
        }
    }
}

/// The bytes of a message that start at `offset`.
fn piece(bytes: &[u8], offset: u32) -> &[u8] {
    let rest = bytes.get(offset as usize..).unwrap_or_default();
    rest.get(..MAX_CHUNK).unwrap_or(rest)
}

/// Goes to where the device wants the next piece; a device that always wants another place than the
/// one behind the last piece is given up.
fn advance(
    what: &'static str,
    offset: &mut u32,
    next: u32,
    total: u32,
    detours: &mut u32,
) -> Result<(), DeviceError> {
    let due = (*offset + MAX_CHUNK as u32).min(total);
    if next != due {
        *detours += 1;
    }
    if *detours > DETOURS || next > total {
        return Err(DeviceError::Astray { what, at: *offset });
    }
    *offset = next;
    Ok(())
}

fn cap(extent: usize) -> u16 {
    u16::try_from(extent).unwrap_or(u16::MAX)
}

fn cap_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
