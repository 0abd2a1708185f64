//! Steps to layers: whatever is linear goes into the weights beside it.
//!
//! In: the steps of an encoder and the look of its images. Out: a [`Folded`] network of ours that
//! computes the same embedding from `pixel / 256`, up to what a weighted L1 distance does not see:
//! a constant added to the embedding, and its factors, which go into the head.
//!
//! # How
//!
//! A layer of ours ends with a ReLU, so between two layers stands a *stored* activation that is
//! never negative; what the file's next step sees is that activation times `scale` plus `shift`
//! per channel, which waits for the next layer with weights. A layer whose ReLU has not come yet
//! is *open*: normalization behind it goes into its own weights.
//!
//! Zeros around an image are zeros of the file's network. With a `shift` waiting they would not be
//! zeros of ours: in front of the first layer a 1×1 convolution then computes what the file's
//! network sees; anywhere else the network is refused.

mod affine;
mod input;
mod pool;

use shared::shape::{Hwc, Window};

use super::chain::Image;
use super::{ImportError, Op, Step};
use crate::float_net::FloatFilters;
use crate::spec::{Activation, Framing, LayerSpec, NetSpec, Norm};
use affine::Waiting;
use input::Input;

/// Layers of the longest network.
const MAX_LAYERS: usize = 64;
/// Weights of the largest.
const MAX_WEIGHTS: usize = 1 << 26;

/// How an image looks to the network of the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Which end of the greys is ink.
    pub ink: Ink,
    /// What a grey from 0 (black) to 1 (white) is multiplied by.
    pub scale: f64,
    /// What is then added.
    pub shift: f64,
}

/// Which end of the greys is ink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// White marks on black, as this program keeps them.
    White,
    /// Black marks on white, as they are on paper and in Omniglot's files.
    Black,
}

impl Look {
    /// What the network sees of our input `x = ink / 256`: `x * scale + shift`.
    #[must_use]
    pub fn of_input(&self) -> (f64, f64) {
        let grey = 256.0 / 255.0;
        match self.ink {
            Ink::White => (self.scale * grey, self.shift),
            Ink::Black => (-self.scale * grey, self.scale + self.shift),
        }
    }
}

/// A network of ours without its head.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// The layers.
    pub spec: NetSpec,
    /// Of every layer with weights, first to last.
    pub filters: Vec<FloatFilters>,
    /// What the file's embedding is of ours, per value in `[c][h][w]` order: positive factors.
    pub embedding_scale: Vec<f32>,
    /// The layer behind which the file has no ReLU up to the embedding.
    pub open: Option<usize>,
    /// What was added to the file's layers, and why.
    pub notes: Vec<String>,
}

/// Folds the steps of an encoder.
///
/// # Errors
/// [`ImportError`] naming the node that has no exact counterpart.
pub fn fold(image: Image, steps: &[Step], look: Look) -> Result<Folded, ImportError> {
    let (scale, shift) = look.of_input();
    let waiting = Waiting {
        scale: vec![scale as f32],
        shift: vec![shift as f32],
    };
    let mut folder = Folder {
        layers: Vec::new(),
        filters: Vec::new(),
        n_weights: 0,
        shape: Hwc::new(image.side, image.side, 1),
        state: State::Stored(Some(waiting)),
        pad: 0,
        channels: image.channels,
        notes: Vec::new(),
    };
    for step in steps {
        folder.step(step)?;
    }
    folder.finish(image.side)
}

#[derive(Debug)]
enum State {
    /// Never negative; the file's network sees it through what waits.
    Stored(Option<Waiting>),
    /// The last layer with weights has no ReLU yet.
    Open {
        /// Its index.
        layer: usize,
        /// Whether a maximum was taken since.
        maxed: bool,
        /// Whether a mean was taken since.
        averaged: bool,
    },
}

struct Folder {
    layers: Vec<LayerSpec>,
    filters: Vec<FloatFilters>,
    n_weights: usize,
    shape: Hwc,
    state: State,
    /// Zeros around the activation that no layer has taken yet.
    pad: usize,
    /// Of the file's image: more than one until the first layer with weights sums them up.
    channels: usize,
    notes: Vec<String>,
}

impl Folder {
    fn step(&mut self, step: &Step) -> Result<(), ImportError> {
        match &step.op {
            Op::Conv {
                weight_oihw,
                bias,
                window,
            } => {
                let weight =
                    self.grey_weight(weight_oihw, bias.len(), window.kernel * window.kernel);
                self.conv(step, weight, bias, *window)
            }
            Op::Depthwise {
                weight,
                bias,
                window,
            } => self.depthwise(step, weight, bias, *window),
            Op::Linear { weight, bias } => {
                let weight = self.grey_weight(weight, bias.len(), self.shape.h * self.shape.w);
                self.linear(step, weight, bias)
            }
            Op::Affine { scale, shift } => self.affine(step, scale, shift),
            Op::Relu => self.relu(step),
            Op::MaxPool(window) => self.max_pool(step, *window),
            Op::AveragePool(window) => self.average_pool(step, *window),
            Op::GlobalAveragePool => self.global_average(step),
            Op::Pad(pad) => {
                self.pad += pad;
                Ok(())
            }
            Op::Sigmoid => Err(refuse(
                step,
                "the integer network has one activation, ReLU",
                "use nn.ReLU() in its place, also at the end of the encoder, and train again",
            )),
        }
    }

