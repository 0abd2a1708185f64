//! The bench: runs each operator between two marks, and checks it by its reference.
//!
//! In: nothing; all data is made here. Out: one line for each marked region, in the order in which
//! the regions start, and a verdict. Whoever runs this counts the instructions between the marks
//! (`cargo xtask bench firmware`).
//!
//! ```text
//! layer empty macs 0 outputs 0 arena 0
//! layer conv3x3s2-48x48x1-32 macs 165888 outputs 18432 arena 20736 digest 0123abcd
//! layer micro macs 18745344 outputs 576 arena 36864 digest 4567cdef
//! layer micro/0-conv3x3s2-48x48x1-32 macs 165888 outputs 18432 arena 20736
//! ```
//!
//! The region of a net holds those of its layers; its `arena` is the peak. The digest is the CRC-32
//! of the output. After an output that is not the reference's comes `mismatch <layer>`, and the
//! verdict is a failure.
//!
//! Reading order: [`layers`], [`operator`], [`net`], this file.
#![no_std]
#![no_main]

mod layers;
mod net;
mod operator;
mod random;

use core::fmt::{self, Write};
use core::hint::black_box;

use cortex_m_rt::entry;
use crc::{CRC_32_ISO_HDLC, Crc};
use firmware::board::mark::{onelook_mark_start, onelook_mark_stop};
use firmware::board::{self, Board, Memory};
use shared::shape::ShapeError;

use layers::{LAYERS, Layer, NETS, Net};
use net::{Chain, measure};
use operator::{Buffer, Operator, Version};
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

/// Measures everything; `Ok(Err(()))` after a mismatch.
fn bench(board: &mut Board, memory: Memory) -> Result<Result<(), ()>, Error> {
    let mut bench = Bench {
        board,
        parameters: memory.model,
        arena: memory.arena,
        expected: memory.trials,
        verdict: Ok(()),
    };
    // What the marks themselves cost.
    onelook_mark_start();
    onelook_mark_stop();
    let empty = Facts::default();
    writeln!(bench.board, "layer empty {empty}")?;
    // Unknown to the compiler: no layer gets code for its own shape.
    for (index, layer) in black_box(LAYERS).iter().enumerate() {
        bench.layer(layer, index as u64)?;
    }
    for (index, net) in black_box(NETS).iter().enumerate() {
        bench.net(net, 100 + index as u64)?;
    }
    Ok(bench.verdict)
}

/// What a line says about a region.
#[derive(Default)]
struct Facts {
    macs: u64,
    outputs: usize,
    arena: usize,
}

impl Facts {
    fn of(layer: &Layer, operator: &Operator<'_>) -> Result<Self, ShapeError> {
        let (input, outputs) = (layer.input.len(), layer.output()?.len());
        Ok(Self {
            macs: operator.macs(),
            outputs,
            arena: input
                .saturating_add(operator.scratch_len())
                .saturating_add(outputs),
        })
    }
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

struct Bench<'b> {
    board: &'b mut Board,
    /// For weights, biases and shifts.
    parameters: &'b mut [u8],
    arena: &'b mut [u8],
    /// For what the reference makes.
    expected: &'b mut [u8],
    verdict: Result<(), ()>,
}

impl Bench<'_> {
    /// Measures one layer alone.
    fn layer(&mut self, layer: &Layer, seed: u64) -> Result<(), Error> {
        let mut random = Random::new(seed);
        let mut parameters = Buffer::new(self.parameters);
        let operator = Operator::draw(layer, &mut random, &mut parameters)?;
        let (input_len, outputs) = (layer.input.len(), layer.output()?.len());
        let mut arena = Buffer::new(self.arena);
        let (input, output) = (arena.take(input_len)?, arena.take(outputs)?);
        operator.fill_input(&mut random, input);
        output.fill(0xa5);
        let expected = Buffer::new(self.expected).take(outputs)?;
        let scratch = arena.take(operator.scratch_len())?;
        operator.run(Version::Reference, input, expected, scratch)?;

        measure(&operator, input, output, scratch)?;
        let (facts, crc) = (Facts::of(layer, &operator)?, digest(output));
        writeln!(self.board, "layer {layer} {facts} digest {crc:08x}")?;
        if output != expected {
            writeln!(self.board, "mismatch {layer}")?;
            self.verdict = Err(());
        }
        Ok(())
    }

    /// Measures a whole net on one arena, and its layers within.
    fn net(&mut self, net: &Net, seed: u64) -> Result<(), Error> {
        let mut random = Random::new(seed);
        let chain = Chain::draw(net, &mut random, &mut Buffer::new(self.parameters))?;
        let arena = Buffer::new(self.arena).take(chain.arena_len())?;
        let expected = Buffer::new(self.expected).take(chain.arena_len())?;
        let image = arena.get_mut(..chain.input_len()).unwrap_or_default();
        random.fill_bytes(image);
        for (to, from) in expected.iter_mut().zip(image) {
            *to = *from;
        }
        chain.run(Version::Reference, expected)?;
        let expected = chain.embedding(expected)?;

        onelook_mark_start();
        let result = chain.run(Version::Fast, arena);
        onelook_mark_stop();
        result?;
        let arena_len = arena.len();
        let embedding = chain.embedding(arena)?;
        let facts = Facts {
            macs: chain.steps().map(|step| step.operator.macs()).sum(),
            outputs: embedding.len(),
            arena: arena_len,
        };
        let (name, crc) = (net.name, digest(embedding));
        writeln!(self.board, "layer {name} {facts} digest {crc:08x}")?;
        for (index, step) in chain.steps().enumerate() {
            let (layer, facts) = (&step.layer, Facts::of(&step.layer, &step.operator)?);
            writeln!(self.board, "layer {name}/{index}-{layer} {facts}")?;
        }
        if embedding != expected {
            writeln!(self.board, "mismatch {name}")?;
            self.verdict = Err(());
        }
        Ok(())
    }
}

fn digest(bytes: &[u8]) -> u32 {
    Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(bytes)
}
