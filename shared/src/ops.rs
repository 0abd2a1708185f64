//! The operators, one file each: shapes, the plain reference, the function that runs.
//!
//! In: an activation `[h][w][c]`. Out: the next one. An operator is a struct with one checking
//! constructor; after it, lengths of buffers are all that can be wrong. A new operator is a file
//! here, a line in the list below, and a code in [`crate::model`].

pub mod conv2d;
pub mod conv_max_pool2d;
pub mod depthwise_conv2d;
pub mod filters;
pub mod float;
pub mod global_average_pool;
pub mod l1_head;
pub mod linear;
pub mod max_pool2d;
pub mod pointwise;
pub mod sigmoid;

#[cfg(test)]
pub(crate) mod problem;

use crate::shape::{Hwc, ShapeError};
use conv_max_pool2d::ConvMaxPool2d;
use conv2d::Conv2d;
use depthwise_conv2d::DepthwiseConv2d;
use filters::Filters;
use global_average_pool::GlobalAveragePool;
use linear::Linear;
use max_pool2d::MaxPool2d;
use pointwise::Pointwise;

/// Writes the enum of all operators and hands each question on to the operator that it is.
macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident($type:ty) $run:path, $reference:path;)+) => {
        /// One step of an encoder.
        #[derive(Debug, Clone, Copy)]
        pub enum Operator<'m> {
            $($(#[$doc])* $name($type),)+
        }

        impl<'m> Operator<'m> {
            /// Shape of the input.
            #[must_use]
            pub const fn input(&self) -> Hwc {
                match self { $(Self::$name(op) => op.input(),)+ }
            }

            /// Shape of the output.
            #[must_use]
            pub const fn output(&self) -> Hwc {
                match self { $(Self::$name(op) => op.output(),)+ }
            }

            /// Weights, biases and shifts, where there are any.
            #[must_use]
            pub const fn filters(&self) -> Option<&Filters<'m>> {
                match self { $(Self::$name(op) => op.filters(),)+ }
            }

            /// Bytes of working memory that [`Self::run`] needs beside input and output.
            #[must_use]
            pub const fn scratch_len(&self) -> usize {
                match self { $(Self::$name(op) => op.scratch_len(),)+ }
            }

            /// Runs the operator on this machine's fastest kernel.
            ///
            /// # Errors
            /// [`ShapeError::Length`] when a buffer does not hold its shape or `scratch` is short.
            pub fn run(
                &self,
                input: &[u8],
                output: &mut [u8],
                scratch: &mut [u8],
            ) -> Result<(), ShapeError> {
                match self { $(Self::$name(op) => $run(op, input, output, scratch),)+ }
            }

            /// Runs the operator's specification.
            ///
            /// # Errors
            /// [`ShapeError::Length`] when a buffer does not hold its shape.
            pub fn reference(&self, input: &[u8], output: &mut [u8]) -> Result<(), ShapeError> {
                match self { $(Self::$name(op) => $reference(op, input, output),)+ }
            }

            /// The operator's name.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)+ }
            }
        }
    };
}

operators! {
    /// Convolution over all channels.
    Conv2d(Conv2d<'m>) conv2d::conv2d, conv2d::reference;
    /// Convolution over all channels and max pooling.
    ConvMaxPool2d(ConvMaxPool2d<'m>) conv_max_pool2d::conv_max_pool2d, conv_max_pool2d::reference;
    /// The same linear function at every pixel.
    Pointwise(Pointwise<'m>) pointwise::pointwise, pointwise::reference;
    /// Convolution of each channel by itself.
    DepthwiseConv2d(DepthwiseConv2d<'m>) depthwise_conv2d::depthwise_conv2d, depthwise_conv2d::reference;
    /// Fully connected.
    Linear(Linear<'m>) linear::linear, linear::reference;
    /// Largest value of each window.
    MaxPool2d(MaxPool2d) max_pool2d::max_pool2d, max_pool2d::reference;
    /// Mean of each channel.
    GlobalAveragePool(GlobalAveragePool) global_average_pool::global_average_pool, global_average_pool::reference;
}

impl Operator<'_> {
    /// Bytes of input, scratch and output; saturates instead of wrapping.
    #[must_use]
    pub const fn arena_len(&self) -> usize {
        let activations = self.input().len().saturating_add(self.output().len());
        activations.saturating_add(self.scratch_len())
    }

    /// Layers of a model file that this one step runs.
    #[must_use]
    pub const fn layers(&self) -> usize {
        match self {
            Self::ConvMaxPool2d(_) => 2,
            _ => 1,
        }
    }

    /// As [`Self::arena_len`] with the scratch that lets the operator run in one go.
    #[must_use]
    pub const fn roomy_arena_len(&self) -> usize {
        let more = match self {
            Self::ConvMaxPool2d(op) => op.whole_scratch_len().saturating_sub(op.scratch_len()),
            _ => 0,
        };
        self.arena_len().saturating_add(more)
    }

    /// Multiply-accumulates of one run, padding counted; saturates instead of wrapping.
    #[must_use]
    pub fn macs(&self) -> u64 {
        if let Self::ConvMaxPool2d(op) = self {
            return op.macs();
        }
        let taps = self.filters().map_or(0, Filters::taps);
        (self.output().len() as u64).saturating_mul(taps as u64)
    }
}
