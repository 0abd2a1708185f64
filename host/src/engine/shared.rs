//! The device's own code as an engine: what every other engine must equal bit for bit.

use shared::decide::Decider;
use shared::model::{Layer, ModelView};
use shared::net::Encoder;
use shared::shape::Hwc;

use super::{Embedder, EngineError};

/// The operators of `shared` on a checked model.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'m> {
    model: ModelView<'m>,
}

impl<'m> Shared<'m> {
    /// An engine for a checked model.
    #[must_use]
    pub const fn new(model: ModelView<'m>) -> Self {
        Self { model }
    }

    /// Head and exponent of the logits.
    #[must_use]
    pub const fn decider(&self) -> Decider<'m> {
        self.model.decider()
    }

    /// Embeds and shows every layer's output `[h][w][c]` on the way.
    ///
    /// # Errors
    /// [`EngineError::Shape`] when the input has another length.
    pub fn embed_observed(
        &self,
        input: &[u8],
        observe: impl FnMut(usize, &Layer<'m>, &[u8]),
    ) -> Result<Vec<u8>, EngineError> {
        let encoder = Encoder::new(self.model);
        let mut arena = vec![0; encoder.observed_arena_len()];
        let mut embedding = vec![0; self.model.embedding_len()];
        encoder.embed_observed(input, &mut arena, &mut embedding, observe)?;
        Ok(embedding)
    }
}

impl Embedder for Shared<'_> {
    type Embedding = Vec<u8>;
    type Logit = i32;

    fn name(&self) -> &str {
        "shared"
    }

    fn input(&self) -> Hwc {
        self.model.input()
    }

    fn embed(&self, input: &[u8]) -> Result<Vec<u8>, EngineError> {
        let mut arena = vec![0; self.model.arena_len()];
        let mut embedding = vec![0; self.model.embedding_len()];
        Encoder::new(self.model).embed(input, &mut arena, &mut embedding)?;
        Ok(embedding)
    }

    fn logit(&self, query: &Vec<u8>, support: &Vec<u8>) -> Result<i32, EngineError> {
        Ok(self.model.decider().logit(query, support)?)
    }
}
