//! One operator of any shape, weights and shifts.
//!
//! What the constructor accepts runs, with the bits of its specification, certified or not. Where
//! the certificate holds, the bits are also those of exact arithmetic, and no sum is above its bound.

use shared::ops::Operator;
use shared::ops::conv_max_pool2d::ConvMaxPool2d;
use shared::ops::conv2d::Conv2d;
use shared::ops::depthwise_conv2d::DepthwiseConv2d;
use shared::ops::filters::Bias;
use shared::ops::global_average_pool::GlobalAveragePool;
use shared::ops::linear::Linear;
use shared::ops::max_pool2d::MaxPool2d;
use shared::ops::pointwise::Pointwise;
use shared::shape::{Hwc, ShapeError, Window};

use crate::source::{Source, stretch};

const MAX_MACS: usize = 6_000;

/// The target.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let (kind, style) = (source.byte() % 7, source.byte());
    let input = Hwc::new(source.up_to(15), source.up_to(15), source.up_to(40));
    let window = Window {
        kernel: source.up_to(12),
        stride: source.up_to(12),
        pad: source.up_to(12),
    };
    let (c_out, finer) = (source.up_to(20), source.byte() % 18);
    let channels = if kind == 2 { input.c } else { c_out };
    let taps = match kind {
        0 | 6 => window.kernel * window.kernel * input.c,
        1 => input.c,
        2 => window.kernel * window.kernel,
        3 => input.len(),
        _ => 0,
    };
    let outputs = window
        .output(input, channels)
        .map_or(0, |shape| shape.len());
    if (outputs.max(input.h * input.w * channels)).saturating_mul(taps + 1) > MAX_MACS {
        return;
    }
    let rest = source.rest();
    // Parameters come first, so that the fuzzer finds them; the input follows them.
    let data = stretch(rest, taps * channels + 5 * channels + input.len());
    let (weight, rest) = data.split_at(taps * channels);
    let (bias, rest) = rest.split_at(4 * channels);
    let (shift, x) = rest.split_at(channels);
    let weight: Vec<i8> = weight.iter().map(|&w| styled_weight(w, style)).collect();
    let bias: Vec<[u8; 4]> = bias
        .as_chunks::<4>()
        .0
        .iter()
        .map(|&b| styled_bias(b, style))
        .collect();
    let shift: Vec<u8> = shift.iter().map(|&s| styled_shift(s, style)).collect();
    let bias = Bias::new(&bias);
    let operator = match kind {
        0 => Conv2d::new(input, window, &weight, bias, &shift).map(Operator::Conv2d),
        1 => Pointwise::new(input, &weight, bias, &shift).map(Operator::Pointwise),
        2 => DepthwiseConv2d::new(input, window, &weight, bias, &shift)
            .map(Operator::DepthwiseConv2d),
        3 => Linear::new(input, &weight, bias, &shift).map(Operator::Linear),
        4 => MaxPool2d::new(input, window).map(Operator::MaxPool2d),
        5 => GlobalAveragePool::new(input, finer).map(Operator::GlobalAveragePool),
        _ => Conv2d::new(input, window, &weight, bias, &shift).and_then(|conv| pooled(conv, finer)),
    };
    let Ok(operator) = operator else {
        return;
    };
    let got = equals_reference(&operator, x);
    let exact = match &operator {
        Operator::Conv2d(_) | Operator::Pointwise(_) | Operator::Linear(_) => Some(false),
        Operator::DepthwiseConv2d(_) => Some(true),
        _ => None,
    };
    if let Some(depthwise) = exact {
        let window = match kind {
            0 | 2 => window,
            // The whole picture, or one pixel of it.
            _ => Window {
                kernel: 1,
                stride: 1,
                pad: 0,
            },
        };
        let shape = match kind {
            3 => Hwc::new(1, 1, input.len()),
            _ => input,
        };
        is_exact(&operator, shape, window, depthwise, x, &got);
    }
}

