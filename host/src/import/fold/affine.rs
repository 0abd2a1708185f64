//! Normalization and ReLU: what waits for the next layer, and what goes into the last.

use super::{Folder, State, refuse, refuse_open};
use crate::float_net::FloatFilters;
use crate::import::{ImportError, Step};
use crate::spec::{Activation, LayerSpec, Norm};
use shared::shape::Hwc;

/// `stored * scale + shift`, one of each per channel, or per value in `[c][h][w]` order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Waiting {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl Waiting {
    pub(super) fn shifts(&self) -> bool {
        self.shift.iter().any(|&shift| shift != 0.0)
    }

    pub(super) fn keeps_order(&self) -> bool {
        self.scale.iter().all(|&scale| scale >= 0.0)
    }

    /// This, and then `scale` and `shift`.
    pub(super) fn then(&self, scale: &[f32], shift: &[f32]) -> Self {
        let len = self.scale.len().max(scale.len());
        let at = |values: &[f32], i: usize| values[i * values.len() / len];
        Self {
            scale: (0..len)
                .map(|i| at(&self.scale, i) * at(scale, i))
                .collect(),
            shift: (0..len)
                .map(|i| at(&self.shift, i) * at(scale, i) + at(shift, i))
                .collect(),
        }
    }
}

impl Folder {
    /// Normalization, or arithmetic with constants.
    pub(super) fn affine(
        &mut self,
        step: &Step,
        scale: &[f32],
        shift: &[f32],
    ) -> Result<(), ImportError> {
        if self.pad > 0 {
            return Err(refuse(
                step,
                "zeros were put around the image in front of it, and they are no longer zeros behind it",
                "pad in the convolution itself",
            ));
        }
        let (scale, shift) = (
            self.grey_values(step, scale)?,
            self.grey_values(step, shift)?,
        );
        match &self.state {
            State::Stored(waiting) => {
                let waiting = waiting.clone().unwrap_or(Waiting {
                    scale: vec![1.0],
                    shift: vec![0.0],
                });
                self.state = State::Stored(Some(waiting.then(&scale, &shift)));
                Ok(())
            }
            State::Open { maxed, .. } => {
                let (scale, shift) = (
                    self.per_channel(step, scale)?,
                    self.per_channel(step, shift)?,
                );
                if *maxed && scale.iter().any(|&scale| scale < 0.0) {
                    return Err(refuse(
                        step,
                        "it stands behind a max pooling and turns the sign of a channel over",
                        "put the normalization in front of the pooling and train again",
                    ));
                }
                if let Some(filters) = self.last_trained() {
                    let taps = filters.weight_oihw.len() / filters.bias.len().max(1);
                    for (o, channel) in filters.weight_oihw.chunks_mut(taps.max(1)).enumerate() {
                        channel.iter_mut().for_each(|weight| *weight *= scale[o]);
                        filters.bias[o] = filters.bias[o] * scale[o] + shift[o];
                    }
                }
                Ok(())
            }
        }
    }

    pub(super) fn relu(&mut self, step: &Step) -> Result<(), ImportError> {
        match &self.state {
            State::Open { averaged: true, .. } => Err(refuse(
                step,
                "it stands behind a mean, and the layers here end with a ReLU in front of it",
                "put nn.ReLU() in front of the pooling and train again",
            )),
            State::Open { .. } => {
                self.state = State::Stored(None);
                Ok(())
            }
            State::Stored(None) => Ok(()),
            State::Stored(Some(waiting)) => {
                let stays =
                    waiting.keeps_order() && waiting.shift.iter().all(|&shift| shift >= 0.0);
                if stays {
                    return Ok(());
                }
                let waiting = waiting.clone();
                self.clamp(step, &waiting)
            }
        }
    }

    /// A layer that only multiplies, adds and clamps.
    pub(super) fn clamp(&mut self, step: &Step, waiting: &Waiting) -> Result<(), ImportError> {
        let scale = self.per_channel(step, waiting.scale.clone())?;
        let shift = self.per_channel(step, waiting.shift.clone())?;
        let (norm, activation) = (Norm::None, Activation::Relu);
        let layer = LayerSpec::Depthwise {
            kernel: 1,
            stride: 1,
            pad: 0,
            norm,
            activation,
        };
        self.notes
            .push(format!("{}: a 1×1 layer of its own", step.node));
        self.open(step, layer, scale, shift)?;
        self.state = State::Stored(None);
        Ok(())
    }

    /// Weights and bias for the stored activation, instead of what the file's network sees of it.
    pub(super) fn fold_in(
        &self,
        step: &Step,
        weight: &[f32],
        bias: &[f32],
        c_in: usize,
    ) -> Result<(Vec<f32>, Vec<f32>), ImportError> {
        let waiting = match &self.state {
            State::Open { .. } => return Err(refuse_open(step)),
            State::Stored(None) => return Ok((weight.to_vec(), bias.to_vec())),
            State::Stored(Some(waiting)) => waiting,
        };
        let per_output = weight.len() / bias.len().max(1);
        // A depthwise convolution has the channels among its outputs.
        let depthwise = c_in == 1 && self.shape.c > 1;
        let total = if depthwise { weight.len() } else { per_output };
        let index = |i: usize| {
            let i = if depthwise { i } else { i % per_output };
            i * waiting.scale.len() / total
        };
        let folded = weight
            .iter()
            .enumerate()
            .map(|(i, w)| w * waiting.scale[index(i)])
            .collect();
        let mut sums = vec![0.0_f64; bias.len()];
        for (i, w) in weight.iter().enumerate() {
            sums[i / per_output] += f64::from(*w) * f64::from(waiting.shift[index(i)]);
        }
        let bias = bias
            .iter()
            .zip(sums)
            .map(|(b, sum)| (f64::from(*b) + sum) as f32);
        Ok((folded, bias.collect()))
    }

    /// One value per channel; a vector's may differ from pixel to pixel.
    pub(super) fn per_channel(
        &self,
        step: &Step,
        values: Vec<f32>,
    ) -> Result<Vec<f32>, ImportError> {
        let c = self.shape.c;
        if values.len() <= c {
            return Ok((0..c).map(|i| values[i * values.len() / c]).collect());
        }
        let channels = values.chunks(values.len() / c);
        if channels
            .clone()
            .any(|channel| channel.iter().any(|&value| value != channel[0]))
        {
            return Err(refuse(
                step,
                "it normalizes each pixel by itself",
                "put nn.BatchNorm2d in front of the flattening",
            ));
        }
        Ok(channels.map(|channel| channel[0]).collect())
    }

    /// The weights of the layer that is open; means behind it have constant ones.
    pub(super) fn last_trained(&mut self) -> Option<&mut FloatFilters> {
        let State::Open { layer, .. } = self.state else {
            return None;
        };
        let shape = Hwc::new(1, 1, 1);
        let with_weights = |layer: &&LayerSpec| layer.weights(shape).is_some();
        let index = self.layers.iter().take(layer).filter(with_weights).count();
        self.filters.get_mut(index)
    }
}
