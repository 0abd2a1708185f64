//! The desktop half of Onelook: data, training, quantization, export, evaluation, parity.

pub mod dataset;
pub mod engine;
pub mod evaluate;
pub mod export;
pub mod files;
pub mod float_net;
pub mod quantize;
pub mod spec;
pub mod trials;
pub mod untrained;
pub mod verify;
