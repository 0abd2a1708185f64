//! One number over preprocessing, embeddings and logits of made-up pictures: host and device compute
//! it from the same model and seed, and it is the same only if all of their arithmetic is.
//!
//! In: a model and a seed. Out: a CRC-32 over the network's inputs, the embeddings, and the logit of
//! each picture against the one before.

use crate::capture::Look;
use crate::checksum::Crc32;
use crate::model::ModelView;
use crate::net::Encoder;
use crate::shape::{Hwc, ShapeError};

/// Pictures that are drawn.
const PICTURES: u32 = 4;
/// Rows and columns of a picture.
const SIDE: usize = 64;

/// The digest.
///
/// # Errors
/// [`ShapeError`] when the arena is too short for the model, or has no room for a picture beside its
/// input; or when a buffer is shorter than the embedding.
pub fn digest(
    model: &ModelView<'_>,
    seed: u32,
    arena: &mut [u8],
    embedding: &mut [u8],
    previous: &mut [u8],
) -> Result<u32, ShapeError> {
    let (encoder, input, len) = (Encoder::new(*model), model.input(), model.embedding_len());
    let short = ShapeError::Length {
        expected: input.len() + SIDE * SIDE,
        got: arena.len(),
    };
    let embedding = embedding.get_mut(..len).ok_or(short)?;
    let previous = previous.get_mut(..len).ok_or(short)?;
    previous.fill(0);
    let shape = Hwc::new(SIDE, SIDE, 1);
    let mut crc = Crc32::new();
    for picture in 0..PICTURES {
        let (head, tail) = arena.split_at_mut_checked(input.len()).ok_or(short)?;
        let pixels = tail.get_mut(..shape.len()).ok_or(short)?;
        draw(pixels, seed.wrapping_add(picture));
        Look::at(pixels, shape).develop(pixels);
        model.framing().resample(pixels, shape, head, input)?;
        crc.update(head);
        let mut stage = encoder.begin(arena, |_| Ok(()))?;
        while encoder.advance(&mut stage, arena)? {}
        encoder.finish(&stage, arena, embedding)?;
        crc.update(embedding);
        let logit = model.decider().logit(embedding, previous)?;
        crc.update(&logit.to_le_bytes());
        previous.copy_from_slice(embedding);
    }
    Ok(crc.finish())
}

/// A walk of ink on uneven paper, drawn by a linear congruential generator (Numerical Recipes).
fn draw(pixels: &mut [u8], seed: u32) {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize
    };
    for pixel in &mut *pixels {
        *pixel = 200 + (next() % 32) as u8;
    }
    let (mut y, mut x) = (SIDE / 2, SIDE / 2);
    for _ in 0..SIDE * 8 {
        if let Some(pixel) = pixels.get_mut(y * SIDE + x) {
            *pixel = (next() % 64) as u8;
        }
        y = (y + next() % 3).clamp(5, SIDE - 4) - 1;
        x = (x + next() % 3).clamp(5, SIDE - 4) - 1;
    }
}
