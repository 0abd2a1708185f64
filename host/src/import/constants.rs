//! What exporters compute from constants: the target of a `Reshape`, the axes of a mean, paddings.
//!
//! In: the name of a value. Out: its [`Tensor`]. Only small lists and the weights themselves are
//! ever made, and only a few nodes are looked at for each value.

use super::graph::Graph;
use super::node::Node;
use super::tensor::{Tensor, Values, decode};

/// Nodes behind one constant; PyTorch's longest, the padding of `F.pad`, has 14.
const MAX_NODES: usize = 256;
/// Values of a list that a node makes longer.
const MAX_LIST: usize = 4096;

impl<'g> Graph<'g> {
    /// The value of that name.
    ///
    /// # Errors
    /// The end of a sentence that begins with the value's name.
    pub fn evaluate(&'g self, name: &'g str) -> Result<Tensor, String> {
        Evaluator {
            graph: self,
            budget: MAX_NODES,
        }
        .value(name)
    }
}

struct Evaluator<'g> {
    graph: &'g Graph<'g>,
    budget: usize,
}

impl<'g> Evaluator<'g> {
    fn value(&mut self, name: &'g str) -> Result<Tensor, String> {
        if let Some(proto) = self.graph.initializer(name) {
            return decode(proto, self.graph.external);
        }
        let node = self.graph.producer(name);
        let node = node.ok_or("is not in the file")?;
        self.budget = self
            .budget
            .checked_sub(1)
            .ok_or("is computed by too many nodes")?;
        match node.op() {
            "Constant" => self.constant(node),
            "Identity" | "Cast" | "CastLike" => self.cast(node),
            "Shape" => self.shape(node),
            "ConstantOfShape" => self.filled(node),
            "Concat" => self.concat(node),
            "Gather" => self.gather(node),
            "Slice" => self.slice(node),
            "Transpose" => self.transpose(node),
            "Reshape" => self.reshape(node),
            "Squeeze" | "Unsqueeze" => self.flat_list(node),
            "Expand" => self.expand(node),
            op => Err(format!("is computed by {op}")),
        }
    }

    fn input(&mut self, node: Node<'g>, index: usize) -> Result<Tensor, String> {
        let name = node.input(index).ok_or("lacks an input")?;
        self.value(name)
    }

    fn ints(&mut self, node: Node<'g>, index: usize) -> Result<Vec<i64>, String> {
        match self.input(node, index)?.values {
            Values::I64(ints) => Ok(ints),
            Values::F32(_) => Err("is not a whole number".to_owned()),
        }
    }

    fn constant(&self, node: Node<'g>) -> Result<Tensor, String> {
        let single = |values| Tensor {
            dims: Vec::new(),
            values,
        };
        if let Some(proto) = node.tensor("value") {
            decode(proto, self.graph.external)
        } else if let Some(ints) = node.ints("value_ints") {
            Ok(Tensor::ints(vec![ints.len()], ints.to_vec()))
        } else if let Some(floats) = node.floats("value_floats") {
            Ok(Tensor {
                dims: vec![floats.len()],
                values: Values::F32(floats.to_vec()),
            })
        } else if node.has("value_int") {
            Ok(single(Values::I64(vec![node.int("value_int", 0)])))
        } else if node.has("value_float") {
            Ok(single(Values::F32(vec![node.float("value_float", 0.0)])))
        } else {
            Err("is a constant that is no number".to_owned())
        }
    }

    fn cast(&mut self, node: Node<'g>) -> Result<Tensor, String> {
        let tensor = self.input(node, 0)?;
        let to = match node.op() {
            "Cast" => node.int("to", 0),
            // Exporters adapt constants to activations, which are floats.
            "CastLike" => 1,
            _ => return Ok(tensor),
        };
        let Tensor { dims, values } = tensor;
        let values = match (to, values) {
            (1 | 11, Values::I64(ints)) => {
                Values::F32(ints.into_iter().map(|v| v as f32).collect())
            }
            (6 | 7, Values::F32(floats)) => {
                Values::I64(floats.into_iter().map(|v| v as i64).collect())
            }
            (1 | 6 | 7 | 11, values) => values,
            _ => return Err(format!("is cast to type {to}")),
        };
        Ok(Tensor { dims, values })
    }

