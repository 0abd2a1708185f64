//! The graph of an ONNX file: nodes and values by name, and the way from its output back to its
//! inputs.
//!
//! In: a decoded model. Out: a [`Route`]: the nodes between image and embedding in order, or the
//! two towers of a siamese network and what follows their difference. Whatever does not lie on
//! that way is not looked at.

use std::cell::RefCell;
use std::collections::HashMap;

use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
};

use super::ImportError;
use super::tensor::{External, Tensor};

/// Older operators mean other things.
const FIRST_OPSET: i64 = 7;
/// Nodes that are looked at when it is asked whether a value is constant.
const BUDGET: usize = 4096;

/// A decoded graph.
#[derive(Debug)]
pub struct Graph<'g> {
    proto: &'g GraphProto,
    pub(super) external: &'g External,
    opset: i64,
    producers: HashMap<&'g str, &'g NodeProto>,
    initializers: HashMap<&'g str, &'g TensorProto>,
    /// Shapes of activations met so far.
    shapes: RefCell<HashMap<&'g str, Vec<i64>>>,
}

/// From the output back to the inputs.
#[derive(Debug)]
pub enum Route<'g> {
    /// One image to an embedding.
    Single {
        /// In order of execution.
        nodes: Vec<Node<'g>>,
        /// The image.
        input: &'g ValueInfoProto,
    },
    /// Two images to a logit.
    Pair {
        /// Each image to its embedding.
        towers: [Tower<'g>; 2],
        /// From the embeddings to the output.
        tail: Tail<'g>,
    },
}

/// One image to its embedding.
#[derive(Debug)]
pub struct Tower<'g> {
    /// In order of execution.
    pub nodes: Vec<Node<'g>>,
    /// The image.
    pub input: &'g ValueInfoProto,
}

/// What follows the difference of two embeddings.
#[derive(Debug)]
pub struct Tail<'g> {
    /// The subtraction.
    pub difference: Node<'g>,
    /// Behind the absolute value.
    pub nodes: Vec<Node<'g>>,
}

impl<'g> Graph<'g> {
    /// Indexes a model's graph.
    ///
    /// # Errors
    /// [`ImportError`] for another version of the standard, or a value that two nodes write.
    pub fn new(model: &'g ModelProto, external: &'g External) -> Result<Self, ImportError> {
        let Some(proto) = &model.graph else {
            return Err(ImportError::File("it holds no graph".to_owned()));
        };
        let standard = model.opset_import.iter().find(|set| standard(&set.domain));
        let opset = standard.map_or(1, |set| set.version);
        if opset < FIRST_OPSET {
            return Err(ImportError::graph(
                format!(
                    "the file uses version {opset} of ONNX' operators, {FIRST_OPSET} or later is read"
                ),
                "export it with opset_version=17",
            ));
        }
        let mut producers = HashMap::new();
        for node in &proto.node {
            for output in node.output.iter().filter(|name| !name.is_empty()) {
                if producers.insert(output.as_str(), node).is_some() {
                    return Err(ImportError::File(format!("two nodes write {output:?}")));
                }
            }
        }
        let initializers = proto
            .initializer
            .iter()
            .map(|tensor| (tensor.name.as_str(), tensor));
        Ok(Self {
            proto,
            external,
            opset,
            producers,
            initializers: initializers.collect(),
            shapes: RefCell::default(),
        })
    }

