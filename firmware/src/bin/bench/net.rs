//! A whole net on one arena, as the encoder runs it.
//!
//! In: a net's layers, random numbers, a buffer for parameters. Out: its embedding, with each layer
//! between marks. The arena is planned by `shared::model`, as in `shared::net`, which would want a
//! model file.

use firmware::board::mark::{onelook_mark_start, onelook_mark_stop};
use shared::model::{Placement, arena_len};
use shared::ops;
use shared::shape::{Hwc, ShapeError};

use crate::layers::{Layer, MAX_LAYERS, Net};
use crate::operator::{Buffer, Operator};
use crate::random::Random;

/// One layer of a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'m> {
    pub(crate) layer: Layer,
    pub(crate) operator: Operator<'m>,
    pub(crate) planned: ops::Operator<'m>,
}

/// A net with random parameters.
pub(crate) struct Chain<'m> {
    input: Hwc,
    output: Hwc,
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
            let Operator::Step(planned) = operator else {
                // The head is no step of a net.
                return Err(ShapeError::Length {
                    expected: 1,
                    got: 0,
                });
            };
            shape = layer.output()?;
            *step = Some(Step {
                layer,
                operator,
                planned,
            });
        }
        Ok(Self {
            input,
            output: shape,
            steps,
        })
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
        arena_len(self.input, self.steps().map(|step| step.planned))
    }

    /// Runs what the firmware runs, each layer between marks.
    pub(crate) fn run_fast(&self, arena: &mut [u8]) -> Result<(), ShapeError> {
        for (index, step) in self.steps().enumerate() {
            let (input, output, scratch) = step.buffers(index, arena)?;
            measure(&step.operator, input, output, scratch)?;
        }
        Ok(())
    }

    /// Runs the specification of each layer.
    pub(crate) fn run_reference(&self, arena: &mut [u8]) -> Result<(), ShapeError> {
        for (index, step) in self.steps().enumerate() {
            let (input, output, _) = step.buffers(index, arena)?;
            step.operator.run_reference(input, output)?;
        }
        Ok(())
    }

    /// The last layer's output in an arena after a run.
    pub(crate) fn embedding<'a>(&self, arena: &'a [u8]) -> Result<&'a [u8], ShapeError> {
        let len = self.output.len();
        // Even steps write to the end, odd ones to the start.
        let output = match self.steps().count() % 2 {
            0 => arena.get(..len),
            _ => arena.get(arena.len().saturating_sub(len)..),
        };
        output.ok_or(ShapeError::Length {
            expected: len,
            got: arena.len(),
        })
    }
}

/// Input, output and scratch.
type Buffers<'a> = (&'a [u8], &'a mut [u8], &'a mut [u8]);

impl Step<'_> {
    /// Its parts of the arena.
    fn buffers<'a>(&self, index: usize, arena: &'a mut [u8]) -> Result<Buffers<'a>, ShapeError> {
        let short = ShapeError::Length {
            expected: self.planned.arena_len(),
            got: arena.len(),
        };
        let place = Placement::new(index, &self.planned, arena.len()).ok_or(short)?;
        let (below, high) = arena.split_at_mut_checked(place.scratch.end).ok_or(short)?;
        let (low, scratch) = below
            .split_at_mut_checked(place.scratch.start)
            .ok_or(short)?;
        Ok(match index % 2 {
            0 => (low, high, scratch),
            _ => (high, low, scratch),
        })
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
    let result = operator.run_fast(input, output, scratch);
    onelook_mark_stop();
    result
}
