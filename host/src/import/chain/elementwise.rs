//! What acts on every value by itself: normalization, arithmetic with constants, `Relu` and those
//! that come to it; and the words for operators that are not understood.

use super::{Op, Walk, floats};
use crate::import::ImportError;
use crate::import::node::Node;
use crate::import::tensor::{Tensor, Values};

/// `(x - mean) / sqrt(var + epsilon) * scale + bias`
pub(super) fn batch_normalization<'g>(walk: &Walk<'g>, node: &Node<'g>) -> Result<Op, ImportError> {
    if node.int("training_mode", 0) != 0 || node.n_outputs() > 1 {
        return Err(node.refuse(
            "it normalizes by the batch it sees, as while training",
            "call model.eval() before torch.onnx.export",
        ));
    }
    let part = |index, what| walk.per_channel(node, &node.constant(index, what)?, what);
    let (scale, bias) = (part(1, "scale")?, part(2, "bias")?);
    let (mean, variance) = (part(3, "mean")?, part(4, "variance")?);
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    let mut folded = (
        Vec::with_capacity(scale.len()),
        Vec::with_capacity(scale.len()),
    );
    for (((scale, bias), mean), variance) in scale.into_iter().zip(bias).zip(mean).zip(variance) {
        let deviation = (f64::from(variance) + epsilon).sqrt();
        let factor = f64::from(scale) / deviation;
        if !factor.is_finite() {
            return Err(node.refuse(
                "a channel has no positive variance",
                "train again: the channel is dead",
            ));
        }
        folded.0.push(factor as f32);
        folded
            .1
            .push((f64::from(bias) - f64::from(mean) * factor) as f32);
    }
    Ok(Op::Affine {
        scale: folded.0,
        shift: folded.1,
    })
}

/// `Add`, `Sub`, `Mul` or `Div` with a constant.
pub(super) fn arithmetic<'g>(walk: &Walk<'g>, node: &Node<'g>) -> Result<Op, ImportError> {
    let first = node.activation_is_first();
    let constant = node.constant(usize::from(first), "constant")?;
    let values = broadcast(walk, node, &constant)?;
    let ones = vec![1.0; values.len()];
    let zeros = vec![0.0; values.len()];
    let map = |values: Vec<f32>, f: fn(f32) -> f32| values.into_iter().map(f).collect();
    let (scale, shift): (Vec<f32>, Vec<f32>) = match (node.op(), first) {
        ("Add", _) => (ones, values),
        ("Mul", _) => (values, zeros),
        ("Sub", true) => (ones, map(values, |value| -value)),
        ("Sub", false) => (map(ones, |one| -one), values),
        ("Div", true) => (map(values, f32::recip), zeros),
        _ => {
            return Err(node.refuse(
                "it divides a constant by the activation",
                "only constants can be divided by",
            ));
        }
    };
    if scale.iter().any(|scale| !scale.is_finite()) {
        return Err(node.refuse("it divides by zero", "export the network again"));
    }
    Ok(Op::Affine { scale, shift })
}

/// A constant as it meets an activation `[n][c][h][w]` or `[n][len]`.
fn broadcast<'g>(
    walk: &Walk<'g>,
    node: &Node<'g>,
    constant: &Tensor,
) -> Result<Vec<f32>, ImportError> {
    let values = floats(node, constant, "constant")?;
    let expected = if walk.flat {
        walk.shape.len()
    } else {
        walk.shape.c
    };
    if let &[value] = values {
        return Ok(vec![value; expected]);
    }
    let per_channel = match (walk.flat, &constant.dims[..]) {
        (false, [1, c, 1, 1] | [c, 1, 1]) => *c == expected,
        (true, [1, len] | [len]) => *len == expected,
        _ => false,
    };
    if per_channel {
        return Ok(values.to_vec());
    }
    let dims = &constant.dims;
    Err(node.refuse(
        format!("its constant has the shape {dims:?}, not one number or one per channel"),
        "normalize by one mean and one deviation",
    ))
}

