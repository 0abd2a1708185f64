//! A layer with parameters, ready to run: the only file here that knows `shared`'s operators.
//!
//! In: a layer, random numbers and a buffer for parameters. Out: its result by the function that
//! the firmware runs, and by the reference, which is the specification.

use shared::ops;
use shared::ops::conv2d::Conv2d;
use shared::ops::depthwise_conv2d::DepthwiseConv2d;
use shared::ops::filters::Bias;
use shared::ops::l1_head::{self, L1Head, l1_head};
use shared::ops::linear::Linear;
use shared::ops::max_pool2d::MaxPool2d;
use shared::ops::pointwise::Pointwise;
use shared::quant::requantize;
use shared::shape::{Hwc, ShapeError, Window};

use crate::layers::{Layer, Spec, pool_window};
use crate::random::Random;

/// Which implementation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// What the firmware runs.
    Fast,
    /// The specification.
    Reference,
}

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

impl<'m> Operator<'m> {
    /// Draws the layer's parameters and puts them into `buffer`.
    pub(crate) fn draw(
        layer: &Layer,
        random: &mut Random,
        buffer: &mut Buffer<'m>,
    ) -> Result<Self, ShapeError> {
        let input = layer.input;
        let mut filters = |taps: usize, c_out: usize| -> Result<_, ShapeError> {
            let weight = weights(buffer.take(taps.saturating_mul(c_out))?, random);
            let (bias, _) = buffer.take(c_out.saturating_mul(4))?.as_chunks_mut();
            random.fill_biases(bias);
            let shift = buffer.take(c_out)?;
            // Random signs: a sum of n products grows with the root of n.
            let root_bits = (usize::BITS - taps.leading_zeros()).div_ceil(2);
            shift.fill_with(|| 4 + root_bits as u8 + random.below(2) as u8);
            Ok((weight, Bias::new(bias), &*shift))
        };
        Ok(match layer.spec {
            Spec::Conv2d {
                c_out,
                window:
                    Window {
                        kernel: 1,
                        stride: 1,
                        pad: 0,
                    },
            } => {
                let (weight, bias, shift) = filters(input.c, c_out)?;
                let op = Pointwise::new(input, weight, bias, shift)?;
                Self::Step(ops::Operator::Pointwise(op))
            }
            Spec::Conv2d { c_out, window } => {
                let taps = Hwc::new(window.kernel, window.kernel, input.c).len();
                let (weight, bias, shift) = filters(taps, c_out)?;
                let op = Conv2d::new(input, window, weight, bias, shift)?;
                Self::Step(ops::Operator::Conv2d(op))
            }
            Spec::Depthwise { window } => {
                let (weight, bias, shift) = filters(window.kernel * window.kernel, input.c)?;
                let op = DepthwiseConv2d::new(input, window, weight, bias, shift)?;
                Self::Step(ops::Operator::DepthwiseConv2d(op))
            }
            Spec::Linear { c_out } => {
                let (weight, bias, shift) = filters(input.len(), c_out)?;
                let op = Linear::new(input, weight, bias, shift)?;
                Self::Step(ops::Operator::Linear(op))
            }
            Spec::MaxPool2d { kernel } => {
                let op = MaxPool2d::new(input, pool_window(kernel))?;
                Self::Step(ops::Operator::MaxPool2d(op))
            }
            Spec::L1Head => Self::L1Head(L1Head {
                weight: weights(buffer.take(layer.input.c)?, random),
                bias: -300,
            }),
            Spec::Requantize => Self::Requantize,
        })
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

    /// Runs it. Never inlined: every layer is measured in the same code.
    #[inline(never)]
    pub(crate) fn run(
        &self,
        version: Version,
        input: &[u8],
        output: &mut [u8],
        scratch: &mut [u8],
    ) -> Result<(), ShapeError> {
        match (self, version) {
            (Self::Step(op), Version::Fast) => op.run(input, output, scratch),
            (Self::Step(op), Version::Reference) => op.reference(input, output),
            (Self::L1Head(op), version) => {
                let (a, b) = input.split_at_checked(input.len() / 2).unwrap_or_default();
                let logit = match version {
                    Version::Fast => l1_head(op, a, b)?,
                    // Certified heads fit: 64 * 255 * 576 < 2^24.
                    Version::Reference => l1_head::reference(op, a, b)? as i32,
                };
                for (out, byte) in output.iter_mut().zip(logit.to_le_bytes()) {
                    *out = byte;
                }
                Ok(())
            }
            // One function is both: its own test compares it with floating point.
            (Self::Requantize, _) => {
                for (out, acc) in output.iter_mut().zip(input.as_chunks().0) {
                    *out = requantize(i32::from_le_bytes(*acc), SHIFT);
                }
                Ok(())
            }
        }
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
