//! The network as plain data: layers, shapes, costs. No libtorch, no files.
//!
//! In: a preset's name or a `[network]` table of a TOML file. Out: a [`NetSpec`] whose layers fit
//! each other. Training, quantization, export and the tables in reports all read this structure.

use std::fmt;

use serde::{Deserialize, Serialize};
use shared::shape::{Hwc, ShapeError, Window};

pub use presets::PRESETS;

mod presets;

/// A siamese encoder: a chain of layers from a square one-channel image to an embedding.
///
/// The head (weighted L1 distance plus bias) needs no description: its length is that of the
/// embedding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetSpec {
    /// Height and width of the input in pixels.
    pub input_side: usize,
    /// Which part of a drawing that is.
    #[serde(default, skip_serializing_if = "Framing::is_default")]
    pub framing: Framing,
    /// First to last.
    pub layers: Vec<LayerSpec>,
}

/// Which part of a drawing becomes the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Framing {
    /// All of it.
    #[default]
    Picture,
    /// A square around the mark, by the mean and the spread of its ink.
    Mark,
}

impl From<Framing> for shared::image::Framing {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::Picture => Self::Picture,
            Framing::Mark => Self::Mark,
        }
    }
}

/// One layer of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerSpec {
    /// Convolution over all channels.
    Conv {
        /// Output channels.
        c_out: usize,
        /// Kernel height and width.
        kernel: usize,
        /// Step.
        stride: usize,
        /// Zeros on each side.
        pad: usize,
        /// Behind the convolution, while training.
        #[serde(default, skip_serializing_if = "Norm::is_default")]
        norm: Norm,
        /// Behind the normalization.
        #[serde(default, skip_serializing_if = "Activation::is_default")]
        activation: Activation,
    },
    /// Convolution of each channel with a kernel of its own.
    Depthwise {
        /// Kernel height and width.
        kernel: usize,
        /// Step.
        stride: usize,
        /// Zeros on each side.
        pad: usize,
        /// Behind the convolution, while training.
        #[serde(default, skip_serializing_if = "Norm::is_default")]
        norm: Norm,
        /// Behind the normalization.
        #[serde(default, skip_serializing_if = "Activation::is_default")]
        activation: Activation,
    },
    /// Largest value of each window; padding never wins.
    MaxPool {
        /// Window height and width.
        kernel: usize,
        /// Step.
        stride: usize,
        /// Rows and columns of padding on each side.
        #[serde(default, skip_serializing_if = "is_zero")]
        pad: usize,
    },
    /// Mean of each channel: `[h][w][c]` to `[1][1][c]`.
    GlobalAveragePool,
    /// Fully connected: every output sees the whole input, in `[h][w][c]` order.
    Linear {
        /// Output values.
        c_out: usize,
        /// Behind the sum, while training.
        #[serde(default, skip_serializing_if = "Norm::is_default")]
        norm: Norm,
        /// Behind the normalization.
        #[serde(default, skip_serializing_if = "Activation::is_default")]
        activation: Activation,
    },
}

/// What stands between a layer's sums and its activation while training; folded into the weights
/// afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// Batch normalization (Ioffe and Szegedy 2015).
    #[default]
    Batch,
    /// A plain bias.
    None,
}

/// What a layer with weights does to its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(x, 0)`: the only one that the integer network has, as the clamp at 0.
    #[default]
    Relu,
    /// `1 / (1 + e^-x)`, for networks that stay in floating point.
    Sigmoid,
}

impl Framing {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Norm {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Activation {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

/// Shape of a layer's weights, `[c_out][c_in][k_h][k_w]` (torch's and ONNX' order).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightShape {
    /// Output channels.
    pub c_out: usize,
    /// Input channels that one output channel sees.
    pub c_in: usize,
    /// Kernel height; a linear layer's kernel is its whole input.
    pub k_h: usize,
    /// Kernel width.
    pub k_w: usize,
}

impl WeightShape {
    /// Weights of one output channel.
    #[must_use]
    pub const fn taps(&self) -> usize {
        self.c_in * self.k_h * self.k_w
    }

    /// Number of weights.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.c_out * self.taps()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl LayerSpec {
    /// Convolution, batch normalization, ReLU.
    #[must_use]
    pub const fn conv(c_out: usize, kernel: usize, stride: usize, pad: usize) -> Self {
        Self::Conv {
            c_out,
            kernel,
            stride,
            pad,
            norm: Norm::Batch,
            activation: Activation::Relu,
        }
    }

    /// Depthwise convolution, batch normalization, ReLU.
    #[must_use]
    pub const fn depthwise(kernel: usize, stride: usize, pad: usize) -> Self {
        Self::Depthwise {
            kernel,
            stride,
            pad,
            norm: Norm::Batch,
            activation: Activation::Relu,
        }
    }

    /// Max pooling without padding.
    #[must_use]
    pub const fn max_pool(kernel: usize, stride: usize) -> Self {
        Self::MaxPool {
            kernel,
            stride,
            pad: 0,
        }
    }

    /// Fully connected, batch normalization, ReLU.
    #[must_use]
    pub const fn linear(c_out: usize) -> Self {
        Self::Linear {
            c_out,
            norm: Norm::Batch,
            activation: Activation::Relu,
        }
    }

    /// Kernel, stride and padding on `input`; the layers that see all of it have the window that
    /// covers it.
    #[must_use]
    pub const fn window(&self, input: Hwc) -> Window {
        match *self {
            Self::Conv {
                kernel,
                stride,
                pad,
                ..
            }
            | Self::Depthwise {
                kernel,
                stride,
                pad,
                ..
            }
            | Self::MaxPool {
                kernel,
                stride,
                pad,
            } => Window {
                kernel,
                stride,
                pad,
            },
            Self::GlobalAveragePool | Self::Linear { .. } => Window {
                kernel: input.h,
                stride: 1,
                pad: 0,
            },
        }
    }

