//! The network as plain data: layers, shapes, costs. No libtorch, no files.
//!
//! In: a preset's name or a `[network]` table of a TOML file. Out: a [`NetSpec`] whose layers fit
//! each other. Training, quantization, export and the tables in reports all read this structure.

use serde::{Deserialize, Serialize};
use shared::shape::{Hwc, ShapeError, Window};

/// A siamese encoder: a chain of layers from a square one-channel image to an embedding.
///
/// The head (weighted L1 distance plus bias) needs no description: its length is that of the
/// embedding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetSpec {
    /// Height and width of the input in pixels.
    pub input_side: usize,
    /// First to last; every convolution is followed by batch normalization and ReLU.
    pub layers: Vec<LayerSpec>,
}

/// One layer of the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerSpec {
    /// Convolution, batch normalization, ReLU.
    Conv {
        /// Output channels.
        c_out: usize,
        /// Kernel height and width.
        kernel: usize,
        /// Step.
        stride: usize,
        /// Zeros on each side.
        pad: usize,
    },
    /// Max pooling without padding.
    MaxPool {
        /// Window height and width.
        kernel: usize,
        /// Step.
        stride: usize,
    },
}

impl LayerSpec {
    /// Kernel, stride and padding.
    #[must_use]
    pub const fn window(&self) -> Window {
        match *self {
            Self::Conv {
                kernel,
                stride,
                pad,
                ..
            } => Window {
                kernel,
                stride,
                pad,
            },
            Self::MaxPool { kernel, stride } => Window {
                kernel,
                stride,
                pad: 0,
            },
        }
    }

    /// Output shape on `input`.
    ///
    /// # Errors
    /// [`ShapeError::Window`] when the window does not fit.
    pub const fn output(&self, input: Hwc) -> Result<Hwc, ShapeError> {
        let c_out = match *self {
            Self::Conv { c_out, .. } => c_out,
            Self::MaxPool { .. } => input.c,
        };
        self.window().output(input, c_out)
    }
}

/// A preset's name and what it is for.
pub const PRESETS: [(&str, &str); 2] = [
    (
        "micro",
        "the network that ships: 48×48, 213,217 parameters, 18.7 M MAC per image",
    ),
    (
        "nano",
        "for small memories: 40×40, 56,969 parameters, 3.3 M MAC per image",
    ),
];

impl NetSpec {
    /// The preset of that name.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        let conv = |c_out, stride| LayerSpec::Conv {
            c_out,
            kernel: 3,
            stride,
            pad: 1,
        };
        let pool = LayerSpec::MaxPool {
            kernel: 2,
            stride: 2,
        };
        match name {
            "micro" => Some(Self {
                input_side: 48,
                layers: vec![
                    conv(32, 2),
                    conv(32, 1),
                    pool,
                    conv(64, 1),
                    conv(64, 1),
                    pool,
                    conv(128, 1),
                    conv(64, 1),
                    pool,
                ],
            }),
            "nano" => Some(Self {
                input_side: 40,
                layers: vec![
                    conv(16, 2),
                    conv(24, 1),
                    pool,
                    conv(32, 1),
                    pool,
                    conv(64, 1),
                    conv(48, 1),
                    pool,
                ],
            }),
            _ => None,
        }
    }

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

    /// Multiply-accumulates of one image.
    ///
    /// # Errors
    /// As [`Self::shapes`].
    pub fn macs(&self) -> Result<u64, SpecError> {
        Ok(self
            .convolutions()?
            .map(|(weights, output)| (weights * output.h * output.w) as u64)
            .sum())
    }

    /// Parameters of the deployed form: weights and biases of convolutions and head.
    ///
    /// # Errors
    /// As [`Self::shapes`].
    pub fn parameters(&self) -> Result<usize, SpecError> {
        let head = self.embedding()?.len() + 1;
        Ok(self
            .convolutions()?
            .map(|(weights, output)| weights + output.c)
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

    /// Number of weights and output shape of every convolution.
    fn convolutions(&self) -> Result<impl Iterator<Item = (usize, Hwc)>, SpecError> {
        let shapes = self.shapes()?;
        let layers = self.layers.clone().into_iter().enumerate();
        Ok(layers.filter_map(move |(index, layer)| match layer {
            LayerSpec::Conv { c_out, kernel, .. } => {
                Some((kernel * kernel * shapes[index].c * c_out, shapes[index + 1]))
            }
            LayerSpec::MaxPool { .. } => None,
        }))
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
    fn micro_costs_what_it_says() {
        let micro = NetSpec::preset("micro").unwrap();
        assert_eq!(micro.embedding(), Ok(Hwc::new(3, 3, 64)));
        assert_eq!(micro.parameters(), Ok(213_217));
        assert_eq!(micro.macs(), Ok(18_745_344));
    }

    #[test]
    fn nano_costs_what_it_says() {
        let nano = NetSpec::preset("nano").unwrap();
        assert_eq!(nano.embedding(), Ok(Hwc::new(2, 2, 48)));
        assert_eq!(nano.parameters(), Ok(56_969));
        assert_eq!(nano.macs(), Ok(3_283_200));
    }

    #[test]
    fn names_the_layer_that_does_not_fit() {
        let mut spec = NetSpec::preset("micro").unwrap();
        spec.layers.push(LayerSpec::MaxPool {
            kernel: 4,
            stride: 4,
        });
        assert_eq!(spec.shapes().unwrap_err().index, 9);
    }
}
