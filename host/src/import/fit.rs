//! A head for an encoder that comes without: logistic regression on `|a - b|`.
//!
//! In: embeddings of drawings that may be trained on, and which pairs of them show the same
//! character. Out: the weights that tell the two kinds of pairs apart, the same on every machine
//! with the same arithmetic: no random draw, a fixed number of steps.

use rayon::prelude::*;

use crate::float_net::FloatHead;

/// Steps of the descent; the loss has long settled by then.
const STEPS: usize = 300;
/// Pull of the weights towards 0, as a share of the largest curvature.
const DECAY: f64 = 1e-4;
/// Estimates of the largest curvature.
const POWER_STEPS: usize = 20;
/// Pairs that one thread sums up at a time: fixed, so that the sum does not depend on the threads.
const CHUNK: usize = 256;
/// Values of all pairs together; more pairs than fit are left out.
const MAX_VALUES: usize = 16 << 20;

/// Two embeddings, and whether they are of the same character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Indices of the embeddings.
    pub images: [usize; 2],
    /// Whether both show the same character.
    pub same: bool,
}

/// Fits a head to `pairs` of `embeddings`, all `[h][w][c]` of one length.
///
/// Returns `None` when there is no pair or nothing differs between the embeddings.
#[must_use]
pub fn fit(embeddings: &[Vec<f32>], pairs: &[Pair]) -> Option<FloatHead> {
    let len = embeddings.first()?.len();
    let most = MAX_VALUES / len.max(1);
    let pairs = &pairs[..pairs.len().min(most)];
    let problem = Problem::new(embeddings, pairs, len)?;
    let weight = problem.descend();
    // Undo the scaling: the last weight belongs to the constant 1.
    let (bias, weight) = weight.split_last()?;
    let scaled = weight.iter().zip(&problem.inv_scale);
    Some(FloatHead {
        weight_hwc: scaled
            .map(|(weight, inv_scale)| weight * inv_scale)
            .collect(),
        bias: *bias,
    })
}

/// Rows of `|a - b|`, each value scaled to a root mean square of 1, and a constant 1 behind them.
struct Problem {
    rows: Vec<f32>,
    width: usize,
    labels: Vec<f32>,
    inv_scale: Vec<f32>,
}

impl Problem {
    fn new(embeddings: &[Vec<f32>], pairs: &[Pair], len: usize) -> Option<Self> {
        let width = len + 1;
        let mut rows = Vec::with_capacity(pairs.len() * width);
        for Pair { images: [a, b], .. } in pairs {
            let (a, b) = (embeddings.get(*a)?, embeddings.get(*b)?);
            rows.extend(a.iter().zip(b).map(|(a, b)| (a - b).abs()));
            rows.push(1.0);
        }
        let mut power = vec![0.0_f64; width];
        for row in rows.chunks_exact(width) {
            for (power, value) in power.iter_mut().zip(row) {
                *power += f64::from(value * value);
            }
        }
        power.pop();
        let n = pairs.len() as f64;
        // A value that never differs gets no weight.
        let inverse = |power: f64| {
            if power > 0.0 {
                (n / power).sqrt() as f32
            } else {
                0.0
            }
        };
        let inv_scale: Vec<f32> = power.into_iter().map(inverse).collect();
        for row in rows.chunks_exact_mut(width) {
            for (value, inv_scale) in row.iter_mut().zip(&inv_scale) {
                *value *= inv_scale;
            }
        }
        let labels = pairs
            .iter()
            .map(|pair| if pair.same { 1.0 } else { 0.0 })
            .collect();
        let something = inv_scale.iter().any(|&inv_scale| inv_scale > 0.0);
        something.then_some(Self {
            rows,
            width,
            labels,
            inv_scale,
        })
    }

