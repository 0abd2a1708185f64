//! A whole net on one arena, as the encoder runs it.
//!
//! In: a net's layers, random numbers, a buffer for parameters. Out: its embedding, with each layer
//! between marks. Input and output of a layer lie at opposite ends of the arena and swap ends from
//! layer to layer, as in `shared::net`, which would want a model file.

use firmware::board::mark::{onelook_mark_start, onelook_mark_stop};
use shared::model::arena_len;
use shared::shape::{Hwc, ShapeError};

use crate::layers::{Layer, MAX_LAYERS, Net};
use crate::operator::{Buffer, Operator, Values};
use crate::random::Random;

/// One layer of a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'m> {
    pub(crate) layer: Layer,
    pub(crate) operator: Operator<'m>,
    pub(crate) output: Hwc,
}

impl Step<'_> {
    /// Its input and output in the arena.
    fn split<'a>(
        &self,
        arena: &'a mut [u8],
        index: usize,
    ) -> Result<(&'a [u8], &'a mut [u8]), ShapeError> {
        split(arena, index, self.layer.input.len(), self.output.len())
    }
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
            let operator = Operator::draw(&layer, Values::Typical, random, buffer)?;
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
        arena_len(self.input, self.steps().map(|step| step.output))
    }

    /// Runs what the firmware runs, each layer between marks.
    pub(crate) fn run_fast(&self, arena: &mut [u8]) -> Result<(), ShapeError> {
        for (index, step) in self.steps().enumerate() {
            let (input, output) = step.split(arena, index)?;
            measure(&step.operator, input, output)?;
        }
        Ok(())
    }

    /// Runs the specification of each layer.
    pub(crate) fn run_reference(&self, arena: &mut [u8]) -> Result<(), ShapeError> {
        for (index, step) in self.steps().enumerate() {
            let (input, output) = step.split(arena, index)?;
            step.operator.run_reference(input, output)?;
        }
        Ok(())
    }

    /// The last layer's output in an arena after a run.
    pub(crate) fn embedding<'a>(&self, arena: &'a mut [u8]) -> Result<&'a [u8], ShapeError> {
        let len = self.steps().last().map_or(0, |step| step.output.len());
        // Where the input of one more layer would lie.
        split(arena, self.steps().count(), len, 0).map(|(input, _)| input)
    }
}

/// Runs what the firmware runs, between marks. Never inlined: one code for all that is measured.
#[inline(never)]
pub(crate) fn measure(
    operator: &Operator<'_>,
    input: &[u8],
    output: &mut [u8],
) -> Result<(), ShapeError> {
    onelook_mark_start();
    let result = operator.run_fast(input, output);
    onelook_mark_stop();
    result
}

/// One layer's input and output in the arena.
fn split(
    arena: &mut [u8],
    layer: usize,
    input: usize,
    output: usize,
) -> Result<(&[u8], &mut [u8]), ShapeError> {
    let len = arena.len();
    let short = ShapeError::Length {
        expected: input.saturating_add(output),
        got: len,
    };
    let (first, last) = match layer % 2 {
        0 => (input, output),
        _ => (output, input),
    };
    let middle = len.checked_sub(last).ok_or(short)?;
    let (low, high) = arena.split_at_mut_checked(middle).ok_or(short)?;
    let low = low.get_mut(..first).ok_or(short)?;
    Ok(match layer % 2 {
        0 => (low, high),
        _ => (high, low),
    })
}
