//! A layer with parameters, ready to run: the only file here that knows `shared`'s operators.
//!
//! In: a layer, random numbers and a buffer for parameters. Out: its result by the function that
//! the firmware runs, and by the reference, which is the specification.

use shared::ops;
use shared::ops::conv_max_pool2d::ConvMaxPool2d;
use shared::ops::conv2d::Conv2d;
use shared::ops::depthwise_conv2d::DepthwiseConv2d;
use shared::ops::filters::Bias;
use shared::ops::global_average_pool::GlobalAveragePool;
use shared::ops::l1_head::{self, L1Head, l1_head};
use shared::ops::linear::Linear;
use shared::ops::max_pool2d::MaxPool2d;
use shared::ops::pointwise::Pointwise;
use shared::quant::requantize;
use shared::shape::{Hwc, ShapeError, Window};

use crate::layers::{Layer, Spec, pool_window};
use crate::random::Random;

/// An operator with random parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operator<'m> {
    /// A step of an encoder.
    Step(ops::Operator<'m>),
    L1Head(L1Head<'m>),
    Requantize,
}

/// The shift of the requantize that is measured alone.
const SHIFT: u8 = 15;

/// Weights, biases and shifts.
type Filters<'m> = (&'m [i8], Bias<'m>, &'m [u8]);

/// A window of one pixel is an operator of its own.
const PIXEL: Window = Window {
    kernel: 1,
    stride: 1,
    pad: 0,
};

impl<'m> Operator<'m> {
    /// Draws the layer's parameters and puts them into `buffer`.
    pub(crate) fn draw(
        layer: &Layer,
        random: &mut Random,
        buffer: &mut Buffer<'m>,
    ) -> Result<Self, ShapeError> {
        let input = layer.input;
        let mut filters = |taps, c_out| filters(taps, c_out, random, buffer);
        let square = |window: Window, c| Hwc::new(window.kernel, window.kernel, c).len();
        let step = match layer.spec {
            Spec::Conv2d { c_out, window } if window == PIXEL => {
                let (weight, bias, shift) = filters(input.c, c_out)?;
                ops::Operator::Pointwise(Pointwise::new(input, weight, bias, shift)?)
            }
            Spec::Conv2d { c_out, window } => {
                let (weight, bias, shift) = filters(square(window, input.c), c_out)?;
                ops::Operator::Conv2d(Conv2d::new(input, window, weight, bias, shift)?)
            }
            Spec::ConvMaxPool2d {
                c_out,
                window,
                pool,
            } => {
                let (weight, bias, shift) = filters(square(window, input.c), c_out)?;
                let conv = Conv2d::new(input, window, weight, bias, shift)?;
                let pool = MaxPool2d::new(conv.output(), pool_window(pool))?;
                let both = ConvMaxPool2d::new(conv, pool);
                let apart = ShapeError::Length {
                    expected: 1,
                    got: 0,
                };
                ops::Operator::ConvMaxPool2d(both.ok_or(apart)?)
            }
            Spec::Depthwise { window } => {
                let (weight, bias, shift) = filters(square(window, 1), input.c)?;
                let op = DepthwiseConv2d::new(input, window, weight, bias, shift)?;
                ops::Operator::DepthwiseConv2d(op)
            }
            Spec::Linear { c_out } => {
                let (weight, bias, shift) = filters(input.len(), c_out)?;
                ops::Operator::Linear(Linear::new(input, weight, bias, shift)?)
            }
            Spec::MaxPool2d { kernel } => {
                ops::Operator::MaxPool2d(MaxPool2d::new(input, pool_window(kernel))?)
            }
            Spec::GlobalAveragePool => {
                ops::Operator::GlobalAveragePool(GlobalAveragePool::new(input, 0)?)
            }
            Spec::L1Head => {
                let (weight, ..) = filters(input.c, 1)?;
                return Ok(Self::L1Head(L1Head { weight, bias: -300 }));
            }
            Spec::Requantize => return Ok(Self::Requantize),
        };
        Ok(Self::Step(step))
    }

    /// Draws an input.
    pub(crate) fn fill_input(&self, random: &mut Random, input: &mut [u8]) {
        match self {
            Self::Requantize => random.fill_accs(input.as_chunks_mut().0),
            _ => random.fill_bytes(input),
        }
    }

