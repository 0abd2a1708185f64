//! The trained network in `f32`, batch normalization folded: what training hands to export.
//!
//! In: a [`NetSpec`] and its weights. Out: the same numbers for quantization, for the fp32 ONNX
//! file and, through [`FloatEncoder`], for a forward pass on the operators of `shared` that serves
//! as the float reference.

use shared::ops::float::conv2d::{Conv2d, conv2d};
use shared::ops::float::depthwise_conv2d::{DepthwiseConv2d, depthwise_conv2d};
use shared::ops::float::global_average_pool::{GlobalAveragePool, global_average_pool};
use shared::ops::float::l1_head::{L1Head, l1_head};
use shared::ops::float::linear::{Linear, linear};
use shared::ops::float::max_pool2d::{MaxPool2d, max_pool2d};
use shared::ops::float::{relu::relu, sigmoid::sigmoid};
use shared::shape::{Hwc, ShapeError};

use crate::layout::{chw_to_hwc, oihw_to_ohwi};
use crate::spec::{Activation, LayerSpec, NetSpec, Place, SpecError, WeightShape};

/// Folded weights of a [`NetSpec`].
#[derive(Debug, Clone, PartialEq)]
pub struct FloatNet {
    /// The layers that the weights belong to.
    pub spec: NetSpec,
    /// One entry per layer with weights, first to last: the order of [`NetSpec::weights`].
    pub filters: Vec<FloatFilters>,
    /// The head.
    pub head: FloatHead,
}

/// Weights of one layer, its normalization folded in.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatFilters {
    /// `[c_out][c_in][k_h][k_w]`, torch's and ONNX' order, shaped as [`WeightShape`] says.
    pub weight_oihw: Vec<f32>,
    /// `[c_out]`.
    pub bias: Vec<f32>,
}

/// `logit = bias + Σ weight * |a - b|` over embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatHead {
    /// `[h][w][c]` of the embedding: the order of `shared`, not torch's `[c][h][w]`.
    pub weight_hwc: Vec<f32>,
    /// Bias of the logit.
    pub bias: f32,
}

impl FloatNet {
    /// Whether every layer has the weights it asks for.
    ///
    /// # Errors
    /// [`FloatNetError`] naming the first that has not.
    pub fn check(&self) -> Result<(), FloatNetError> {
        let check = |place, what, expected, got| {
            let error = FloatNetError::Length {
                place,
                what,
                expected,
                got,
            };
            if got == expected { Ok(()) } else { Err(error) }
        };
        let layers: Vec<(usize, WeightShape)> =
            self.spec.weights()?.map(|(i, w, _)| (i, w)).collect();
        for (at, (index, shape)) in layers.iter().enumerate() {
            let filters = self.filters.get(at);
            let (weight, bias) = filters.map_or((0, 0), |f| (f.weight_oihw.len(), f.bias.len()));
            check(Place::Layer(*index), "weight", shape.len(), weight)?;
            check(Place::Layer(*index), "bias", shape.c_out, bias)?;
        }
        if self.filters.len() > layers.len() {
            return Err(FloatNetError::Filters {
                expected: layers.len(),
                got: self.filters.len(),
            });
        }
        let (expected, got) = (self.spec.embedding()?.len(), self.head.weight_hwc.len());
        check(Place::Head, "weight", expected, got)
    }

    /// The forward pass, with all weights in the order of `shared`.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn encoder(&self) -> Result<FloatEncoder<'_>, FloatNetError> {
        self.check()?;
        let mut filters = self.filters.iter();
        let mut layers = Vec::new();
        for (layer, input) in self.spec.layers.iter().zip(self.spec.shapes()?) {
            let filters = layer
                .weights(input)
                .and_then(|shape| Some((shape, filters.next()?)));
            layers.push(Layer {
                spec: *layer,
                input,
                output: layer.output(input).map_err(|source| SpecError {
                    index: layers.len(),
                    source,
                })?,
                weight: filters.map_or_else(Vec::new, |(shape, filters)| match layer {
                    LayerSpec::Depthwise { .. } => filters.weight_hwc(shape),
                    _ => filters.weight_ohwi(shape),
                }),
                bias: filters.map_or(&[], |(_, filters)| &filters.bias),
            });
        }
        Ok(FloatEncoder {
            input: self.spec.input(),
            layers,
        })
    }

    /// The logit of two embeddings `[h][w][c]`.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when an embedding does not have the head's length.
    pub fn logit(&self, a: &[f32], b: &[f32]) -> Result<f32, ShapeError> {
        let head = L1Head {
            weight: &self.head.weight_hwc,
            bias: self.head.bias,
        };
        l1_head(&head, a, b)
    }
}

