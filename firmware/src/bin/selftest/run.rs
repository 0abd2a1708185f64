//! The operators: the only file here that knows them.
//!
//! In: a problem and memory. Out: `None` when the operator has no such shape, else what is wrong.

use shared::ops::conv2d::{self, Conv2d, conv2d};
use shared::ops::depthwise_conv2d::{self, DepthwiseConv2d, depthwise_conv2d};
use shared::ops::global_average_pool::{self, GlobalAveragePool, global_average_pool};
use shared::ops::l1_head::{self, L1Head, l1_head};
use shared::ops::linear::{self, Linear, linear};
use shared::ops::max_pool2d::{self, MaxPool2d, max_pool2d};
use shared::ops::pointwise::{self, Pointwise, pointwise};
use shared::shape::Hwc;

use crate::check::{Check, Wrong};
use crate::problem::{Parameters, Problem, Random, take};

/// Memory of one problem.
pub(crate) struct Buffers<'b> {
    pub(crate) parameters: &'b mut [u8],
    pub(crate) input: &'b mut [u8],
    pub(crate) check: Check<'b>,
}

/// Runs one problem.
pub(crate) type Run = fn(&Problem, &mut Random, &mut Buffers<'_>) -> Option<Result<(), Wrong>>;

/// Every operator with its name.
pub(crate) const OPERATORS: [(&str, Run); 7] = [
    ("conv2d", run_conv2d),
    ("pointwise", run_pointwise),
    ("linear", run_linear),
    ("depthwise_conv2d", run_depthwise_conv2d),
    ("max_pool2d", run_max_pool2d),
    ("global_average_pool", run_global_average_pool),
    ("l1_head", run_l1_head),
];

/// The most multiplications that a problem may ask of a simulated processor.
const MAX_MACS: usize = 3_000_000;

/// An input of `len` activations at any alignment.
fn draw_input<'b>(random: &mut Random, memory: &'b mut [u8], len: usize) -> Option<&'b [u8]> {
    let (input, _) = take(random, memory, len)?;
    random.fill_activations(input);
    Some(input)
}

fn run_conv2d(
    problem: &Problem,
    random: &mut Random,
    buffers: &mut Buffers<'_>,
) -> Option<Result<(), Wrong>> {
    let &Problem {
        input,
        window,
        c_out,
    } = problem;
    let taps = Hwc::new(window.kernel, window.kernel, input.c).len();
    let p = Parameters::draw(random, buffers.parameters, taps, c_out)?;
    let op = Conv2d::new(input, window, p.weight, p.bias, p.shift).ok()?;
    if op.output().len() * taps > MAX_MACS {
        return None;
    }
    let x = draw_input(random, buffers.input, input.len())?;
    let lens = [op.output().len(), op.scratch_len()];
    Some(buffers.check.run(
        random,
        lens,
        |out, scratch| conv2d(&op, x, out, scratch),
        |out| conv2d::reference(&op, x, out),
    ))
}

fn run_pointwise(
    problem: &Problem,
    random: &mut Random,
    buffers: &mut Buffers<'_>,
) -> Option<Result<(), Wrong>> {
    let &Problem { input, c_out, .. } = problem;
    let p = Parameters::draw(random, buffers.parameters, input.c, c_out)?;
    let op = Pointwise::new(input, p.weight, p.bias, p.shift).ok()?;
    let x = draw_input(random, buffers.input, input.len())?;
    let lens = [op.output().len(), op.scratch_len()];
    Some(buffers.check.run(
        random,
        lens,
        |out, scratch| pointwise(&op, x, out, scratch),
        |out| pointwise::reference(&op, x, out),
    ))
}

fn run_linear(
    problem: &Problem,
    random: &mut Random,
    buffers: &mut Buffers<'_>,
) -> Option<Result<(), Wrong>> {
    let &Problem { input, c_out, .. } = problem;
    let p = Parameters::draw(random, buffers.parameters, input.len(), c_out)?;
    let op = Linear::new(input, p.weight, p.bias, p.shift).ok()?;
    let x = draw_input(random, buffers.input, input.len())?;
    let lens = [op.output().len(), op.scratch_len()];
    Some(buffers.check.run(
        random,
        lens,
        |out, scratch| linear(&op, x, out, scratch),
        |out| linear::reference(&op, x, out),
    ))
}

fn run_depthwise_conv2d(
    problem: &Problem,
    random: &mut Random,
    buffers: &mut Buffers<'_>,
) -> Option<Result<(), Wrong>> {
    let &Problem { input, window, .. } = problem;
    let taps = window.kernel * window.kernel;
    let p = Parameters::draw(random, buffers.parameters, taps, input.c)?;
    let op = DepthwiseConv2d::new(input, window, p.weight, p.bias, p.shift).ok()?;
    let x = draw_input(random, buffers.input, input.len())?;
    let lens = [op.output().len(), op.scratch_len()];
    Some(buffers.check.run(
        random,
        lens,
        |out, scratch| depthwise_conv2d(&op, x, out, scratch),
        |out| depthwise_conv2d::reference(&op, x, out),
    ))
}

fn run_max_pool2d(
    problem: &Problem,
    random: &mut Random,
    buffers: &mut Buffers<'_>,
) -> Option<Result<(), Wrong>> {
    let &Problem { input, window, .. } = problem;
    let op = MaxPool2d::new(input, window).ok()?;
    let x = draw_input(random, buffers.input, input.len())?;
    let lens = [op.output().len(), op.scratch_len()];
    Some(buffers.check.run(
        random,
        lens,
        |out, scratch| max_pool2d(&op, x, out, scratch),
        |out| max_pool2d::reference(&op, x, out),
    ))
}

/// The problem's channels, on a number of pixels that this operator takes.
fn run_global_average_pool(
    problem: &Problem,
    random: &mut Random,
    buffers: &mut Buffers<'_>,
) -> Option<Result<(), Wrong>> {
    let (log_h, log_w) = (random.below(4), random.below(4));
    let input = Hwc::new(1 << log_h, 1 << log_w, problem.input.c);
    let finer = random.below(log_h + log_w + 1) as u8;
    let op = GlobalAveragePool::new(input, finer).ok()?;
    let x = draw_input(random, buffers.input, input.len())?;
    let lens = [op.output().len(), op.scratch_len()];
    Some(buffers.check.run(
        random,
        lens,
        |out, scratch| global_average_pool(&op, x, out, scratch),
        |out| global_average_pool::reference(&op, x, out),
    ))
}

/// Two embeddings of as many values as the problem's input has.
fn run_l1_head(
    problem: &Problem,
    random: &mut Random,
    buffers: &mut Buffers<'_>,
) -> Option<Result<(), Wrong>> {
    let len = problem.input.len();
    let p = Parameters::draw(random, buffers.parameters, len, 1)?;
    let (weight, bias) = (p.weight, random.within(1 << 22));
    let op = L1Head { weight, bias };
    let x = draw_input(random, buffers.input, 2 * len)?;
    let (a, b) = x.split_at_checked(len)?;
    let store = |out: &mut [u8], logit: i32| {
        for (out, byte) in out.iter_mut().zip(logit.to_le_bytes()) {
            *out = byte;
        }
    };
    Some(buffers.check.run(
        random,
        [size_of::<i32>(), 0],
        |out, _| l1_head(&op, a, b).map(|logit| store(out, logit)),
        // 128 * 255 * 10,080 values and the bias fit.
        |out| l1_head::reference(&op, a, b).map(|logit| store(out, logit as i32)),
    ))
}
