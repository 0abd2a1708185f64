//! Choosing each layer's output exponent from what the float network computes.
//!
//! In: the float network and calibration images. Out: for each layer that sets its own exponent, the
//! squared error that each candidate would cause, rounding and clipping together; the smallest wins.

use rayon::prelude::*;
use shared::quant::MAX_SHIFT;
use shared::shape::ShapeError;

use super::net::INPUT_EXPONENT;
use crate::float_net::FloatEncoder;
use crate::spec::LayerSpec;

const CANDIDATES: usize = MAX_SHIFT as usize + 1;

/// Activation statistics of one layer, as seen behind the max pooling that follows it: what pooling
/// drops need not be represented.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Largest activation.
    pub max: f32,
    values: u64,
    clipped: [u64; CANDIDATES],
    squared_error: [f64; CANDIDATES],
}

impl Calibration {
    const fn new() -> Self {
        Self {
            max: 0.0,
            values: 0,
            clipped: [0; CANDIDATES],
            squared_error: [0.0; CANDIDATES],
        }
    }

    /// The exponent with the smallest squared error; the lower one (more headroom) wins a tie.
    #[must_use]
    pub fn best_exponent(&self) -> u8 {
        let mut best = 0;
        for (candidate, error) in self.squared_error.iter().enumerate() {
            if *error < self.squared_error[best] {
                best = candidate;
            }
        }
        best as u8 // below CANDIDATES
    }

    /// Share of activations above the largest representable one.
    #[must_use]
    pub fn clipped(&self, exponent: u8) -> f64 {
        let clipped = self.clipped.get(usize::from(exponent)).copied();
        clipped.unwrap_or(0) as f64 / self.values.max(1) as f64
    }

    /// Mean squared error of rounding and clipping.
    #[must_use]
    pub fn mean_squared_error(&self, exponent: u8) -> f64 {
        let error = self.squared_error.get(usize::from(exponent)).copied();
        error.unwrap_or(0.0) / self.values.max(1) as f64
    }

    fn observe(&mut self, values: &[f32]) {
        self.values += values.len() as u64;
        self.max = values.iter().copied().fold(self.max, f32::max);
        for exponent in 0..CANDIDATES {
            let scale = (exponent as f32).exp2();
            let (mut error, mut clipped) = (0.0_f32, 0_u32);
            for &value in values {
                let scaled = value * scale;
                clipped += u32::from(scaled > 255.5);
                let difference = (round_small(scaled.min(255.0)) - scaled) / scale;
                error += difference * difference;
            }
            self.squared_error[exponent] += f64::from(error);
            self.clipped[exponent] += u64::from(clipped);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.max = self.max.max(other.max);
        self.values += other.values;
        for index in 0..CANDIDATES {
            self.clipped[index] += other.clipped[index];
            self.squared_error[index] += other.squared_error[index];
        }
    }
}

/// Rounds `0..=255` half to even. Adding 2^23 leaves no fraction bits; unlike
/// `f32::round_ties_even` this compiles to vector instructions on every x86-64.
fn round_small(value: f32) -> f32 {
    const SHIFT: f32 = 8_388_608.0;
    (value + SHIFT) - SHIFT
}

/// One [`Calibration`] per layer that sets its own exponent, first to last. `net` must be the
/// encoder of `layers`.
///
/// # Errors
/// [`ShapeError::Length`] when an image is not a network input.
pub fn calibrate(
    net: &FloatEncoder<'_>,
    layers: &[LayerSpec],
    images: &[Vec<u8>],
) -> Result<Vec<Calibration>, ShapeError> {
    let watched = watched_layers(layers);
    let empty = vec![Calibration::new(); watched.len()];
    let scale = (-f32::from(INPUT_EXPONENT)).exp2();
    // A fixed number of images per chunk and merging in order keep the sums, and with them the
    // chosen exponents, independent of the number of threads.
    let chunks = images.par_chunks(8).map(|images| {
        let mut statistics = empty.clone();
        for image in images {
            let image: Vec<f32> = image.iter().map(|&q| f32::from(q) * scale).collect();
            net.embed_observed(&image, |layer, values| {
                if let Some(at) = watched.iter().position(|&watched| watched == layer) {
                    statistics[at].observe(values);
                }
            })?;
        }
        Ok(statistics)
    });
    let chunks: Vec<Vec<Calibration>> = chunks.collect::<Result<_, _>>()?;
    let mut total = empty;
    for chunk in &chunks {
        for (total, chunk) in total.iter_mut().zip(chunk) {
            total.merge(chunk);
        }
    }
    Ok(total)
}

/// Whether a layer sets the exponent of its output; max pooling keeps that of its input.
pub(super) const fn sets_exponent(layer: &LayerSpec) -> bool {
    !matches!(layer, LayerSpec::MaxPool { .. })
}

/// Per layer that sets its exponent, the last one that still has it: itself or the max pooling
/// behind it.
fn watched_layers(layers: &[LayerSpec]) -> Vec<usize> {
    let mut watched = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        match watched.last_mut() {
            _ if sets_exponent(layer) => watched.push(index),
            Some(last) => *last = index,
            // Pooling in front of everything else has the input's exponent.
            None => {}
        }
    }
    watched
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_grid_costs_nothing() {
        let mut statistics = Calibration::new();
        let values: Vec<f32> = (0..=255).map(|q| q as f32 / 16.0).collect();
        statistics.observe(&values);
        assert_eq!(statistics.best_exponent(), 4);
        assert_eq!(statistics.mean_squared_error(4), 0.0);
        assert_eq!(statistics.clipped(4), 0.0);
        assert!(statistics.clipped(5) > 0.49);
    }

    #[test]
    fn a_rare_outlier_is_clipped() {
        let mut statistics = Calibration::new();
        let fine: Vec<f32> = (0..100_000).map(|i| (i % 997) as f32 / 1000.0).collect();
        statistics.observe(&fine);
        let without = statistics.best_exponent();
        statistics.observe(&[1.3]);
        assert_eq!((without, statistics.best_exponent()), (8, 8));
        assert!(statistics.clipped(8) > 0.0);
    }

    #[test]
    fn rounds_half_to_even() {
        assert_eq!(
            [0.5, 1.5, 2.5, 254.5].map(round_small),
            [0.0, 2.0, 2.0, 254.0]
        );
    }

    #[test]
    fn pooling_belongs_to_the_layer_before_it() {
        let (pool, conv) = (LayerSpec::max_pool(2, 2), LayerSpec::conv(1, 1, 1, 0));
        assert_eq!(watched_layers(&[pool, conv, conv, pool, pool]), [1, 4]);
        let layers = [
            conv,
            pool,
            LayerSpec::GlobalAveragePool,
            LayerSpec::linear(3),
        ];
        assert_eq!(watched_layers(&layers), [1, 2, 3]);
    }
}
