//! The bench: runs operators and nets between two marks, and checks each by its reference.
//!
//! In: nothing; all data is made here. Out: one line for each marked region, in the order in which
//! the regions start, and a verdict. Whoever runs this counts the instructions between the marks
//! (`cargo xtask bench firmware`).
//!
//! ```text
//! layer empty macs 0 outputs 0 arena 0
//! layer conv3x3s2-48x48x1-32 macs 165888 outputs 18432 arena 20736 digest 0123abcd
//! layer micro macs 18745344 outputs 576 arena 26884 digest 4567cdef
//! layer micro/0-conv3x3s2-48x48x1-32 macs 165888 outputs 18432 arena 20736
//! ```
//!
//! The region of a net holds those of its layers; its `arena` is the peak, a layer's is input,
//! scratch and output. The digest is the CRC-32
//! of the output. When an output is not the reference's, the last lines say which, and the verdict is
//! a failure:
//!
//! ```text
//! mismatch conv3x3-24x24x32-32: 3 outputs differ; output 17 is 4, the reference's is 5
//! ```
//!
//! Last come the steps from a capture to a net's input.
//!
//! Reading order: [`layers`], [`operator`], [`check`], [`net`], [`capture`], this file.
#![no_std]
#![no_main]

mod capture;
mod check;
mod layers;
mod net;
mod operator;
mod random;

use core::fmt::{self, Write};
use core::hint::black_box;

use cortex_m_rt::entry;
use firmware::board::mark::{onelook_mark_start, onelook_mark_stop};
use firmware::board::{self, Board, Memory};
use shared::shape::ShapeError;

use check::{Check, Difference, digest};
use layers::{LAYERS, Layer, NETS, Net};
use net::{Chain, measure};
use operator::Buffer;
use random::Random;

#[entry]
fn main() -> ! {
    let verdict = match Board::take() {
        Some((mut board, memory)) => bench(&mut board, memory).unwrap_or_else(|error| {
            // When even this does not come through, the exit status still does.
            let _ = writeln!(board, "error {error}");
            Err(())
        }),
        None => Err(()),
    };
    board::exit(verdict)
}

/// Why the bench cannot go on.
enum Error {
    /// A table of layers does not fit its operators or the board's memory.
    Shape(ShapeError),
    /// The host does not take the text.
    Output,
}

impl From<ShapeError> for Error {
    fn from(error: ShapeError) -> Self {
        Self::Shape(error)
    }
}

impl From<fmt::Error> for Error {
    fn from(_: fmt::Error) -> Self {
        Self::Output
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(error) => write!(f, "{error}"),
            Self::Output => f.write_str("output: the host does not take it"),
        }
    }
}

/// Measures everything, then says what was wrong.
fn bench(board: &mut Board, memory: Memory) -> Result<Result<(), ()>, Error> {
    let mut check = Check {
        parameters: memory.model,
        arena: memory.arena,
        expected: memory.trials,
    };
    // What the marks themselves cost.
    onelook_mark_start();
    onelook_mark_stop();
    writeln!(board, "layer empty macs 0 outputs 0 arena 0")?;
    // Unknown to the compiler: no layer gets code for its own shape.
    let (layers, nets) = (black_box(LAYERS), black_box(NETS));
    let mut wrong_layers = [None; LAYERS.len()];
    for (seed, (layer, wrong)) in (0..).zip(layers.iter().zip(&mut wrong_layers)) {
        *wrong = bench_layer(layer, seed, board, &mut check)?;
    }
    let mut wrong_nets = [None; NETS.len()];
    for (seed, (net, wrong)) in (0..).zip(nets.iter().zip(&mut wrong_nets)) {
        *wrong = bench_net(net, seed, board, &mut check)?;
    }

    for step in capture::run(1, check.arena)? {
        writeln!(board, "layer {step}")?;
    }

    let mut verdict = Ok(());
    for (layer, wrong) in layers.iter().zip(wrong_layers) {
        if let Some(difference) = wrong {
            writeln!(board, "mismatch {layer}: {difference}")?;
            verdict = Err(());
        }
    }
    for (net, wrong) in nets.iter().zip(wrong_nets) {
        if let Some(difference) = wrong {
            writeln!(board, "mismatch {}: {difference}", net.name)?;
            verdict = Err(());
        }
    }
    Ok(verdict)
}

/// Measures one layer alone.
fn bench_layer(
    layer: &Layer,
    seed: u64,
    board: &mut Board,
    check: &mut Check<'_>,
) -> Result<Option<Difference>, Error> {
    let outcome = check.run(layer, seed, measure)?;
    let facts = Facts {
        macs: outcome.macs,
        outputs: layer.output()?.len(),
        arena: outcome.arena,
    };
    let digest = outcome.digest;
    writeln!(board, "layer {layer} {facts} digest {digest:08x}")?;
    Ok(outcome.difference)
}

/// Measures a whole net on one arena, and its layers within.
fn bench_net(
    net: &Net,
    seed: u64,
    board: &mut Board,
    memory: &mut Check<'_>,
) -> Result<Option<Difference>, Error> {
    let mut random = Random::new(seed);
    let chain = Chain::draw(net, &mut random, &mut Buffer::new(memory.parameters))?;
    let arena = Buffer::new(memory.arena).take(chain.arena_len())?;
    let expected = Buffer::new(memory.expected).take(chain.arena_len())?;
    let image = arena.get_mut(..chain.input_len()).unwrap_or_default();
    random.fill_bytes(image);
    for (to, from) in expected.iter_mut().zip(image) {
        *to = *from;
    }
    chain.run_reference(expected)?;
    let expected = chain.embedding(expected)?;

    onelook_mark_start();
    let result = chain.run_fast(arena);
    onelook_mark_stop();
    result?;
    let arena_len = arena.len();
    let embedding = chain.embedding(arena)?;
    let facts = Facts {
        macs: chain.steps().map(|step| step.operator.macs()).sum(),
        outputs: embedding.len(),
        arena: arena_len,
    };
    let (name, digest) = (net.name, digest(embedding));
    writeln!(board, "layer {name} {facts} digest {digest:08x}")?;
    for (index, step) in chain.steps().enumerate() {
        let layer = step.layer;
        let facts = Facts {
            macs: step.operator.macs(),
            outputs: layer.output()?.len(),
            arena: step.planned.arena_len(),
        };
        writeln!(board, "layer {name}/{index}-{layer} {facts}")?;
    }
    Ok(Difference::between(embedding, expected))
}

/// What a line says about a region.
struct Facts {
    macs: u64,
    outputs: usize,
    arena: usize,
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            macs,
            outputs,
            arena,
        } = self;
        write!(f, "macs {macs} outputs {outputs} arena {arena}")
    }
}
