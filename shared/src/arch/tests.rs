//! Every implementation that this processor has, not only the one it would choose, against the
//! operators' specifications, bit for bit.

use super::portable;
use crate::ops::conv2d::{self, Conv2d};
use crate::ops::depthwise_conv2d::{self, DepthwiseConv2d};
use crate::ops::l1_head::{self, L1Head};
use crate::ops::linear::{self, Linear};
use crate::ops::pointwise::{self, Pointwise};
use crate::ops::problem::{
    Parameters, Problem, depthwise_problem, parameters, run, window_problem,
};
use crate::shape::{Hwc, Window};
use proptest::prelude::*;

/// The kernels of one file.
struct Kernels {
    name: &'static str,
    conv2d: fn(&Conv2d<'_>, &[u8], usize, &mut [u8], &mut [u8]),
    pointwise: fn(&Pointwise<'_>, &[u8], &mut [u8], &mut [u8]),
    linear: fn(&Linear<'_>, &[u8], &mut [u8]),
    depthwise_conv2d: fn(&DepthwiseConv2d<'_>, &[u8], &mut [u8]),
    l1_head: fn(&L1Head<'_>, &[u8], &[u8]) -> i32,
}

/// The kernels of one module under the names that every such module has.
macro_rules! kernels {
    ($name:literal, $module:path) => {{
        use $module as module;
        Kernels {
            name: $name,
            conv2d: module::conv2d,
            pointwise: module::pointwise,
            linear: module::linear,
            depthwise_conv2d: module::depthwise_conv2d,
            l1_head: module::l1_head,
        }
    }};
}

fn implementations() -> Vec<Kernels> {
    vec![
        kernels!("portable", portable),
        // On x86-64 without AVX2 this is `portable` once more.
        kernels!("chosen", super::chosen),
    ]
}

type Result = core::result::Result<(), TestCaseError>;

/// The whole output, and its last rows alone.
fn convolves(p: &Problem) -> Result {
    let (bias, weight) = (p.parameters.bias(), &p.parameters.weight);
    let op = Conv2d::new(p.input, p.window, weight, bias, &p.parameters.shift).unwrap();
    let expected = run(op.output(), 0, |out, _| conv2d::reference(&op, &p.x, out));
    let row = op.output().w * op.output().c;
    for kernels in implementations() {
        for first_row in [0, op.output().h / 2] {
            let rows = Hwc {
                h: op.output().h - first_row,
                ..op.output()
            };
            let got = run(rows, op.scratch_len(), |out, scratch| {
                (kernels.conv2d)(&op, &p.x, first_row, out, scratch);
                Ok(())
            });
            prop_assert_eq!(&got, &expected[first_row * row..], "{}", kernels.name);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn conv2d_equals_reference(
        p in window_problem(11, |kernel, c_in| kernel * kernel * c_in, 1..40)
    ) {
        convolves(&p)?;
    }

    #[test]
    fn depthwise_conv2d_equals_reference(p in depthwise_problem(1..40)) {
        let (bias, weight) = (p.parameters.bias(), &p.parameters.weight);
        let op = DepthwiseConv2d::new(p.input, p.window, weight, bias, &p.parameters.shift).unwrap();
        let expected = run(op.output(), 0, |out, _| depthwise_conv2d::reference(&op, &p.x, out));
        for kernels in implementations() {
            let got = run(op.output(), 0, |out, _| {
                (kernels.depthwise_conv2d)(&op, &p.x, out);
                Ok(())
            });
            prop_assert_eq!(&got, &expected, "{}", kernels.name);
        }
    }

    #[test]
    fn pointwise_equals_reference(p in window_problem(1, |_, c_in| c_in, 1..40)) {
        let (bias, weight) = (p.parameters.bias(), &p.parameters.weight);
        let op = Pointwise::new(p.input, weight, bias, &p.parameters.shift).unwrap();
        let expected = run(op.output(), 0, |out, _| pointwise::reference(&op, &p.x, out));
        for kernels in implementations() {
            let got = run(op.output(), op.scratch_len(), |out, scratch| {
                (kernels.pointwise)(&op, &p.x, out, scratch);
                Ok(())
            });
            prop_assert_eq!(&got, &expected, "{}", kernels.name);
        }
    }

    #[test]
    fn linear_equals_reference(
        (x, p) in (1..200_usize, 1..12_usize).prop_flat_map(|(n_in, c_out)| {
            (prop::collection::vec(any::<u8>(), n_in), parameters(n_in, c_out))
        })
    ) {
        let op = Linear::new(Hwc::new(1, 1, x.len()), &p.weight, p.bias(), &p.shift).unwrap();
        let expected = run(op.output(), 0, |out, _| linear::reference(&op, &x, out));
        for kernels in implementations() {
            let got = run(op.output(), 0, |out, _| {
                (kernels.linear)(&op, &x, out);
                Ok(())
            });
            prop_assert_eq!(&got, &expected, "{}", kernels.name);
        }
    }

    #[test]
    fn l1_head_equals_reference(
        values in prop::collection::vec((any::<u8>(), any::<u8>(), -64..=64_i8), 0..700),
        bias in -1_000_000..1_000_000_i32,
    ) {
        let a: Vec<u8> = values.iter().map(|v| v.0).collect();
        let b: Vec<u8> = values.iter().map(|v| v.1).collect();
        let weight: Vec<i8> = values.iter().map(|v| v.2).collect();
        let op = L1Head { weight: &weight, bias };
        let expected = l1_head::reference(&op, &a, &b).unwrap();
        for kernels in implementations() {
            prop_assert_eq!(i64::from((kernels.l1_head)(&op, &a, &b)), expected, "{}", kernels.name);
        }
    }
}

/// Weights at the limit of what is added up in 16 bits, in each direction, and one beyond it.
#[test]
fn no_sum_of_sixteen_bits_saturates() {
    let window = Window {
        kernel: 1,
        stride: 1,
        pad: 0,
    };
    let input = Hwc::new(3, 3, 32);
    for most in [64, -64] {
        // Two taps of a step fill a lane; a tap of the next one overflows it.
        for more in [0, 1, -1, most] {
            let tap = |i: usize| match i % 8 {
                0 | 1 => most,
                4 => more,
                _ => 0,
            };
            let weight: Vec<i8> = (0..32 * 17).map(|i| tap(i % 32)).collect();
            let p = Problem {
                input,
                window,
                x: vec![255; input.len()],
                parameters: Parameters {
                    weight,
                    ..Parameters::pattern(32, 17)
                },
            };
            convolves(&p).unwrap();
        }
    }
}

/// Shapes of the networks that ship and of the paper's, which pass through several bands.
#[test]
fn shapes_of_the_presets_equal_reference() {
    for (side, c_in, c_out, kernel, stride, pad) in [
        (48, 1, 32, 3, 2, 1),
        (24, 32, 32, 3, 1, 1),
        (12, 64, 64, 3, 1, 1),
        (6, 128, 64, 3, 1, 1),
        (60, 1, 64, 10, 1, 0),
        (48, 64, 16, 7, 1, 0),
        (9, 128, 32, 4, 1, 0),
    ] {
        let taps = kernel * kernel * c_in;
        let p = Problem {
            input: Hwc::new(side, side, c_in),
            window: Window {
                kernel,
                stride,
                pad,
            },
            x: (0..side * side * c_in)
                .map(|i| (i * 7 % 256) as u8)
                .collect(),
            parameters: Parameters::pattern(taps, c_out),
        };
        convolves(&p).unwrap();
    }
}

/// Rows so long that no band holds them.
#[test]
fn what_no_band_holds_is_convolved_all_the_same() {
    let window = Window {
        kernel: 2,
        stride: 1,
        pad: 1,
    };
    let input = Hwc::new(2, 2, 20_001);
    let p = Problem {
        input,
        window,
        x: (0..input.len()).map(|i| (i * 7 % 256) as u8).collect(),
        parameters: Parameters::pattern(4 * input.c, 2),
    };
    convolves(&p).unwrap();
}
