//! Small operators of every shape against their references, on the target.
//!
//! In: a number of problems and memory. Out: the first operator that differs. The layers that are
//! measured have even shapes; kernels go wrong at odd ones: tails of channels and pixels, windows
//! that are mostly padding, sums at their limits. Nothing here is measured.

use core::fmt;

use shared::shape::{Hwc, ShapeError, Window};

use crate::check::{Check, Difference};
use crate::layers::{Layer, Spec};
use crate::operator::Values;
use crate::random::Random;

/// A problem that an operator got wrong.
pub(crate) struct Failure {
    layer: Layer,
    difference: Difference,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layer, difference } = self;
        write!(f, "{layer}: {difference}")?;
        match layer.spec {
            Spec::Conv2d { window, .. }
            | Spec::ConvMaxPool2d { window, .. }
            | Spec::Depthwise { window } => write!(f, "; pad {}", window.pad),
            _ => Ok(()),
        }
    }
}

/// Runs `problems` random problems of each operator.
pub(crate) fn run(problems: u64, check: &mut Check<'_>) -> Result<Result<(), Failure>, ShapeError> {
    for seed in 0..problems {
        let mut random = Random::new(seed);
        for layer in problem(&mut random) {
            // A window larger than its input is no problem but a refusal, tested on the desktop.
            if layer.output().is_err() {
                continue;
            }
            let outcome = check.run(
                &layer,
                Values::Extreme,
                seed,
                |operator, input, output, scratch| operator.run_fast(input, output, scratch),
            )?;
            if let Some(difference) = outcome.difference {
                return Ok(Err(Failure { layer, difference }));
            }
        }
    }
    Ok(Ok(()))
}

/// One layer of each kind.
fn problem(random: &mut Random) -> [Layer; 8] {
    let mut up_to = |limit: u16| random.below(limit) as usize + 1;
    let (h, w, c) = (up_to(9), up_to(9), up_to(40));
    let (c_out, kernel, stride) = (up_to(40), up_to(4), up_to(3));
    let pad = up_to(4).min(kernel) - 1;
    let window = Window {
        kernel,
        stride,
        pad,
    };
    let pixel = Window {
        kernel: 1,
        stride: 1,
        pad: 0,
    };
    let (pool, power) = (up_to(3), 1 << (up_to(4) - 1));
    let input = Hwc::new(h, w, c);
    // Few enough that no sum leaves what the format allows.
    let small = Hwc::new(h, w, up_to(12));
    let both = Spec::ConvMaxPool2d {
        c_out,
        window,
        pool,
    };
    [
        (input, Spec::Conv2d { c_out, window }),
        (input, both),
        (
            input,
            Spec::Conv2d {
                c_out,
                window: pixel,
            },
        ),
        (input, Spec::Depthwise { window }),
        (small, Spec::Linear { c_out }),
        (input, Spec::MaxPool2d { kernel }),
        (Hwc::new(power, power, c), Spec::GlobalAveragePool),
        (Hwc::new(2, 1, c * h), Spec::L1Head),
    ]
    .map(|(input, spec)| Layer { input, spec })
}
