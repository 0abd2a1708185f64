//! The desktop half of Onelook: data, training, quantization, export, evaluation, parity.

pub mod augment;
pub mod baseline;
pub mod checkpoint;
pub mod config;
pub mod dataset;
pub mod engine;
pub mod files;
pub mod float_net;
pub mod glyphs;
pub mod omniglot;
pub mod spec;
#[cfg(feature = "train")]
pub mod train;
pub mod trials;
