//! An exported encoder in tract or onnxruntime, with the head of `shared` behind it.
//!
//! In: an [`Engine`] and the model. Out: an [`Embedder`], so that an image goes through that engine
//! once and not once for each pair. That the whole pair graph gives the same logits is what
//! `onelook verify` shows.

use ::shared::shape::Hwc;

use super::shared::Shared;
use super::{Embedder, Engine, EngineError, Graph, Input, real, unexpected};
use crate::float_net::{FloatNet, FloatNetError};
use crate::layout::chw_to_hwc;

/// An exported encoder as an embedder.
pub struct GraphEncoder<'a> {
    engine: &'a dyn Engine,
    shared: Shared<'a>,
    shape: Hwc,
    steps: f32,
}

impl<'a> GraphEncoder<'a> {
    /// The encoder that `engine` has of the model in `shared`.
    ///
    /// # Errors
    /// [`EngineError`] when the model's own encoder refuses a blank image.
    pub fn new(engine: &'a dyn Engine, shared: Shared<'a>) -> Result<Self, EngineError> {
        let (shape, exponent) = shared.embedding_form()?;
        Ok(Self {
            engine,
            shared,
            shape,
            steps: f32::from(exponent).exp2(),
        })
    }
}

impl Embedder for GraphEncoder<'_> {
    type Embedding = Vec<u8>;
    type Logit = i32;

    fn name(&self) -> &str {
        self.engine.name()
    }

    fn input(&self) -> Input {
        self.shared.input()
    }

    fn unit(&self) -> f64 {
        self.shared.unit()
    }

    fn embed(&self, input: &[u8]) -> Result<Vec<u8>, EngineError> {
        let outputs = self.engine.run(Graph::Encoder, &[real(input)])?;
        let refused = || unexpected(self.engine, "an embedding in steps of its scale", &outputs);
        let [embedding] = outputs.as_slice() else {
            return Err(refused());
        };
        let steps = embedding.iter().map(|value| {
            let step = value * self.steps;
            let whole = step.fract() == 0.0 && (0.0..256.0).contains(&step);
            whole.then_some(step as u8)
        });
        let steps: Vec<u8> = steps.collect::<Option<_>>().ok_or_else(refused)?;
        Ok(chw_to_hwc(&steps, self.shape))
    }

    fn logit(&self, query: &Vec<u8>, support: &Vec<u8>) -> Result<i32, EngineError> {
        self.shared.logit(query, support)
    }
}

/// The float network's encoder in an engine, with the head of `shared` behind it.
pub struct FloatGraphEncoder<'a> {
    engine: &'a dyn Engine,
    net: &'a FloatNet,
    name: String,
    shape: Hwc,
}

impl<'a> FloatGraphEncoder<'a> {
    /// The encoder that `engine` has of `net`.
    ///
    /// # Errors
    /// [`EngineError`] when the layers do not fit each other.
    pub fn new(engine: &'a dyn Engine, net: &'a FloatNet) -> Result<Self, EngineError> {
        Ok(Self {
            engine,
            net,
            name: format!("float, {}", engine.name()),
            shape: net.spec.embedding().map_err(FloatNetError::from)?,
        })
    }
}

impl Embedder for FloatGraphEncoder<'_> {
    type Embedding = Vec<f32>;
    type Logit = f64;

    fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> Input {
        Input::of_spec(&self.net.spec)
    }

    fn embed(&self, input: &[u8]) -> Result<Vec<f32>, EngineError> {
        let outputs = self.engine.run(Graph::FloatEncoder, &[real(input)])?;
        let [embedding] = outputs.as_slice() else {
            return Err(unexpected(self.engine, "an embedding", &outputs));
        };
        Ok(chw_to_hwc(embedding, self.shape))
    }

    fn logit(&self, query: &Vec<f32>, support: &Vec<f32>) -> Result<f64, EngineError> {
        Ok(f64::from(self.net.logit(query, support)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tract::Tract;
    use crate::evaluate::evaluate;
    use crate::export::Bundle;
    use crate::glyphs;
    use crate::quantize::quantize;
    use crate::spec::NetSpec;
    use crate::trials::within_alphabet;
    use crate::untrained::untrained;

    #[test]
    fn tract_decides_as_shared_does() {
        let data = glyphs::synthetic(3, "evaluation", 2, 5);
        let set = within_alphabet(&data, 5, 2, 40, 7).unwrap();
        let net = untrained(&NetSpec::preset("nano").unwrap(), 7).unwrap();
        let inputs =
            crate::evaluate::network_inputs(&set.images, Input::of_spec(&net.spec)).unwrap();
        let (quantized, _) = quantize(&net, &inputs).unwrap();
        let bundle = Bundle::new(&net, &quantized, "", "").unwrap();
        let shared = Shared::new(bundle.view().unwrap());
        let tract = Tract::of(&bundle, &[Graph::Encoder]).unwrap();
        let mut expected = evaluate(&set, &shared).unwrap();
        let got = evaluate(&set, &GraphEncoder::new(&tract, shared).unwrap()).unwrap();
        expected.engine = "tract".to_owned();
        assert_eq!(got, expected);
    }
}
