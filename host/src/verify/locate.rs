//! Where a difference arises: the first layer, channel and position.
//!
//! In: an engine and images on which it differs. Out: the first value that is not the device's,
//! found by running the encoder again with every layer's output exposed.

use std::fmt;

use serde::{Deserialize, Serialize};
use shared::shape::Hwc;

use crate::engine::shared::Shared;
use crate::engine::{Engine, EngineError, run_layers};
use crate::layout::hwc_to_chw;

/// The first difference between an engine and the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Images of the pair, query first; a single one when only its embedding differs.
    pub images: Vec<usize>,
    /// The device's logit and the engine's, when they differ.
    pub logits: Option<[f32; 2]>,
    /// Where in the encoder it arises. `None`: every layer is equal on its own, so it arises in
    /// the head or only when the engine fuses layers.
    pub layer: Option<LayerDifference>,
}

/// The first differing value of the first differing layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerDifference {
    /// Which image.
    pub image: usize,
    /// Index of the layer.
    pub layer: usize,
    /// Its operator.
    pub operator: String,
    /// Output channel.
    pub channel: usize,
    /// Row of the output.
    pub row: usize,
    /// Column of the output.
    pub column: usize,
    /// The device's value.
    pub expected: u8,
    /// The engine's value.
    pub got: f32,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "images {:?}", self.images)?;
        if let Some([expected, got]) = self.logits {
            write!(f, ", logit {got} instead of {expected}")?;
        }
        match &self.layer {
            Some(LayerDifference {
                image,
                layer,
                operator,
                channel,
                row,
                column,
                expected,
                got,
            }) => write!(
                f,
                "; image {image}, layer {layer} ({operator}), channel {channel}, row {row}, column {column}: {got} instead of {expected}"
            ),
            None => write!(
                f,
                "; every layer is equal on its own: it arises in the head, or when the engine fuses layers"
            ),
        }
    }
}

/// A layer's output on the device.
struct Observed {
    operator: &'static str,
    shape: Hwc,
    /// `[c][h][w]`
    values: Vec<u8>,
}

/// Compares an engine with the device, layer by layer.
pub(super) struct Locate<'a> {
    shared: &'a Shared<'a>,
    images: &'a [Vec<u8>],
    embedding: Hwc,
    exponent: u8,
}

impl<'a> Locate<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, images: &'a [Vec<u8>]) -> Result<Self, EngineError> {
        let (embedding, exponent) = shared.embedding_form()?;
        Ok(Self {
            shared,
            images,
            embedding,
            exponent,
        })
    }

    /// Images whose embedding `[c][h][w]` in reals is not the device's `[h][w][c]`.
    pub(super) fn wrong_embeddings(&self, expected: &[Vec<u8>], got: &[Vec<f32>]) -> Vec<usize> {
        let scale = (-f32::from(self.exponent)).exp2();
        let differs = |(expected, got): (&Vec<u8>, &Vec<f32>)| {
            let expected = hwc_to_chw(expected, self.embedding);
            expected.len() != got.len()
                || expected
                    .iter()
                    .zip(got)
                    .any(|(&q, &real)| f32::from(q) * scale != real)
        };
        let images = expected.iter().zip(got).enumerate();
        let wrong = images.filter(|(_, pair)| differs(*pair));
        wrong.map(|(index, _)| index).collect()
    }

    pub(super) fn difference(
        &self,
        engine: &dyn Engine,
        images: &[usize],
        logits: Option<[f32; 2]>,
    ) -> Result<Difference, EngineError> {
        let mut first: Option<LayerDifference> = None;
        for &image in images {
            let found = self.in_layers(engine, image)?;
            let earlier = |a: &LayerDifference, b: &LayerDifference| a.layer <= b.layer;
            first = match (first, found) {
                (Some(first), Some(found)) if earlier(&first, &found) => Some(first),
                (first, None) => first,
                (_, found) => found,
            };
        }
        Ok(Difference {
            images: images.to_vec(),
            logits,
            layer: first,
        })
    }

    fn in_layers(
        &self,
        engine: &dyn Engine,
        image: usize,
    ) -> Result<Option<LayerDifference>, EngineError> {
        let Some(input) = self.images.get(image) else {
            return Ok(None);
        };
        let mut expected = Vec::new();
        self.shared.embed_observed(input, |_, layer, values| {
            expected.push(Observed {
                operator: layer.operator.name(),
                shape: layer.operator.output(),
                values: hwc_to_chw(values, layer.operator.output()),
            });
        })?;
        let got = run_layers(engine, input)?;
        for (layer, (expected, got)) in expected.iter().zip(&got).enumerate() {
            let mut values = expected.values.iter().zip(got);
            let Some(at) = values.position(|(&q, &got)| f32::from(q) != got) else {
                continue;
            };
            let Hwc { h, w, .. } = expected.shape;
            return Ok(Some(LayerDifference {
                image,
                layer,
                operator: expected.operator.to_owned(),
                channel: at / (h * w),
                row: at / w % h,
                column: at % w,
                expected: expected.values[at],
                got: got[at],
            }));
        }
        Ok(None)
    }
}
