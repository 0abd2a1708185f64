//! A layer with parameters, ready to run: the only file here that knows `shared`'s operators.
//!
//! In: a layer, random numbers and a buffer for parameters. Out: its result by the function that
//! the firmware runs, and by the reference, which is the specification.

use shared::ops::conv2d::{self, Bias, Conv2d, conv2d};
use shared::ops::l1_head::{self, L1Head, l1_head};
use shared::ops::max_pool2d::{self, MaxPool2d, max_pool2d};
use shared::quant::{MAX_SHIFT, requantize};
use shared::shape::{Hwc, ShapeError};

use crate::layers::{Layer, Spec};
use crate::random::Random;

/// How parameters are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// As in a trained network: most outputs are neither 0 nor 255.
    Typical,
    /// Anything that the format allows.
    Extreme,
}

/// An operator with random parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operator<'m> {
    Conv2d(Conv2d<'m>),
    MaxPool2d(MaxPool2d),
    L1Head(L1Head<'m>),
    Requantize,
}

/// The shift of the requantize that is measured alone.
const SHIFT: u8 = 15;

impl<'m> Operator<'m> {
    /// Draws the layer's parameters and puts them into `buffer`.
    pub(crate) fn draw(
        layer: &Layer,
        values: Values,
        random: &mut Random,
        buffer: &mut Buffer<'m>,
    ) -> Result<Self, ShapeError> {
        Ok(match layer.spec {
            Spec::Conv2d { c_out, window } => {
                let taps = Hwc::new(window.kernel, window.kernel, layer.input.c).len();
                let weight = weights(buffer.take(taps.saturating_mul(c_out))?, values, random);
                let (bias, _) = buffer.take(c_out.saturating_mul(4))?.as_chunks_mut();
                let shift = buffer.take(c_out)?;
                let limits = match values {
                    // Random signs: a sum of n products grows with the root of n.
                    Values::Typical => (2000, 4 + (usize::BITS - taps.leading_zeros()) / 2, 2),
                    Values::Extreme => (u16::MAX, 0, MAX_SHIFT + 1),
                };
                let (bias_limit, least_shift, shifts) = limits;
                random.fill_biases(bias, bias_limit);
                shift.fill_with(|| (least_shift + random.below(u16::from(shifts))) as u8);
                let bias = Bias::new(bias);
                Self::Conv2d(Conv2d::new(layer.input, window, weight, bias, shift)?)
            }
            Spec::MaxPool2d { kernel } => {
                Self::MaxPool2d(MaxPool2d::new(layer.input, kernel, kernel)?)
            }
            Spec::L1Head => Self::L1Head(L1Head {
                weight: weights(buffer.take(layer.input.c)?, values, random),
                bias: -300,
            }),
            Spec::Requantize => Self::Requantize,
        })
    }

    /// Draws an input.
    pub(crate) fn fill_input(&self, values: Values, random: &mut Random, input: &mut [u8]) {
        match self {
            Self::Requantize => random.fill_accs(input.as_chunks_mut().0),
            _ if values == Values::Extreme && random.below(4) == 0 => input.fill(255),
            _ => random.fill_bytes(input),
        }
    }

    /// Multiply-accumulates of one run, padding counted.
    pub(crate) fn macs(&self) -> u64 {
        match self {
            Self::Conv2d(op) => op.macs(),
            Self::L1Head(op) => op.weight.len() as u64,
            Self::MaxPool2d(_) | Self::Requantize => 0,
        }
    }

    /// Runs what the firmware runs. Never inlined: one code for everything that is measured.
    #[inline(never)]
    pub(crate) fn run_fast(&self, input: &[u8], output: &mut [u8]) -> Result<(), ShapeError> {
        match self {
            Self::Conv2d(op) => conv2d(op, input, output)?,
            Self::MaxPool2d(op) => max_pool2d(op, input, output)?,
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
            Self::Conv2d(op) => conv2d::reference(op, input, output)?,
            Self::MaxPool2d(op) => max_pool2d::reference(op, input, output)?,
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

fn weights<'m>(bytes: &'m mut [u8], values: Values, random: &mut Random) -> &'m [i8] {
    let weights: &mut [i8] = bytemuck::cast_slice_mut(bytes);
    match (values, random.below(4)) {
        (Values::Extreme, 0) => weights.fill(-64),
        (Values::Extreme, 1) => weights.fill(63),
        _ => random.fill_weights(weights),
    }
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