    fn shape(&mut self, node: Node<'g>) -> Result<Tensor, String> {
        let name = node.input(0).ok_or("lacks an input")?;
        let shape = match self.graph.shape_of(name) {
            Some(shape) => shape,
            None => self
                .value(name)?
                .dims
                .into_iter()
                .map(|dim| dim as i64)
                .collect(),
        };
        let clamp = |at: i64| position(at, shape.len());
        let (start, end) = (
            clamp(node.int("start", 0)),
            clamp(node.int("end", i64::MAX)),
        );
        let part = shape.get(start..end).unwrap_or_default().to_vec();
        Ok(Tensor::ints(vec![part.len()], part))
    }

    fn filled(&mut self, node: Node<'g>) -> Result<Tensor, String> {
        let [len] = self.ints(node, 0)?[..] else {
            return Err("is not a list".to_owned());
        };
        let len = usize::try_from(len).ok().filter(|&len| len <= MAX_LIST);
        let len = len.ok_or("is too long a list")?;
        let value = node
            .tensor("value")
            .map(|proto| decode(proto, self.graph.external))
            .transpose()?;
        match value.map(|tensor| tensor.values) {
            Some(Values::I64(ints)) if ints.len() == 1 => {
                Ok(Tensor::ints(vec![len], vec![ints[0]; len]))
            }
            _ => Err("is a list of floats".to_owned()),
        }
    }

    fn concat(&mut self, node: Node<'g>) -> Result<Tensor, String> {
        let mut list = Vec::new();
        for index in 0..node.n_inputs() {
            list.extend(self.ints(node, index)?);
            if list.len() > MAX_LIST {
                return Err("is too long a list".to_owned());
            }
        }
        Ok(Tensor::ints(vec![list.len()], list))
    }

    fn gather(&mut self, node: Node<'g>) -> Result<Tensor, String> {
        let (list, wanted) = (self.ints(node, 0)?, self.input(node, 1)?);
        let Values::I64(indices) = wanted.values else {
            return Err("is taken from a list at no whole number".to_owned());
        };
        let taken = indices.iter().map(|&index| {
            let from_end = if index < 0 { list.len() as i64 } else { 0 };
            let index = usize::try_from(index.saturating_add(from_end)).ok()?;
            list.get(index).copied()
        });
        let taken: Option<Vec<i64>> = taken.collect();
        let taken = taken.ok_or("is taken from beyond a list's end")?;
        Ok(Tensor::ints(wanted.dims, taken))
    }

    /// Along the first axis, as PyTorch reverses the rows of its paddings.
    fn slice(&mut self, node: Node<'g>) -> Result<Tensor, String> {
        let tensor = self.input(node, 0)?;
        let single = |list: Vec<i64>| match list[..] {
            [value] => Ok(value),
            _ => Err("is cut along several axes".to_owned()),
        };
        let (start, end) = (single(self.ints(node, 1)?)?, single(self.ints(node, 2)?)?);
        let axis = node
            .input(3)
            .map(|_| self.ints(node, 3))
            .transpose()?
            .map_or(Ok(0), single)?;
        let step = node
            .input(4)
            .map(|_| self.ints(node, 4))
            .transpose()?
            .map_or(Ok(1), single)?;
        let Values::I64(ints) = tensor.values else {
            return Err("is a cut list of floats".to_owned());
        };
        let n_rows = tensor.dims.first().copied().unwrap_or(0);
        let rows: Vec<&[i64]> = ints
            .chunks(ints.len().checked_div(n_rows).unwrap_or(0).max(1))
            .collect();
        let picked: Vec<&[i64]> = match (axis, step) {
            (0, 1) => rows
                .get(position(start, n_rows)..position(end, n_rows))
                .unwrap_or_default()
                .to_vec(),
            (0, -1) if start == -1 && end < -(n_rows as i64) => rows.into_iter().rev().collect(),
            _ => return Err("is cut in an unusual way".to_owned()),
        };
        let mut dims = tensor.dims;
        if let Some(first) = dims.first_mut() {
            *first = picked.len();
        }
        Ok(Tensor::ints(dims, picked.concat()))
    }

