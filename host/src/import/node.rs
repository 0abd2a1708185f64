//! One node of a graph: its attributes, its inputs, and its refusal in words.

use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

use super::ImportError;
use super::graph::{Graph, standard};
use super::tensor::Tensor;

/// A node with the graph around it.
#[derive(Debug, Clone, Copy)]
pub struct Node<'g> {
    pub(super) proto: &'g NodeProto,
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
    pub(super) fn activations(&self) -> impl Iterator<Item = &'g str> + use<'g> {
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
            .filter(move |name| !graph.is_constant(name))
    }

    /// Which of the first two inputs is the activation, when the other one is constant.
    pub(super) fn activation_is_first(&self) -> bool {
        self.input(1)
            .is_none_or(|name| self.graph.is_constant(name))
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

    pub(super) fn branch(&self) -> ImportError {
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
