//! An exponential moving average of the network: steadier than any single step's weights, so it is
//! what gets validated and exported (Polyak and Juditsky 1992).
//!
//! In: the network after every step. Out: a second network of the same layers. The running
//! statistics of batch normalization are averaged with the weights: they drift as slowly as these
//! do, so estimating them again with a pass over the data brings nothing.

use tch::{Tensor, no_grad};

use super::TrainError;
use super::net::Net;

/// A network that follows another.
#[derive(Debug)]
pub(super) struct Average {
    net: Net,
    decay: f64,
}

impl Average {
    /// Turns `net` into the average of `of`, which starts as a copy; `decay` is the share of the
    /// average that stays in every step.
    pub(super) fn new(net: Net, of: &Net, decay: f64) -> Result<Self, TrainError> {
        let average = Self { net, decay };
        average.move_towards(of, 1.0)?;
        Ok(average)
    }

    /// The network after its step number `step`, which counts from 1, enters the average.
    pub(super) fn update(&self, net: &Net, step: usize) -> Result<(), TrainError> {
        // In a young run the fixed decay would still remember the random start.
        let step = step as f64;
        let decay = self.decay.min(step / (step + 10.0));
        self.move_towards(net, 1.0 - decay)
    }

    fn move_towards(&self, net: &Net, share: f64) -> Result<(), TrainError> {
        no_grad(|| {
            for ((_, mut average), (_, current)) in self.net.state().into_iter().zip(net.state()) {
                let _ = average.f_lerp_(&current, share)?;
            }
            Ok(())
        })
    }

    /// The averaged network.
    pub(super) const fn net(&self) -> &Net {
        &self.net
    }

    /// Its tensors, named for a checkpoint.
    pub(super) fn state(&self) -> Vec<(String, Tensor)> {
        let named = self.net.state().into_iter();
        named
            .map(|(name, tensor)| (format!("average.{name}"), tensor))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::config::Precision;
    use crate::spec::{Framing, LayerSpec, NetSpec};
    use crate::train::net::values;

    fn net() -> Net {
        let spec = NetSpec {
            input_side: 4,
            framing: Framing::Picture,
            layers: vec![LayerSpec::conv(2, 3, 1, 1)],
        };
        Net::new(&spec, Precision::Float32, Device::Cpu).unwrap()
    }

    /// Every tensor of `net`, running statistics included, set to one number.
    fn fill(net: &Net, value: f64) {
        no_grad(|| {
            for (_, mut tensor) in net.state() {
                let _ = tensor.fill_(value);
            }
        });
    }

    #[test]
    fn follows_every_tensor() {
        let (followed, average) = (net(), net());
        fill(&followed, 1.0);
        let average = Average::new(average, &followed, 0.75).unwrap();
        fill(&followed, 5.0);
        // The tenth step would allow a decay of 0.5, the hundredth allows the one that is wanted.
        for (step, expected) in [(10, 3.0), (100, 3.5)] {
            average.update(&followed, step).unwrap();
            for (name, tensor) in average.state() {
                let right = values(&tensor).unwrap().iter().all(|&v| v == expected);
                assert!(right, "{name} after step {step}");
            }
        }
    }
}
