//! The encoder: runs a [`ModelView`] on the operators, image to embedding.
//!
//! In: the network's input `[h][w][1]` and an arena of [`ModelView::arena_len`] bytes or
//! more. Out: the embedding, `[h][w][c]` of the last layer. The only place where model and
//! operators meet.

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

    /// Embeds one image. Whatever the arena's length, the embedding is the same.
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

    /// Begins an embedding that [`Self::advance`] carries on, so that other work can be done in
    /// between. `fill` writes the image into the arena, where the first step looks for it.
    ///
    /// # Errors
    /// Those of `fill`; [`ShapeError::Length`] when `arena` is shorter than [`ModelView::arena_len`].
    pub fn begin(
        &self,
        arena: &mut [u8],
        fill: impl FnOnce(&mut [u8]) -> Result<(), ShapeError>,
    ) -> Result<Stage, ShapeError> {
        let (len, expected) = (self.model.input().len(), self.model.arena_len());
        let short = too_short(arena, expected);
        if arena.len() < expected {
            return Err(short);
        }
        fill(arena.get_mut(..len).ok_or(short)?)?;
        Ok(Stage {
            index: 0,
            output: (0, len),
        })
    }

    /// Makes one step; `false` when there was none left. Between two calls nobody may write to the
    /// arena, and it must stay as long as it was.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when `arena` is shorter than [`ModelView::arena_len`].
    pub fn advance(&self, stage: &mut Stage, arena: &mut [u8]) -> Result<bool, ShapeError> {
        let Some(operator) = self.model.steps().nth(stage.index) else {
            return Ok(false);
        };
        let mut chain = Chain {
            arena,
            index: stage.index,
            output: stage.output.0..stage.output.1,
        };
        chain.run(&operator)?;
        stage.index = chain.index;
        stage.output = (chain.output.start, chain.output.end);
        Ok(true)
    }

    /// Takes the embedding out of the arena, after [`Self::advance`] made the last step.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when `embedding` has another length than the last step's output.
    pub fn finish(
        &self,
        stage: &Stage,
        arena: &mut [u8],
        embedding: &mut [u8],
    ) -> Result<(), ShapeError> {
        let chain = Chain {
            arena,
            index: stage.index,
            output: stage.output.0..stage.output.1,
        };
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

    /// Bytes of working memory with which [`Self::embed`] makes every step in one go; more is of no
    /// use. Where memory is plenty and kernels prepare weights, this is faster than
    /// [`ModelView::arena_len`].
    #[must_use]
    pub fn roomy_arena_len(&self) -> usize {
        let steps = self.model.steps();
        let longest = steps.map(|operator| operator.roomy_arena_len()).max();
        longest.unwrap_or(0).max(self.model.arena_len())
    }

    /// Bytes of working memory that [`Self::embed_observed`] needs.
    #[must_use]
    pub fn observed_arena_len(&self) -> usize {
        let layers = self.model.layers();
        arena_len(self.model.input(), layers.map(|layer| layer.operator))
    }
}

/// How far an embedding got that is made step by step. It belongs to one arena and one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Steps done.
    index: usize,
    /// Where in the arena the last output starts and ends.
    output: (usize, usize),
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
        if arena.len() < arena_len {
            return Err(short);
        }
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