    fn transpose(&mut self, node: Node<'g>) -> Result<Tensor, String> {
        let tensor = self.input(node, 0)?;
        let [rows, columns] = tensor.dims[..] else {
            return Err("is a transposed tensor that is no matrix".to_owned());
        };
        if tensor.is_empty() {
            return Err("is an empty matrix".to_owned());
        }
        if node.ints("perm").is_some_and(|perm| perm != [1, 0]) {
            return Ok(tensor);
        }
        let values = match tensor.values {
            Values::F32(values) => Values::F32(transposed(&values, rows, columns)),
            Values::I64(values) => Values::I64(transposed(&values, rows, columns)),
        };
        Ok(Tensor {
            dims: vec![columns, rows],
            values,
        })
    }

    fn reshape(&mut self, node: Node<'g>) -> Result<Tensor, String> {
        let (tensor, target) = (self.input(node, 0)?, self.ints(node, 1)?);
        let dims = resolve(&target, &tensor.dims, node.int("allowzero", 0) != 0);
        Ok(Tensor {
            dims: dims.ok_or("has another number of values than its new shape")?,
            ..tensor
        })
    }

    /// A list's values do not change when axes of extent 1 come or go.
    fn flat_list(&mut self, node: Node<'g>) -> Result<Tensor, String> {
        let tensor = self.input(node, 0)?;
        if tensor.dims.len() > 1 {
            return Err(format!("is computed by {}", node.op()));
        }
        let dims = match node.op() {
            "Squeeze" if tensor.len() == 1 => Vec::new(),
            "Unsqueeze" if tensor.dims.is_empty() => vec![1],
            _ => return Err(format!("is computed by {}", node.op())),
        };
        Ok(Tensor { dims, ..tensor })
    }

    fn expand(&mut self, node: Node<'g>) -> Result<Tensor, String> {
        let (tensor, target) = (self.input(node, 0)?, self.ints(node, 1)?);
        let ([len], 1) = (&target[..], tensor.len()) else {
            return Err("is expanded to more than a list".to_owned());
        };
        let len = usize::try_from(*len).ok().filter(|&len| len <= MAX_LIST);
        let len = len.ok_or("is too long a list")?;
        let values = match tensor.values {
            Values::F32(values) => Values::F32(values.repeat(len)),
            Values::I64(values) => Values::I64(values.repeat(len)),
        };
        Ok(Tensor {
            dims: vec![len],
            values,
        })
    }
}

/// A bound of a slice: negative ones count from the end, all are clamped.
fn position(at: i64, len: usize) -> usize {
    let len_int = len as i64;
    let at = if at < 0 {
        at.saturating_add(len_int)
    } else {
        at
    };
    usize::try_from(at).map_or(0, |at| at.min(len))
}

fn transposed<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    let column = |c: usize| (0..rows).filter_map(move |r| values.get(r * columns + c).copied());
    (0..columns).flat_map(column).collect()
}

/// The shape that a `Reshape` asks for: one extent may be -1, and 0 keeps the input's.
#[must_use]
pub fn resolve(target: &[i64], from: &[usize], zero_is_zero: bool) -> Option<Vec<usize>> {
    let len = from
        .iter()
        .try_fold(1_usize, |len, &dim| len.checked_mul(dim))?;
    let mut dims = Vec::with_capacity(target.len());
    let mut open = None;
    for (axis, &dim) in target.iter().enumerate() {
        dims.push(match dim {
            -1 if open.is_none() => {
                open = Some(axis);
                1
            }
            0 if !zero_is_zero => *from.get(axis)?,
            dim => usize::try_from(dim).ok()?,
        });
    }
    let known = dims
        .iter()
        .try_fold(1_usize, |len, &dim| len.checked_mul(dim))?;
    if let Some(axis) = open {
        dims[axis] = len.checked_div(known)?;
    }
    let total = dims
        .iter()
        .try_fold(1_usize, |len, &dim| len.checked_mul(dim))?;
    (total == len).then_some(dims)
}
