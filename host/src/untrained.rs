//! The untrained network: random weights at the scale that training starts from.
//!
//! In: a [`NetSpec`] and a seed. Out: a [`FloatNet`]: a baseline for evaluation, and a network for
//! checks of everything behind training that need no training.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::float_net::{FloatFilters, FloatHead, FloatNet};
use crate::spec::{NetSpec, SpecError};

/// Uniform weights of variance `2 / fan_in` (He 2015), small biases, and a head in which every
/// difference speaks against a match.
///
/// # Errors
/// [`SpecError`] when the layers do not fit each other.
pub fn untrained(spec: &NetSpec, seed: u64) -> Result<FloatNet, SpecError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = |count: usize, low: f32, high: f32| -> Vec<f32> {
        (0..count).map(|_| rng.random_range(low..high)).collect()
    };
    let mut filters = Vec::new();
    for (_, shape, _) in spec.weights()? {
        // A uniform draw from ±limit has variance limit² / 3.
        let limit = (6.0 / shape.taps() as f32).sqrt();
        filters.push(FloatFilters {
            weight_oihw: uniform(shape.len(), -limit, limit),
            bias: uniform(shape.c_out, -0.1, 0.1),
        });
    }
    let embedding = spec.embedding()?.len();
    let weight = -6.0 / embedding as f32;
    Ok(FloatNet {
        spec: spec.clone(),
        filters,
        head: FloatHead {
            weight_hwc: uniform(embedding, 2.0 * weight, 0.0),
            bias: 2.0,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_keep_their_scale() {
        let net = untrained(&NetSpec::preset("micro").unwrap(), 1).unwrap();
        let image: Vec<f32> = (0..48 * 48).map(|i| (i % 7 / 6) as f32).collect();
        let embedding = net.encoder().unwrap().embed(&image).unwrap();
        let mean = embedding.iter().sum::<f32>() / embedding.len() as f32;
        assert!((0.01..10.0).contains(&mean), "{mean}");
    }

    #[test]
    fn the_seed_decides() {
        let spec = NetSpec::preset("micro").unwrap();
        assert_eq!(untrained(&spec, 5), untrained(&spec, 5));
        assert_ne!(untrained(&spec, 5), untrained(&spec, 6));
    }
}
