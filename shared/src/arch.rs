//! Kernels: one file for each kind of processor, all with the same functions and the same bits.
//!
//! In: an operator whose constructor has checked its lengths, an input and an output that hold its
//! shapes, and its scratch; a convolution also takes the first of the rows that its output holds.
//! Out: the output. [`crate::ops`] checks before it calls; nothing here
//! can fail. `portable` is plain Rust and what the others are compared with.

pub(crate) mod portable;

pub(crate) use portable::{conv2d, depthwise_conv2d, l1_head, linear, pointwise};

/// Pixels that a kernel may gather at a time.
const COLUMNS: usize = 4;

/// Scratch for the windows of four neighbouring outputs, 16 bits a tap, rows of taps padded
/// to a multiple of 4, and room for aligning them. The same for every processor, because the
/// arena's length stands in the model file.
#[must_use]
pub const fn column_scratch_len(taps: usize) -> usize {
    taps.next_multiple_of(4)
        .saturating_mul(2 * COLUMNS)
        .saturating_add(ALIGN)
}

/// Kernels may align their scratch to this.
const ALIGN: usize = 4;
