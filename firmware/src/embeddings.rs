//! Embeddings of a file's images: each image goes through the encoder once, when first needed.
//!
//! In: a checked model, a checked trials file and two buffers. Out: embeddings by image index.

use core::ops::Range;

use shared::episode_file::{EpisodeView, Trial};
use shared::model::ModelView;
use shared::net::Encoder;

use crate::error::Error;

/// A table with one entry for each image: a byte that is 1 once the embedding behind it is there.
pub(crate) struct Embeddings<'b> {
    encoder: Encoder<'b>,
    episode: EpisodeView<'b>,
    arena: &'b mut [u8],
    table: &'b mut [u8],
    entry_len: usize,
}

impl<'b> Embeddings<'b> {
    /// An empty table in `table`, which must be zero.
    pub(crate) fn new(
        model: ModelView<'b>,
        episode: EpisodeView<'b>,
        arena: &'b mut [u8],
        table: &'b mut [u8],
    ) -> Result<Self, Error> {
        let (images, input) = (episode.image_shape(), model.input());
        if images != input {
            return Err(Error::ImageShape { images, input });
        }
        let (needed, limit) = (model.arena_len(), arena.len());
        if needed > limit {
            return Err(Error::Arena { needed, limit });
        }
        let entry_len = model.embedding_len().saturating_add(1);
        let (needed, limit) = (entry_len.saturating_mul(episode.n_images()), table.len());
        if needed > limit {
            return Err(Error::Embeddings { needed, limit });
        }
        Ok(Self {
            encoder: Encoder::new(model),
            episode,
            arena,
            table,
            entry_len,
        })
    }

    /// Embeds those images of a trial that are not in the table yet.
    pub(crate) fn prepare(&mut self, trial: Trial<'_>) -> Result<(), Error> {
        for index in trial.supports().chain([trial.query()]) {
            let image = self.episode.image(index).ok_or(Error::Bug)?;
            let entry = self.range(index).ok_or(Error::Bug)?;
            let Some([known, embedding @ ..]) = self.table.get_mut(entry) else {
                return Err(Error::Bug);
            };
            if *known == 0 {
                self.encoder
                    .embed(image, self.arena, embedding)
                    .map_err(Error::Shape)?;
                *known = 1;
            }
        }
        Ok(())
    }

    /// The embedding of a prepared image.
    pub(crate) fn get(&self, index: usize) -> Result<&[u8], Error> {
        let entry = self.range(index).ok_or(Error::Bug)?;
        match self.table.get(entry) {
            Some([1, embedding @ ..]) => Ok(embedding),
            _ => Err(Error::Bug),
        }
    }

    /// Where an image's entry lies in the table.
    fn range(&self, index: usize) -> Option<Range<usize>> {
        let start = index.checked_mul(self.entry_len)?;
        Some(start..start.checked_add(self.entry_len)?)
    }
}
