//! Nodes to steps: every operator that is understood, with its shapes checked and weights read.
//!
//! In: the nodes of a [`super::graph::Route`] in order. Out: [`Step`]s that mean the same whatever
//! exporter wrote the nodes; what leaves an image as it is (`Dropout`, `Identity`, a `Cast` to
//! float, a reshape to a vector) leaves no step.
//!
//! One file per family: [`mod@weighted`] (`Conv`, `Gemm`, `MatMul`), [`mod@pool`] (pooling, means,
//! padding), [`mod@elementwise`] (normalization, arithmetic with constants, `Relu` and its like),
//! [`mod@reshape`].

pub mod elementwise;
pub mod pool;
pub mod reshape;
pub mod weighted;

use shared::model::MAX_KERNEL;
use shared::shape::{Hwc, Window};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::{ValueInfoProto, type_proto};

use super::ImportError;
use super::graph::Graph;
use super::node::{Node, shown};
use super::tensor::{Tensor, Values};

/// Largest side of the image.
const MAX_SIDE: usize = 1024;
/// Values of the largest activation.
const MAX_ACTIVATION: usize = 1 << 24;
/// Largest kernel and step of the kernels.
const MAX_WINDOW: usize = MAX_KERNEL as usize;
/// Most zeros around an image.
const MAX_PAD: usize = 255;

/// The images that a network takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Height and width.
    pub side: usize,
    /// 1, or 3 that are to hold the same grey.
    pub channels: usize,
}

/// One operation on an activation.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The node: name, operator, inputs.
    pub node: String,
    /// What it does.
    pub op: Op,
}

/// What a [`Step`] does. Values of a flattened activation are in `[c][h][w]` order, as PyTorch has
/// them.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Convolution over all channels.
    Conv {
        /// `[c_out][c_in][kernel][kernel]`
        weight_oihw: Vec<f32>,
        /// `[c_out]`
        bias: Vec<f32>,
        /// Kernel, stride, padding.
        window: Window,
    },
    /// Convolution of each channel by itself.
    Depthwise {
        /// `[c][kernel][kernel]`
        weight: Vec<f32>,
        /// `[c]`
        bias: Vec<f32>,
        /// Kernel, stride, padding.
        window: Window,
    },
    /// Fully connected.
    Linear {
        /// `[c_out][c][h][w]`
        weight: Vec<f32>,
        /// `[c_out]`
        bias: Vec<f32>,
    },
    /// `x * scale + shift`, per channel or per value of a flattened activation.
    Affine {
        /// Factors.
        scale: Vec<f32>,
        /// What is added.
        shift: Vec<f32>,
    },
    /// `max(x, 0)`
    Relu,
    /// Largest value of each window; padding never wins.
    MaxPool(Window),
    /// Mean of each window, padding counted as zeros.
    AveragePool(Window),
    /// Mean of each channel.
    GlobalAveragePool,
    /// Zeros around the image, this many on each side.
    Pad(usize),
    /// `1 / (1 + e^-x)`: only behind a head.
    Sigmoid,
}

/// The way along a chain: what shape the activation has by now.
#[derive(Debug)]
pub struct Walk<'g> {
    graph: &'g Graph<'g>,
    image: Image,
    shape: Hwc,
    /// Whether the activation is `[n][c * h * w]` and no longer `[n][c][h][w]`.
    flat: bool,
    /// Axes of a single pixel that were dropped so far: at two, the activation is flat.
    dropped: usize,
}

impl<'g> Walk<'g> {
    /// Begins at an image.
    ///
    /// # Errors
    /// [`ImportError`] when the input is no square image of one fixed size.
    pub fn images(graph: &'g Graph<'g>, input: &'g ValueInfoProto) -> Result<Self, ImportError> {
        let name = shown(&input.name);
        let refuse = |got: String| {
            ImportError::graph(
                format!(
                    "the input `{name}` is {got}, not one square grey image of floats [1][1][h][w]"
                ),
                "export with torch.zeros(1, 1, side, side) as the example image; only the batch may be dynamic",
            )
        };
        let (data_type, dims) =
            type_of(input).ok_or_else(|| refuse("of unknown shape".to_owned()))?;
        if data_type != DataType::Float as i32 {
            return Err(refuse("of another type than 32-bit float".to_owned()));
        }
        let &[batch, Some(channels), Some(h), Some(w)] = &dims[..] else {
            return Err(refuse(shown_dims(&dims)));
        };
        let fits = batch.is_none_or(|n| n == 1)
            && matches!(channels, 1 | 3)
            && h == w
            && (1..=MAX_SIDE).contains(&h);
        if !fits {
            return Err(refuse(shown_dims(&dims)));
        }
        Ok(Self {
            graph,
            image: Image { side: h, channels },
            shape: Hwc::new(h, w, channels),
            flat: false,
            dropped: 0,
        }
        .seen(&input.name))
    }

    /// Begins at a vector: the difference of two embeddings.
    ///
    /// # Errors
    /// [`ImportError`] when the input is no vector of one fixed length.
    pub fn vectors(graph: &'g Graph<'g>, input: &'g ValueInfoProto) -> Result<Self, ImportError> {
        let dims = type_of(input).map(|(_, dims)| dims).unwrap_or_default();
        match dims[..] {
            [_, Some(len)] if (1..=MAX_ACTIVATION).contains(&len) => {
                let image = Image {
                    side: 1,
                    channels: len,
                };
                Ok(Self {
                    graph,
                    image,
                    shape: Hwc::new(1, 1, len),
                    flat: true,
                    dropped: 0,
                }
                .seen(&input.name))
            }
            _ => Err(ImportError::head(
                format!(
                    "its input `{}` is {}, not a vector",
                    shown(&input.name),
                    shown_dims(&dims)
                ),
                "export nn.Linear(d, 1) with torch.zeros(1, d) as its example input",
            )),
        }
    }