    /// Nesterov's accelerated descent with the step that the largest curvature allows.
    fn descend(&self) -> Vec<f32> {
        let curvature = 0.25 * self.largest_eigenvalue();
        let decay = (DECAY * curvature) as f32;
        let step = (1.0 / (curvature * (1.0 + DECAY))) as f32;
        let mut weight = vec![0.0_f32; self.width];
        let mut ahead = weight.clone();
        for k in 0..STEPS {
            let gradient = self.sum(&ahead, |score, label| sigmoid(score) - label);
            let momentum = k as f32 / (k as f32 + 3.0);
            for i in 0..self.width {
                // The bias is not pulled.
                let pull = if i + 1 < self.width {
                    decay * ahead[i]
                } else {
                    0.0
                };
                let next = ahead[i] - step * (gradient[i] + pull);
                ahead[i] = next + momentum * (next - weight[i]);
                weight[i] = next;
            }
        }
        weight
    }

    /// Of the mean of `row rowᵀ`, by power iteration; a little more, to be on the safe side.
    fn largest_eigenvalue(&self) -> f64 {
        let mut vector = vec![1.0 / (self.width as f32).sqrt(); self.width];
        let mut length = 1.0;
        for _ in 0..POWER_STEPS {
            vector = self.sum(&vector, |score, _| score);
            length = vector
                .iter()
                .map(|v| f64::from(*v).powi(2))
                .sum::<f64>()
                .sqrt();
            let inv_length = (1.0 / length.max(f64::MIN_POSITIVE)) as f32;
            vector.iter_mut().for_each(|value| *value *= inv_length);
        }
        1.1 * length.max(1e-12)
    }

    /// The mean of `row * f(row · weight, label)`.
    fn sum(&self, weight: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
        let rows = self.rows.par_chunks(CHUNK * self.width);
        let parts = rows
            .zip(self.labels.par_chunks(CHUNK))
            .map(|(rows, labels)| {
                let mut part = vec![0.0_f32; self.width];
                for (row, &label) in rows.chunks_exact(self.width).zip(labels) {
                    let score: f32 = row
                        .iter()
                        .zip(weight)
                        .map(|(value, weight)| value * weight)
                        .sum();
                    let factor = f(score, label);
                    for (part, value) in part.iter_mut().zip(row) {
                        *part += factor * value;
                    }
                }
                part
            });
        let mut total = vec![0.0_f64; self.width];
        for part in parts.collect::<Vec<_>>() {
            for (total, part) in total.iter_mut().zip(part) {
                *total += f64::from(part);
            }
        }
        let n = self.labels.len() as f64;
        total.into_iter().map(|total| (total / n) as f32).collect()
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Value 0 tells characters apart, value 1 is noise, value 2 never differs.
    #[test]
    fn finds_the_value_that_matters() {
        let embeddings: Vec<Vec<f32>> = (0..40_u16)
            .map(|i| vec![f32::from(i / 4), f32::from(i * 7 % 5), 3.0])
            .collect();
        let pairs: Vec<Pair> = (0..40)
            .flat_map(|a| {
                (0..a).map(move |b| Pair {
                    images: [a, b],
                    same: a / 4 == b / 4,
                })
            })
            .collect();
        let head = fit(&embeddings, &pairs).unwrap();
        let [matters, noise, constant] = head.weight_hwc[..] else {
            panic!("{head:?}");
        };
        assert!(
            matters < -0.5 && noise.abs() < 0.1 * matters.abs(),
            "{head:?}"
        );
        assert_eq!(constant, 0.0);
        assert!(head.bias > 0.0, "{head:?}");
        assert_eq!(fit(&embeddings, &pairs), Some(head));
    }

    #[test]
    fn nothing_to_learn_from_is_said() {
        assert_eq!(
            fit(
                &[vec![1.0], vec![1.0]],
                &[Pair {
                    images: [0, 1],
                    same: true
                }]
            ),
            None
        );
        assert_eq!(fit(&[vec![1.0], vec![2.0]], &[]), None);
    }
}