impl FloatFilters {
    /// The weights as `[c_out][k_h][k_w][c_in]`.
    #[must_use]
    pub fn weight_ohwi(&self, shape: WeightShape) -> Vec<f32> {
        oihw_to_ohwi(&self.weight_oihw, shape.c_in, shape.k_h * shape.k_w)
    }

    /// The weights of a depthwise convolution as `[k_h][k_w][c]`.
    fn weight_hwc(&self, shape: WeightShape) -> Vec<f32> {
        let channels = Hwc::new(shape.k_h, shape.k_w, shape.c_out);
        chw_to_hwc(&self.weight_oihw, channels)
    }
}

/// A [`FloatNet`] made ready to run.
#[derive(Debug, Clone)]
pub struct FloatEncoder<'n> {
    input: Hwc,
    layers: Vec<Layer<'n>>,
}

/// A layer with its weights in the order of `shared`.
#[derive(Debug, Clone)]
struct Layer<'n> {
    spec: LayerSpec,
    input: Hwc,
    output: Hwc,
    weight: Vec<f32>,
    bias: &'n [f32],
}

impl FloatEncoder<'_> {
    /// Embeds `image`, ink in `0..=1` as `[h][w]`, to `[h][w][c]` of the last layer.
    ///
    /// # Errors
    /// [`ShapeError::Length`] when the image has another length.
    pub fn embed(&self, image: &[f32]) -> Result<Vec<f32>, ShapeError> {
        self.embed_observed(image, |_, _| {})
    }

    /// As [`Self::embed`]; shows every layer's output `[h][w][c]` on the way (calibration).
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn embed_observed(
        &self,
        image: &[f32],
        mut observe: impl FnMut(usize, &[f32]),
    ) -> Result<Vec<f32>, ShapeError> {
        self.input.check(image.len())?;
        let mut x = image.to_vec();
        for (index, layer) in self.layers.iter().enumerate() {
            let mut y = vec![0.0; layer.output.len()];
            layer.run(&x, &mut y)?;
            observe(index, &y);
            x = y;
        }
        Ok(x)
    }
}

impl Layer<'_> {
    fn run(&self, x: &[f32], y: &mut [f32]) -> Result<(), ShapeError> {
        let Self {
            input,
            weight,
            bias,
            ..
        } = self;
        let window = self.spec.window(*input);
        match self.spec {
            LayerSpec::Conv { .. } => conv2d(&Conv2d::new(*input, window, weight, bias)?, x, y)?,
            LayerSpec::Depthwise { .. } => {
                depthwise_conv2d(&DepthwiseConv2d::new(*input, window, weight, bias)?, x, y)?;
            }
            LayerSpec::Linear { .. } => linear(&Linear::new(*input, weight, bias)?, x, y)?,
            LayerSpec::MaxPool { .. } => max_pool2d(&MaxPool2d::new(*input, window)?, x, y)?,
            LayerSpec::GlobalAveragePool => {
                global_average_pool(&GlobalAveragePool::new(*input)?, x, y)?;
            }
        }
        match self.spec.tail() {
            Some((_, Activation::Relu)) => relu(y),
            Some((_, Activation::Sigmoid)) => sigmoid(y),
            None => {}
        }
        Ok(())
    }
}

