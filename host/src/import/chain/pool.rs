//! Pooling, means over the image, and zeros around it.

use shared::shape::{Hwc, Window};

use super::weighted::{padding, window, window_output};
use super::{MAX_WINDOW, Op, Walk};
use crate::import::ImportError;
use crate::import::node::Node;
use crate::import::tensor::Values;

/// Largest value of each window.
pub(super) fn max<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Op, ImportError> {
    let window = pooled(walk, node)?;
    Ok(Op::MaxPool(window))
}

/// Mean of each window.
pub(super) fn average<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Op, ImportError> {
    let input = walk.shape;
    let window = pooled(walk, node)?;
    if window.pad > 0 && node.int("count_include_pad", 0) == 0 {
        return Err(node.refuse(
            "its means leave out the padding, so that they are over different numbers of pixels",
            "use padding=0, or count_include_pad=True",
        ));
    }
    Ok(if window.kernel == input.h && window.pad == 0 {
        Op::GlobalAveragePool
    } else {
        Op::AveragePool(window)
    })
}

/// Mean of each channel.
pub(super) fn global<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Op, ImportError> {
    walk.need_image(node)?;
    walk.shape = Hwc::new(1, 1, walk.shape.c);
    Ok(Op::GlobalAveragePool)
}

/// Largest value of each channel.
pub(super) fn global_max<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Op, ImportError> {
    walk.need_image(node)?;
    if walk.shape.h > MAX_WINDOW {
        let h = walk.shape.h;
        let rule = format!(
            "it is a maximum over {h}×{h} pixels, at most {MAX_WINDOW}×{MAX_WINDOW} can be"
        );
        return Err(node.refuse(rule, "pool in two steps"));
    }
    let window = Window {
        kernel: walk.shape.h,
        stride: 1,
        pad: 0,
    };
    walk.shape = window_output(node, window, walk.shape, walk.shape.c)?;
    Ok(Op::MaxPool(window))
}

/// A mean over height and width.
pub(super) fn mean<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Op, ImportError> {
    walk.need_image(node)?;
    let listed = match node.ints("axes") {
        Some(axes) => Some(axes.to_vec()),
        None => node
            .optional(1, "list of axes")?
            .and_then(|tensor| match tensor.values {
                Values::I64(axes) => Some(axes),
                Values::F32(_) => None,
            }),
    };
    let mut axes: Vec<i64> = listed
        .unwrap_or_default()
        .into_iter()
        .map(|axis| axis.rem_euclid(4))
        .collect();
    axes.sort_unstable();
    if axes != [2, 3] {
        return Err(node.refuse(
            "it is a mean over other axes than height and width",
            "use x.mean((2, 3)) or nn.AdaptiveAvgPool2d(1)",
        ));
    }
    let op = global(walk, node)?;
    walk.flat = node.int("keepdims", 1) == 0;
    Ok(op)
}

/// Zeros around the image.
pub(super) fn pad<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Option<Op>, ImportError> {
    walk.need_image(node)?;
    if !matches!(node.text("mode"), "" | "constant") {
        return Err(node.refuse(
            format!("its padding is {:?}, not zeros", node.text("mode")),
            "use padding_mode=\"zeros\" and train again",
        ));
    }
    let value = match node.optional(2, "value")?.map(|tensor| tensor.values) {
        None => node.float("value", 0.0),
        Some(Values::F32(values)) if values.len() == 1 => values[0],
        Some(Values::I64(values)) if values == [0] => 0.0,
        Some(_) => f32::NAN,
    };
    if value != 0.0 {
        return Err(node.refuse(
            "it pads with another number than 0",
            "pad with zeros and train again",
        ));
    }
    if node.input(3).is_some() {
        return Err(node.refuse(
            "it names the axes that it pads",
            "use nn.Conv2d's own padding",
        ));
    }
    let pads = match node.ints("pads") {
        Some(pads) => pads.to_vec(),
        None => match node.constant(1, "padding")?.values {
            Values::I64(pads) => pads,
            Values::F32(_) => Vec::new(),
        },
    };
    // Begins of n, c, h, w, then the ends.
    let [0, 0, top, left, 0, 0, bottom, right] = pads[..] else {
        return Err(node.refuse(
            "it pads other axes than height and width",
            "use nn.Conv2d's own padding",
        ));
    };
    let pad = padding(node, &[top, left, bottom, right])?;
    let Hwc { h, w, c } = walk.shape;
    walk.shape = Hwc::new(h + 2 * pad, w + 2 * pad, c);
    Ok((pad > 0).then_some(Op::Pad(pad)))
}

fn pooled<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Window, ImportError> {
    walk.need_image(node)?;
    if node.n_outputs() > 1 {
        return Err(node.refuse("it also returns indices", "use return_indices=False"));
    }
    let window = window(node, walk.shape, None)?;
    walk.shape = window_output(node, window, walk.shape, walk.shape.c)?;
    Ok(window)
}