    /// Multiply-accumulates of one run, padding counted.
    pub(crate) fn macs(&self) -> u64 {
        match self {
            Self::Step(op) => op.macs(),
            Self::L1Head(op) => op.weight.len() as u64,
            Self::Requantize => 0,
        }
    }

    /// Bytes of working memory beside input and output.
    pub(crate) const fn scratch_len(&self) -> usize {
        match self {
            Self::Step(op) => op.scratch_len(),
            Self::L1Head(_) | Self::Requantize => 0,
        }
    }

    /// Runs what the firmware runs. Never inlined: one code for everything that is measured.
    #[inline(never)]
    pub(crate) fn run_fast(
        &self,
        input: &[u8],
        output: &mut [u8],
        scratch: &mut [u8],
    ) -> Result<(), ShapeError> {
        match self {
            Self::Step(op) => op.run(input, output, scratch)?,
            Self::L1Head(op) => {
                let (a, b) = embeddings(input);
                store(l1_head(op, a, b)?, output);
            }
            Self::Requantize => requantize_all(input, output),
        }
        Ok(())
    }

    /// Runs the specification.
    #[inline(never)]
    pub(crate) fn run_reference(&self, input: &[u8], output: &mut [u8]) -> Result<(), ShapeError> {
        match self {
            Self::Step(op) => op.reference(input, output)?,
            Self::L1Head(op) => {
                let (a, b) = embeddings(input);
                // Certified heads fit: 64 * 255 * 576 < 2^24.
                store(l1_head::reference(op, a, b)? as i32, output);
            }
            // One function is both: its own test compares it with floating point.
            Self::Requantize => requantize_all(input, output),
        }
        Ok(())
    }
}

/// Draws `c_out` filters of so many taps.
fn filters<'m>(
    taps: usize,
    c_out: usize,
    random: &mut Random,
    buffer: &mut Buffer<'m>,
) -> Result<Filters<'m>, ShapeError> {
    let weight = weights(buffer.take(taps.saturating_mul(c_out))?, random);
    let (bias, _) = buffer.take(c_out.saturating_mul(4))?.as_chunks_mut();
    let shift = buffer.take(c_out)?;
    random.fill_biases(bias);
    // Random signs: a sum of n products grows with the root of n.
    let least_shift = 4 + (usize::BITS - taps.leading_zeros()) / 2;
    shift.fill_with(|| (least_shift + random.below(2)) as u8);
    Ok((weight, Bias::new(bias), shift))
}

/// The head's input: two embeddings, one behind the other.
fn embeddings(input: &[u8]) -> (&[u8], &[u8]) {
    input.split_at_checked(input.len() / 2).unwrap_or_default()
}

fn store(logit: i32, output: &mut [u8]) {
    for (out, byte) in output.iter_mut().zip(logit.to_le_bytes()) {
        *out = byte;
    }
}

fn requantize_all(accs: &[u8], output: &mut [u8]) {
    for (out, acc) in output.iter_mut().zip(accs.as_chunks().0) {
        *out = requantize(i32::from_le_bytes(*acc), SHIFT);
    }
}

fn weights<'m>(bytes: &'m mut [u8], random: &mut Random) -> &'m [i8] {
    let weights: &mut [i8] = bytemuck::cast_slice_mut(bytes);
    random.fill_weights(weights);
    weights
}

/// Memory that is given away piece by piece.
pub(crate) struct Buffer<'m> {
    rest: &'m mut [u8],
    len: usize,
}

impl<'m> Buffer<'m> {
    /// All of `memory` is free.
    pub(crate) fn new(memory: &'m mut [u8]) -> Self {
        let len = memory.len();
        Self { rest: memory, len }
    }

    /// The next `len` bytes, aligned as the whole memory is, up to 16.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'m mut [u8], ShapeError> {
        let short = ShapeError::Length {
            expected: len,
            got: self.len,
        };
        let rest = core::mem::take(&mut self.rest);
        let padded = len.checked_next_multiple_of(16).ok_or(short)?;
        let (piece, rest) = rest.split_at_mut_checked(padded).ok_or(short)?;
        self.rest = rest;
        piece.get_mut(..len).ok_or(short)
    }
}
