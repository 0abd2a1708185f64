//! The digest that a device's selftest must give, computed here.
//!
//! In: a model file and a seed. Out: 32 bits over inputs, embeddings and logits of made-up pictures.

use shared::model::ModelView;
use shared::session::selftest;

/// The digest; `None` when `model` is no model.
#[must_use]
pub fn digest(model: &[u8], seed: u32) -> Option<u32> {
    let view = ModelView::new_checked(model).ok()?;
    // Beside the network's working memory: its input once more, and a made-up picture.
    let mut arena = vec![0; view.arena_len() + view.input().len() + PICTURE];
    let mut embeddings = [(); 2].map(|()| vec![0; view.embedding_len()]);
    let [embedding, previous] = &mut embeddings;
    selftest::digest(&view, seed, &mut arena, embedding, previous).ok()
}

/// More pixels than a made-up picture has.
const PICTURE: usize = 1 << 14;