    fn conv(
        &mut self,
        step: &Step,
        mut weight: Vec<f32>,
        bias: &[f32],
        window: Window,
    ) -> Result<(), ImportError> {
        let window = self.padded(step, window)?;
        let mut c_in = self.shape.c;
        if self.take_shift_for(step, window.pad)? == Input::Split {
            // What the file's network sees is the first channel minus the second.
            let taps = window.kernel * window.kernel;
            weight = weight
                .chunks(taps)
                .flat_map(|w| w.iter().copied().chain(w.iter().map(|w| -w)))
                .collect();
            c_in = 2;
        }
        let (weight, bias) = self.fold_in(step, &weight, bias, c_in)?;
        let Window {
            kernel,
            stride,
            pad,
        } = window;
        let (norm, activation) = (Norm::None, Activation::Relu);
        let layer = LayerSpec::Conv {
            c_out: bias.len(),
            kernel,
            stride,
            pad,
            norm,
            activation,
        };
        self.open(step, layer, weight, bias)
    }

    fn depthwise(
        &mut self,
        step: &Step,
        weight: &[f32],
        bias: &[f32],
        window: Window,
    ) -> Result<(), ImportError> {
        if self.channels > 1 {
            return Err(refuse(
                step,
                "it keeps the three channels of the image apart",
                "use an image of one channel",
            ));
        }
        let window = self.padded(step, window)?;
        if self.take_shift_for(step, window.pad)? == Input::Split {
            return Err(self.refuse_shift(step));
        }
        let (weight, bias) = self.fold_in(step, weight, bias, 1)?;
        let Window {
            kernel,
            stride,
            pad,
        } = window;
        let (norm, activation) = (Norm::None, Activation::Relu);
        self.open(
            step,
            LayerSpec::Depthwise {
                kernel,
                stride,
                pad,
                norm,
                activation,
            },
            weight,
            bias,
        )
    }

    fn linear(&mut self, step: &Step, weight: Vec<f32>, bias: &[f32]) -> Result<(), ImportError> {
        self.padded(
            step,
            Window {
                kernel: 1,
                stride: 1,
                pad: 0,
            },
        )?;
        let (weight, bias) = self.fold_in(step, &weight, bias, self.shape.c)?;
        let (norm, activation) = (Norm::None, Activation::Relu);
        let layer = LayerSpec::Linear {
            c_out: bias.len(),
            norm,
            activation,
        };
        self.open(step, layer, weight, bias)
    }

    fn finish(mut self, side: usize) -> Result<Folded, ImportError> {
        if self.layers.is_empty() {
            return Err(ImportError::graph(
                "the encoder has no layer",
                "export the module that holds them",
            ));
        }
        if self.pad > 0 {
            return Err(ImportError::graph(
                "the encoder ends with zeros around its output",
                "drop the padding behind the last layer",
            ));
        }
        let state = std::mem::replace(&mut self.state, State::Stored(None));
        let values = self.shape.len();
        let (open, scale) = match state {
            State::Open { layer, .. } => (Some(layer), vec![1.0]),
            State::Stored(None) => (None, vec![1.0]),
            State::Stored(Some(waiting)) => (None, waiting.scale),
        };
        let at = |i: usize| scale[i * scale.len() / values].abs();
        Ok(Folded {
            spec: NetSpec {
                input_side: side,
                framing: Framing::Picture,
                layers: self.layers,
            },
            filters: self.filters,
            embedding_scale: (0..values).map(at).collect(),
            open,
            notes: self.notes,
        })
    }

    fn open(
        &mut self,
        step: &Step,
        layer: LayerSpec,
        weight_oihw: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<(), ImportError> {
        self.count(step, weight_oihw.len())?;
        self.filters.push(FloatFilters { weight_oihw, bias });
        self.push(step, layer)?;
        self.state = State::Open {
            layer: self.layers.len() - 1,
            maxed: false,
            averaged: false,
        };
        Ok(())
    }

    fn count(&mut self, step: &Step, weights: usize) -> Result<(), ImportError> {
        self.n_weights = self.n_weights.saturating_add(weights);
        if self.n_weights > MAX_WEIGHTS {
            return Err(refuse(
                step,
                "the network has too many weights",
                "use fewer channels",
            ));
        }
        Ok(())
    }

    fn push(&mut self, step: &Step, layer: LayerSpec) -> Result<(), ImportError> {
        self.shape = layer
            .output(self.shape)
            .map_err(|error| refuse(step, error.to_string(), "export the network again"))?;
        self.layers.push(layer);
        if self.layers.len() > MAX_LAYERS {
            return Err(refuse(
                step,
                format!("the network has more than {MAX_LAYERS} layers"),
                "use fewer layers",
            ));
        }
        Ok(())
    }
}

fn refuse(step: &Step, rule: impl Into<String>, change: impl Into<String>) -> ImportError {
    ImportError::Node {
        node: step.node.clone(),
        rule: rule.into(),
        change: change.into(),
    }
}

fn refuse_open(step: &Step) -> ImportError {
    refuse(
        step,
        "there is no ReLU in front of it: its input can be negative, and activations are kept as bytes from 0",
        "put nn.ReLU() behind the layer before it and train again",
    )
}
