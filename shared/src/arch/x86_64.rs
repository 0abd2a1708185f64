//! Kernels for x86-64: AVX2 where the processor has it, else `portable`.
//!
//! Which of them is asked at run time, once for each operator: one program serves every processor.
//! Sums are those of `_mm256_maddubs_epi16`, two products in 16 bits: exact because the certificate
//! keeps weights in `-64..=64` (`255 * (64 + 64) < 2^15`).
//!
//! | file                 | what it is                                               |
//! |----------------------|----------------------------------------------------------|
//! | `conv2d.rs`          | convolutions of either kind: bands of rows, panels       |
//! | `panel.rs`           | weights of sixteen channels, repacked                    |
//! | `depthwise_conv2d.rs`| depthwise convolution                                    |
//! | `dot.rs`             | fully connected layers and the head                      |
//! | `vector.rs`          | loads, the inner loop, requantization in vectors         |
#![expect(
    unsafe_code,
    reason = "code for a processor may only be called where it is"
)]

mod conv2d;
mod depthwise_conv2d;
mod dot;
mod panel;
mod vector;

use crate::arch::portable;
pub(crate) use crate::arch::portable::pool_row;
use crate::ops::conv2d::Conv2d;
use crate::ops::depthwise_conv2d::DepthwiseConv2d;
use crate::ops::l1_head::L1Head;
use crate::ops::linear::Linear;
use crate::ops::pointwise::Pointwise;
use crate::shape::Window;
use conv2d::Convolution;

cpufeatures::new!(avx2, "avx2");

/// Whether these kernels run on this processor, rather than the portable ones.
pub(crate) fn has_avx2() -> bool {
    avx2::get()
}

pub(crate) fn conv2d(
    op: &Conv2d<'_>,
    input: &[u8],
    first_row: usize,
    output: &mut [u8],
    scratch: &mut [u8],
) {
    let convolution = Convolution {
        input: op.input(),
        output: op.output(),
        window: op.window(),
        filters: *op.kernel_filters(),
    };
    // SAFETY: the processor has AVX2.
    let done = avx2::get() && unsafe { convolution.run(input, first_row, output) };
    if !done {
        portable::conv2d(op, input, first_row, output, scratch);
    }
}

pub(crate) fn pointwise(op: &Pointwise<'_>, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let convolution = Convolution {
        input: op.input(),
        output: op.output(),
        window: Window {
            kernel: 1,
            stride: 1,
            pad: 0,
        },
        filters: *op.kernel_filters(),
    };
    // SAFETY: the processor has AVX2.
    let done = avx2::get() && unsafe { convolution.run(input, 0, output) };
    if !done {
        portable::pointwise(op, input, output, scratch);
    }
}

pub(crate) fn linear(op: &Linear<'_>, input: &[u8], output: &mut [u8]) {
    if avx2::get() {
        // SAFETY: the processor has AVX2.
        unsafe { dot::linear(op.kernel_filters(), input, output) }
    } else {
        portable::linear(op, input, output);
    }
}

pub(crate) fn depthwise_conv2d(op: &DepthwiseConv2d<'_>, input: &[u8], output: &mut [u8]) {
    if avx2::get() {
        // SAFETY: the processor has AVX2.
        unsafe { depthwise_conv2d::depthwise_conv2d(op, input, output) }
    } else {
        portable::depthwise_conv2d(op, input, output);
    }
}

pub(crate) fn l1_head(op: &L1Head<'_>, a: &[u8], b: &[u8]) -> i32 {
    if avx2::get() {
        // SAFETY: the processor has AVX2.
        unsafe { dot::l1_head(op, a, b) }
    } else {
        portable::l1_head(op, a, b)
    }
}
