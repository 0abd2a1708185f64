//! libtorch as an engine: the finished network where it was trained, for comparing.

use std::sync::Mutex;

use tch::{Device, Tensor, no_grad};

use super::TrainError;
use super::net::{Mode, Net, values};
use crate::config::Precision;
use crate::engine::{Embedder, EngineError, Input, real};
use crate::float_net::FloatNet;

/// A [`FloatNet`] in libtorch, in 32-bit floats.
#[derive(Debug)]
pub struct Libtorch<'n> {
    net: &'n FloatNet,
    /// One image at a time: libtorch has threads of its own.
    torch: Mutex<Net>,
}

impl<'n> Libtorch<'n> {
    /// The network on the processor.
    ///
    /// # Errors
    /// [`TrainError`] when libtorch refuses.
    pub fn new(net: &'n FloatNet) -> Result<Self, TrainError> {
        let torch = Net::frozen(net, Precision::Float32, Device::Cpu)?;
        Ok(Self {
            net,
            torch: Mutex::new(torch),
        })
    }

    fn run(&self, input: &[u8]) -> Result<Vec<f32>, TrainError> {
        let side = self.net.spec.input_side as i64;
        let image = Tensor::f_from_slice(&real(input))?.f_reshape([1, side, side])?;
        let torch = self
            .torch
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        no_grad(|| values(&torch.embed(&image, Mode::Evaluate)?))
    }
}

impl Embedder for Libtorch<'_> {
    type Embedding = Vec<f32>;
    type Logit = f64;

    fn name(&self) -> &'static str {
        "float, libtorch"
    }

    fn input(&self) -> Input {
        Input::of_spec(&self.net.spec)
    }

    fn embed(&self, input: &[u8]) -> Result<Vec<f32>, EngineError> {
        self.run(input).map_err(|error| EngineError::Engine {
            engine: "libtorch".to_owned(),
            message: error.to_string(),
        })
    }

    fn logit(&self, query: &Vec<f32>, support: &Vec<f32>) -> Result<f64, EngineError> {
        Ok(f64::from(self.net.logit(query, support)?))
    }
}
