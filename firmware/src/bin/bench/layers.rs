//! What is measured: single layers, then whole nets.
//!
//! In: nothing. Out: constant tables. The convolutions are those that published kernels are
//! compared by; the nets are the presets of `host/src/spec.rs`.

use core::fmt;

use shared::shape::{Hwc, ShapeError, Window};

/// What a layer computes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spec {
    /// Convolution, requantize and ReLU.
    Conv2d { c_out: usize, window: Window },
    /// Convolution of each channel by itself.
    Depthwise { window: Window },
    /// Fully connected.
    Linear { c_out: usize },
    /// Max pooling, `kernel`×`kernel` windows without overlap.
    MaxPool2d { kernel: usize },
    /// The head, for two embeddings that lie one behind the other.
    L1Head,
    /// Requantize alone, for accumulators of four bytes.
    Requantize,
}

/// A layer on an input of a given shape. Its `Display` is its name in every report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer {
    pub(crate) input: Hwc,
    pub(crate) spec: Spec,
}

impl Layer {
    /// Shape of the output.
    pub(crate) const fn output(&self) -> Result<Hwc, ShapeError> {
        match self.spec {
            Spec::Conv2d { c_out, window } => window.output(self.input, c_out),
            Spec::Depthwise { window } => window.output(self.input, self.input.c),
            Spec::Linear { c_out } => Ok(Hwc::new(1, 1, c_out)),
            Spec::MaxPool2d { kernel } => pool_window(kernel).output(self.input, self.input.c),
            Spec::L1Head => Ok(Hwc::new(1, 1, size_of::<i32>())),
            Spec::Requantize => Ok(Hwc::new(self.input.h, self.input.w, 1)),
        }
    }
}

pub(crate) const fn pool_window(kernel: usize) -> Window {
    Window {
        kernel,
        stride: kernel,
        pad: 0,
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hwc { h, w, c } = self.input;
        match self.spec {
            Spec::Conv2d { c_out, window } => {
                let Window { kernel, stride, .. } = window;
                write!(f, "conv{kernel}x{kernel}")?;
                if stride != 1 {
                    write!(f, "s{stride}")?;
                }
                write!(f, "-{h}x{w}x{c}-{c_out}")
            }
            Spec::Depthwise { window } => {
                let Window { kernel, .. } = window;
                write!(f, "depthwise{kernel}x{kernel}-{h}x{w}x{c}")
            }
            Spec::Linear { c_out } => write!(f, "linear-{h}x{w}x{c}-{c_out}"),
            Spec::MaxPool2d { kernel } => write!(f, "max_pool{kernel}x{kernel}-{h}x{w}x{c}"),
            Spec::L1Head => write!(f, "l1_head-{c}"),
            Spec::Requantize => write!(f, "requantize-{h}x{w}"),
        }
    }
}

const fn conv(c_out: usize, kernel: usize, stride: usize) -> Spec {
    let window = Window {
        kernel,
        stride,
        pad: kernel / 2,
    };
    Spec::Conv2d { c_out, window }
}

const fn depthwise(kernel: usize) -> Spec {
    let window = Window {
        kernel,
        stride: 1,
        pad: kernel / 2,
    };
    Spec::Depthwise { window }
}

const fn layer(input: [usize; 3], spec: Spec) -> Layer {
    let [h, w, c] = input;
    Layer {
        input: Hwc::new(h, w, c),
        spec,
    }
}

const POOL: Spec = Spec::MaxPool2d { kernel: 2 };

/// Layers that are measured alone.
pub(crate) const LAYERS: &[Layer] = &[
    layer([48, 48, 1], conv(32, 3, 2)),
    layer([24, 24, 32], conv(32, 3, 1)),
    layer([12, 12, 32], conv(64, 3, 1)),
    layer([12, 12, 64], conv(64, 3, 1)),
    layer([6, 6, 64], conv(128, 3, 1)),
    layer([6, 6, 128], conv(64, 3, 1)),
    layer([12, 12, 64], conv(64, 1, 1)),
    layer([24, 24, 16], conv(96, 1, 1)),
    layer([12, 12, 64], depthwise(3)),
    layer([3, 3, 64], Spec::Linear { c_out: 64 }),
    layer([24, 24, 32], POOL),
    layer([2, 1, 576], Spec::L1Head),
    layer([64, 64, 4], Spec::Requantize),
];

/// A chain of layers on a square one-channel image.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) name: &'static str,
    pub(crate) input_side: usize,
    pub(crate) layers: &'static [Spec],
}

/// The most layers that a net has.
pub(crate) const MAX_LAYERS: usize = 16;

const _: () = {
    let mut index = 0;
    while index < NETS.len() {
        assert!(NETS[index].layers.len() <= MAX_LAYERS);
        index += 1;
    }
};

/// Nets that are measured as a whole and layer by layer.
pub(crate) const NETS: &[Net] = &[
    Net {
        name: "micro",
        input_side: 48,
        layers: &[
            conv(32, 3, 2),
            conv(32, 3, 1),
            POOL,
            conv(64, 3, 1),
            conv(64, 3, 1),
            POOL,
            conv(128, 3, 1),
            conv(64, 3, 1),
            POOL,
        ],
    },
    Net {
        name: "nano",
        input_side: 40,
        layers: &[
            conv(16, 3, 2),
            conv(24, 3, 1),
            POOL,
            conv(32, 3, 1),
            POOL,
            conv(64, 3, 1),
            conv(48, 3, 1),
            POOL,
        ],
    },
];
