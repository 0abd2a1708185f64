//! Kernels for x86-64.
#![expect(unsafe_code, reason = "a kernel may only be called where its instructions exist")]

mod conv2d;
mod panel;
mod vector;

use crate::arch::portable;
use crate::ops::conv2d::Conv2d;
use crate::ops::pointwise::Pointwise;
use crate::shape::Window;
use conv2d::Convolution;

pub(crate) use portable::{depthwise_conv2d, l1_head, linear};

cpufeatures::new!(avx2, "avx2");

pub(crate) fn conv2d(op: &Conv2d<'_>, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let convolution = Convolution {
        input: op.input(),
        output: op.output(),
        window: op.window(),
        filters: *op.kernel_filters(),
    };
    // SAFETY: AVX2
    let done = avx2::get() && unsafe { convolution.run(input, output, scratch) };
    if !done {
        portable::conv2d(op, input, output, scratch);
    }
}

pub(crate) fn pointwise(op: &Pointwise<'_>, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let convolution = Convolution {
        input: op.input(),
        output: op.output(),
        window: Window { kernel: 1, stride: 1, pad: 0 },
        filters: *op.kernel_filters(),
    };
    // SAFETY: AVX2
    let done = avx2::get() && unsafe { convolution.run(input, output, scratch) };
    if !done {
        portable::pointwise(op, input, output, scratch);
    }
}
