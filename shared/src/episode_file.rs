//! Bytes of the trials file `trials.bin`, version 1: N-way trials for a device to answer.
//!
//! In: images that already have the network's input size, and trials that refer to them; or the
//! bytes of a file. Out: the file ([`EpisodeRepr::emit`]), or an [`EpisodeView`] over the same
//! bytes, nothing copied. The true answers are not in the file: who wrote it keeps them.
//!
//! All numbers are little-endian.
//!
//! ```text
//! 0          32                        32 + 2 t (1 + n k)              file_len
//! ├─ header ─┼─ t trials │ 0 to 2 bytes ─┼─ n_images × [h][w] │ 0 to 3 bytes ─┤
//! ```
//!
//! | header field | at | type    | meaning                                                     |
//! |--------------|----|---------|-------------------------------------------------------------|
//! | `MAGIC`      |  0 | 4 bytes | `1TRI`                                                      |
//! | `VERSION`    |  4 | `u16`   | [`FORMAT_VERSION`]                                          |
//! | reserved     |  6 | 2 bytes | 0                                                           |
//! | `FILE_LEN`   |  8 | `u32`   | bytes in the file: exactly what the counts below ask for    |
//! | `CRC`        | 12 | `u32`   | CRC-32 (ISO-HDLC) of everything behind this field           |
//! | `IMAGE_H/W`  | 16 | `u16`×2 | rows and columns of every image, at least 1                 |
//! | `N_IMAGES`   | 20 | `u16`   | at least 1                                                  |
//! | `N_TRIALS`   | 22 | `u16`   | `t`, at least 1                                             |
//! | `N_WAY`      | 24 | `u16`   | `n`, classes of a trial, at least 1                         |
//! | `K_SHOT`     | 26 | `u16`   | `k`, supports of a class, at least 1                        |
//! | reserved     | 28 | 4 bytes | 0                                                           |
//!
//! A trial is the index of its query image and then `n k` indices of support images, class by
//! class, each a `u16` below `N_IMAGES`. An image is `u8[h][w]`, the network's input. Trials and
//! images are each padded with zeros to a multiple of 4.

use core::ops::Range;

use crate::checksum::crc32;
use crate::shape::Hwc;

/// The version this crate reads and writes.
pub const FORMAT_VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"1TRI";

/// Offsets in the header: the only place where they stand.
mod field {
    use super::Range;
    type Field = Range<usize>;

    pub(super) const MAGIC: Field = 0..4;
    pub(super) const VERSION: Field = 4..6;
    pub(super) const RESERVED_16: Field = 6..8;
    pub(super) const FILE_LEN: Field = 8..12;
    pub(super) const CRC: Field = 12..16;
    pub(super) const IMAGE_H: Field = 16..18;
    pub(super) const IMAGE_W: Field = 18..20;
    pub(super) const N_IMAGES: Field = 20..22;
    pub(super) const N_TRIALS: Field = 22..24;
    pub(super) const N_WAY: Field = 24..26;
    pub(super) const K_SHOT: Field = 26..28;
    pub(super) const RESERVED_32: Field = 28..32;
    pub(super) const HEADER_LEN: usize = RESERVED_32.end;
}

/// Bytes of an index in a trial.
const INDEX_LEN: usize = 2;

/// The numbers of the header, and where the sections lie that follow from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    image: Hwc,
    n_images: usize,
    n_trials: usize,
    n_way: usize,
    k_shot: usize,
}

impl Counts {
    /// Supports of one trial; two `u16` always multiply within 32 bits.
    const fn n_supports(&self) -> usize {
        self.n_way * self.k_shot
    }

    /// Bytes of one trial; `None` when no buffer could hold it.
    fn trial_len(&self) -> Option<usize> {
        self.n_supports().checked_add(1)?.checked_mul(INDEX_LEN)
    }

    /// Where the images start.
    fn images_at(&self) -> Option<usize> {
        let trials = self.trial_len()?.checked_mul(self.n_trials)?;
        trials
            .checked_next_multiple_of(4)?
            .checked_add(field::HEADER_LEN)
    }

    /// Bytes of the whole file.
    fn file_len(&self) -> Option<usize> {
        let images = self.image.len().checked_mul(self.n_images)?;
        images
            .checked_next_multiple_of(4)?
            .checked_add(self.images_at()?)
    }
}

/// A trials file whose every property was checked.
///
/// Owning one proves that every trial is complete and that every index names an image in the file.
#[derive(Debug, Clone, Copy)]
pub struct EpisodeView<'m> {
    counts: Counts,
    trial_len: usize,
    trials: &'m [u8],
    images: &'m [u8],
}

/// One trial: which class does the query belong to?
#[derive(Debug, Clone, Copy)]
pub struct Trial<'m> {
    indices: &'m [u8],
}

