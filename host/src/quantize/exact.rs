//! Which networks have exact integers at all: a property of the layers, known before training.
//!
//! In: a [`NetSpec`]. Out: every layer that engines would compute differently, or that the device's
//! kernels do not reach, with what to change.

use std::fmt;

use serde::Serialize;
use shared::model::MAX_KERNEL;
use shared::ops::global_average_pool::MAX_PIXELS;
use shared::shape::Hwc;

use crate::spec::{Activation, LayerSpec, NetSpec, SpecError};

/// A layer that can only be computed in floating point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FloatOnly {
    /// Index in [`NetSpec::layers`].
    pub layer: usize,
    /// Its operator, as in a TOML file.
    pub operator: &'static str,
    /// Why.
    pub reason: Reason,
}

/// Why a layer has no exact integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Reason {
    /// A sigmoid has no finite binary digits.
    Sigmoid,
    /// A mean over another number of pixels than 2^k has none either.
    Average {
        /// Height of the layer's input.
        h: usize,
        /// Its width.
        w: usize,
    },
    /// A window beyond what the model file and the kernels take.
    Window {
        /// The kernel or the stride, whichever is larger.
        got: usize,
    },
}

impl fmt::Display for FloatOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            layer, operator, ..
        } = self;
        write!(
            f,
            "network.layers[{layer}] ({operator}) stays in floating point: "
        )?;
        match self.reason {
            Reason::Sigmoid => f.write_str(
                "its activation is a sigmoid; remove `activation = \"sigmoid\"`, the default is relu",
            ),
            Reason::Average { h, w } => write!(
                f,
                "the mean of {h}×{w} = {} pixels is rounded; make it 1, 2, 4, 8, … {MAX_PIXELS} pixels \
                 by another network.input_side, stride or pad, or put a linear layer in its place",
                h * w
            ),
            Reason::Window { got } => write!(
                f,
                "kernels and strides reach {MAX_KERNEL}, this one {got}; make it smaller"
            ),
        }
    }
}

impl std::error::Error for FloatOnly {}

/// Every layer of `spec` that keeps it from being quantized, first to last.
///
/// # Errors
/// [`SpecError`] when the layers do not fit each other.
pub fn float_only(spec: &NetSpec) -> Result<Vec<FloatOnly>, SpecError> {
    let layers = spec.layers.iter().zip(spec.shapes()?).enumerate();
    let refused = layers.filter_map(|(index, (layer, input))| {
        let float_only = |reason| FloatOnly {
            layer: index,
            operator: layer.name(),
            reason,
        };
        reason(layer, input).map(float_only)
    });
    Ok(refused.collect())
}

fn reason(layer: &LayerSpec, input: Hwc) -> Option<Reason> {
    if let Some((_, Activation::Sigmoid)) = layer.tail() {
        return Some(Reason::Sigmoid);
    }
    let Hwc { h, w, .. } = input;
    match *layer {
        LayerSpec::Conv { kernel, stride, .. }
        | LayerSpec::Depthwise { kernel, stride, .. }
        | LayerSpec::MaxPool { kernel, stride, .. } => {
            let got = kernel.max(stride);
            (got > usize::from(MAX_KERNEL)).then_some(Reason::Window { got })
        }
        LayerSpec::GlobalAveragePool => {
            let exact = (h * w).is_power_of_two() && h * w <= MAX_PIXELS;
            (!exact).then_some(Reason::Average { h, w })
        }
        LayerSpec::Linear { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Framing;

    fn reasons(input_side: usize, layers: Vec<LayerSpec>) -> Vec<String> {
        let found = float_only(&NetSpec {
            input_side,
            framing: Framing::Picture,
            layers,
        })
        .unwrap();
        found.iter().map(FloatOnly::to_string).collect()
    }

    #[test]
    fn what_ships_is_exact() {
        for name in ["micro", "nano"] {
            assert_eq!(float_only(&NetSpec::preset(name).unwrap()), Ok(vec![]));
        }
    }

    #[test]
    fn every_reason_names_the_layer_and_the_way_out() {
        let koch = float_only(&NetSpec::preset("koch").unwrap()).unwrap();
        assert_eq!(koch.len(), 1);
        let words = koch[0].to_string();
        assert!(
            words.starts_with("network.layers[7] (linear) stays"),
            "{words}"
        );
        assert!(words.contains("relu"), "{words}");

        let layers = vec![LayerSpec::conv(4, 12, 1, 0), LayerSpec::GlobalAveragePool];
        let words = reasons(14, layers);
        assert!(words[0].contains("[0] (conv)") && words[0].contains("reach 11, this one 12"));
        assert!(words[1].contains("3×3 = 9 pixels"), "{}", words[1]);
        assert_eq!(words.len(), 2);
    }

    #[test]
    fn powers_of_two_are_exact() {
        for side in [1, 2, 4, 8, 16, 256] {
            assert_eq!(reasons(side, vec![LayerSpec::GlobalAveragePool]), [""; 0]);
        }
        assert_eq!(reasons(512, vec![LayerSpec::GlobalAveragePool]).len(), 1);
    }
}
