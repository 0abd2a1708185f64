//! `Conv`, `Gemm` and `MatMul`: the operators with weights.

use shared::shape::{Hwc, Window};

use super::{MAX_PAD, MAX_WINDOW, Op, Walk, floats};
use crate::import::ImportError;
use crate::import::node::Node;
use crate::import::tensor::Tensor;

/// A convolution over all channels, or of each channel by itself.
pub(super) fn conv<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Op, ImportError> {
    walk.need_image(node)?;
    let input = walk.shape;
    let weight = node.constant(1, "weight")?;
    let &[c_out, c_in, k_h, k_w] = &weight.dims[..] else {
        let rank = weight.dims.len();
        return Err(node.refuse(
            format!("its weight has {rank} axes, not 4"),
            "use nn.Conv2d",
        ));
    };
    let window = window(node, input, Some([k_h, k_w]))?;
    let values = floats(node, &weight, "weight")?.to_vec();
    let bias = bias(node, 2, c_out)?;
    let group = usize::try_from(node.int("group", 1)).unwrap_or(0);
    let depthwise = group == input.c && c_out == input.c && c_in == 1 && group > 1;
    if !depthwise && group != 1 {
        return Err(node.refuse(
            format!(
                "it has {group} groups for {} inputs and {c_out} outputs",
                input.c
            ),
            "use groups=1, or groups equal to the number of inputs and of outputs (depthwise)",
        ));
    }
    if !depthwise && c_in != input.c {
        let rule = format!(
            "its weight takes {c_in} channels, its input has {}",
            input.c
        );
        return Err(node.refuse(rule, "export the network again"));
    }
    walk.shape = window_output(node, window, input, c_out)?;
    Ok(if depthwise {
        Op::Depthwise {
            weight: values,
            bias,
            window,
        }
    } else {
        Op::Conv {
            weight_oihw: values,
            bias,
            window,
        }
    })
}

/// `alpha * x * weight + beta * bias`
pub(super) fn gemm<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Op, ImportError> {
    if node.int("transA", 0) != 0 {
        return Err(node.refuse("it transposes its input", "use nn.Linear behind nn.Flatten"));
    }
    let weight = node.constant(1, "weight")?;
    let (mut values, c_out) = matrix(walk, node, &weight, node.int("transB", 0) != 0)?;
    let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
    let mut bias = bias(node, 2, c_out)?;
    values.iter_mut().for_each(|value| *value *= alpha);
    bias.iter_mut().for_each(|value| *value *= beta);
    walk.shape = Hwc::new(1, 1, c_out);
    Ok(Op::Linear {
        weight: values,
        bias,
    })
}

/// `x * weight`; its bias is an `Add`.
pub(super) fn matmul<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Op, ImportError> {
    if !node.activation_is_first() {
        return Err(node.refuse("its weight stands on the left", "use nn.Linear"));
    }
    let weight = node.constant(1, "weight")?;
    let (weight, c_out) = matrix(walk, node, &weight, false)?;
    walk.shape = Hwc::new(1, 1, c_out);
    Ok(Op::Linear {
        weight,
        bias: vec![0.0; c_out],
    })
}

/// A matrix as `[c_out][c_in]`; it is stored that way, or the other way round.
fn matrix<'g>(
    walk: &Walk<'g>,
    node: &Node<'g>,
    weight: &Tensor,
    output_first: bool,
) -> Result<(Vec<f32>, usize), ImportError> {
    if !walk.flat {
        return Err(node.refuse(
            "its input is an image, not a vector",
            "put nn.Flatten() in front of it",
        ));
    }
    let &[rows, columns] = &weight.dims[..] else {
        return Err(node.refuse("its weight is no matrix", "use nn.Linear"));
    };
    let values = floats(node, weight, "weight")?;
    let (c_out, c_in) = if output_first {
        (rows, columns)
    } else {
        (columns, rows)
    };
    if c_in != walk.shape.len() || c_out == 0 {
        let got = walk.shape.len();
        let rule = format!("its weight takes {c_in} values and gives {c_out}, its input has {got}");
        return Err(node.refuse(rule, "export the network again"));
    }
    let ordered = if output_first {
        values.to_vec()
    } else {
        (0..values.len())
            .map(|i| values[i % c_in * c_out + i / c_in])
            .collect()
    };
    Ok((ordered, c_out))
}

/// One number per output; zeros when it is left out.
fn bias(node: &Node<'_>, input: usize, c_out: usize) -> Result<Vec<f32>, ImportError> {
    let Some(tensor) = node.optional(input, "bias")? else {
        return Ok(vec![0.0; c_out]);
    };
    match floats(node, &tensor, "bias")? {
        values if values.len() == c_out => Ok(values.to_vec()),
        &[value] => Ok(vec![value; c_out]),
        values => {
            let rule = format!("its bias has {} values for {c_out} outputs", values.len());
            Err(node.refuse(rule, "export the network again"))
        }
    }
}

