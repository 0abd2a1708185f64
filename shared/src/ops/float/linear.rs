//! Fully connected layer plus bias: every output sees the whole input.
//!
//! # Shapes
//!
//! | tensor   | dtype | layout | shape                |
//! |----------|-------|--------|----------------------|
//! | `input`  | `f32` | HWC    | `[h][w][c_in]`       |
//! | `weight` | `f32` | OHWI   | `[c_out][h][w][c_in]`|
//! | `bias`   | `f32` | O      | `[c_out]`            |
//! | `output` | `f32` | O      | `[c_out]`            |
//!
//! # Implementations
//!
//! - [`reference()`]: the specification, one output at a time.
//! - [`linear`]: four outputs at a time, each from four partial sums. Every weight is read once, so
//!   large layers are as fast as memory is.

use crate::shape::{Hwc, ShapeError, check_len};

/// Outputs at once.
const CHANNELS: usize = 4;
/// Partial sums of one output: a vector register of any x86-64 or AArch64.
const LANES: usize = 4;

/// Inputs whose products are summed before their sum joins the output: a sum of thousands of terms, one by one,
/// rounds ten times as much.
const SLICE: usize = 256;

type Lanes = [f32; LANES];

/// One fully connected layer: everything but the activations.
#[derive(Debug, Clone, Copy)]
pub struct Linear<'m> {
    input: Hwc,
    weight: &'m [f32],
    bias: &'m [f32],
}

impl<'m> Linear<'m> {
    /// Checks every length the kernels index by.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when the weights have the wrong length.
    pub fn new(input: Hwc, weight: &'m [f32], bias: &'m [f32]) -> Result<Self, ShapeError> {
        check_len(weight.len(), input.len().saturating_mul(bias.len()))?;
        Ok(Self {
            input,
            weight,
            bias,
        })
    }

    /// Shape of the input.
    #[must_use]
    pub const fn input(&self) -> Hwc {
        self.input
    }

    /// Shape of the output, `[1][1][c_out]`.
    #[must_use]
    pub const fn output(&self) -> Hwc {
        Hwc::new(1, 1, self.bias.len())
    }
}

/// The specification.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn reference(op: &Linear<'_>, input: &[f32], output: &mut [f32]) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output().check(output.len())?;
    let filters = op.weight.chunks_exact(input.len().max(1));
    for ((out, weight), bias) in output.iter_mut().zip(filters).zip(op.bias) {
        let mut acc = *bias;
        for (x, w) in input.iter().zip(weight) {
            acc += x * w;
        }
        *out = acc;
    }
    Ok(())
}

/// What runs. See the module doc for the idea.
///
/// # Errors
/// [`ShapeError::Length`] when a buffer does not hold its shape.
pub fn linear(op: &Linear<'_>, input: &[f32], output: &mut [f32]) -> Result<(), ShapeError> {
    op.input.check(input.len())?;
    op.output().check(output.len())?;
    for (out, bias) in output.iter_mut().zip(op.bias) {
        *out = *bias;
    }
    let n = input.len().max(1);
    for (out, weight) in output
        .chunks_mut(CHANNELS)
        .zip(op.weight.chunks(CHANNELS * n))
    {
        let mut filters = weight.chunks_exact(n);
        // Behind the last output: no weights, no sum.
        let filters = [(); CHANNELS].map(|()| filters.next().unwrap_or(&[]));
        for (place, x) in input.chunks(SLICE).enumerate() {
            let from = place * SLICE;
            match filters.map(|filter| filter.get(from..from + x.len()).unwrap_or(&[])) {
                [a, b, c, d] if d.len() == x.len() => add_sums(out, dot_4(x, [a, b, c, d])),
                filters => add_sums(out, filters.map(|filter| dot(x, filter))),
            }
        }
    }
    Ok(())
}

fn add_sums(out: &mut [f32], sums: [f32; CHANNELS]) {
    for (out, sum) in out.iter_mut().zip(sums) {
        *out += sum;
    }
}

