//! Engines: everything that can run the network, behind two small traits.
//!
//! In: network inputs. Out: embeddings, logits and probabilities. [`Embedder`] is what evaluation
//! needs (one image at a time, as the device works); [`Engine`] runs the exported ONNX graphs as
//! anyone else would, for comparing.
//!
//! | file            | engine                                                     |
//! |-----------------|------------------------------------------------------------|
//! | [`shared`]      | the device's own code; what every other engine must equal  |
//! | [`float`]       | the float network on the float operators of `shared`       |
//! | [`tract`]       | tract, in pure Rust                                        |
//! | [`onnxruntime`] | onnxruntime, a shared library loaded at run time           |
//! | [`original`]    | a file that somebody else wrote, in onnxruntime            |
//! | [`graph`]       | an exported encoder in one of these, with the device's head |
//! | [`device`]      | the firmware in QEMU                                       |

pub mod device;
pub mod float;
pub mod graph;
pub mod onnxruntime;
pub mod original;
pub mod shared;
pub mod tract;

use std::borrow::Cow;
use std::path::PathBuf;

use ::shared::decide::{Policy, Thresholds};
use ::shared::image::Framing;
use ::shared::model::ModelView;
use ::shared::shape::{Hwc, ShapeError};
use indicatif::ProgressBar;
use rayon::prelude::*;

use crate::dataset::Drawing;
use crate::export::onnx::float_encoder;
use crate::export::read::expose_layers;
use crate::export::{Bundle, FloatOnlyRun};
use crate::float_net::FloatNetError;
use crate::quantize::INPUT_EXPONENT;
use crate::spec::NetSpec;

/// Turns one image into an embedding and two embeddings into a logit.
pub trait Embedder: Sync {
    /// What is kept of an image.
    type Embedding: Send + Sync;
    /// How alike two images are; larger is more alike.
    type Logit: Score;

    /// Name for reports.
    fn name(&self) -> &str;

    /// What the network sees of a drawing.
    fn input(&self) -> Input;

    /// What one unit of [`Self::Logit`] is worth as a real logit.
    fn unit(&self) -> f64 {
        1.0
    }

    /// Embeds one network input `[h][w]`.
    ///
    /// # Errors
    /// [`EngineError`] when the input has another length.
    fn embed(&self, input: &[u8]) -> Result<Self::Embedding, EngineError>;

    /// Compares two embeddings.
    ///
    /// # Errors
    /// [`EngineError`] when they have another length than the head.
    fn logit(
        &self,
        query: &Self::Embedding,
        support: &Self::Embedding,
    ) -> Result<Self::Logit, EngineError>;
}

/// A logit that can be pooled over shots and compared over classes.
pub trait Score: Copy + PartialEq + PartialOrd + Send + Sync {
    /// The sum of both: over equally many shots it orders classes as their mean does.
    #[must_use]
    fn plus(self, other: Self) -> Self;

    /// Index and value of the largest; the lowest index wins a tie.
    fn nearest(scores: &[Self]) -> Option<(usize, Self)>;

    /// A class's score by the device's rule: half way between mean and maximum of its shots.
    fn device_score(shots: &[Self]) -> Option<Self>;

    /// As a real number, in units of the engine's logit.
    fn value(self) -> f64;
}

impl Score for i32 {
    fn plus(self, other: Self) -> Self {
        // A certified logit is below 2^24: 127 shots fit before anything saturates.
        self.saturating_add(other)
    }

    fn nearest(scores: &[Self]) -> Option<(usize, Self)> {
        ::shared::decide::nearest(scores.iter().copied())
    }

    fn device_score(shots: &[Self]) -> Option<Self> {
        let never_unknown = Policy {
            far_ppm: 0,
            offset: 0,
        };
        let shots = shots.iter().map(|&logit| (0, logit));
        let decision = ::shared::decide::decide(shots, &Thresholds::new(None), never_unknown);
        decision.ok().map(|decision| decision.best.logit)
    }

    fn value(self) -> f64 {
        f64::from(self)
    }
}

impl Score for f64 {
    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn nearest(scores: &[Self]) -> Option<(usize, Self)> {
        let mut best = None;
        for (index, &score) in scores.iter().enumerate() {
            if best.is_none_or(|(_, top)| score > top) {
                best = Some((index, score));
            }
        }
        best
    }

    fn device_score(shots: &[Self]) -> Option<Self> {
        let largest = shots.iter().copied().reduce(f64::max)?;
        let mean = shots.iter().sum::<f64>() / shots.len() as f64;
        Some(mean.midpoint(largest))
    }

    fn value(self) -> f64 {
        self
    }
}

/// One of the exported graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Graph {
    /// `model.onnx`: two images to logit and probability.
    FloatPair,
    /// `model-int8.onnx`: two images to logit and probability.
    Int8Pair,
    /// `encoder-int8.onnx`: one image to its embedding.
    Encoder,
    /// The encoder with every layer's quantized output behind the embedding.
    Layers,
    /// The float network's encoder.
    FloatEncoder,
}

impl Graph {
    /// The graphs that are files of an export.
    pub const FILES: [Self; 3] = [Self::FloatPair, Self::Int8Pair, Self::Encoder];