/// The window of a convolution or of pooling, on `input`.
pub(super) fn window(
    node: &Node<'_>,
    input: Hwc,
    weight: Option<[usize; 2]>,
) -> Result<Window, ImportError> {
    let kernel = match (node.ints("kernel_shape"), weight) {
        (None, Some([k_h, k_w])) => square(node, "kernel", Some(&[k_h as i64, k_w as i64]), 0)?,
        (listed, _) => square(node, "kernel", listed, 0)?,
    };
    if weight.is_some_and(|weight| weight != [kernel; 2]) {
        return Err(node.refuse(
            "its kernel is not the size of its weight",
            "export the network again",
        ));
    }
    let stride = square(node, "stride", node.ints("strides"), 1)?;
    if square(node, "dilation", node.ints("dilations"), 1)? != 1 {
        return Err(node.refuse("its kernel is dilated", "use dilation=1 and train again"));
    }
    let pad = match node.text("auto_pad") {
        "" | "NOTSET" => padding(node, node.ints("pads").unwrap_or(&[0; 4]))?,
        "VALID" => 0,
        "SAME_UPPER" | "SAME_LOWER" => same_padding(node, input.h, kernel, stride)?,
        other => {
            return Err(node.refuse(
                format!("its padding is {other:?}"),
                "export the network again",
            ));
        }
    };
    let window = Window {
        kernel,
        stride,
        pad,
    };
    window_output(node, window, input, input.c)?;
    check_ceiling(node, window, input)?;
    Ok(window)
}

/// The output of a window.
pub(super) fn window_output(
    node: &Node<'_>,
    window: Window,
    input: Hwc,
    c_out: usize,
) -> Result<Hwc, ImportError> {
    window.output(input, c_out).map_err(|_| {
        let Window { kernel, stride, pad } = window;
        let (h, w) = (input.h, input.w);
        node.refuse(
            format!("a kernel of {kernel} with stride {stride} and padding {pad} does not fit an input of {h}×{w}"),
            "the padding must be less than the kernel, the kernel no larger than the padded input",
        )
    })
}

/// One number for both directions.
fn square(
    node: &Node<'_>,
    what: &str,
    listed: Option<&[i64]>,
    default: usize,
) -> Result<usize, ImportError> {
    let refuse = |got: &[i64]| {
        node.refuse(
            format!("its {what} is {got:?}, not two equal numbers of at most {MAX_WINDOW}"),
            format!("use the same {what} in both directions"),
        )
    };
    match listed {
        None if default > 0 => Ok(default),
        None => Err(refuse(&[])),
        Some(&[h, w]) if h == w && (1..=MAX_WINDOW as i64).contains(&h) => Ok(h as usize),
        Some(listed) => Err(refuse(&listed[..listed.len().min(4)])),
    }
}

/// The same number of rows and columns on all four sides.
pub(super) fn padding(node: &Node<'_>, pads: &[i64]) -> Result<usize, ImportError> {
    match *pads {
        [top, left, bottom, right]
            if [left, bottom, right] == [top; 3] && (0..=MAX_PAD as i64).contains(&top) =>
        {
            Ok(top as usize)
        }
        _ => Err(node.refuse(
            format!(
                "its padding is {:?}, not four equal numbers",
                &pads[..pads.len().min(8)]
            ),
            "pad all four sides alike, with padding=(kernel - 1) / 2 for an odd kernel",
        )),
    }
}

/// The padding that keeps `ceil(side / stride)` outputs, when it is the same on all sides.
fn same_padding(
    node: &Node<'_>,
    side: usize,
    kernel: usize,
    stride: usize,
) -> Result<usize, ImportError> {
    let needed = (side.div_ceil(stride).saturating_sub(1) * stride + kernel).saturating_sub(side);
    if needed.is_multiple_of(2) {
        return Ok(needed / 2);
    }
    Err(node.refuse(
        format!(
            "padding \"same\" puts {needed} rows on two sides, which is one more on one of them"
        ),
        "use an odd kernel with stride 1, or give the padding as a number",
    ))
}

/// Pooling may round the number of its outputs up; it must come to the same here.
fn check_ceiling(node: &Node<'_>, window: Window, input: Hwc) -> Result<(), ImportError> {
    let rest = (input.h + 2 * window.pad).saturating_sub(window.kernel) % window.stride;
    if node.int("ceil_mode", 0) != 0 && rest != 0 {
        return Err(node.refuse(
            "its last window hangs over the edge (ceil_mode)",
            "use ceil_mode=False and train again",
        ));
    }
    Ok(())
}