/// Why weights do not make a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FloatNetError {
    /// The layers do not fit each other.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// More weights than the layers ask for.
    #[error("{got} layers have weights, the network asks for {expected}")]
    Filters {
        /// Layers that need weights.
        expected: usize,
        /// Layers with weights.
        got: usize,
    },
    /// Weights or biases are missing or too many.
    #[error("{place}: {got} values of {what}, the layer asks for {expected}")]
    Length {
        /// Where.
        place: Place,
        /// `weight` or `bias`.
        what: &'static str,
        /// Values needed.
        expected: usize,
        /// Values there.
        got: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Framing;

    /// 2×2 image, 1×1 kernel with two channels: each channel is the image times its weight, ReLU.
    #[test]
    fn convolves_and_clamps() {
        let spec = NetSpec {
            input_side: 2,
            framing: Framing::Picture,
            layers: vec![LayerSpec::conv(2, 1, 1, 0)],
        };
        let net = FloatNet {
            spec,
            filters: vec![FloatFilters {
                weight_oihw: vec![2.0, -1.0],
                bias: vec![0.5, 0.0],
            }],
            head: FloatHead {
                weight_hwc: vec![-1.0; 8],
                bias: 3.0,
            },
        };
        let encoder = net.encoder().unwrap();
        let embedding = encoder.embed(&[0.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(embedding, [0.5, 0.0, 2.5, 0.0, 4.5, 0.0, 6.5, 0.0]);
        assert_eq!(net.logit(&embedding, &embedding), Ok(3.0));
        assert_eq!(net.logit(&embedding, &[0.0; 8]), Ok(3.0 - 14.0));
        assert!(encoder.embed(&[0.0; 3]).is_err());
    }

    /// By hand: two channels from a 1×1 convolution, a kernel for each, a mean, a weighted sum.
    #[test]
    fn every_layer_kind_in_a_row() {
        let spec = NetSpec {
            input_side: 2,
            framing: Framing::Picture,
            layers: vec![
                LayerSpec::conv(2, 1, 1, 0),
                LayerSpec::depthwise(2, 2, 1),
                LayerSpec::MaxPool {
                    kernel: 2,
                    stride: 1,
                    pad: 1,
                },
                LayerSpec::GlobalAveragePool,
                LayerSpec::Linear {
                    c_out: 1,
                    norm: crate::spec::Norm::None,
                    activation: Activation::Sigmoid,
                },
            ],
        };
        let filters = |weight: &[f32], bias: &[f32]| FloatFilters {
            weight_oihw: weight.to_vec(),
            bias: bias.to_vec(),
        };
        let net = FloatNet {
            spec,
            filters: vec![
                filters(&[1.0, 2.0], &[0.0, 0.0]),
                // The window's last tap sees the pixel above it for channel 0, twice for channel 1.
                filters(&[1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0], &[0.0, 1.0]),
                filters(&[1.0, -0.25], &[0.0]),
            ],
            head: FloatHead {
                weight_hwc: vec![1.0],
                bias: 0.0,
            },
        };
        let mut outputs = Vec::new();
        let encoder = net.encoder().unwrap();
        let embedding = encoder
            .embed_observed(&[1.0, 2.0, 3.0, 4.0], |_, output| {
                outputs.push(output.to_vec())
            })
            .unwrap();
        assert_eq!(outputs[1], [1.0, 5.0, 2.0, 9.0, 3.0, 13.0, 4.0, 17.0]);
        // Maxima of 1, 2, 2 | 3, 4, 4 | 3, 4, 4 and their affine images.
        assert_eq!(outputs[3], [3.0, 13.0]);
        let expected = 1.0 / (1.0 + 0.25_f32.exp());
        assert!((embedding[0] - expected).abs() < 1e-6, "{embedding:?}");
    }

    #[test]
    fn weight_orders_agree() {
        let shape = WeightShape {
            c_out: 2,
            c_in: 3,
            k_h: 2,
            k_w: 2,
        };
        let filters = FloatFilters {
            weight_oihw: (0..2 * 3 * 4).map(|v| v as f32).collect(),
            bias: vec![0.0; 2],
        };
        let ohwi = filters.weight_ohwi(shape);
        for o in 0..2 {
            for c in 0..3 {
                for tap in 0..4 {
                    let w = filters.weight_oihw[(o * 3 + c) * 4 + tap];
                    assert_eq!(ohwi[(o * 4 + tap) * 3 + c], w);
                }
            }
        }
        let depthwise = WeightShape {
            c_out: 6,
            c_in: 1,
            ..shape
        };
        let hwc = filters.weight_hwc(depthwise);
        assert_eq!(hwc[..7], [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 1.0]);
    }

    #[test]
    fn missing_weights_are_named() {
        let spec = NetSpec::preset("nano").unwrap();
        let mut net = crate::untrained::untrained(&spec, 1).unwrap();
        net.filters[2].bias.pop();
        let error = net.check().unwrap_err().to_string();
        assert_eq!(error, "layer 3: 31 values of bias, the layer asks for 32");
    }
}