    /// The graph's ONNX file.
    ///
    /// # Errors
    /// A sentence when a graph that is no file cannot be made.
    fn onnx(self, bundle: &Bundle) -> Result<Cow<'_, [u8]>, String> {
        let said = |error: FloatOnlyRun| error.to_string();
        Ok(match self {
            Self::FloatPair => bundle.float_onnx().into(),
            Self::Int8Pair => bundle.int8_onnx().map_err(said)?.into(),
            Self::Encoder => bundle.encoder_onnx().map_err(said)?.into(),
            Self::Layers => expose_layers(bundle.encoder_onnx().map_err(said)?)?.into(),
            Self::FloatEncoder => {
                let net = bundle.float_net().map_err(|error| error.to_string())?;
                let graph = float_encoder(&net).map_err(|error| error.to_string())?;
                graph.into_bytes(&[]).into()
            }
        })
    }
}

/// Runs the exported ONNX graphs.
pub trait Engine: Sync {
    /// Name for reports.
    fn name(&self) -> &str;

    /// Runs `graph` on one image per input and returns its outputs in order; bytes as their
    /// values.
    ///
    /// One at a time: with batches of 4 and 16 both engines were slower, because activations no
    /// longer fit the cache.
    ///
    /// # Errors
    /// [`EngineError`] when the engine refuses.
    fn run(&self, graph: Graph, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EngineError>;
}

/// What a pair graph says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairOutput {
    /// The real logit.
    pub logit: f32,
    /// The probability that belongs to it.
    pub probability: f32,
}

/// Runs a pair graph on `pairs` of indices into `images`; every pair encodes both of its images.
///
/// # Errors
/// [`EngineError`] when the engine refuses or answers with another shape.
pub fn run_pairs(
    engine: &dyn Engine,
    graph: Graph,
    images: &[Vec<u8>],
    pairs: &[[usize; 2]],
    progress: &ProgressBar,
) -> Result<Vec<PairOutput>, EngineError> {
    let outputs = pairs.par_iter().map(|&[a, b]| {
        let outputs = engine.run(graph, &[real(&images[a]), real(&images[b])])?;
        progress.inc(1);
        match outputs.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] {
            [&[logit], &[probability]] => Ok(PairOutput { logit, probability }),
            _ => Err(unexpected(engine, "a logit and a probability", &outputs)),
        }
    });
    outputs.collect()
}

/// Embeds `images` with the encoder graph: real values `[c][h][w]`.
///
/// # Errors
/// [`EngineError`] when the engine refuses or answers with another shape.
pub fn run_encoder(
    engine: &dyn Engine,
    images: &[Vec<u8>],
    progress: &ProgressBar,
) -> Result<Vec<Vec<f32>>, EngineError> {
    let embeddings = images.par_iter().map(|image| {
        let mut outputs = engine.run(Graph::Encoder, &[real(image)])?;
        progress.inc(1);
        match outputs.pop() {
            Some(embedding) if outputs.is_empty() => Ok(embedding),
            _ => Err(unexpected(engine, "an embedding", &outputs)),
        }
    });
    embeddings.collect()
}

/// Every layer's quantized output `[c][h][w]` for one image.
///
/// # Errors
/// [`EngineError`] when the engine refuses.
pub fn run_layers(engine: &dyn Engine, image: &[u8]) -> Result<Vec<Vec<f32>>, EngineError> {
    let mut outputs = engine.run(Graph::Layers, &[real(image)])?;
    outputs.drain(..1.min(outputs.len())); // the embedding
    Ok(outputs)
}

/// Quantized pixels as the reals that the graphs take.
#[must_use]
pub fn real(image: &[u8]) -> Vec<f32> {
    let scale = (-f32::from(INPUT_EXPONENT)).exp2();
    image
        .iter()
        .map(|&pixel| f32::from(pixel) * scale)
        .collect()
}

fn unexpected(engine: &dyn Engine, expected: &str, got: &[Vec<f32>]) -> EngineError {
    let lengths: Vec<usize> = got.iter().map(Vec::len).collect();
    EngineError::Engine {
        engine: engine.name().to_owned(),
        message: format!("{expected} expected, outputs have {lengths:?} values"),
    }
}

/// What a network sees of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// `[h][w][1]`.
    pub shape: Hwc,
    /// Which part of the drawing that is.
    pub framing: Framing,
}

impl Input {
    /// What a model file asks for.
    #[must_use]
    pub fn of(model: &ModelView<'_>) -> Self {
        Self {
            shape: model.input(),
            framing: model.framing(),
        }
    }

    /// What the network of `spec` is trained to see.
    #[must_use]
    pub fn of_spec(spec: &NetSpec) -> Self {
        Self {
            shape: spec.input(),
            framing: spec.framing.into(),
        }
    }
}

/// A drawing as the network sees it: framed and resampled to `[h][w]`.
///
/// # Errors
/// [`ShapeError`] when the drawing is empty, too large, or not as large as it says.
pub fn network_input(drawing: &Drawing, input: Input) -> Result<Vec<u8>, ShapeError> {
    let mut pixels = vec![0; input.shape.len()];
    let from = Hwc::new(drawing.h, drawing.w, 1);
    let (target, to) = (&mut pixels, input.shape);
    let framing = input.framing;
    framing.resample(&drawing.ink, from, target, to)?;
    Ok(pixels)
}

/// Why an engine gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A buffer has the wrong length.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// The float network lacks weights.
    #[error(transparent)]
    Net(#[from] FloatNetError),
    /// The engine refused the graph or the input.
    #[error("{engine}: {message}")]
    Engine {
        /// Which engine.
        engine: String,
        /// What it says.
        message: String,
    },
    /// There is no onnxruntime at this path, or it cannot be used.
    #[error(
        "onnxruntime cannot be loaded from {path}: {message}; point ORT_DYLIB_PATH at the libonnxruntime of the PyPI package onnxruntime 1.20 or later"
    )]
    Library {
        /// Path of the library.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

#[cfg(test)]
mod tests;
