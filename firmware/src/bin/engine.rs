//! The engine alone: what a program must hold to answer with a model, and nothing else.
//!
//! In: slices that the compiler knows nothing about. Out: a verdict. It is built to be weighed, not
//! to be used: `cargo xtask firmware engine` says what it takes of the flash, and it links only
//! when no panic path is left in parsing, encoding and deciding, whatever a model's operators are.
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use firmware::board;
use shared::decide::nearest;
use shared::model::{FormatError, ModelView};
use shared::net::Encoder;
use shared::shape::ShapeError;

/// Calls the engine with everything hidden from the optimiser, the answer too.
#[entry]
fn main() -> ! {
    let answer = engine(
        black_box(&[]),
        black_box(&[]),
        black_box(&[]),
        black_box(&mut []),
        black_box(&mut []),
    );
    board::exit(black_box(&answer).map(|_| ()).map_err(|_| ()))
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