    /// The image that this way began at.
    #[must_use]
    pub fn image(&self) -> Image {
        self.image
    }

    /// The activation's shape by now.
    #[must_use]
    pub fn shape(&self) -> Hwc {
        self.shape
    }

    /// Goes along `nodes`.
    ///
    /// # Errors
    /// [`ImportError`] with the first node that is not understood.
    pub fn steps(&mut self, nodes: &[Node<'g>]) -> Result<Vec<Step>, ImportError> {
        let mut steps = Vec::new();
        for node in nodes {
            if let Some(op) = self.step(node)? {
                steps.push(Step {
                    node: node.describe(),
                    op,
                });
            }
            if self.shape.is_empty() || self.shape.len() > MAX_ACTIVATION {
                let Hwc { h, w, c } = self.shape;
                let rule = format!("its output would have the shape [{c}][{h}][{w}]");
                return Err(node.refuse(rule, "use a smaller image, or fewer channels"));
            }
            self.remember(node.output());
        }
        Ok(steps)
    }

    /// One operator; `None` when it changes nothing.
    fn step(&mut self, node: &Node<'g>) -> Result<Option<Op>, ImportError> {
        match node.op() {
            "Conv" => weighted::conv(self, node).map(Some),
            "Gemm" => weighted::gemm(self, node).map(Some),
            "MatMul" => weighted::matmul(self, node).map(Some),
            "MaxPool" => pool::max(self, node).map(Some),
            "AveragePool" => pool::average(self, node).map(Some),
            "GlobalAveragePool" => pool::global(self, node).map(Some),
            "GlobalMaxPool" => pool::global_max(self, node).map(Some),
            "ReduceMean" => pool::mean(self, node).map(Some),
            "Pad" => pool::pad(self, node),
            "BatchNormalization" => elementwise::batch_normalization(self, node).map(Some),
            "Add" | "Sub" | "Mul" | "Div" => elementwise::arithmetic(self, node).map(Some),
            "Relu" => Ok(Some(Op::Relu)),
            "Sigmoid" => Ok(Some(Op::Sigmoid)),
            "Clip" => elementwise::clip(node).map(Some),
            "Max" => elementwise::max(node).map(Some),
            "Dropout" => elementwise::dropout(node),
            "Cast" => elementwise::cast(node),
            "Identity" => Ok(None),
            "Flatten" => reshape::flatten(self, node),
            "Reshape" => reshape::reshape(self, node),
            "Squeeze" => reshape::squeeze(self, node),
            _ => Err(elementwise::unsupported(node)),
        }
    }

    fn seen(self, name: &'g str) -> Self {
        self.remember(name);
        self
    }

    /// Exporters compute the target of a reshape from these.
    fn remember(&self, name: &'g str) {
        let Hwc { h, w, c } = self.shape;
        let dims = if self.flat {
            vec![1, self.shape.len()]
        } else {
            vec![1, c, h, w]
        };
        self.graph
            .remember_shape(name, dims.into_iter().map(|dim| dim as i64).collect());
    }

    /// The activation is still an image.
    fn need_image(&self, node: &Node<'g>) -> Result<(), ImportError> {
        if self.flat {
            return Err(node.refuse(
                "its input is a vector, not an image",
                "put it in front of the flattening",
            ));
        }
        Ok(())
    }

    /// One number per channel, or per value of a vector: what a constant is when it meets the
    /// activation.
    fn per_channel(
        &self,
        node: &Node<'g>,
        tensor: &Tensor,
        what: &str,
    ) -> Result<Vec<f32>, ImportError> {
        let values = floats(node, tensor, what)?;
        let expected = if self.flat {
            self.shape.len()
        } else {
            self.shape.c
        };
        if values.len() == expected {
            return Ok(values.to_vec());
        }
        let got = values.len();
        Err(node.refuse(
            format!("its {what} has {got} values, its input asks for {expected}"),
            "export the network again",
        ))
    }
}

/// The values of a constant, all finite.
fn floats<'t>(node: &Node<'_>, tensor: &'t Tensor, what: &str) -> Result<&'t [f32], ImportError> {
    let Values::F32(values) = &tensor.values else {
        return Err(node.refuse(
            format!("its {what} holds whole numbers"),
            "export the network in float32",
        ));
    };
    if values.iter().any(|value| !value.is_finite()) {
        let rule = format!("its {what} holds a number that is infinite or none");
        return Err(node.refuse(
            rule,
            "training diverged: train again with a lower learning rate",
        ));
    }
    Ok(values)
}

fn type_of(input: &ValueInfoProto) -> Option<(i32, Vec<Option<usize>>)> {
    let type_proto::Value::TensorType(tensor) = input.r#type.as_ref()?.value.as_ref()?;
    let dims = tensor
        .shape
        .as_ref()?
        .dim
        .iter()
        .map(|dim| match dim.value.as_ref()? {
            // Old exporters write an unknown extent as 0.
            Value::DimValue(dim) => usize::try_from(*dim).ok().filter(|&dim| dim > 0),
            Value::DimParam(_) => None,
        });
    Some((tensor.elem_type, dims.collect()))
}

fn shown_dims(dims: &[Option<usize>]) -> String {
    let dims = dims
        .iter()
        .take(8)
        .map(|dim| dim.map_or("[?]".to_owned(), |dim| format!("[{dim}]")));
    dims.collect()
}
