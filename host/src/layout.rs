//! Axis orders: `shared` keeps activations as `[h][w][c]`, torch and ONNX as `[c][h][w]`.
//!
//! In: values in one order. Out: the same values in another. Weights of `c_out` filters are `c_out`
//! such blocks; a depthwise convolution's are one block, a channel for each.

use shared::shape::Hwc;

/// `[h][w][c]` to `[c][h][w]`.
#[must_use]
pub fn hwc_to_chw<T: Copy>(values: &[T], shape: Hwc) -> Vec<T> {
    let pixels = shape.h * shape.w;
    let index = |i: usize| (i % pixels) * shape.c + i / pixels;
    (0..values.len()).map(|i| values[index(i)]).collect()
}

/// `[c][h][w]` to `[h][w][c]`.
#[must_use]
pub fn chw_to_hwc<T: Copy>(values: &[T], shape: Hwc) -> Vec<T> {
    let pixels = shape.h * shape.w;
    let index = |i: usize| (i % shape.c) * pixels + i / shape.c;
    (0..values.len()).map(|i| values[index(i)]).collect()
}

/// `[o][h][w][i]` to `[o][i][h][w]`, `taps = h * w`.
#[must_use]
pub fn ohwi_to_oihw<T: Copy>(values: &[T], c_in: usize, taps: usize) -> Vec<T> {
    let shape = Hwc::new(taps, 1, c_in);
    let channels = values.chunks_exact(shape.len().max(1));
    channels
        .flat_map(|channel| hwc_to_chw(channel, shape))
        .collect()
}

/// `[o][i][h][w]` to `[o][h][w][i]`, `taps = h * w`.
#[must_use]
pub fn oihw_to_ohwi<T: Copy>(values: &[T], c_in: usize, taps: usize) -> Vec<T> {
    let shape = Hwc::new(taps, 1, c_in);
    let channels = values.chunks_exact(shape.len().max(1));
    channels
        .flat_map(|channel| chw_to_hwc(channel, shape))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixel_major_to_channel_major_and_back() {
        let shape = Hwc::new(1, 3, 2);
        let hwc = [0, 10, 1, 11, 2, 12];
        assert_eq!(hwc_to_chw(&hwc, shape), [0, 1, 2, 10, 11, 12]);
        assert_eq!(chw_to_hwc(&[0, 1, 2, 10, 11, 12], shape), hwc);
    }

    #[test]
    fn weights_keep_their_output_channel() {
        let ohwi = [0, 10, 1, 11, 100, 110, 101, 111];
        let oihw = [0, 1, 10, 11, 100, 101, 110, 111];
        assert_eq!(ohwi_to_oihw(&ohwi, 2, 2), oihw);
        assert_eq!(oihw_to_ohwi(&oihw, 2, 2), ohwi);
    }
}
