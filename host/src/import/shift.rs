//! Embeddings with negative values, in bytes from 0.
//!
//! An encoder whose last layer has no ReLU ends with values of either sign. The head sees only
//! differences, so a constant may be added to every value of a channel: enough to lift the lowest
//! value that the calibration images have to 0. What lies lower still on another image is clipped
//! there, as what lies above the highest byte is.
//!
//! In: a network that ends with a ReLU where the file has none, and calibration images. Out: what
//! is to be added to the bias of its last trained layer.

use rayon::prelude::*;

use crate::engine::real;
use crate::float_net::{FloatNet, FloatNetError};

/// Room below the lowest value seen, as a share of it.
const MARGIN: f32 = 0.1;

/// Lifts the channels of `layer`, the last with trained weights, and returns by how much.
///
/// # Errors
/// [`FloatNetError`] when the weights do not fit the layers.
pub fn lift(
    net: &mut FloatNet,
    layer: usize,
    calibration: &[Vec<u8>],
) -> Result<Vec<f32>, FloatNetError> {
    let Some(index) = net.spec.weights()?.position(|(at, ..)| at == layer) else {
        return Ok(Vec::new());
    };
    // With everything negated, the ReLU lets through what it cut off.
    let mut negated = net.clone();
    let filters = &mut negated.filters[index];
    let values = filters.weight_oihw.iter_mut().chain(&mut filters.bias);
    values.for_each(|value| *value = -*value);
    let c_out = filters.bias.len();
    let encoder = negated.encoder()?;
    let depths = calibration.par_iter().map(|image| {
        let mut depth = vec![0.0_f32; c_out];
        // An image of another size shows nothing here; quantization names it.
        let _embedding = encoder.embed_observed(&real(image), |at, values| {
            if at == layer {
                for pixel in values.chunks_exact(c_out) {
                    raise(&mut depth, pixel);
                }
            }
        });
        depth
    });
    let mut lift = vec![0.0_f32; c_out];
    for depth in depths.collect::<Vec<_>>() {
        raise(&mut lift, &depth);
    }
    lift.iter_mut().for_each(|value| *value *= 1.0 + MARGIN);
    for (bias, lift) in net.filters[index].bias.iter_mut().zip(&lift) {
        *bias += lift;
    }
    Ok(lift)
}

fn raise(to: &mut [f32], values: &[f32]) {
    for (to, &value) in to.iter_mut().zip(values) {
        *to = to.max(value);
    }
}
