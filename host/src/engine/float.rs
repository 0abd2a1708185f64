//! The float network in plain loops: how good the network is before quantization.

use shared::shape::Hwc;

use super::{Embedder, EngineError, real};
use crate::float_net::FloatNet;

/// A [`FloatNet`] as an engine.
#[derive(Debug, Clone, Copy)]
pub struct Float<'n> {
    net: &'n FloatNet,
}

impl<'n> Float<'n> {
    /// An engine for a network.
    #[must_use]
    pub const fn new(net: &'n FloatNet) -> Self {
        Self { net }
    }
}

impl Embedder for Float<'_> {
    type Embedding = Vec<f32>;
    type Logit = f64;

    fn name(&self) -> &str {
        "float"
    }

    fn input(&self) -> Hwc {
        self.net.spec.input()
    }

    fn embed(&self, input: &[u8]) -> Result<Vec<f32>, EngineError> {
        self.input().check(input.len())?;
        Ok(self.net.embed(&real(input)))
    }

    fn logit(&self, query: &Vec<f32>, support: &Vec<f32>) -> Result<f64, EngineError> {
        Ok(f64::from(self.net.logit(query, support)))
    }
}
