//! The engine alone: what a program must hold to answer with a model, and nothing else.
//!
//! In: buffers that the compiler knows nothing about. Out: a verdict. It is built to be weighed, not
//! to be used: `cargo xtask firmware size` reports what it takes of the flash, and it links only
//! when no panic path is left in parsing, encoding and deciding, whatever the model's operators are.
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use firmware::board::{self, Board, Memory};
use shared::decide::nearest;
use shared::model::{FormatError, ModelView};
use shared::net::Encoder;
use shared::shape::ShapeError;

#[entry]
fn main() -> ! {
    let verdict = match Board::take() {
        Some((_, memory)) => weigh(memory),
        None => Err(()),
    };
    board::exit(verdict)
}

/// Calls the engine with everything hidden from the optimiser, its answer too.
fn weigh(memory: Memory) -> Result<(), ()> {
    let (image, supports) = memory.trials.split_at(memory.trials.len() / 2);
    let answer = engine(
        black_box(memory.model),
        black_box(image),
        black_box(supports),
        black_box(memory.arena),
        black_box(memory.embeddings),
    );
    black_box(&answer).map(|_| ()).map_err(|_| ())
}

/// Why there is no answer; what it holds is for whoever shows it.
#[derive(Clone, Copy)]
#[expect(dead_code, reason = "nothing is shown here")]
enum Error {
    Model(FormatError),
    Shape(ShapeError),
    NoSupport,
}

/// From bytes to a decision: the model is checked, the image embedded and compared with each support
/// embedding. Never inlined, so that it is found by its name.
#[inline(never)]
fn engine(
    model: &[u8],
    image: &[u8],
    supports: &[u8],
    arena: &mut [u8],
    embedding: &mut [u8],
) -> Result<usize, Error> {
    let model = ModelView::new_checked(model).map_err(Error::Model)?;
    let encoder = Encoder::new(model);
    encoder
        .embed(image, arena, embedding)
        .map_err(Error::Shape)?;
    let decider = model.decider();
    let logits = supports
        .chunks_exact(model.embedding_len().max(1))
        .map_while(|support| decider.logit(embedding, support).ok());
    let (class, _) = nearest(logits).ok_or(Error::NoSupport)?;
    Ok(class)
}
