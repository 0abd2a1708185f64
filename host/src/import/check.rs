//! The imported network against the file it comes from, run by somebody else.
//!
//! In: the network, the file in onnxruntime, and a few images. Out: the largest difference of what
//! both say of pairs of images, as a share of the largest value. It shows that folding changed
//! nothing; what rounding to integers changes is measured by the accuracies of a report.

use serde::{Deserialize, Serialize};
use shared::shape::Hwc;

use super::Output;
use super::chain::Image;
use super::fold::{Ink, Look};
use crate::engine::float::Float;
use crate::engine::original::Original;
use crate::engine::{Embedder, EngineError};
use crate::layout::hwc_to_chw;

/// Largest difference allowed, as a share of the largest value: sums of floats in another order.
pub const TOLERANCE: f64 = 1e-4;

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Pairs of images.
    pub pairs: usize,
    /// Largest difference, as a share of the largest value.
    pub max_error: f64,
}

impl Check {
    /// Whether the difference is within [`TOLERANCE`].
    #[must_use]
    pub fn holds(&self) -> bool {
        self.pairs > 0 && self.max_error <= TOLERANCE
    }
}

/// What the file is about, and how to show it an image.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The network.
    pub float: &'a Float<'a>,
    /// Shape of its embedding.
    pub embedding: Hwc,
    /// What the file's embedding is of ours, per value in `[c][h][w]` order.
    pub embedding_scale: &'a [f32],
    /// What the file's output is.
    pub output: Output,
    /// The images it takes.
    pub image: Image,
    /// How they look.
    pub look: Look,
}

impl Subject<'_> {
    /// Compares each of `images`, `[h][w]` with ink 255, with the next.
    ///
    /// # Errors
    /// [`EngineError`] when an engine refuses.
    pub fn compare(
        &self,
        original: &mut Original,
        images: &[Vec<u8>],
    ) -> Result<Check, EngineError> {
        let (mut error, mut largest) = (0.0_f64, 0.0_f64);
        // The first image also with itself: of unlike ones a probability may be 0 in any engine.
        let mut pairs: Vec<[&Vec<u8>; 2]> = images.windows(2).map(|w| [&w[0], &w[1]]).collect();
        pairs.extend(images.first().map(|image| [image, image]));
        for pair in &pairs {
            let [a, b] = [self.float.embed(pair[0])?, self.float.embed(pair[1])?];
            let shown = pair.map(|image| self.shown(image));
            let (ours, theirs) = if self.output == Output::Embedding {
                let [first, second] = shown;
                let (first, second) = (original.run(&[first])?, original.run(&[second])?);
                let distance = |(a, b): (&f32, &f32)| (a - b).abs();
                let ours: Vec<f32> = a.iter().zip(&b).map(distance).collect();
                let ours = hwc_to_chw(&ours, self.embedding)
                    .into_iter()
                    .zip(self.embedding_scale);
                let ours: Vec<f32> = ours.map(|(value, scale)| value * scale).collect();
                (ours, first.iter().zip(&second).map(distance).collect())
            } else {
                let logit = self.float.logit(&a, &b)? as f32;
                let probability = 1.0 / (1.0 + (-logit).exp());
                let ours = if self.output == Output::Logit {
                    logit
                } else {
                    probability
                };
                (vec![ours], original.run(&shown)?)
            };
            if ours.len() != theirs.len() {
                return Err(EngineError::Engine {
                    engine: "onnxruntime".to_owned(),
                    message: format!(
                        "the file gives {} values, {} were expected",
                        theirs.len(),
                        ours.len()
                    ),
                });
            }
            for (ours, theirs) in ours.iter().zip(&theirs) {
                error = error.max(f64::from((ours - theirs).abs()));
                largest = largest.max(f64::from(theirs.abs()));
            }
        }
        // A network that says nothing of any image cannot be compared: not a number.
        let max_error = error / largest;
        Ok(Check {
            pairs: pairs.len(),
            max_error,
        })
    }

    /// An image as the file's network sees it, `[channels][h][w]`.
    fn shown(&self, ink: &[u8]) -> Vec<f32> {
        let Look {
            ink: end,
            scale,
            shift,
        } = self.look;
        let grey = |ink: u8| {
            let ink = f64::from(ink) / 255.0;
            let grey = if end == Ink::White { ink } else { 1.0 - ink };
            (grey * scale + shift) as f32
        };
        let one: Vec<f32> = ink.iter().map(|&ink| grey(ink)).collect();
        one.repeat(self.image.channels)
    }
}
