//! The same operators in 32-bit floating point, in the same layouts: one file each.
//!
//! They are the float network of the desktop: its reference for engines, and what quantization
//! measures its error against. The device runs the integer ones.
//!
//! Each operator keeps several partial sums, so that the compiler may compute them side by side;
//! another order of summation gives other last bits. Where all products and sums are integers below
//! 2^24, every order gives the same bits: this is why engines agree on the quantized network, and
//! what the tests `equals_reference` check here.

pub mod conv2d;
pub mod depthwise_conv2d;
pub mod global_average_pool;
pub mod l1_head;
pub mod linear;
pub mod max_pool2d;
pub mod relu;
pub mod sigmoid;

#[cfg(test)]
mod problem;
