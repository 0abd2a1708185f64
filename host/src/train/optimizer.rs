//! AdamW (Loshchilov and Hutter 2019) with its state in the open.
//!
//! In: parameters with gradients. Out: the parameters, moved. libtorch's own optimizer cannot be
//! saved through `tch`; this one can, so that a resumed run continues bit for bit.

use tch::{Tensor, no_grad};

use super::TrainError;
use super::net::Parameter;

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// AdamW over a fixed list of parameters.
#[derive(Debug)]
pub struct AdamW {
    slots: Vec<Slot>,
    /// Steps taken.
    step: usize,
    weight_decay: f64,
}

#[derive(Debug)]
struct Slot {
    parameter: Parameter,
    /// Running mean of the gradient.
    first: Tensor,
    /// Running mean of its square.
    second: Tensor,
}

impl AdamW {
    /// An optimizer that has taken no step.
    #[must_use]
    pub fn new(parameters: Vec<Parameter>, weight_decay: f64) -> Self {
        let slots = parameters.into_iter().map(|parameter| Slot {
            first: parameter.tensor.zeros_like(),
            second: parameter.tensor.zeros_like(),
            parameter,
        });
        Self {
            slots: slots.collect(),
            step: 0,
            weight_decay,
        }
    }

    /// Back-propagates `loss` and moves every parameter.
    ///
    /// # Errors
    /// [`TrainError::Torch`] when libtorch refuses.
    pub fn minimize(&mut self, loss: &Tensor, learning_rate: f64) -> Result<(), TrainError> {
        for slot in &mut self.slots {
            slot.parameter.tensor.zero_grad();
        }
        loss.f_backward()?;
        self.step += 1;
        let correction_1 = 1.0 - BETA_1.powf(self.step as f64);
        let correction_2 = 1.0 - BETA_2.powf(self.step as f64);
        no_grad(|| {
            for slot in &mut self.slots {
                let gradient = slot.parameter.tensor.grad();
                if !gradient.defined() {
                    // No loss goes through it: the head, where only a classifier is trained.
                    continue;
                }
                if slot.parameter.decayed {
                    let _ = slot
                        .parameter
                        .tensor
                        .f_mul_scalar_(1.0 - learning_rate * self.weight_decay)?;
                }
                let _ = slot.first.f_lerp_(&gradient, 1.0 - BETA_1)?;
                let square = gradient.f_square()?;
                let _ = slot.second.f_lerp_(&square, 1.0 - BETA_2)?;
                let denominator = (&slot.second / correction_2).f_sqrt()? + EPSILON;
                let update = &slot.first / denominator * (-learning_rate / correction_1);
                let _ = slot.parameter.tensor.f_add_(&update)?;
            }
            Ok(())
        })
    }

    /// Steps taken so far.
    #[must_use]
    pub const fn step(&self) -> usize {
        self.step
    }

    /// The running means, named for a checkpoint.
    #[must_use]
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let named = self.slots.iter().flat_map(|slot| {
            let name = &slot.parameter.name;
            [
                (format!("adam.first.{name}"), slot.first.shallow_clone()),
                (format!("adam.second.{name}"), slot.second.shallow_clone()),
            ]
        });
        named.collect()
    }

    /// Continues from a checkpoint's step count; the tensors are restored through [`Self::state`].
    pub const fn set_step(&mut self, step: usize) {
        self.step = step;
    }
}
