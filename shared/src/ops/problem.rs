//! Random valid operators with random inputs, for the property tests of every operator.

use core::ops::Range;

use proptest::prelude::*;

use super::filters::Bias;
use crate::shape::{Hwc, ShapeError, Window};

/// Sides of an image and of a kernel; an interpreter that checks every access is a thousand times
/// slower, and finds what it looks for in small ones.
const SIDES: usize = if cfg!(miri) { 5 } else { 13 };
const KERNELS: usize = if cfg!(miri) { 3 } else { 11 };

/// How many problems a test draws: `count`, or a few where each takes seconds.
pub(crate) fn cases(count: u32) -> ProptestConfig {
    ProptestConfig::with_cases(if cfg!(miri) { 1 } else { count })
}

/// Loops over every bit of a file go on by this much: a prime, so that each bit of a byte has its turn.
pub(crate) const STEP: usize = if cfg!(miri) { 499 } else { 1 };

/// Weights, biases and shifts of some channels. Biases and shifts put the accumulators below,
/// inside and above the range of an activation, ties included.
#[derive(Debug, Clone)]
pub(crate) struct Parameters {
    pub(crate) weight: Vec<i8>,
    pub(crate) bias: Vec<[u8; 4]>,
    pub(crate) shift: Vec<u8>,
}

impl Parameters {
    pub(crate) fn bias(&self) -> Bias<'_> {
        Bias::new(&self.bias)
    }

    /// Parameters without chance.
    pub(crate) fn pattern(taps: usize, c_out: usize) -> Self {
        let bias = |c: usize| (c as i32 * 37 % 300 - 100).to_le_bytes();
        Self {
            weight: (0..taps * c_out)
                .map(|i| (i * 29 % 128) as i8 ^ -64)
                .collect(),
            bias: (0..c_out).map(bias).collect(),
            shift: (0..c_out).map(|c| (c % 5 + 6) as u8).collect(),
        }
    }
}

/// An operator with a window, and its input.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) input: Hwc,
    pub(crate) window: Window,
    pub(crate) x: Vec<u8>,
    pub(crate) parameters: Parameters,
}

/// Weights of any size up to the largest: how large they are decides how kernels add.
pub(crate) fn parameters(taps: usize, c_out: usize) -> impl Strategy<Value = Parameters> {
    let weights = prop::sample::select(vec![4, 16, 32, 64_i8]);
    (
        weights.prop_flat_map(move |most| prop::collection::vec(-most..=most, taps * c_out)),
        prop::collection::vec(-100_000..100_000_i32, c_out),
        prop::collection::vec(0..=14_u8, c_out),
    )
        .prop_map(|(weight, bias, shift)| Parameters {
            weight,
            bias: bias.iter().map(|b| b.to_le_bytes()).collect(),
            shift,
        })
}

/// Inputs of noise, of nothing and of the largest value.
fn activation(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), len),
        1 => Just(vec![0; len]),
        1 => Just(vec![255; len]),
    ]
}

/// Odd sizes and channels, windows up to `max_kernel`, strides 1 to 3, any padding. `taps` says
/// how many weights a channel has for a kernel and a number of input channels.
pub(crate) fn window_problem(
    max_kernel: usize,
    taps: fn(usize, usize) -> usize,
    c_out: Range<usize>,
) -> impl Strategy<Value = Problem> {
    window_problem_of(1..10, max_kernel, taps, c_out)
}

fn window_problem_of(
    c_in: Range<usize>,
    max_kernel: usize,
    taps: fn(usize, usize) -> usize,
    c_out: Range<usize>,
) -> impl Strategy<Value = Problem> {
    let extents = (1..=SIDES, 1..=SIDES, c_in);
    let window = (1..=max_kernel.min(KERNELS), 1..4_usize);
    (extents, window, c_out)
        .prop_flat_map(|((h, w, c), (kernel, stride), c_out)| {
            (
                Just(Hwc::new(h, w, c)),
                Just((kernel, stride, c_out)),
                0..kernel,
            )
        })
        .prop_filter("the window fits", |(input, (kernel, ..), pad)| {
            input.h.min(input.w) + 2 * pad >= *kernel
        })
        .prop_flat_map(move |(input, (kernel, stride, c_out), pad)| {
            (
                activation(input.len()),
                parameters(taps(kernel, input.c), c_out),
            )
                .prop_map(move |(x, parameters)| Problem {
                    input,
                    window: Window {
                        kernel,
                        stride,
                        pad,
                    },
                    x,
                    parameters,
                })
        })
}

/// As [`window_problem`], with as many outputs as input channels.
pub(crate) fn depthwise_problem(c: Range<usize>) -> impl Strategy<Value = Problem> {
    window_problem_of(c, 11, |_, _| 0, 1..2).prop_flat_map(|problem| {
        let taps = problem.window.kernel * problem.window.kernel;
        parameters(taps, problem.input.c).prop_map(move |parameters| Problem {
            parameters,
            ..problem.clone()
        })
    })
}

/// Runs an operator into a buffer that is not clean, with a scratch that is not clean either.
pub(crate) fn run(
    output: Hwc,
    scratch_len: usize,
    operator: impl FnOnce(&mut [u8], &mut [u8]) -> Result<(), ShapeError>,
) -> Vec<u8> {
    let (mut output, mut scratch) = (vec![0xa5; output.len()], vec![0x5a; scratch_len]);
    operator(&mut output, &mut scratch).unwrap();
    output
}
