//! The float network on the operators of `shared`: how good it is before quantization.

use super::{Embedder, EngineError, Input, real};
use crate::float_net::{FloatEncoder, FloatNet, FloatNetError};

/// A [`FloatNet`] as an engine.
#[derive(Debug, Clone)]
pub struct Float<'n> {
    net: &'n FloatNet,
    encoder: FloatEncoder<'n>,
}

impl<'n> Float<'n> {
    /// An engine for a network.
    ///
    /// # Errors
    /// [`FloatNetError`] when weights are missing.
    pub fn new(net: &'n FloatNet) -> Result<Self, FloatNetError> {
        Ok(Self {
            net,
            encoder: net.encoder()?,
        })
    }
}

impl Embedder for Float<'_> {
    type Embedding = Vec<f32>;
    type Logit = f64;

    fn name(&self) -> &str {
        "float"
    }

    fn input(&self) -> Input {
        Input::of_spec(&self.net.spec)
    }

    fn embed(&self, input: &[u8]) -> Result<Vec<f32>, EngineError> {
        Ok(self.encoder.embed(&real(input))?)
    }

    fn logit(&self, query: &Vec<f32>, support: &Vec<f32>) -> Result<f64, EngineError> {
        Ok(f64::from(self.net.logit(query, support)?))
    }
}
