//! Drawings and their embeddings, each computed once.
//!
//! In: drawings. Out: the logit of any two of them, as a device computes it.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;
use shared::model::ModelView;

use super::{EvaluateError, network_inputs};
use crate::dataset::Drawing;
use crate::engine::shared::Shared;
use crate::engine::{Embedder, EngineError};

/// Embeddings by where their drawing lies in memory; it keeps the drawings.
pub struct Embedded<'m> {
    model: Shared<'m>,
    /// Kept, so that no other drawing takes a place that is in `index`.
    _drawings: Vec<Arc<Drawing>>,
    index: HashMap<usize, usize>,
    embeddings: Vec<Vec<u8>>,
}

impl<'m> Embedded<'m> {
    /// Embeds every drawing once, however often it comes.
    ///
    /// # Errors
    /// [`EvaluateError`] naming the drawing that cannot be used.
    pub fn new<'d>(
        view: ModelView<'m>,
        drawings: impl IntoIterator<Item = &'d Arc<Drawing>>,
    ) -> Result<Self, EvaluateError> {
        let model = Shared::new(view);
        let (mut index, mut distinct) = (HashMap::new(), Vec::new());
        for drawing in drawings {
            index.entry(place(drawing)).or_insert_with(|| {
                distinct.push(drawing.clone());
                distinct.len() - 1
            });
        }
        let inputs = network_inputs(&distinct, model.input())?;
        let embeddings = inputs.par_iter().map(|input| model.embed(input));
        Ok(Self {
            embeddings: embeddings.collect::<Result<_, _>>()?,
            model,
            _drawings: distinct,
            index,
        })
    }

    /// How alike two of the drawings are, in units of the model's logit.
    ///
    /// # Errors
    /// [`EngineError::Shape`] when one of them was not embedded.
    pub fn logit(&self, query: &Arc<Drawing>, support: &Arc<Drawing>) -> Result<i32, EngineError> {
        let nothing = Vec::new();
        let embedding = |drawing| {
            let index = self.index.get(&place(drawing));
            index.map_or(&nothing, |&index| &self.embeddings[index])
        };
        self.model.logit(embedding(query), embedding(support))
    }
}

fn place(drawing: &Arc<Drawing>) -> usize {
    Arc::as_ptr(drawing).addr()
}