    /// Version of the operators.
    #[must_use]
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// The nodes between the output and the inputs.
    ///
    /// # Errors
    /// [`ImportError`] when they are neither a chain nor two chains with one difference.
    pub fn route(&'g self) -> Result<Route<'g>, ImportError> {
        let [output] = &self.proto.output[..] else {
            let got = self.proto.output.len();
            return Err(ImportError::graph(
                format!("the network has {got} outputs"),
                "export a module that returns the embedding, or the logit, and nothing else",
            ));
        };
        let (nodes, end) = self.chain_to(&output.name)?;
        let difference = match end {
            End::Input(input) => return Ok(Route::Single { nodes, input }),
            End::Difference(node) => node,
        };
        let mut after = nodes.into_iter();
        match after.next() {
            Some(node) if node.op() == "Abs" => {}
            Some(node) => {
                return Err(node.refuse(
                    "behind the difference of two embeddings stands no Abs",
                    "compare embeddings by torch.abs(a - b) and one nn.Linear",
                ));
            }
            None => {
                return Err(difference.refuse(
                    "the difference of two embeddings is the output",
                    "export the encoder alone, or behind it torch.abs and one nn.Linear",
                ));
            }
        }
        let tower = |input: usize| {
            let name = difference.input(input).unwrap_or_default();
            match self.chain_to(name)? {
                (nodes, End::Input(input)) => Ok(Tower { nodes, input }),
                (_, End::Difference(node)) => Err(node.branch()),
            }
        };
        let towers = [tower(0)?, tower(1)?];
        if towers[0].input.name == towers[1].input.name {
            return Err(difference.refuse(
                "both of its sides are computed from the same image",
                "give torch.onnx.export two different tensors as example images: given one twice, it takes them for one input",
            ));
        }
        let tail = Tail {
            difference,
            nodes: after.collect(),
        };
        Ok(Route::Pair { towers, tail })
    }

    /// Follows a value back, through nodes with one input that is not constant.
    fn chain_to(&'g self, name: &'g str) -> Result<(Vec<Node<'g>>, End<'g>), ImportError> {
        let mut nodes = Vec::new();
        let mut name = name;
        let end = loop {
            if let Some(input) = self.proto.input.iter().find(|input| input.name == name)
                && !self.initializers.contains_key(name)
            {
                break End::Input(input);
            }
            let node = self
                .producer(name)
                .ok_or_else(|| ImportError::File(format!("nothing computes the value {name:?}")))?;
            if nodes.len() > self.proto.node.len() {
                return Err(node.refuse("it depends on its own output", "export the network again"));
            }
            let mut active = node.activations();
            let first = active.next();
            if active.next().is_some() {
                if node.op() == "Sub" {
                    break End::Difference(node);
                }
                return Err(node.branch());
            }
            name = first.ok_or_else(|| {
                node.refuse(
                    "it does not depend on the image",
                    "export the network again",
                )
            })?;
            nodes.push(node);
        };
        nodes.reverse();
        Ok((nodes, end))
    }

    pub(super) fn producer(&'g self, name: &str) -> Option<Node<'g>> {
        let proto = self.producers.get(name)?;
        Some(Node { proto, graph: self })
    }

    pub(super) fn initializer(&self, name: &str) -> Option<&'g TensorProto> {
        self.initializers.get(name).copied()
    }

    /// Whether a value depends on no image.
    fn is_constant(&self, name: &str, budget: &mut usize) -> bool {
        if self.initializers.contains_key(name) {
            return true;
        }
        if *budget == 0 {
            return false;
        }
        *budget -= 1;
        let node = self.producers.get(name);
        node.is_some_and(|node| {
            // The second input of this one only says of what type.
            let count = if node.op_type == "CastLike" {
                1
            } else {
                node.input.len()
            };
            let mut inputs = node
                .input
                .iter()
                .take(count)
                .filter(|input| !input.is_empty());
            inputs.all(|input| self.is_constant(input, budget))
        })
    }

    pub(super) fn remember_shape(&self, name: &'g str, shape: Vec<i64>) {
        self.shapes.borrow_mut().insert(name, shape);
    }

    pub(super) fn shape_of(&self, name: &str) -> Option<Vec<i64>> {
        self.shapes.borrow().get(name).cloned()
    }
}

enum End<'g> {
    Input(&'g ValueInfoProto),
    Difference(Node<'g>),
}

fn standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// A node with the graph around it.
#[derive(Debug, Clone, Copy)]
pub struct Node<'g> {
    proto: &'g NodeProto,
    pub(super) graph: &'g Graph<'g>,
}

impl<'g> Node<'g> {
    /// The operator; empty when it is none of the standard.
    #[must_use]
    pub fn op(&self) -> &'g str {
        if standard(&self.proto.domain) {
            &self.proto.op_type
        } else {
            ""
        }
    }

    /// Name, operator and inputs.
    #[must_use]
    pub fn describe(&self) -> String {
        let NodeProto {
            name,
            op_type,
            domain,
            input,
            ..
        } = self.proto;
        let name = if name.is_empty() { self.output() } else { name };
        let inputs: Vec<String> = input.iter().take(4).map(|input| shown(input)).collect();
        let dot = if domain.is_empty() { "" } else { "." };
        let op = format!("{}{dot}{}", shown(domain), shown(op_type));
        format!("node `{}` ({op} of {})", shown(name), inputs.join(", "))
    }

