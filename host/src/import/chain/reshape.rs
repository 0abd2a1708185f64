//! From an image to a vector: the one change of shape that an encoder may make.

use super::{Op, Walk};
use crate::import::ImportError;
use crate::import::constants::resolve;
use crate::import::node::Node;
use crate::import::tensor::Values;

/// `[n][c][h][w]` to `[n][c * h * w]`
pub(super) fn flatten<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Option<Op>, ImportError> {
    let rank = if walk.flat { 2 } else { 4 };
    let axis = node.int("axis", 1);
    if axis != 1 && axis != 1 - rank {
        return Err(node.refuse(
            format!("it flattens from axis {axis}"),
            "use nn.Flatten() as it is",
        ));
    }
    walk.flat = true;
    Ok(None)
}

/// To a vector, or to the shape that is there already.
pub(super) fn reshape<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Option<Op>, ImportError> {
    let target = match node.constant(1, "shape")?.values {
        Values::I64(target) => target,
        Values::F32(_) => Vec::new(),
    };
    let (shape, len) = (walk.shape, walk.shape.len());
    let now = if walk.flat {
        vec![1, len]
    } else {
        vec![1, shape.c, shape.h, shape.w]
    };
    // A head's single logit may lose its axis.
    let single = len == 1 && target.len() <= 2;
    match resolve(&target, &now, node.int("allowzero", 0) != 0) {
        Some(dims) if dims == [1, len] || single => walk.flat = true,
        Some(dims) if dims == now => {}
        _ => {
            let target = &target[..target.len().min(6)];
            return Err(node.refuse(
                format!("it reshapes {now:?} to {target:?}, which is no vector"),
                "flatten once, by nn.Flatten() or x.flatten(1), in front of nn.Linear or at the end",
            ));
        }
    }
    Ok(None)
}

/// Drops height and width of a single pixel.
pub(super) fn squeeze<'g>(walk: &mut Walk<'g>, node: &Node<'g>) -> Result<Option<Op>, ImportError> {
    let axes = match node.ints("axes") {
        Some(axes) => axes.to_vec(),
        None => match node
            .optional(1, "list of axes")?
            .map(|tensor| tensor.values)
        {
            Some(Values::I64(axes)) => axes,
            _ => Vec::new(),
        },
    };
    let single = walk.shape.len() == 1 && walk.flat;
    let spatial = axes.iter().all(|axis| matches!(axis, 2 | 3 | -1 | -2)) && !axes.is_empty();
    if single || (spatial && walk.shape.h == 1 && walk.shape.w == 1 && !walk.flat) {
        // PyTorch also drops them one at a time.
        walk.dropped += axes.len();
        walk.flat = walk.dropped >= 2;
        return Ok(None);
    }
    Err(node.refuse(
        "it drops other axes than height and width of a single pixel",
        "use nn.Flatten() in its place",
    ))
}