/// A convolution together with a pooling whose windows lie apart.
fn pooled(conv: Conv2d<'_>, style: u8) -> Result<Operator<'_>, ShapeError> {
    let kernel = usize::from(style % 5);
    let window = Window {
        kernel,
        stride: kernel + usize::from(style / 9),
        pad: 0,
    };
    let pool = MaxPool2d::new(conv.output(), window)?;
    let fused = ConvMaxPool2d::new(conv, pool).expect("windows that lie apart");
    Ok(Operator::ConvMaxPool2d(fused))
}

/// The output, after the kernel and the specification agreed on it; a short scratch is refused.
fn equals_reference(operator: &Operator<'_>, x: &[u8]) -> Vec<u8> {
    let mut got = vec![0xa5; operator.output().len()];
    let mut scratch = vec![0x5a; operator.scratch_len()];
    let mut expected = vec![0x3c; got.len()];
    assert_eq!(operator.run(x, &mut got, &mut scratch), Ok(()));
    assert_eq!(operator.reference(x, &mut expected), Ok(()));
    assert!(got == expected, "{operator:?}: {got:?} is not {expected:?}");
    if !scratch.is_empty() {
        let short = &mut scratch[1..];
        assert!(operator.run(x, &mut got, short).is_err());
    }
    got
}

/// Weights that keep the certificate's limit, which the kernels of a processor rely on.
fn styled_weight(weight: u8, style: u8) -> i8 {
    let weight = weight as i8;
    if style & 1 == 0 {
        weight.clamp(-64, 64)
    } else {
        weight / 2
    }
}

/// Small biases keep the certificate, large ones wrap.
fn styled_bias(bias: [u8; 4], style: u8) -> [u8; 4] {
    let value = i32::from_le_bytes(bias);
    if style & 2 == 0 {
        (value % (1 << 17)).to_le_bytes()
    } else {
        bias
    }
}

fn styled_shift(shift: u8, style: u8) -> u8 {
    if style & 4 == 0 { shift % 24 } else { shift }
}

/// Certified channels against `i64` sums and IEEE rounding.
fn is_exact(
    operator: &Operator<'_>,
    input: Hwc,
    window: Window,
    depthwise: bool,
    x: &[u8],
    got: &[u8],
) {
    let Some(filters) = operator.filters() else {
        return;
    };
    let output = operator.output();
    for (o, channel) in filters.channels().enumerate() {
        let (bound, certified) = (
            channel.bound(),
            channel.weights().all(|w| w.unsigned_abs() <= 64),
        );
        if bound >= 1 << 24 || !certified || channel.shift > 23 {
            continue;
        }
        let weights: Vec<i64> = channel.weights().map(i64::from).collect();
        for y in 0..output.h {
            for x_out in 0..output.w {
                let mut acc = i64::from(channel.bias);
                let mut taps = weights.iter();
                for k_y in 0..window.kernel {
                    for k_x in 0..window.kernel {
                        let channels = if depthwise { o..o + 1 } else { 0..input.c };
                        for c in channels {
                            let weight = taps.next().copied().unwrap_or(0);
                            let row = (y * window.stride + k_y).checked_sub(window.pad);
                            let column = (x_out * window.stride + k_x).checked_sub(window.pad);
                            let (Some(row), Some(column)) = (row, column) else {
                                continue;
                            };
                            if row < input.h && column < input.w {
                                let at = (row * input.w + column) * input.c + c;
                                acc += weight * i64::from(x[at]);
                                assert!(acc.abs() <= bound, "{acc} is above {bound}");
                            }
                        }
                    }
                }
                let real = acc as f64 / f64::from(1_u32 << channel.shift);
                let value = real.round_ties_even().clamp(0.0, 255.0) as u8;
                let at = (y * output.w + x_out) * output.c + o;
                assert_eq!(got[at], value, "channel {o} at {y}, {x_out}: {acc}");
            }
        }
    }
}
