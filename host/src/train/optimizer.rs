//! Optimizers with their state in the open.
//!
//! In: parameters with gradients. Out: the parameters, moved. libtorch's own optimizers cannot be
//! saved through `tch`; these can, so that a resumed run continues bit for bit.

use tch::{Tensor, no_grad};

use super::TrainError;
use super::net::{Parameter, Role};
use crate::config::{Config, PairOptimizer};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// An optimizer over a fixed list of parameters.
#[derive(Debug)]
pub struct Optimizer {
    slots: Vec<Slot>,
    /// Steps taken.
    step: usize,
    rule: Rule,
}

/// How a gradient moves a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    /// Loshchilov and Hutter 2019.
    AdamW {
        /// Decoupled, on weights only.
        weight_decay: f64,
    },
    /// Kingma and Ba 2015.
    Adam,
    /// Koch et al. 2015, section 3.2: `v <- momentum * v - rate * gradient`, `w <- w + v`.
    Momentum,
}

#[derive(Debug)]
struct Slot {
    parameter: Parameter,
    /// Running mean of the gradient, or what momentum is left.
    first: Tensor,
    /// Running mean of its square, where the rule has one.
    second: Option<Tensor>,
    /// L2: its gradient, `2 l2 w`, is added.
    l2: f64,
    /// The layer's learning rate as a multiple of the common one.
    relative_rate: f64,
    /// Momentum of the first epoch and in the end.
    momentum: [f64; 2],
}

/// How far a step goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Learning rate of layers without one of their own.
    pub rate: f64,
    /// Between the momentum of the start, 0, and that of the end, 1.
    pub risen: f64,
}

impl Optimizer {
    /// An optimizer that has taken no step.
    #[must_use]
    pub fn new(parameters: Vec<Parameter>, config: &Config) -> Self {
        let rule = match config.pairs.as_ref().map(|pairs| &pairs.optimizer) {
            None => Rule::AdamW {
                weight_decay: config.train.weight_decay,
            },
            Some(PairOptimizer::Adam { .. }) => Rule::Adam,
            Some(PairOptimizer::Momentum { .. }) => Rule::Momentum,
        };
        let slots = parameters.into_iter().map(|parameter| {
            let two = rule != Rule::Momentum;
            Slot {
                first: parameter.tensor.zeros_like(),
                second: two.then(|| parameter.tensor.zeros_like()),
                l2: 0.0,
                relative_rate: 1.0,
                momentum: [0.0; 2],
                parameter,
            }
        });
        let mut slots: Vec<Slot> = slots.collect();
        if let Some(pairs) = &config.pairs {
            for slot in &mut slots {
                slot.follow(&pairs.optimizer, config.train.learning_rate);
            }
        }
        Self {
            slots,
            step: 0,
            rule,
        }
    }

    /// Back-propagates `loss` and moves every parameter.
    ///
    /// # Errors
    /// [`TrainError::Torch`] when libtorch refuses.
    pub fn minimize(&mut self, loss: &Tensor, pace: Pace) -> Result<(), TrainError> {
        for slot in &mut self.slots {
            slot.parameter.tensor.zero_grad();
        }
        loss.f_backward()?;
        self.step += 1;
        no_grad(|| {
            for slot in &mut self.slots {
                let gradient = slot.parameter.tensor.grad();
                if !gradient.defined() {
                    // No loss goes through it: the head, where only a classifier is trained.
                    continue;
                }
                let gradient = slot.with_l2(gradient)?;
                match self.rule {
                    Rule::AdamW { weight_decay } => {
                        if slot.parameter.role.is_weight() {
                            let kept = 1.0 - pace.rate * weight_decay;
                            let _ = slot.parameter.tensor.f_mul_scalar_(kept)?;
                        }
                        slot.adam(&gradient, pace, self.step)?;
                    }
                    Rule::Adam => slot.adam(&gradient, pace, self.step)?,
                    Rule::Momentum => slot.momentum(&gradient, pace)?,
                }
            }
            Ok(())
        })
    }

    /// The running means, named for a checkpoint.
    #[must_use]
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let named = self.slots.iter().flat_map(|slot| {
            let name = &slot.parameter.name;
            let first = (format!("adam.first.{name}"), slot.first.shallow_clone());
            let second = slot.second.as_ref();
            let second = second.map(|t| (format!("adam.second.{name}"), t.shallow_clone()));
            std::iter::once(first).chain(second)
        });
        named.collect()
    }

    /// Continues from a checkpoint's step count; the tensors are restored through [`Self::state`].
    pub const fn set_step(&mut self, step: usize) {
        self.step = step;
    }
}

impl Slot {
    /// Takes what the configuration says of this parameter's layer.
    fn follow(&mut self, optimizer: &PairOptimizer, learning_rate: f64) {
        let Parameter { layer, role, .. } = self.parameter;
        match optimizer {
            PairOptimizer::Adam { l2, l2_linear, .. } => match role {
                Role::Kernel => self.l2 = *l2,
                Role::Linear => self.l2 = *l2_linear,
                Role::Head | Role::Rest => {}
            },
            PairOptimizer::Momentum {
                start,
                end,
                l2,
                layers,
                ..
            } => {
                let own = layers.get(layer);
                self.momentum = [*start, own.map_or(*end, |rule| rule.momentum)];
                self.relative_rate = own.map_or(1.0, |rule| rule.learning_rate / learning_rate);
                if role != Role::Rest {
                    self.l2 = own.map_or(*l2, |rule| rule.l2);
                }
            }
        }
    }

    fn with_l2(&self, gradient: Tensor) -> Result<Tensor, TrainError> {
        match self.l2 {
            0.0 => Ok(gradient),
            l2 => Ok(gradient.f_add(&(&self.parameter.tensor * (2.0 * l2)))?),
        }
    }

    fn adam(&mut self, gradient: &Tensor, pace: Pace, step: usize) -> Result<(), TrainError> {
        let Some(second) = &mut self.second else {
            return Ok(());
        };
        let correction_1 = 1.0 - BETA_1.powf(step as f64);
        let correction_2 = 1.0 - BETA_2.powf(step as f64);
        let _ = self.first.f_lerp_(gradient, 1.0 - BETA_1)?;
        let _ = second.f_lerp_(&gradient.f_square()?, 1.0 - BETA_2)?;
        let denominator = (&*second / correction_2).f_sqrt()? + EPSILON;
        let update = &self.first / denominator * (-pace.rate / correction_1);
        let _ = self.parameter.tensor.f_add_(&update)?;
        Ok(())
    }

    fn momentum(&mut self, gradient: &Tensor, pace: Pace) -> Result<(), TrainError> {
        let [start, end] = self.momentum;
        let _ = self
            .first
            .f_mul_scalar_(start + (end - start) * pace.risen)?;
        let _ = self
            .first
            .f_sub_(&(gradient * (pace.rate * self.relative_rate)))?;
        let _ = self.parameter.tensor.f_add_(&self.first)?;
        Ok(())
    }
}
