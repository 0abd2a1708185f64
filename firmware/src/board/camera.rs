//! A camera whose pictures are files of the host's, by semihosting.
//!
//! In: `camera/shot.pgm`, or `camera/000.pgm`, `camera/001.pgm` and so on, in the folder where the emulator runs:
//! binary PGM (`P5`) of 8 bits. Out: the grey values, made smaller while they are read where there are more
//! than fit, as those of a real camera would be; or what a real camera fails with.
//!
//! While there is a `shot.pgm` every capture sees it: a host that replaces it moves the scene. The same
//! scene may be seen twice, so this camera never is frozen. The numbered files are taken one after the
//! other; when there are no more the last one comes again, byte by byte, which is what a frozen camera gives,
//! and so it is called. So is a file that has the same bytes as the one before.
//!
//! | what is there                                                   | fault         |
//! |-----------------------------------------------------------------|---------------|
//! | neither `shot.pgm` nor `000.pgm`                                | `Absent`      |
//! | no PGM of 8 bits, another length than its header says, or far too large | `WrongFormat` |
//! | the host cannot read it to its end                              | `Timeout`     |
//! | nothing but zeros                                               | `Black`       |
//! | a numbered file with the bytes of the capture before            | `Frozen`      |

use core::ffi::CStr;

use crc::{CRC_32_ISCSI, Crc, NoTable};
use shared::capture::Shrink;
use shared::link::CameraFault;
use shared::shape::Hwc;

use super::host_file::{FileError, HostFile};

const SHOT: &CStr = c"camera/shot.pgm";
/// Files are numbered with three digits.
const MAX_NUMBER: u16 = 999;
/// Longest header that is read: `P5 65535 65535 255` and some words of comment.
const MAX_HEADER: usize = 256;
/// Bytes that are read at once.
const PIECE: usize = 1024;

/// A picture in the buffer that was given for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub h: u16,
    /// Columns.
    pub w: u16,
}

/// A camera of files.
#[derive(Debug)]
pub struct Camera {
    /// The numbered file that comes next.
    next: u16,
    /// CRC-32C of the numbered picture before.
    before: Option<(Picture, u32)>,
}

impl Camera {
    pub(super) const fn new() -> Self {
        Self {
            next: 0,
            before: None,
        }
    }

    /// Takes a picture into the start of `buffer`.
    ///
    /// # Errors
    /// As the table of this module says; what is in `buffer` is then of no use.
    pub fn capture(&mut self, buffer: &mut [u8]) -> Result<Picture, CameraFault> {
        match HostFile::open(SHOT) {
            Ok(file) => read(&file, buffer).map(|(picture, _)| picture),
            Err(_) => self.capture_numbered(buffer),
        }
    }

    fn capture_numbered(&mut self, buffer: &mut [u8]) -> Result<Picture, CameraFault> {
        let last = self.next.checked_sub(1);
        let file = match (HostFile::open_number(self.next), last) {
            (Ok(file), _) => {
                self.next = self.next.saturating_add(1).min(MAX_NUMBER);
                file
            }
            (Err(_), Some(last)) => HostFile::open_number(last).map_err(|_| CameraFault::Absent)?,
            (Err(_), None) => return Err(CameraFault::Absent),
        };
        let (picture, pixels) = read(&file, buffer)?;
        const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISCSI);
        let now = Some((picture, CRC.checksum(pixels)));
        let frozen = self.before == now;
        self.before = now;
        match frozen {
            true => Err(CameraFault::Frozen),
            false => Ok(picture),
        }
    }
}

impl HostFile {
    /// `camera/000.pgm` and so on.
    fn open_number(number: u16) -> Result<Self, FileError> {
        let mut name = *b"camera/000.pgm\0";
        if let Some([hundreds, tens, ones]) = name.get_mut(7..10) {
            let digit = |value: u16| b'0' | (value % 10).to_le_bytes()[0];
            (*hundreds, *tens, *ones) = (digit(number / 100), digit(number / 10), digit(number));
        }
        let name = CStr::from_bytes_until_nul(&name).map_err(|_| FileError::Absent)?;
        Self::open(name)
    }
}

/// Reads a PGM; the pixels are the start of `buffer`.
fn read<'b>(file: &HostFile, buffer: &'b mut [u8]) -> Result<(Picture, &'b [u8]), CameraFault> {
    let unread = |_| CameraFault::Timeout;
    let wrong = CameraFault::WrongFormat;
    let len = file.len().map_err(unread)?;
    let mut header = [0; MAX_HEADER];
    let header = header.get_mut(..len.min(MAX_HEADER)).ok_or(wrong)?;
    file.read(header).map_err(unread)?;
    let (picture, start) = parse_header(header).ok_or(wrong)?;
    let frame = Hwc::new(usize::from(picture.h), usize::from(picture.w), 1);
    if len != start.saturating_add(frame.len()) {
        return Err(wrong);
    }
    file.seek(start).map_err(unread)?;
    let mut shrink = Shrink::new(frame, buffer).ok_or(wrong)?;
    let shape = shrink.shape();
    let mut row = [0; PIECE];
    let row = row.get_mut(..frame.w).ok_or(wrong)?;
    for _ in 0..frame.h {
        file.read(row).map_err(unread)?;
        shrink.push(row);
    }
    let pixels = shrink.finish();
    let picture = Picture {
        h: shape.h as u16,
        w: shape.w as u16,
    };
    match pixels.iter().all(|&pixel| pixel == 0) {
        true => Err(CameraFault::Black),
        false => Ok((picture, pixels)),
    }
}

/// The size of a PGM and where its pixels start: behind one blank after the fourth word.
fn parse_header(bytes: &[u8]) -> Option<(Picture, usize)> {
    let mut rest = bytes.strip_prefix(b"P5")?;
    let mut numbers = [0_u16; 3];
    for number in &mut numbers {
        rest = skip_blanks(rest)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (word, behind) = rest.split_at_checked(digits)?;
        *number = core::str::from_utf8(word).ok()?.parse().ok()?;
        rest = behind;
    }
    let (blank, rest) = rest.split_first()?;
    let [w, h, most] = numbers;
    if !blank.is_ascii_whitespace() || w == 0 || h == 0 || most != 255 {
        return None;
    }
    Some((Picture { h, w }, bytes.len().checked_sub(rest.len())?))
}

/// What stands behind at least one blank and any comments.
fn skip_blanks(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = match bytes.split_first()? {
        (byte, rest) if byte.is_ascii_whitespace() => rest,
        _ => return None,
    };
    loop {
        rest = rest.trim_ascii_start();
        match rest.strip_prefix(b"#") {
            Some(comment) => {
                let end = comment.iter().position(|&byte| byte == b'\n')?;
                rest = comment.get(end..)?;
            }
            None => return Some(rest),
        }
    }
}
