//! Networks with random weights, and marks to show them.
#![allow(clippy::unwrap_used, reason = "only tests call this")]
#![allow(clippy::missing_panics_doc, reason = "only tests call this")]

use host::quantize::QuantNet;
use host::spec::{Framing, LayerSpec, NetSpec};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A model file with random weights. Shifts keep activations in range; the head only punishes
/// differences, so that two similar images are each other's nearest.
#[must_use]
pub fn random_model(spec: &NetSpec, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut net = QuantNet::blank(spec).unwrap();
    for filters in net
        .layers
        .iter_mut()
        .filter_map(|layer| layer.filters.as_mut())
    {
        let taps = filters.weight_ohwi.len() / filters.bias.len();
        // Random signs: a sum of n products grows with the root of n.
        let shift = 4 + (taps as f64).sqrt().log2().ceil() as u8;
        filters.weight_ohwi.fill_with(|| rng.random_range(-63..=63));
        filters.bias.fill_with(|| rng.random_range(-500..2000));
        filters
            .shift
            .fill_with(|| shift + rng.random_range(0..2_u8));
    }
    net.head.weight_hwc.fill_with(|| rng.random_range(-64..=0));
    net.head.bias = rng.random_range(-10_000..10_000);
    net.head.logit_exponent = 12;
    net.to_model_bytes("random weights").unwrap()
}

/// A random walk of ink, `side`×`side`, as a drawing is: mostly empty, edges in all directions.
#[must_use]
pub fn random_mark(side: usize, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut image = vec![0; side * side];
    let (mut y, mut x) = (side / 2, side / 2);
    for _ in 0..side * 12 {
        image[y * side + x] = rng.random_range(128..=255);
        y = (y + rng.random_range(0..3_usize)).clamp(1, side) - 1;
        x = (x + rng.random_range(0..3_usize)).clamp(1, side) - 1;
    }
    image
}

/// The same mark, drawn again: some pixels differ.
#[must_use]
pub fn redrawn(mark: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut image = mark.to_vec();
    for _ in 0..mark.len() / 100 {
        let index = rng.random_range(0..image.len());
        image[index] = rng.random();
    }
    image
}

/// A conv 3×3 and a pool: milliseconds on the device.
#[must_use]
pub fn tiny_net(input_side: usize, stride: usize) -> NetSpec {
    let conv = LayerSpec::conv(4, 3, stride, 1);
    let pool = LayerSpec::max_pool(2, 2);
    NetSpec {
        input_side,
        framing: Framing::Picture,
        layers: vec![conv, pool],
    }
}
