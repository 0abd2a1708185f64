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

use shared::shape::{Hwc, Window};

use super::chain::Image;
use super::{ImportError, Op, Step};
use crate::float_net::FloatFilters;
use crate::spec::{Activation, LayerSpec, NetSpec, Norm};

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

/// `stored * scale + shift`, one of each per channel, or per value in `[c][h][w]` order.
#[derive(Debug, Clone, PartialEq)]
struct Waiting {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Waiting {
    fn shifts(&self) -> bool {
        self.shift.iter().any(|&shift| shift != 0.0)
    }

    fn keeps_order(&self) -> bool {
        self.scale.iter().all(|&scale| scale >= 0.0)
    }

    /// This, and then `scale` and `shift`.
    fn then(&self, scale: &[f32], shift: &[f32]) -> Self {
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

    /// Sums weights over the channels of an image that hold the same grey.
    fn grey_weight(&mut self, weight: &[f32], c_out: usize, taps: usize) -> Vec<f32> {
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

    /// Normalization, or arithmetic with constants.
    fn affine(&mut self, step: &Step, scale: &[f32], shift: &[f32]) -> Result<(), ImportError> {
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

    fn relu(&mut self, step: &Step) -> Result<(), ImportError> {
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
    fn clamp(&mut self, step: &Step, waiting: &Waiting) -> Result<(), ImportError> {
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

    fn max_pool(&mut self, step: &Step, window: Window) -> Result<(), ImportError> {
        let extra = self.pad;
        let window = self.padded(step, window)?;
        match &mut self.state {
            State::Open {
                averaged: false,
                maxed,
                ..
            } if extra == 0 => *maxed = true,
            State::Open { .. } => return Err(refuse_open(step)),
            State::Stored(Some(waiting))
                if !waiting.keeps_order() || (extra > 0 && waiting.shifts()) =>
            {
                if self.compute_input() != Input::Plain {
                    return Err(refuse(
                        step,
                        "in front of it stands a normalization without a layer that could take it up",
                        "put the normalization directly behind its convolution, in front of the ReLU, and train again",
                    ));
                }
            }
            State::Stored(_) => {}
        }
        let Window {
            kernel,
            stride,
            pad,
        } = window;
        self.push(
            step,
            LayerSpec::MaxPool {
                kernel,
                stride,
                pad,
            },
        )
    }

    fn average_pool(&mut self, step: &Step, window: Window) -> Result<(), ImportError> {
        let window = self.padded(step, window)?;
        let Window {
            kernel,
            stride,
            pad,
        } = window;
        match &mut self.state {
            State::Open { averaged, .. } if pad == 0 => *averaged = true,
            State::Open { .. } => return Err(refuse_open(step)),
            State::Stored(_) => {
                if self.take_shift_for(step, pad)? == Input::Split {
                    return Err(self.refuse_shift(step));
                }
            }
        }
        let taps = kernel * kernel;
        let (norm, activation) = (Norm::None, Activation::Relu);
        let layer = LayerSpec::Depthwise {
            kernel,
            stride,
            pad,
            norm,
            activation,
        };
        self.count(step, self.shape.c.saturating_mul(taps))?;
        self.filters.push(FloatFilters {
            weight_oihw: vec![1.0 / taps as f32; self.shape.c * taps],
            bias: vec![0.0; self.shape.c],
        });
        self.push(step, layer)
    }

    fn global_average(&mut self, step: &Step) -> Result<(), ImportError> {
        self.padded(
            step,
            Window {
                kernel: 1,
                stride: 1,
                pad: 0,
            },
        )?;
        if let State::Open { averaged, .. } = &mut self.state {
            *averaged = true;
        }
        self.push(step, LayerSpec::GlobalAveragePool)
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
                layers: self.layers,
            },
            filters: self.filters,
            embedding_scale: (0..values).map(at).collect(),
            open,
            notes: self.notes,
        })
    }

    /// The window with the zeros that stand in front of it.
    fn padded(&mut self, step: &Step, window: Window) -> Result<Window, ImportError> {
        let pad = window.pad + std::mem::take(&mut self.pad);
        if pad >= window.kernel {
            return Err(refuse(
                step,
                format!(
                    "with the zeros in front of it its padding is {pad}, its kernel {}",
                    window.kernel
                ),
                "the padding must be less than the kernel",
            ));
        }
        Ok(Window { pad, ..window })
    }

    /// Makes sure that zeros of ours are zeros of the file's network, when a layer pads with them.
    fn take_shift_for(&mut self, step: &Step, pad: usize) -> Result<Input, ImportError> {
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
    fn compute_input(&mut self) -> Input {
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

    /// Weights and bias for the stored activation, instead of what the file's network sees of it.
    fn fold_in(
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

    /// Values of an image's channels, which are the same for all as long as they hold one grey.
    fn grey_values(&self, step: &Step, values: &[f32]) -> Result<Vec<f32>, ImportError> {
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

    /// One value per channel; a vector's may differ from pixel to pixel.
    fn per_channel(&self, step: &Step, values: Vec<f32>) -> Result<Vec<f32>, ImportError> {
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
    fn last_trained(&mut self) -> Option<&mut FloatFilters> {
        let State::Open { layer, .. } = self.state else {
            return None;
        };
        let shape = Hwc::new(1, 1, 1);
        let with_weights = |layer: &&LayerSpec| layer.weights(shape).is_some();
        let index = self.layers.iter().take(layer).filter(with_weights).count();
        self.filters.get_mut(index)
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

    fn refuse_shift(&self, step: &Step) -> ImportError {
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

/// How the first layer gets what the file's network sees.
#[derive(Debug, PartialEq, Eq)]
enum Input {
    /// In one channel.
    Plain,
    /// In two: what is above 0, and what is below.
    Split,
    /// Not at all.
    Impossible,
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
