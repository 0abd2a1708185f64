//! Writing the trials file.
//!
//! In: images and trials. Out: bytes that [`super::EpisodeView::new_checked`] accepts, or a typed
//! error; a file that would be refused is never handed out.

use core::ops::Range;

use super::{Counts, EmitError, EpisodeView, FORMAT_VERSION, INDEX_LEN, MAGIC, field};
use crate::checksum::crc32;
use crate::shape::Hwc;

/// A trial to be written.
#[derive(Debug, Clone, Copy)]
pub struct TrialRepr<'a> {
    /// Index of the image to name.
    pub query: u16,
    /// Indices of the support images, class by class: `n_way * k_shot`.
    pub supports: &'a [u16],
}

/// A trials file to be written.
#[derive(Debug, Clone, Copy)]
pub struct EpisodeRepr<'a> {
    /// Shape `[h][w][1]` of every image.
    pub image: Hwc,
    /// The images, `[n_images][h][w]`.
    pub images: &'a [u8],
    /// Classes of a trial.
    pub n_way: u16,
    /// Supports of a class.
    pub k_shot: u16,
    /// The trials.
    pub trials: &'a [TrialRepr<'a>],
}

impl EpisodeRepr<'_> {
    /// Bytes that [`Self::emit`] needs.
    ///
    /// # Errors
    /// [`EmitError`] when the images are not whole images or the file would be too large.
    pub fn buffer_len(&self) -> Result<usize, EmitError> {
        self.counts()?.file_len().ok_or(EmitError::TooLarge {
            value: self.images.len(),
        })
    }

    fn counts(&self) -> Result<Counts, EmitError> {
        let one = self.image.len();
        if self.image.c != 1 || one == 0 || !self.images.len().is_multiple_of(one) {
            return Err(EmitError::Images {
                image: self.image,
                got: self.images.len(),
            });
        }
        Ok(Counts {
            image: self.image,
            n_images: self.images.len().checked_div(one).unwrap_or(0),
            n_trials: self.trials.len(),
            n_way: usize::from(self.n_way),
            k_shot: usize::from(self.k_shot),
        })
    }

    /// Writes the file into `buffer`, which must hold exactly [`Self::buffer_len`] bytes.
    ///
    /// # Errors
    /// [`EmitError`] when the buffer has another length, a number does not fit its field, a trial
    /// has another number of supports than `n_way * k_shot`, or the reader would refuse the file.
    pub fn emit(&self, buffer: &mut [u8]) -> Result<(), EmitError> {
        let counts = self.counts()?;
        let expected = self.buffer_len()?;
        let too_large = EmitError::TooLarge { value: expected };
        let images_at = counts.images_at().ok_or(too_large)?;
        if buffer.len() != expected {
            return Err(EmitError::Buffer {
                expected,
                got: buffer.len(),
            });
        }
        buffer.fill(0);
        let file_len = u32::try_from(expected).map_err(|_| too_large)?;
        put(buffer, field::MAGIC, &MAGIC)?;
        put(buffer, field::VERSION, &FORMAT_VERSION.to_le_bytes())?;
        put(buffer, field::FILE_LEN, &file_len.to_le_bytes())?;
        put(buffer, field::IMAGE_H, &narrow(self.image.h)?)?;
        put(buffer, field::IMAGE_W, &narrow(self.image.w)?)?;
        put(buffer, field::N_IMAGES, &narrow(counts.n_images)?)?;
        put(buffer, field::N_TRIALS, &narrow(counts.n_trials)?)?;
        put(buffer, field::N_WAY, &self.n_way.to_le_bytes())?;
        put(buffer, field::K_SHOT, &self.k_shot.to_le_bytes())?;
        let mut at = field::HEADER_LEN;
        for (index, trial) in self.trials.iter().enumerate() {
            if trial.supports.len() != counts.n_supports() {
                return Err(EmitError::Supports {
                    trial: index,
                    expected: counts.n_supports(),
                    got: trial.supports.len(),
                });
            }
            for image in [trial.query].iter().chain(trial.supports) {
                put(buffer, at..at + INDEX_LEN, &image.to_le_bytes())?;
                at += INDEX_LEN;
            }
        }
        put(
            buffer,
            images_at..images_at + self.images.len(),
            self.images,
        )?;
        let crc = crc32(buffer.get(field::CRC.end..).unwrap_or(&[]));
        put(buffer, field::CRC, &crc.to_le_bytes())?;
        EpisodeView::new_checked(buffer).map_err(EmitError::Refused)?;
        Ok(())
    }
}

fn put(buffer: &mut [u8], field: Range<usize>, value: &[u8]) -> Result<(), EmitError> {
    let target = buffer.get_mut(field).ok_or(EmitError::Bug)?;
    if target.len() != value.len() {
        return Err(EmitError::Bug);
    }
    target.copy_from_slice(value);
    Ok(())
}

fn narrow(value: usize) -> Result<[u8; 2], EmitError> {
    u16::try_from(value)
        .map(u16::to_le_bytes)
        .map_err(|_| EmitError::TooLarge { value })
}