    /// Name of an input; `None` when it is left out.
    #[must_use]
    pub fn input(&self, index: usize) -> Option<&'g str> {
        let name = self.proto.input.get(index)?;
        Some(name.as_str()).filter(|name| !name.is_empty())
    }

    /// Number of inputs, those left out included.
    #[must_use]
    pub fn n_inputs(&self) -> usize {
        self.proto.input.len()
    }

    /// Name of the first output.
    #[must_use]
    pub fn output(&self) -> &'g str {
        self.proto.output.first().map_or("", String::as_str)
    }

    /// Number of outputs that have a name.
    #[must_use]
    pub fn n_outputs(&self) -> usize {
        self.proto
            .output
            .iter()
            .filter(|name| !name.is_empty())
            .count()
    }

    /// Names of the inputs that depend on an image. `Reshape` and its like also take shapes, which
    /// exporters compute from the image's.
    fn activations(&self) -> impl Iterator<Item = &'g str> + use<'g> {
        let count = match self.op() {
            "Reshape" | "Expand" | "Squeeze" | "Unsqueeze" | "Pad" => 1,
            _ => self.n_inputs(),
        };
        let graph = self.graph;
        let inputs = self
            .proto
            .input
            .iter()
            .take(count)
            .filter(|name| !name.is_empty());
        inputs
            .map(String::as_str)
            .filter(move |name| !graph.is_constant(name, &mut BUDGET.clone()))
    }

    /// Which of the first two inputs is the activation, when the other one is constant.
    pub(super) fn activation_is_first(&self) -> bool {
        self.input(1)
            .is_none_or(|name| self.graph.is_constant(name, &mut BUDGET.clone()))
    }

    fn attribute(&self, name: &str) -> Option<&'g AttributeProto> {
        self.proto
            .attribute
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// Whether it is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// An integer.
    #[must_use]
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name)
            .map_or(default, |attribute| attribute.i)
    }

    /// A number.
    #[must_use]
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name)
            .map_or(default, |attribute| attribute.f)
    }

    /// A list of integers.
    #[must_use]
    pub fn ints(&self, name: &str) -> Option<&'g [i64]> {
        self.attribute(name)
            .map(|attribute| attribute.ints.as_slice())
    }

    /// A list of numbers.
    #[must_use]
    pub fn floats(&self, name: &str) -> Option<&'g [f32]> {
        self.attribute(name)
            .map(|attribute| attribute.floats.as_slice())
    }

    /// A text; empty when it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> &'g str {
        let text = self
            .attribute(name)
            .and_then(|attribute| str::from_utf8(&attribute.s).ok());
        text.unwrap_or_default()
    }

    /// A constant that is stored in the node.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&'g TensorProto> {
        self.attribute(name)?.t.as_ref()
    }

    /// A constant input.
    ///
    /// # Errors
    /// [`ImportError`] when it is missing or cannot be read.
    pub fn constant(&self, index: usize, what: &str) -> Result<Tensor, ImportError> {
        let name = self.input(index).ok_or_else(|| {
            self.refuse(format!("its {what} is missing"), "export the network again")
        })?;
        let constant = self.graph.evaluate(name);
        constant.map_err(|error| {
            let rule = format!("its {what} `{}` {error}", shown(name));
            self.refuse(rule, "it must be a number stored in the file")
        })
    }

    /// A constant input that may be left out.
    ///
    /// # Errors
    /// [`ImportError`] when it is there and cannot be read.
    pub fn optional(&self, index: usize, what: &str) -> Result<Option<Tensor>, ImportError> {
        self.input(index)
            .map(|_| self.constant(index, what))
            .transpose()
    }

    /// The refusal of this node.
    #[must_use]
    pub fn refuse(&self, rule: impl Into<String>, change: impl Into<String>) -> ImportError {
        ImportError::Node {
            node: self.describe(),
            rule: rule.into(),
            change: change.into(),
        }
    }

    fn branch(&self) -> ImportError {
        self.refuse(
            "two ways meet here, and the encoder must be one chain of layers",
            "remove the skip connection or the branch and train again",
        )
    }
}

/// A name from the file, short and on one line.
pub(super) fn shown(name: &str) -> String {
    let short: String = name.chars().take(60).collect();
    short.escape_debug().to_string()
}
