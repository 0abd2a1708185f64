//! The image: one grey in one channel or three, and zeros around it that must be zeros of the
//! file's network.

use super::{Folder, State, refuse};
use crate::float_net::FloatFilters;
use crate::import::{ImportError, Step};
use crate::spec::{Activation, LayerSpec, Norm};

/// How the first layer gets what the file's network sees.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// In one channel.
    Plain,
    /// In two: what is above 0, and what is below.
    Split,
    /// Not at all.
    Impossible,
}

impl Folder {
    /// Sums weights over the channels of an image that hold the same grey.
    pub(super) fn grey_weight(&mut self, weight: &[f32], c_out: usize, taps: usize) -> Vec<f32> {
        let channels = std::mem::replace(&mut self.channels, 1);
        if channels == 1 {
            return weight.to_vec();
        }
        let sum = |o: usize, tap: usize| {
            (0..channels)
                .map(|c| weight[(o * channels + c) * taps + tap])
                .sum::<f32>()
        };
        (0..c_out * taps).map(|i| sum(i / taps, i % taps)).collect()
    }

    /// Values of an image's channels, which are the same for all as long as they hold one grey.
    pub(super) fn grey_values(&self, step: &Step, values: &[f32]) -> Result<Vec<f32>, ImportError> {
        if self.channels == 1 {
            return Ok(values.to_vec());
        }
        match values.first() {
            Some(&first) if values.iter().all(|&value| value == first) => Ok(vec![first]),
            _ => Err(refuse(
                step,
                "it treats the three channels of the image differently",
                "normalize all three by one mean and one deviation",
            )),
        }
    }

    /// Makes sure that zeros of ours are zeros of the file's network, when a layer pads with them.
    pub(super) fn take_shift_for(&mut self, step: &Step, pad: usize) -> Result<Input, ImportError> {
        match &self.state {
            State::Stored(Some(waiting)) if pad > 0 && waiting.shifts() => {
                match self.compute_input() {
                    Input::Impossible => Err(self.refuse_shift(step)),
                    input => Ok(input),
                }
            }
            _ => Ok(Input::Plain),
        }
    }

    /// Computes what the file's network sees of an image by a layer in front of the others.
    pub(super) fn compute_input(&mut self) -> Input {
        let State::Stored(Some(waiting)) = &self.state else {
            return Input::Plain;
        };
        let ([scale], [shift], true) = (
            &waiting.scale[..],
            &waiting.shift[..],
            self.layers.is_empty(),
        ) else {
            return Input::Impossible;
        };
        let ends = [*shift, shift + scale * (255.0 / 256.0)];
        let rounding = 1e-5 * scale.abs();
        let (weight_oihw, bias, input) = if ends.iter().all(|&end| end >= -rounding) {
            (vec![*scale], vec![*shift], Input::Plain)
        } else {
            (vec![*scale, -scale], vec![*shift, -shift], Input::Split)
        };
        self.notes.push(format!(
            "layer 0 computes what the network sees of an image (paper {:.3}, ink {:.3}), because a layer behind it pads with zeros",
            ends[0], ends[1]
        ));
        let layer = LayerSpec::Conv {
            c_out: bias.len(),
            kernel: 1,
            stride: 1,
            pad: 0,
            norm: Norm::None,
            activation: Activation::Relu,
        };
        self.shape.c = bias.len();
        self.layers.push(layer);
        self.filters.push(FloatFilters { weight_oihw, bias });
        self.state = State::Stored(None);
        input
    }

    pub(super) fn refuse_shift(&self, step: &Step) -> ImportError {
        let (rule, change) = if self.layers.is_empty() {
            (
                "its input can be negative, and activations are kept as bytes from 0",
                "give the network images from 0 to 1 and put a convolution first",
            )
        } else {
            (
                "it pads with zeros behind a normalization that adds a constant; the padding would need that constant too",
                "put the normalization directly behind its convolution, in front of the ReLU, or use padding=0, and train again",
            )
        };
        refuse(step, rule, change)
    }
}