impl<'m> EpisodeView<'m> {
    /// Checks everything there is to check about `bytes`, which may be longer than the file (a
    /// buffer that holds any file).
    ///
    /// # Errors
    /// The first [`EpisodeError`], in this order: magic, version, length, CRC, header fields,
    /// indices.
    pub fn new_checked(bytes: &'m [u8]) -> Result<Self, EpisodeError> {
        let file = check_envelope(bytes)?;
        let counts = read_counts(file)?;
        let bug = EpisodeError::Field(Field::FileLen);
        let (Some(expected), Some(images_at), Some(trial_len)) =
            (counts.file_len(), counts.images_at(), counts.trial_len())
        else {
            return Err(bug);
        };
        if file.len() != expected {
            return Err(EpisodeError::Length {
                expected,
                got: file.len(),
            });
        }
        // Both sections exist: the file is exactly as long as its counts ask for.
        let (head, images) = file.split_at_checked(images_at).ok_or(bug)?;
        let trials = head.get(field::HEADER_LEN..).unwrap_or(&[]);
        let view = Self {
            counts,
            trial_len,
            trials,
            images,
        };
        for (index, trial) in view.trials().enumerate() {
            for image in trial.supports().chain([trial.query()]) {
                if image >= counts.n_images {
                    return Err(EpisodeError::Index {
                        trial: index,
                        image,
                        n_images: counts.n_images,
                    });
                }
            }
        }
        Ok(view)
    }

    /// Shape `[h][w][1]` of every image.
    #[must_use]
    pub const fn image_shape(&self) -> Hwc {
        self.counts.image
    }

    /// Number of images.
    #[must_use]
    pub const fn n_images(&self) -> usize {
        self.counts.n_images
    }

    /// Number of trials.
    #[must_use]
    pub const fn n_trials(&self) -> usize {
        self.counts.n_trials
    }

    /// Classes of a trial.
    #[must_use]
    pub const fn n_way(&self) -> usize {
        self.counts.n_way
    }

    /// Supports of a class.
    #[must_use]
    pub const fn k_shot(&self) -> usize {
        self.counts.k_shot
    }

    /// The trials in file order.
    pub fn trials(&self) -> impl Iterator<Item = Trial<'m>> + use<'m> {
        self.trials
            .chunks_exact(self.trial_len.max(1))
            .take(self.counts.n_trials)
            .map(|indices| Trial { indices })
    }

    /// Image `index`, `[h][w]`; `None` when there is no such image.
    #[must_use]
    pub fn image(&self, index: usize) -> Option<&'m [u8]> {
        let len = self.counts.image.len();
        if index >= self.counts.n_images {
            return None;
        }
        let start = index.checked_mul(len)?;
        self.images.get(start..start.checked_add(len)?)
    }
}

impl Trial<'_> {
    /// Index of the image to name.
    #[must_use]
    pub fn query(&self) -> usize {
        self.indices().next().unwrap_or(0)
    }

    /// Indices of the support images: `k_shot` of class 0, then `k_shot` of class 1, and so on.
    pub fn supports(&self) -> impl Iterator<Item = usize> {
        self.indices().skip(1)
    }

    fn indices(&self) -> impl Iterator<Item = usize> {
        let (indices, _) = self.indices.as_chunks::<INDEX_LEN>();
        indices.iter().map(|&i| usize::from(u16::from_le_bytes(i)))
    }
}

/// Magic, version, length, CRC. Returns the file's bytes without what lies behind it.
fn check_envelope(bytes: &[u8]) -> Result<&[u8], EpisodeError> {
    let got = array(bytes, field::MAGIC)?;
    if got != MAGIC {
        return Err(EpisodeError::Magic { got });
    }
    let got = read_u16(bytes, field::VERSION)?;
    if got != FORMAT_VERSION {
        return Err(EpisodeError::Version { got });
    }
    let file_len = u32::from_le_bytes(array(bytes, field::FILE_LEN)?);
    let expected = usize::try_from(file_len).unwrap_or(usize::MAX);
    let file = bytes.get(..expected).ok_or(EpisodeError::Truncated {
        expected,
        got: bytes.len(),
    })?;
    let expected = u32::from_le_bytes(array(file, field::CRC)?);
    let got = crc32(file.get(field::CRC.end..).unwrap_or(&[]));
    if got == expected {
        Ok(file)
    } else {
        Err(EpisodeError::Crc { expected, got })
    }
}

fn read_counts(file: &[u8]) -> Result<Counts, EpisodeError> {
    if array(file, field::RESERVED_16)? != [0; 2] || array(file, field::RESERVED_32)? != [0; 4] {
        return Err(EpisodeError::Field(Field::Reserved));
    }
    let count = |at, name| match read_u16(file, at)? {
        0 => Err(EpisodeError::Field(name)),
        value => Ok(usize::from(value)),
    };
    Ok(Counts {
        image: Hwc::new(
            count(field::IMAGE_H, Field::ImageH)?,
            count(field::IMAGE_W, Field::ImageW)?,
            1,
        ),
        n_images: count(field::N_IMAGES, Field::NImages)?,
        n_trials: count(field::N_TRIALS, Field::NTrials)?,
        n_way: count(field::N_WAY, Field::NWay)?,
        k_shot: count(field::K_SHOT, Field::KShot)?,
    })
}

fn array<const N: usize>(bytes: &[u8], field: Range<usize>) -> Result<[u8; N], EpisodeError> {
    let truncated = EpisodeError::Truncated {
        expected: field.end,
        got: bytes.len(),
    };
    let field = bytes.get(field).ok_or(truncated)?;
    field.try_into().map_err(|_| truncated)
}

fn read_u16(bytes: &[u8], field: Range<usize>) -> Result<u16, EpisodeError> {
    array(bytes, field).map(u16::from_le_bytes)
}

mod error;
mod repr;

pub use error::{EmitError, EpisodeError, Field};
pub use repr::{EpisodeRepr, TrialRepr};

#[cfg(test)]
mod tests;
