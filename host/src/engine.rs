//! Engines: everything that can run the network, behind two small traits.
//!
//! In: network inputs. Out: embeddings, logits and probabilities. [`Embedder`] is what evaluation
//! needs (one image at a time, as the device works); [`Engine`] runs the exported ONNX graphs as
//! anyone else would, for comparing.
//!
//! | file            | engine                                                     |
//! |-----------------|------------------------------------------------------------|
//! | [`shared`]      | the device's own code; what every other engine must equal  |
//! | [`float`]       | the float network in plain loops                           |
//! | [`tract`]       | tract, in pure Rust                                        |
//! | [`onnxruntime`] | onnxruntime, a shared library loaded at run time           |

pub mod float;
pub mod onnxruntime;
pub mod shared;
pub mod tract;

use std::path::PathBuf;

use ::shared::image::resample_area;
use ::shared::shape::{Hwc, ShapeError};
use indicatif::ProgressBar;
use rayon::prelude::*;

use crate::dataset::Drawing;
use crate::quantize::INPUT_EXPONENT;

/// Pairs or images that a graph runs at once.
pub const BATCH: usize = 16;

/// Turns one image into an embedding and two embeddings into a logit.
pub trait Embedder: Sync {
    /// What is kept of an image.
    type Embedding: Send + Sync;
    /// How alike two images are; larger is more alike.
    type Logit: Score;

    /// Name for reports.
    fn name(&self) -> &str;

    /// Shape of the network's input.
    fn input(&self) -> Hwc;

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
}

impl Score for i32 {
    fn plus(self, other: Self) -> Self {
        // A certified logit is below 2^24: 127 shots fit before anything saturates.
        self.saturating_add(other)
    }

    fn nearest(scores: &[Self]) -> Option<(usize, Self)> {
        ::shared::decide::nearest(scores.iter().copied())
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
}

/// One of the exported graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graph {
    /// `model.onnx`: two images to logit and probability.
    FloatPair,
    /// `model-int8.onnx`: two images to logit and probability.
    Int8Pair,
    /// `encoder-int8.onnx`: one image to its embedding.
    Encoder,
    /// The encoder with every layer's quantized output behind the embedding; one image at a time.
    Layers,
}

/// Runs the exported ONNX graphs.
pub trait Engine: Sync {
    /// Name for reports.
    fn name(&self) -> &str;

    /// Runs `graph` on `n` stacked images per input, `n <= BATCH` and 1 for [`Graph::Layers`].
    /// Returns the outputs in the graph's order, each `[n][…]`; bytes as their values.
    ///
    /// # Errors
    /// [`EngineError`] when the engine refuses.
    fn run(
        &self,
        graph: Graph,
        n: usize,
        inputs: &[Vec<f32>],
    ) -> Result<Vec<Vec<f32>>, EngineError>;
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
    let chunks = pairs.par_chunks(BATCH).map(|pairs| {
        let stacked = |side: usize| stack(pairs.iter().filter_map(|pair| images.get(pair[side])));
        let outputs = engine.run(graph, pairs.len(), &[stacked(0), stacked(1)])?;
        let lengths: Vec<usize> = outputs.iter().map(Vec::len).collect();
        let [logits, probabilities] = &outputs[..] else {
            return Err(unexpected(engine, &[pairs.len(); 2], &lengths));
        };
        if lengths != [pairs.len(); 2] {
            return Err(unexpected(engine, &[pairs.len(); 2], &lengths));
        }
        progress.inc(pairs.len() as u64);
        let outputs = logits.iter().zip(probabilities);
        let outputs = outputs.map(|(&logit, &probability)| PairOutput { logit, probability });
        Ok(outputs.collect::<Vec<_>>())
    });
    Ok(chunks.collect::<Result<Vec<_>, _>>()?.concat())
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
    let chunks = images.par_chunks(BATCH).map(|images| {
        let n = images.len();
        let outputs = engine.run(Graph::Encoder, n, &[stack(images.iter())])?;
        let values = outputs.first().map_or(&[][..], Vec::as_slice);
        let len = values.len() / n;
        if len == 0 || len * n != values.len() {
            return Err(unexpected(engine, &[n], &[values.len()]));
        }
        progress.inc(n as u64);
        Ok(values.chunks(len).map(<[f32]>::to_vec).collect::<Vec<_>>())
    });
    Ok(chunks.collect::<Result<Vec<_>, _>>()?.concat())
}

/// Every layer's quantized output `[c][h][w]` for one image.
///
/// # Errors
/// [`EngineError`] when the engine refuses.
pub fn run_layers(engine: &dyn Engine, image: &[u8]) -> Result<Vec<Vec<f32>>, EngineError> {
    let image = real(image).collect();
    let mut outputs = engine.run(Graph::Layers, 1, &[image])?;
    outputs.drain(..1.min(outputs.len())); // the embedding
    Ok(outputs)
}

fn stack<'a>(images: impl Iterator<Item = &'a Vec<u8>>) -> Vec<f32> {
    images.flat_map(|image| real(image)).collect()
}

/// Quantized pixels as the reals that the graphs take.
pub fn real(image: &[u8]) -> impl Iterator<Item = f32> {
    let scale = (-f32::from(INPUT_EXPONENT)).exp2();
    image.iter().map(move |&pixel| f32::from(pixel) * scale)
}

fn unexpected(engine: &dyn Engine, expected: &[usize], got: &[usize]) -> EngineError {
    EngineError::Engine {
        engine: engine.name().to_owned(),
        message: format!("outputs have {got:?} values instead of {expected:?}"),
    }
}

/// A drawing as the network sees it: resampled to `[h][w]`.
///
/// # Errors
/// [`ShapeError`] when the drawing is empty, too large, or not as large as it says.
pub fn network_input(drawing: &Drawing, input: Hwc) -> Result<Vec<u8>, ShapeError> {
    let mut pixels = vec![0; input.len()];
    let from = Hwc::new(drawing.h, drawing.w, 1);
    resample_area(&drawing.ink, from, &mut pixels, input)?;
    Ok(pixels)
}

/// Why an engine gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A buffer has the wrong length.
    #[error(transparent)]
    Shape(#[from] ShapeError),
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
