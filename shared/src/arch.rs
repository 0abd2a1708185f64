//! Kernels: one file for each kind of processor, all with the same functions and the same bits.
//!
//! In: an operator whose constructor has checked its lengths, an input and an output that hold its
//! shapes, and its scratch; a convolution also takes the first of the rows that its output holds.
//! Out: the output. [`crate::ops`] checks before it calls; nothing here can fail. `portable` is
//! plain Rust and what the others are compared with; `build.rs` chooses.

#[cfg(onelook_kernels = "armv7em")]
mod armv7em;
#[cfg(onelook_kernels = "mve")]
mod mve;
#[cfg_attr(
    not(onelook_kernels = "portable"),
    allow(dead_code, reason = "kernels for a processor replace some of these")
)]
pub(crate) mod portable;
#[cfg(onelook_kernels = "x86_64")]
mod x86_64;

#[cfg(onelook_kernels = "armv7em")]
use armv7em as chosen;
#[cfg(onelook_kernels = "mve")]
use mve as chosen;
#[cfg(onelook_kernels = "portable")]
use portable as chosen;
#[cfg(onelook_kernels = "x86_64")]
use x86_64 as chosen;

pub(crate) use chosen::{conv2d, depthwise_conv2d, l1_head, linear, pointwise, pool_row};

/// Name of the kernels that run on this processor, for reports.
#[must_use]
pub fn name() -> &'static str {
    #[cfg(onelook_kernels = "armv7em")]
    return "dsp";
    #[cfg(onelook_kernels = "mve")]
    return "helium";
    #[cfg(onelook_kernels = "x86_64")]
    if x86_64::has_avx2() {
        return "avx2";
    }
    #[cfg(any(onelook_kernels = "portable", onelook_kernels = "x86_64"))]
    "portable"
}

/// Pixels that a kernel may gather at a time.
const COLUMNS: usize = 4;

/// Scratch for the windows of four neighbouring outputs, 16 bits a tap, rows of taps padded
/// to a multiple of 4, and room for aligning them. The same for every processor, because the
/// arena's length stands in the model file.
#[must_use]
#[inline(never)]
pub const fn column_scratch_len(taps: usize) -> usize {
    taps.next_multiple_of(4)
        .saturating_mul(2 * COLUMNS)
        .saturating_add(ALIGN)
}

/// Kernels may align their scratch to this.
const ALIGN: usize = 4;

// Interpreted, all kernels are the portable ones, which the tests of the operators run.
#[cfg(test)]
#[cfg(not(miri))]
mod tests;
