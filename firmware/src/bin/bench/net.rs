//! A whole net on one arena, as the encoder runs it.
//!
//! In: a net's layers, random numbers, a buffer for parameters. Out: its embedding, with each layer
//! between marks. Input and output of a layer lie at opposite ends of the arena and swap ends from
//! layer to layer, as in `shared::net`, which would want a model file.

use firmware::board::mark::{onelook_mark_start, onelook_mark_stop};
use shared::model::arena_len;
use shared::shape::{Hwc, ShapeError};

use crate::layers::{Layer, MAX_LAYERS, Net};
use crate::operator::{Buffer, Operator, Version};
use crate::random::Random;

/// One layer of a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'m> {
    pub(crate) layer: Layer,
    pub(crate) operator: Operator<'m>,
    pub(crate) output: Hwc,
}

/// A net with random parameters.
pub(crate) struct Chain<'m> {
    input: Hwc,
    steps: [Option<Step<'m>>; MAX_LAYERS],
}

impl<'m> Chain<'m> {
    /// Draws the net's parameters and puts them into `buffer`.
    pub(crate) fn draw(
        net: &Net,
        random: &mut Random,
        buffer: &mut Buffer<'m>,
    ) -> Result<Self, ShapeError> {
        let input = Hwc::new(net.input_side, net.input_side, 1);
        let mut shape = input;
        let mut steps = [None; MAX_LAYERS];
        for (step, &spec) in steps.iter_mut().zip(net.layers) {
            let layer = Layer { input: shape, spec };
            let operator = Operator::draw(&layer, random, buffer)?;
            shape = layer.output()?;
            *step = Some(Step {
                layer,
                operator,
                output: shape,
            });
        }
        Ok(Self { input, steps })
    }

    /// The layers, first to last.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step<'m>> {
        self.steps.iter().flatten()
    }

    /// Values of the input, which lies at the start of the arena.
    pub(crate) fn input_len(&self) -> usize {
        self.input.len()
    }

    /// Bytes of the arena.
    pub(crate) fn arena_len(&self) -> usize {
        let steps = self.steps().filter_map(|step| match step.operator {
            Operator::Step(op) => Some(op),
            Operator::L1Head(_) | Operator::Requantize => None,
        });
        arena_len(self.input, steps)
    }

    /// Runs all layers. The fast version puts marks around each.
    pub(crate) fn run(&self, version: Version, arena: &mut [u8]) -> Result<(), ShapeError> {
        for (index, step) in self.steps().enumerate() {
            let (input, output) = (step.layer.input.len(), step.output.len());
            let (input, output, scratch) = split(arena, index, input, output)?;
            match version {
                Version::Fast => measure(&step.operator, input, output, scratch)?,
                Version::Reference => step.operator.run(version, input, output, scratch)?,
            }
        }
        Ok(())
    }

    /// The last layer's output in an arena after a run.
    pub(crate) fn embedding<'a>(&self, arena: &'a mut [u8]) -> Result<&'a [u8], ShapeError> {
        let len = self.steps().last().map_or(0, |step| step.output.len());
        // Where the input of one more layer would lie.
        split(arena, self.steps().count(), len, 0).map(|(input, ..)| input)
    }
}

/// Runs what the firmware runs, between marks. Never inlined: one code for all that is measured.
#[inline(never)]
pub(crate) fn measure(
    operator: &Operator<'_>,
    input: &[u8],
    output: &mut [u8],
    scratch: &mut [u8],
) -> Result<(), ShapeError> {
    onelook_mark_start();
    let result = operator.run(Version::Fast, input, output, scratch);
    onelook_mark_stop();
    result
}

/// One layer's input, output and what lies between them.
type Buffers<'a> = (&'a [u8], &'a mut [u8], &'a mut [u8]);

fn split(
    arena: &mut [u8],
    layer: usize,
    input: usize,
    output: usize,
) -> Result<Buffers<'_>, ShapeError> {
    let short = ShapeError::Length {
        expected: input.saturating_add(output),
        got: arena.len(),
    };
    let even = layer.is_multiple_of(2);
    let (first, last) = if even {
        (input, output)
    } else {
        (output, input)
    };
    let (low, rest) = arena.split_at_mut_checked(first).ok_or(short)?;
    let middle = rest.len().checked_sub(last).ok_or(short)?;
    let (scratch, high) = rest.split_at_mut_checked(middle).ok_or(short)?;
    Ok(if even {
        (low, high, scratch)
    } else {
        (high, low, scratch)
    })
}
