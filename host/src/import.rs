//! Networks that were trained elsewhere: an ONNX file, as PyTorch exports it, to a float network.
//!
//! In: the bytes of a file with an encoder (one image to an embedding) or with a whole siamese
//! network (two images to a logit). Out: the same function as layers of ours, or an
//! [`ImportError`] that names the node, the rule it breaks and what to change.
//!
//! | file          | what it is                                                               |
//! |---------------|--------------------------------------------------------------------------|
//! | [`tensor`]    | constants as they are stored                                             |
//! | [`graph`]     | nodes and values by name; the way from the output back to the inputs     |
//! | [`node`]      | one node: attributes, inputs, and its refusal in words                   |
//! | [`constants`] | what exporters compute from constants: shapes, paddings, axes            |
//! | [`chain`]     | nodes to [`Step`]s: shapes checked, weights read                         |
//! | [`fold`]      | steps to layers: normalization and the look of the images go into weights |
//! | [`head`]      | the weighted L1 distance, from a graph or from a file                    |
//! | [`fit`]       | a head for an encoder that comes without                                 |
//! | [`shift`]     | embeddings with negative values                                          |
//! | [`pairs`]     | drawings of the same and of different characters                         |
//! | [`check`]     | the network against the file it comes from                               |

pub mod chain;
pub mod check;
pub mod constants;
pub mod fit;
pub mod fold;
pub mod graph;
pub mod head;
pub mod node;
pub mod pairs;
pub mod shift;
pub mod tensor;
pub mod wire;

use prost::Message;
use tract_onnx::pb::ModelProto;

use chain::{Image, Walk};
pub use chain::{Op, Step};
use graph::{Graph, Route};
pub use head::Head;
pub use tensor::External;

/// Larger files are refused unread: a network for a microcontroller has megabytes of weights.
pub const MAX_FILE: usize = 256 << 20;
/// Bytes of a file that are not weights, at most: see [`wire`].
const MAX_STRUCTURE: usize = 4 << 20;
/// Messages and texts of a file, at most.
const MAX_MESSAGES: usize = 1 << 17;

/// What an ONNX file says, before anything is folded.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// Who wrote the file.
    pub producer: String,
    /// Version of the operators it uses.
    pub opset: i64,
    /// The images it takes.
    pub image: Image,
    /// Image to embedding, in order.
    pub encoder: Vec<Step>,
    /// The head, when the file holds a whole siamese network.
    pub head: Option<Head>,
    /// What the graph's output is.
    pub output: Output,
}

/// What a graph says of its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Of one image, its embedding.
    Embedding,
    /// Of two, the logit that they show the same mark.
    Logit,
    /// Of two, the probability.
    Probability,
}

/// Reads an encoder or a siamese network whose weights are all in the file.
///
/// # Errors
/// [`ImportError`]. Never panics, whatever the bytes, and makes nothing much larger than they are.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ImportError> {
    parse_with(bytes, &External::new())
}

/// As [`parse`], with the files that hold the larger weights, by name.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(bytes: &[u8], external: &External) -> Result<Parsed, ImportError> {
    let model = decode(bytes)?;
    let graph = Graph::new(&model, external)?;
    let (image, encoder, head, output) = match graph.route()? {
        Route::Single { nodes, input } => {
            let mut walk = Walk::images(&graph, input)?;
            let (image, steps) = (walk.image(), walk.steps(&nodes)?);
            (image, steps, None, Output::Embedding)
        }
        Route::Pair { towers, tail } => {
            let [a, b] = towers;
            let mut walk = Walk::images(&graph, a.input)?;
            let (image, encoder) = (walk.image(), walk.steps(&a.nodes)?);
            let mut other = Walk::images(&graph, b.input)?;
            let second = other.steps(&b.nodes)?;
            let equal = encoder
                .iter()
                .map(|s| &s.op)
                .eq(second.iter().map(|s| &s.op));
            if !equal || image != other.image() {
                return Err(tail.difference.refuse(
                    "its two sides are not the same encoder with the same weights",
                    "call one and the same module for both images",
                ));
            }
            let embedding = walk.shape();
            let steps = walk.steps(&tail.nodes)?;
            let head = Head::from_steps(&steps, walk.shape(), embedding)?;
            let sigmoid = steps.last().is_some_and(|step| step.op == Op::Sigmoid);
            let output = if sigmoid {
                Output::Probability
            } else {
                Output::Logit
            };
            (image, encoder, Some(head), output)
        }
    };
    Ok(Parsed {
        producer: format!("{} {}", model.producer_name, model.producer_version),
        opset: graph.opset(),
        image,
        encoder,
        head,
        output,
    })
}

/// Names of the files beside an ONNX file that hold weights of it.
///
/// # Errors
/// [`ImportError`] when the bytes are not an ONNX file or a name leaves its folder.
pub fn external_files(bytes: &[u8]) -> Result<Vec<String>, ImportError> {
    let model = decode(bytes)?;
    let tensors = model.graph.iter().flat_map(|graph| &graph.initializer);
    let mut names: Vec<String> = tensors
        .filter_map(tensor::location)
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    let plain = |name: &&String| {
        std::path::Path::new(name)
            .file_name()
            .is_none_or(|f| f != name.as_str())
    };
    match names.iter().find(plain) {
        None => Ok(names),
        Some(name) => Err(ImportError::File(format!(
            "its weights are in {name:?}, which is not a plain file name"
        ))),
    }
}

fn decode(bytes: &[u8]) -> Result<ModelProto, ImportError> {
    if bytes.len() > MAX_FILE {
        let (got, most) = (bytes.len() >> 20, MAX_FILE >> 20);
        return Err(ImportError::File(format!(
            "it has {got} MiB, at most {most} are read"
        )));
    }
    let census = wire::census(bytes);
    let structure = bytes.len().saturating_sub(census.weights);
    if structure > MAX_STRUCTURE || census.messages > MAX_MESSAGES {
        return Err(ImportError::File(format!(
            "it has {} parts and {structure} bytes that are not weights, more than any network for a microcontroller",
            census.messages
        )));
    }
    let model = ModelProto::decode(bytes).map_err(|error| ImportError::File(error.to_string()))?;
    if model.graph.is_none() {
        return Err(ImportError::File("it holds no graph".to_owned()));
    }
    Ok(model)
}

/// Why a network cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Not an ONNX file, or not a whole one.
    #[error("not a whole ONNX file: {0}; export it again")]
    File(String),
    /// The graph as a whole.
    #[error("{rule}; {change}")]
    Graph {
        /// What is wrong with it.
        rule: String,
        /// What to do about it.
        change: String,
    },
    /// A node of the graph.
    #[error("{node}: {rule}; {change}")]
    Node {
        /// Name, operator and inputs.
        node: String,
        /// The rule that it breaks.
        rule: String,
        /// What to change.
        change: String,
    },
    /// The head.
    #[error("head: {rule}; {change}")]
    Head {
        /// What is wrong with it.
        rule: String,
        /// What to do about it.
        change: String,
    },
}

impl ImportError {
    fn graph(rule: impl Into<String>, change: impl Into<String>) -> Self {
        Self::Graph {
            rule: rule.into(),
            change: change.into(),
        }
    }

    fn head(rule: impl Into<String>, change: impl Into<String>) -> Self {
        Self::Head {
            rule: rule.into(),
            change: change.into(),
        }
    }
}

#[cfg(test)]
mod tests;
