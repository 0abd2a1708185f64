//! The trained network in `f32`, batch normalization folded: what training hands to export.
//!
//! In: a [`NetSpec`] and its weights. Out: the same numbers for quantization, for the fp32 ONNX
//! file and for a plain forward pass that serves as the float reference.

use shared::shape::{Hwc, Window};

use crate::spec::{LayerSpec, NetSpec};

/// Folded weights of a [`NetSpec`].
#[derive(Debug, Clone, PartialEq)]
pub struct FloatNet {
    /// The layers that the weights belong to.
    pub spec: NetSpec,
    /// One entry per [`LayerSpec::Conv`], first to last.
    pub convs: Vec<FloatConv>,
    /// The head.
    pub head: FloatHead,
}

/// One convolution with its batch normalization folded in.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatConv {
    /// `[c_out][c_in][kernel][kernel]`, torch's and ONNX' order.
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
    /// Embeds `image`, ink in `0..=1` as `[h][w]`, to `[h][w][c]` of the last layer.
    ///
    /// Plain loops in `f32`: the float reference, not the way to train.
    #[must_use]
    pub fn embed(&self, image: &[f32]) -> Vec<f32> {
        self.embed_observed(image, |_, _| {})
    }

    /// As [`Self::embed`]; shows every layer's output `[h][w][c]` on the way (calibration).
    #[must_use]
    pub fn embed_observed(
        &self,
        image: &[f32],
        mut observe: impl FnMut(usize, &[f32]),
    ) -> Vec<f32> {
        let mut x = image.to_vec();
        let mut shape = self.spec.input();
        let mut convs = self.convs.iter();
        for (index, layer) in self.spec.layers.iter().enumerate() {
            let Ok(output) = layer.output(shape) else {
                return Vec::new();
            };
            x = match layer {
                LayerSpec::Conv { .. } => {
                    let Some(conv) = convs.next() else {
                        return Vec::new();
                    };
                    conv.forward(&x, shape, layer.window(), output)
                }
                LayerSpec::MaxPool { .. } => max_pool(&x, shape, layer.window(), output),
            };
            shape = output;
            observe(index, &x);
        }
        x
    }

    /// The logit of two embeddings.
    #[must_use]
    pub fn logit(&self, a: &[f32], b: &[f32]) -> f32 {
        let terms = a.iter().zip(b).zip(&self.head.weight_hwc);
        self.head.bias
            + terms
                .map(|((a, b), weight)| (a - b).abs() * weight)
                .sum::<f32>()
    }
}

impl FloatConv {
    /// Convolution and ReLU, `[h][w][c]` to `[h][w][c]`.
    fn forward(&self, x: &[f32], input: Hwc, window: Window, output: Hwc) -> Vec<f32> {
        let Window {
            kernel,
            stride,
            pad,
        } = window;
        let mut out = Vec::with_capacity(output.len());
        // Transposed once so that the innermost loop runs over output channels.
        let weight = self.weight_hwio(input.c, kernel);
        for y in 0..output.h {
            for x_out in 0..output.w {
                let mut acc = self.bias.clone();
                for k_y in 0..kernel {
                    for k_x in 0..kernel {
                        let (i_y, i_x) = (y * stride + k_y, x_out * stride + k_x);
                        let inside = (pad..input.h + pad).contains(&i_y)
                            && (pad..input.w + pad).contains(&i_x);
                        if !inside {
                            continue;
                        }
                        let at = ((i_y - pad) * input.w + i_x - pad) * input.c;
                        for c in 0..input.c {
                            let tap = ((k_y * kernel + k_x) * input.c + c) * output.c;
                            let value = x[at + c];
                            let weights = &weight[tap..tap + output.c];
                            for (acc, w) in acc.iter_mut().zip(weights) {
                                *acc += value * w;
                            }
                        }
                    }
                }
                out.extend(acc.iter().map(|v| v.max(0.0)));
            }
        }
        out
    }

    /// The weights as `[kernel][kernel][c_in][c_out]`.
    fn weight_hwio(&self, c_in: usize, kernel: usize) -> Vec<f32> {
        let taps = kernel * kernel;
        let c_out = self.bias.len();
        let mut out = vec![0.0; self.weight_oihw.len()];
        for (index, &w) in self.weight_oihw.iter().enumerate() {
            let (o, c, tap) = (index / (c_in * taps), index / taps % c_in, index % taps);
            out[(tap * c_in + c) * c_out + o] = w;
        }
        out
    }

    /// The weights as `[c_out][kernel][kernel][c_in]`, the order of `shared`.
    #[must_use]
    pub fn weight_ohwi(&self, c_in: usize, kernel: usize) -> Vec<f32> {
        let taps = kernel * kernel;
        let mut out = vec![0.0; self.weight_oihw.len()];
        for (index, &w) in self.weight_oihw.iter().enumerate() {
            let (o, c, tap) = (index / (c_in * taps), index / taps % c_in, index % taps);
            out[(o * taps + tap) * c_in + c] = w;
        }
        out
    }
}

fn max_pool(x: &[f32], input: Hwc, window: Window, output: Hwc) -> Vec<f32> {
    let mut out = Vec::with_capacity(output.len());
    for y in 0..output.h {
        for x_out in 0..output.w {
            for c in 0..output.c {
                let taps = (0..window.kernel)
                    .flat_map(|k_y| (0..window.kernel).map(move |k_x| (k_y, k_x)));
                let values = taps.map(|(k_y, k_x)| {
                    let (i_y, i_x) = (y * window.stride + k_y, x_out * window.stride + k_x);
                    x[(i_y * input.w + i_x) * input.c + c]
                });
                out.push(values.fold(f32::NEG_INFINITY, f32::max));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2×2 image, 1×1 kernel with two channels: each channel is the image times its weight, ReLU.
    #[test]
    fn convolves_and_clamps() {
        let spec = NetSpec {
            input_side: 2,
            layers: vec![LayerSpec::Conv {
                c_out: 2,
                kernel: 1,
                stride: 1,
                pad: 0,
            }],
        };
        let net = FloatNet {
            spec,
            convs: vec![FloatConv {
                weight_oihw: vec![2.0, -1.0],
                bias: vec![0.5, 0.0],
            }],
            head: FloatHead {
                weight_hwc: vec![-1.0; 8],
                bias: 3.0,
            },
        };
        let embedding = net.embed(&[0.0, 1.0, 2.0, 3.0]);
        assert_eq!(embedding, [0.5, 0.0, 2.5, 0.0, 4.5, 0.0, 6.5, 0.0]);
        assert_eq!(net.logit(&embedding, &embedding), 3.0);
        assert_eq!(net.logit(&embedding, &[0.0; 8]), 3.0 - 14.0);
    }

    #[test]
    fn weight_orders_agree() {
        let conv = FloatConv {
            weight_oihw: (0..2 * 3 * 4).map(|v| v as f32).collect(),
            bias: vec![0.0; 2],
        };
        let (ohwi, hwio) = (conv.weight_ohwi(3, 2), conv.weight_hwio(3, 2));
        for o in 0..2 {
            for c in 0..3 {
                for tap in 0..4 {
                    let w = conv.weight_oihw[(o * 3 + c) * 4 + tap];
                    assert_eq!(ohwi[(o * 4 + tap) * 3 + c], w);
                    assert_eq!(hwio[(tap * 3 + c) * 2 + o], w);
                }
            }
        }
    }
}
