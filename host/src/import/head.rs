//! The head of a network from elsewhere: `logit = bias + Σ weight * |a - b|`.
//!
//! In: the end of a siamese network's graph, or a file of its own: an ONNX graph of `nn.Linear`,
//! or JSON, TOML or safetensors with `weight` and `bias` as `nn.Linear` has them. Out: a [`Head`]
//! as long as the embedding.

use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};
use serde::Deserialize;
use shared::shape::Hwc;

use super::chain::{Op, Step, Walk};
use super::graph::{Graph, Route};
use super::tensor::External;
use super::{ImportError, decode};
use crate::float_net::FloatHead;
use crate::layout::chw_to_hwc;

/// Weights of the absolute differences, in the order of PyTorch's flattened embedding.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// `[c][h][w]` of the embedding.
    pub weight: Vec<f32>,
    /// Bias of the logit.
    pub bias: f32,
}

impl Head {
    /// The head in the steps behind `|a - b|` of embeddings of that shape.
    ///
    /// # Errors
    /// [`ImportError`] when they are more than one weighted sum.
    pub fn from_steps(steps: &[Step], end: Hwc, embedding: Hwc) -> Result<Self, ImportError> {
        let mut before = (
            vec![1.0_f32; embedding.len()],
            vec![0.0_f32; embedding.len()],
        );
        let mut head: Option<Self> = None;
        let mut steps = steps.iter().peekable();
        while let Some(step) = steps.next() {
            match (&step.op, &mut head) {
                (Op::Affine { scale, shift }, None) => {
                    for i in 0..embedding.len() {
                        let at = i * scale.len() / embedding.len();
                        before.0[i] *= scale[at];
                        before.1[i] = before.1[i] * scale[at] + shift[at];
                    }
                }
                (Op::Linear { weight, bias }, None) if bias.len() == 1 => {
                    let shifts = weight.iter().zip(&before.1).map(|(w, shift)| w * shift);
                    head = Some(Self {
                        bias: bias[0] + shifts.sum::<f32>(),
                        weight: weight
                            .iter()
                            .zip(&before.0)
                            .map(|(w, scale)| w * scale)
                            .collect(),
                    });
                }
                (Op::Affine { scale, shift }, Some(head)) => {
                    head.weight
                        .iter_mut()
                        .for_each(|weight| *weight *= scale[0]);
                    head.bias = head.bias * scale[0] + shift[0];
                }
                (Op::Sigmoid, Some(_)) if steps.peek().is_none() => {}
                _ => {
                    return Err(ImportError::Node {
                        node: step.node.clone(),
                        rule: "the head is to be one weighted sum of |a - b|".to_owned(),
                        change: "compare embeddings by torch.abs(a - b), one nn.Linear(d, 1) and, if you like, a sigmoid"
                            .to_owned(),
                    });
                }
            }
        }
        let single = end.len() == 1;
        head.filter(|_| single).ok_or_else(|| {
            ImportError::head(
                "there is no weighted sum behind |a - b|",
                "compare embeddings by torch.abs(a - b) and one nn.Linear(d, 1)",
            )
        })
    }

    /// The head in a file; its name's ending says of what kind it is.
    ///
    /// # Errors
    /// [`ImportError`] when there is no head in it.
    pub fn from_file(path: &Path, bytes: &[u8], external: &External) -> Result<Self, ImportError> {
        let change =
            "write {\"weight\": [...], \"bias\": ...} with the numbers of an nn.Linear(d, 1)";
        let text =
            || str::from_utf8(bytes).map_err(|error| ImportError::head(error.to_string(), change));
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().to_lowercase());
        let head = match ending.as_deref() {
            Some("onnx") => Self::from_onnx(bytes, external)?,
            Some("json") => serde_json::from_str(text()?)
                .map_err(|error| ImportError::head(error.to_string(), change))?,
            Some("toml") => toml::from_str(text()?)
                .map_err(|error| ImportError::head(error.message(), change))?,
            Some("safetensors") => Self::from_safetensors(bytes)?,
            _ => {
                return Err(ImportError::head(
                    format!(
                        "{} has another ending than .onnx, .json, .toml and .safetensors",
                        path.display()
                    ),
                    change,
                ));
            }
        };
        if head
            .weight
            .iter()
            .chain([&head.bias])
            .all(|value| value.is_finite())
        {
            return Ok(head);
        }
        Err(ImportError::head(
            "it holds a number that is infinite or none",
            "train again with a lower learning rate",
        ))
    }

    fn from_onnx(bytes: &[u8], external: &External) -> Result<Self, ImportError> {
        let model = decode(bytes)?;
        let graph = Graph::new(&model, external)?;
        let (nodes, input) = match graph.route()? {
            Route::Single { nodes, input } => (nodes, input),
            Route::Pair { towers, tail } => {
                match towers.iter().find(|tower| !tower.nodes.is_empty()) {
                    None => (tail.nodes, towers[0].input),
                    Some(_) => {
                        return Err(ImportError::head(
                            "the file holds a whole siamese network",
                            "give it as the network itself, without --head",
                        ));
                    }
                }
            }
        };
        let mut walk = Walk::vectors(&graph, input)?;
        let embedding = walk.shape();
        let steps = walk.steps(&nodes)?;
        Self::from_steps(&steps, walk.shape(), embedding)
    }

    fn from_safetensors(bytes: &[u8]) -> Result<Self, ImportError> {
        let change = "save the state_dict of an nn.Linear(d, 1) by safetensors.torch.save_file";
        let refuse = |rule: String| ImportError::head(rule, change);
        let file = SafeTensors::deserialize(bytes).map_err(|error| refuse(error.to_string()))?;
        let one = |suffix: &str| {
            let mut found = file
                .iter()
                .filter(|(name, _)| *name == suffix || name.ends_with(&format!(".{suffix}")));
            match (found.next(), found.next()) {
                (Some((_, view)), None) if view.dtype() == Dtype::F32 => {
                    let (values, _) = view.data().as_chunks::<4>();
                    Ok(values
                        .iter()
                        .map(|&bytes| f32::from_le_bytes(bytes))
                        .collect::<Vec<f32>>())
                }
                (Some(_), None) => Err(refuse(format!("its {suffix} is not of 32-bit floats"))),
                (None, _) => Err(refuse(format!("it holds no {suffix}"))),
                (Some(_), Some(_)) => Err(refuse(format!("it holds more than one {suffix}"))),
            }
        };
        let (weight, bias) = (one("weight")?, one("bias")?);
        match bias[..] {
            [bias] => Ok(Self { weight, bias }),
            _ => Err(refuse(format!("its bias has {} values, not 1", bias.len()))),
        }
    }

    /// The same head on embeddings of ours, which the file's are `scale` times.
    ///
    /// # Errors
    /// [`ImportError`] when it has another length than the embedding.
    pub fn on(&self, embedding: Hwc, scale: &[f32]) -> Result<FloatHead, ImportError> {
        if self.weight.len() != embedding.len() {
            let (got, Hwc { h, w, c }) = (self.weight.len(), embedding);
            return Err(ImportError::head(
                format!(
                    "it weighs {got} differences, the embedding has {} values ([{c}][{h}][{w}])",
                    embedding.len()
                ),
                "give the head that was trained with this encoder",
            ));
        }
        let weight: Vec<f32> = self
            .weight
            .iter()
            .zip(scale)
            .map(|(weight, scale)| weight * scale)
            .collect();
        Ok(FloatHead {
            weight_hwc: chw_to_hwc(&weight, embedding),
            bias: self.bias,
        })
    }
}