/// `max(x, 0)`, when nothing is cut off above.
pub(super) fn clip(node: &Node<'_>) -> Result<Op, ImportError> {
    let bound = |index: usize, name: &str, open: f32| -> Result<f32, ImportError> {
        match node.optional(index, name)? {
            None => Ok(node.float(name, open)),
            Some(tensor) => single(node, &tensor, name),
        }
    };
    let (low, high) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
    if low == 0.0 && high >= f32::MAX {
        return Ok(Op::Relu);
    }
    let rule = if low == 0.0 {
        format!(
            "it cuts off at {high} (ReLU6 and its like), which the integer network cannot do exactly"
        )
    } else {
        format!("it clips to {low:e}..{high:e}, not at 0 alone")
    };
    Err(node.refuse(rule, "use nn.ReLU() and train a little longer"))
}

/// `max(x, 0)`, as it is also written.
pub(super) fn max(node: &Node<'_>) -> Result<Op, ImportError> {
    let constant = node.constant(usize::from(node.activation_is_first()), "constant")?;
    if node.n_inputs() == 2 && single(node, &constant, "constant")? == 0.0 {
        return Ok(Op::Relu);
    }
    Err(node.refuse(
        "it is the maximum with something else than 0",
        "use nn.ReLU() and train again",
    ))
}

fn single(node: &Node<'_>, tensor: &Tensor, what: &str) -> Result<f32, ImportError> {
    match &tensor.values {
        Values::F32(values) if values.len() == 1 => Ok(values[0]),
        Values::I64(values) if values.len() == 1 => Ok(values[0] as f32),
        _ => Err(node.refuse(
            format!("its {what} is not one number"),
            "export the network again",
        )),
    }
}

/// Nothing, outside of training.
pub(super) fn dropout(node: &Node<'_>) -> Result<Option<Op>, ImportError> {
    let training = node.optional(2, "mode")?;
    if training.is_some_and(|mode| mode.values != Values::I64(vec![0])) {
        return Err(node.refuse(
            "it drops values, as while training",
            "call model.eval() before torch.onnx.export",
        ));
    }
    Ok(None)
}

/// Nothing, when it is to `float`.
pub(super) fn cast(node: &Node<'_>) -> Result<Option<Op>, ImportError> {
    match node.int("to", 0) {
        1 => Ok(None),
        to => Err(node.refuse(
            format!("it casts activations to type {to}"),
            "export the network in float32",
        )),
    }
}

/// Words for an operator that is not understood.
pub(super) fn unsupported(node: &Node<'_>) -> ImportError {
    let (rule, change) = match node.op() {
        "" => (
            "its operator is not one of ONNX' own",
            "export with torch.onnx.export and its default settings",
        ),
        "LeakyRelu" | "PRelu" | "Elu" | "Selu" | "Celu" | "Gelu" | "Softplus" | "Softsign"
        | "Tanh" | "HardSigmoid" | "HardSwish" | "Mish" | "Erf" | "Swish" | "ThresholdedRelu" => (
            "the integer network has one activation, ReLU",
            "use nn.ReLU() in its place and train again",
        ),
        "InstanceNormalization"
        | "LayerNormalization"
        | "GroupNormalization"
        | "LRN"
        | "MeanVarianceNormalization"
        | "RMSNormalization" => (
            "it normalizes by what it sees in each image, which cannot be folded into weights",
            "use nn.BatchNorm2d in its place and train again",
        ),
        "LpNormalization" | "ReduceL2" | "Softmax" | "LogSoftmax" | "Sqrt" | "Pow" | "Exp"
        | "Log" => (
            "embeddings are compared by weighted absolute differences, as they are",
            "end the encoder at its last ReLU or nn.Linear, without normalization or softmax",
        ),
        "ConvTranspose" | "Upsample" | "Resize" => (
            "it makes images larger",
            "only layers that keep or shrink the image are supported",
        ),
        "Abs" | "Neg" => (
            "it changes the sign of activations",
            "use nn.ReLU() in its place and train again",
        ),
        _ => (
            "this operator is not supported",
            "docs/import.md lists those that are",
        ),
    };
    node.refuse(rule, change)
}
