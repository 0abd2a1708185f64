//! Transfer: a last layer that is trained anew on each support set, over features that a classifier of other
//! characters has learned.
//!
//! In: features of queries `[t][q][d]` and supports `[t][s][d]`, one example of each class. Out: logits `[t][q][s]`.

use tch::{Kind, Tensor};

use super::matching::unit;
use crate::train::TrainError;

/// Steps of gradient descent on a support set.
const STEPS: usize = 100;
/// Their length, for features of unit length.
const RATE: f64 = 10.0;

/// Softmax regression from zero, all trials at once: its gradient is `(p - y) xᵀ`.
pub(super) fn tuned_scores(queries: &Tensor, supports: &Tensor) -> Result<Tensor, TrainError> {
    let (queries, supports) = (unit(queries)?, unit(supports)?);
    let (_, s, _) = supports.size3()?;
    let right = Tensor::f_eye(s, (Kind::Float, supports.device()))?; // example i is of class i
    let mut weight = supports.f_zeros_like()?; // [t, s, d]
    for _ in 0..STEPS {
        let logits = supports.f_matmul(&weight.f_transpose(-1, -2)?)?; // [t, example, class]
        let wrong = logits.f_softmax(-1, Kind::Float)?.f_sub(&right)?;
        let gradient = wrong.f_transpose(-1, -2)?.f_matmul(&supports)? / s as f64;
        weight = weight.f_sub(&(gradient * RATE))?;
    }
    Ok(queries.f_matmul(&weight.f_transpose(-1, -2)?)?)
}