    /// Output shape on `input`.
    ///
    /// # Errors
    /// [`ShapeError::Window`] when the window does not fit.
    pub const fn output(&self, input: Hwc) -> Result<Hwc, ShapeError> {
        match *self {
            Self::Conv { c_out, .. } => self.window(input).output(input, c_out),
            Self::Depthwise { .. } | Self::MaxPool { .. } => {
                self.window(input).output(input, input.c)
            }
            Self::GlobalAveragePool => Ok(Hwc::new(1, 1, input.c)),
            Self::Linear { c_out, .. } => Ok(Hwc::new(1, 1, c_out)),
        }
    }

    /// Shape of the weights on `input`; `None` for a layer without.
    #[must_use]
    pub const fn weights(&self, input: Hwc) -> Option<WeightShape> {
        match *self {
            Self::Conv { c_out, kernel, .. } => Some(WeightShape {
                c_out,
                c_in: input.c,
                k_h: kernel,
                k_w: kernel,
            }),
            Self::Depthwise { kernel, .. } => Some(WeightShape {
                c_out: input.c,
                c_in: 1,
                k_h: kernel,
                k_w: kernel,
            }),
            Self::Linear { c_out, .. } => Some(WeightShape {
                c_out,
                c_in: input.c,
                k_h: input.h,
                k_w: input.w,
            }),
            Self::MaxPool { .. } | Self::GlobalAveragePool => None,
        }
    }

    /// Normalization and activation of a layer with weights.
    #[must_use]
    pub const fn tail(&self) -> Option<(Norm, Activation)> {
        match *self {
            Self::Conv {
                norm, activation, ..
            }
            | Self::Depthwise {
                norm, activation, ..
            }
            | Self::Linear {
                norm, activation, ..
            } => Some((norm, activation)),
            Self::MaxPool { .. } | Self::GlobalAveragePool => None,
        }
    }

    /// The operator's name, as in a TOML file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Conv { .. } => "conv",
            Self::Depthwise { .. } => "depthwise",
            Self::MaxPool { .. } => "max_pool",
            Self::GlobalAveragePool => "global_average_pool",
            Self::Linear { .. } => "linear",
        }
    }
}

impl NetSpec {
    /// Shape of the input, `[h][w][1]`.
    #[must_use]
    pub const fn input(&self) -> Hwc {
        Hwc::new(self.input_side, self.input_side, 1)
    }

    /// Shapes in front of, between and behind the layers: one more than there are layers.
    ///
    /// # Errors
    /// [`SpecError`] with the index of the first layer that does not fit.
    pub fn shapes(&self) -> Result<Vec<Hwc>, SpecError> {
        let mut shapes = vec![self.input()];
        for (index, layer) in self.layers.iter().enumerate() {
            let input = shapes[index];
            let output = layer
                .output(input)
                .map_err(|source| SpecError { index, source })?;
            if output.is_empty() {
                let source = ShapeError::Length {
                    expected: 1,
                    got: 0,
                };
                return Err(SpecError { index, source });
            }
            shapes.push(output);
        }
        Ok(shapes)
    }

    /// Multiply-accumulates of one image, padding counted.
    ///
    /// # Errors
    /// As [`Self::shapes`].
    pub fn macs(&self) -> Result<u64, SpecError> {
        Ok(self
            .weights()?
            .map(|(_, weights, output)| (weights.taps() * output.len()) as u64)
            .sum())
    }

    /// Parameters of the deployed form: weights and biases of the layers and of the head.
    ///
    /// # Errors
    /// As [`Self::shapes`].
    pub fn parameters(&self) -> Result<usize, SpecError> {
        let head = self.embedding()?.len() + 1;
        Ok(self
            .weights()?
            .map(|(_, weights, _)| weights.len() + weights.c_out)
            .sum::<usize>()
            + head)
    }

    /// Shape of the embedding.
    ///
    /// # Errors
    /// As [`Self::shapes`].
    pub fn embedding(&self) -> Result<Hwc, SpecError> {
        Ok(self.shapes()?.last().copied().unwrap_or(self.input()))
    }

    /// Index, shape of the weights and output of every layer that has weights, first to last.
    ///
    /// # Errors
    /// As [`Self::shapes`].
    pub fn weights(
        &self,
    ) -> Result<impl Iterator<Item = (usize, WeightShape, Hwc)> + use<>, SpecError> {
        let shapes = self.shapes()?;
        let layers = self.layers.clone().into_iter().enumerate();
        Ok(layers.filter_map(move |(index, layer)| {
            let weights = layer.weights(shapes[index])?;
            Some((index, weights, shapes[index + 1]))
        }))
    }
}

/// A layer of the encoder, or the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Index in [`NetSpec::layers`].
    Layer(usize),
    /// The head.
    Head,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer(index) => write!(f, "layer {index}"),
            Self::Head => f.write_str("the head"),
        }
    }
}

/// A layer does not fit the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("network.layers[{index}]: {source}")]
pub struct SpecError {
    /// Which layer.
    pub index: usize,
    /// Why.
    pub source: ShapeError,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_layer_that_does_not_fit() {
        let mut spec = NetSpec::preset("micro").unwrap();
        spec.layers.push(LayerSpec::max_pool(4, 4));
        assert_eq!(spec.shapes().unwrap_err().index, 9);
    }
}
