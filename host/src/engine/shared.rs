//! The device's own code as an engine: what every other engine must equal bit for bit.

use std::cell::RefCell;

use shared::decide::Decider;
use shared::model::{Layer, ModelView};
use shared::net::Encoder;
use shared::shape::Hwc;

use super::{Embedder, EngineError, Input};
use crate::quantize::INPUT_EXPONENT;

thread_local! {
    /// Each thread's arena, as long as the longest so far: an encoder clears nothing in it.
    static ARENA: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

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

    /// Shape of an embedding before it was laid out in a row, and its exponent.
    ///
    /// # Errors
    /// [`EngineError::Shape`] when the encoder refuses a blank image.
    pub fn embedding_form(&self) -> Result<(Hwc, u8), EngineError> {
        let mut last = (self.model.input(), INPUT_EXPONENT);
        let blank = vec![0; self.model.input().len()];
        self.embed_observed(&blank, |_, layer, _| {
            last = (layer.operator.output(), layer.out_exponent);
        })?;
        Ok(last)
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

    fn input(&self) -> Input {
        Input::of(&self.model)
    }

    fn unit(&self) -> f64 {
        (-f64::from(self.decider().logit_exponent())).exp2()
    }

    fn embed(&self, input: &[u8]) -> Result<Vec<u8>, EngineError> {
        let encoder = Encoder::new(self.model);
        let mut embedding = vec![0; self.model.embedding_len()];
        ARENA.with_borrow_mut(|arena| {
            let len = encoder.roomy_arena_len();
            if arena.len() < len {
                arena.resize(len, 0);
            }
            encoder.embed(
                input,
                arena.get_mut(..len).unwrap_or_default(),
                &mut embedding,
            )
        })?;
        Ok(embedding)
    }

    fn logit(&self, query: &Vec<u8>, support: &Vec<u8>) -> Result<i32, EngineError> {
        Ok(self.model.decider().logit(query, support)?)
    }
}
