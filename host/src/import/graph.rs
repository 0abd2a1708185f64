//! The graph of an ONNX file: nodes and values by name, and the way from its output back to its
//! inputs.
//!
//! In: a decoded model. Out: a [`Route`]: the nodes between image and embedding in order, or the
//! two towers of a siamese network and what follows their difference. Whatever does not lie on
//! that way is not looked at.

use std::cell::RefCell;
use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

use super::ImportError;
use super::node::{Node, shown};
use super::tensor::External;

/// Older operators mean other things.
const FIRST_OPSET: i64 = 7;
/// Nodes that are looked at when it is asked whether a value is constant.
const BUDGET: usize = 256;

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
            if let Some(input) = self.image(name) {
                break End::Input(input);
            }
            let node = self.producer(name).ok_or_else(|| nowhere(name))?;
            if nodes.len() > self.proto.node.len() {
                return Err(node.refuse("it depends on its own output", "export the network again"));
            }
            let active: Vec<&str> = node.activations().collect();
            if active.len() > 1 {
                let known =
                    |name: &str| self.image(name).is_some() || self.producers.contains_key(name);
                if let Some(name) = active.iter().find(|name| !known(name)) {
                    return Err(nowhere(name));
                }
                if node.op() == "Sub" {
                    break End::Difference(node);
                }
                return Err(node.branch());
            }
            let first = active.first().copied();
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

    /// The input of that name, when it is no weight.
    fn image(&self, name: &str) -> Option<&'g ValueInfoProto> {
        let mut inputs = self.proto.input.iter();
        let input = inputs.find(|input| input.name == name);
        input.filter(|_| !self.initializers.contains_key(name))
    }

    pub(super) fn producer(&'g self, name: &str) -> Option<Node<'g>> {
        let proto = self.producers.get(name)?;
        Some(Node { proto, graph: self })
    }

    pub(super) fn initializer(&self, name: &str) -> Option<&'g TensorProto> {
        self.initializers.get(name).copied()
    }

    /// Whether a value depends on no image.
    pub(super) fn is_constant(&self, name: &str) -> bool {
        self.is_constant_within(name, &mut BUDGET.clone())
    }

    fn is_constant_within(&self, name: &str, budget: &mut usize) -> bool {
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
            inputs.all(|input| self.is_constant_within(input, budget))
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

fn nowhere(name: &str) -> ImportError {
    ImportError::File(format!("nothing computes the value {:?}", shown(name)))
}

pub(super) fn standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}