/// `Σ x * w`, over the shorter of both.
fn dot(x: &[f32], w: &[f32]) -> f32 {
    let ((x, x_rest), (w, w_rest)) = (x.as_chunks(), w.as_chunks());
    let mut acc = [0.0; LANES];
    for (x, w) in x.iter().zip(w) {
        add_products(&mut acc, x, w);
    }
    let rest = x_rest.iter().zip(w_rest).map(|(x, w)| x * w);
    acc.iter().sum::<f32>() + rest.sum::<f32>()
}

/// [`dot`] with four filters: every input value is loaded once for four products.
fn dot_4(x: &[f32], w: [&[f32]; CHANNELS]) -> [f32; CHANNELS] {
    let (chunks, rest) = x.as_chunks();
    let mut sums = lanes_4(chunks, w.map(|w| w.as_chunks().0)).map(|lanes| lanes.iter().sum());
    for (sum, w) in sums.iter_mut().zip(w.map(|w| w.as_chunks::<LANES>().1)) {
        *sum += rest.iter().zip(w).map(|(x, w)| x * w).sum::<f32>();
    }
    sums
}

/// Not inlined, and the lanes not yet summed: they end in memory side by side, so that the compiler
/// keeps them in vector registers.
#[inline(never)]
fn lanes_4(x: &[Lanes], [w_0, w_1, w_2, w_3]: [&[Lanes]; CHANNELS]) -> [Lanes; CHANNELS] {
    let [mut acc_0, mut acc_1, mut acc_2, mut acc_3] = [[0.0; LANES]; CHANNELS];
    let filters = w_0.iter().zip(w_1).zip(w_2.iter().zip(w_3));
    for (x, ((w_0, w_1), (w_2, w_3))) in x.iter().zip(filters) {
        add_products(&mut acc_0, x, w_0);
        add_products(&mut acc_1, x, w_1);
        add_products(&mut acc_2, x, w_2);
        add_products(&mut acc_3, x, w_3);
    }
    [acc_0, acc_1, acc_2, acc_3]
}

#[inline(always)]
fn add_products(acc: &mut Lanes, x: &Lanes, w: &Lanes) {
    for ((acc, x), w) in acc.iter_mut().zip(x).zip(w) {
        *acc += x * w;
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::{self, Numbers};
    use super::*;
    use proptest::prelude::*;

    type Kernel = fn(&Linear<'_>, &[f32], &mut [f32]) -> Result<(), ShapeError>;

    #[derive(Debug, Clone)]
    struct Problem {
        input: Hwc,
        x: Vec<f32>,
        weight: Vec<f32>,
        bias: Vec<f32>,
    }

    impl Problem {
        fn run(&self, kernel: Kernel) -> Vec<f32> {
            let op = Linear::new(self.input, &self.weight, &self.bias).unwrap();
            let mut output = vec![f32::NAN; op.output().len()];
            kernel(&op, &self.x, &mut output).unwrap();
            output
        }
    }

    fn problem(numbers: Numbers) -> impl Strategy<Value = Problem> {
        (1..5_usize, 1..5_usize, 1..12_usize, 1..12_usize).prop_flat_map(move |(h, w, c, c_out)| {
            let input = Hwc::new(h, w, c);
            (
                numbers.activations(input.len()),
                numbers.weights(input.len() * c_out),
                numbers.weights(c_out),
            )
                .prop_map(move |(x, weight, bias)| Problem {
                    input,
                    x,
                    weight,
                    bias,
                })
        })
    }

    proptest! {
        #[test]
        fn equals_reference(p in problem(Numbers::Integers)) {
            prop_assert_eq!(problem::bits(&p.run(linear)), problem::bits(&p.run(reference)));
        }

        #[test]
        fn close_to_reference(p in problem(Numbers::Reals)) {
            problem::assert_close(&p.run(linear), &p.run(reference), p.input.len());
        }
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let expected = ShapeError::Length {
            expected: 6,
            got: 5,
        };
        let error = Linear::new(Hwc::new(1, 3, 1), &[0.0; 5], &[0.0; 2]);
        assert_eq!(error.err(), Some(expected));
    }
}
