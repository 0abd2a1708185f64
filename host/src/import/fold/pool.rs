//! Pooling, means, and zeros that stand in front of a window.

use shared::model::MAX_KERNEL;
use shared::ops::global_average_pool::MAX_PIXELS;
use shared::shape::Window;

use super::input::Input;
use super::{Folder, State, refuse, refuse_open};
use crate::float_net::FloatFilters;
use crate::import::{ImportError, Step};
use crate::spec::{Activation, LayerSpec, Norm};

impl Folder {
    pub(super) fn max_pool(&mut self, step: &Step, window: Window) -> Result<(), ImportError> {
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

    pub(super) fn average_pool(&mut self, step: &Step, window: Window) -> Result<(), ImportError> {
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

    /// Over 2^k pixels an operator of its own, else a depthwise convolution.
    pub(super) fn global_average(&mut self, step: &Step) -> Result<(), ImportError> {
        let (side, stride, pad) = (self.shape.h, 1, 0);
        let pixels = side * side;
        if !pixels.is_power_of_two() || pixels > MAX_PIXELS {
            if side > usize::from(MAX_KERNEL) {
                return Err(refuse(
                    step,
                    format!("the mean of {side}×{side} = {pixels} pixels has no exact integers"),
                    format!(
                        "pool to 1, 2, 4, 8, … pixels first, or to at most {MAX_KERNEL}×{MAX_KERNEL}"
                    ),
                ));
            }
            let kernel = side;
            return self.average_pool(
                step,
                Window {
                    kernel,
                    stride,
                    pad,
                },
            );
        }
        self.padded(
            step,
            Window {
                kernel: 1,
                stride,
                pad,
            },
        )?;
        if let State::Open { averaged, .. } = &mut self.state {
            *averaged = true;
        }
        self.push(step, LayerSpec::GlobalAveragePool)
    }

    /// The window with the zeros that stand in front of it.
    pub(super) fn padded(&mut self, step: &Step, window: Window) -> Result<Window, ImportError> {
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
}
