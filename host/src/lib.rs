//! The desktop half of Onelook: data, training, quantization, export, evaluation, parity.

pub mod float_net;
pub mod spec;
