//! The encoder: runs a [`ModelView`] on the operators, image to embedding.
//!
//! In: the network's input `[h][w][1]` and an arena of [`ModelView::arena_len`] bytes. Out: the
//! embedding, `[h][w][c]` of the last layer. The only place where model and operators meet.

use core::ops::Range;

use crate::model::{Layer, ModelView, Placement, arena_len};
use crate::ops::Operator;
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
    /// [`ShapeError::Length`] when `image` or `embedding` has another length than the model asks
    /// for, or `arena` is shorter than [`ModelView::arena_len`].
    pub fn embed(
        &self,
        image: &[u8],
        arena: &mut [u8],
        embedding: &mut [u8],
    ) -> Result<(), ShapeError> {
        let mut chain = Chain::new(&self.model, self.model.arena_len(), image, arena)?;
        for operator in self.model.steps() {
            chain.run(&operator)?;
        }
        chain.finish(embedding)
    }

    /// Embeds one image layer by layer, never two in one, and shows every layer's output on the
    /// way: `observe(index, layer, output)`. The result is that of [`Self::embed`].
    ///
    /// # Errors
    /// As [`Self::embed`], for an arena of [`Self::observed_arena_len`].
    pub fn embed_observed(
        &self,
        image: &[u8],
        arena: &mut [u8],
        embedding: &mut [u8],
        mut observe: impl FnMut(usize, &Layer<'m>, &[u8]),
    ) -> Result<(), ShapeError> {
        let mut chain = Chain::new(&self.model, self.observed_arena_len(), image, arena)?;
        for (index, layer) in self.model.layers().enumerate() {
            observe(index, &layer, chain.run(&layer.operator)?);
        }
        chain.finish(embedding)
    }

    /// Bytes of working memory that [`Self::embed_observed`] needs.
    #[must_use]
    pub fn observed_arena_len(&self) -> usize {
        let layers = self.model.layers();
        arena_len(self.model.input(), layers.map(|layer| layer.operator))
    }
}

/// An encoder under way.
struct Chain<'a> {
    arena: &'a mut [u8],
    /// Steps done.
    index: usize,
    /// Where in the arena the last output lies.
    output: Range<usize>,
}

impl<'a> Chain<'a> {
    /// Puts the image where the first step looks for it.
    fn new(
        model: &ModelView<'_>,
        arena_len: usize,
        image: &[u8],
        arena: &'a mut [u8],
    ) -> Result<Self, ShapeError> {
        model.input().check(image.len())?;
        let short = too_short(arena, arena_len);
        let arena = arena.get_mut(..arena_len).ok_or(short)?;
        let input = arena.get_mut(..image.len()).ok_or(short)?;
        input.copy_from_slice(image);
        Ok(Self {
            arena,
            index: 0,
            output: 0..image.len(),
        })
    }

    /// Runs one step and shows its output.
    fn run(&mut self, operator: &Operator<'_>) -> Result<&[u8], ShapeError> {
        let len = self.arena.len();
        let short = too_short(self.arena, operator.arena_len());
        let place = Placement::new(self.index, operator, len).ok_or(short)?;
        let buffers = place.buffers(self.arena).ok_or(short)?;
        operator.run(buffers.input, buffers.output, buffers.scratch)?;
        self.index += 1;
        self.output = place.output;
        Ok(buffers.output)
    }

    fn finish(self, embedding: &mut [u8]) -> Result<(), ShapeError> {
        check_len(embedding.len(), self.output.len())?;
        let output = self.arena.get(self.output).unwrap_or(&[]);
        for (embedding, value) in embedding.iter_mut().zip(output) {
            *embedding = *value;
        }
        Ok(())
    }
}

const fn too_short(arena: &[u8], expected: usize) -> ShapeError {
    ShapeError::Length {
        expected,
        got: arena.len(),
    }
}
