//! The encoder: runs a [`ModelView`] on the operators, image to embedding.
//!
//! In: the network's input `[h][w][1]` and an arena of [`ModelView::arena_len`] bytes. Out: the
//! embedding, `[h][w][c]` of the last layer. The only place where model and operators meet.

use crate::model::{Layer, ModelView, Placement};
use crate::shape::{ShapeError, check_len};

/// Runs one model.
#[derive(Debug, Clone, Copy)]
pub struct Encoder<'m> {
    model: ModelView<'m>,
}

impl<'m> Encoder<'m> {
    /// An encoder for a checked model.
    #[must_use]
    pub const fn new(model: ModelView<'m>) -> Self {
        Self { model }
    }

    /// Embeds one image.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when `image`, `arena` or `embedding` has another length than the
    /// model asks for.
    pub fn embed(
        &self,
        image: &[u8],
        arena: &mut [u8],
        embedding: &mut [u8],
    ) -> Result<(), ShapeError> {
        self.embed_observed(image, arena, embedding, |_, _, _| {})
    }

    /// Embeds one image and shows every layer's output on the way: `observe(index, layer, output)`.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn embed_observed(
        &self,
        image: &[u8],
        arena: &mut [u8],
        embedding: &mut [u8],
        mut observe: impl FnMut(usize, &Layer<'m>, &[u8]),
    ) -> Result<(), ShapeError> {
        self.model.input().check(image.len())?;
        check_len(embedding.len(), self.model.embedding_len())?;
        let arena_len = self.model.arena_len();
        let short = ShapeError::Length {
            expected: arena_len,
            got: arena.len(),
        };
        let arena = arena.get_mut(..arena_len).ok_or(short)?;
        arena
            .get_mut(..image.len())
            .ok_or(short)?
            .copy_from_slice(image);

        let mut last = 0..image.len();
        for (index, layer) in self.model.layers().enumerate() {
            let place = Placement::new(index, &layer.operator, arena_len).ok_or(short)?;
            let buffers = place.buffers(arena).ok_or(short)?;
            layer
                .operator
                .run(buffers.input, buffers.output, buffers.scratch)?;
            observe(index, &layer, buffers.output);
            last = place.output;
        }
        let output = arena.get(last).ok_or(short)?;
        for (embedding, value) in embedding.iter_mut().zip(output) {
            *embedding = *value;
        }
        Ok(())
    }
}
