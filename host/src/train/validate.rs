//! Validation: N-way trials on held-out alphabets with a network that is still in training.

use shared::shape::ShapeError;
use tch::{Device, no_grad};

use super::TrainError;
use super::net::{Mode, Net, values};
use super::state::images;
use crate::engine::{Input, network_input};
use crate::trials::{Accuracy, TrialSet};

/// Images in one forward pass.
const BATCH: usize = 256;

/// N-way accuracy of a network that is still in training.
pub(super) fn accuracy(
    net: &Net,
    trials: &TrialSet,
    device: Device,
) -> Result<Accuracy, TrainError> {
    let embeddings = no_grad(|| embed_all(net, trials, device))?;
    let folded = net.fold()?;
    let d = embeddings.len() / trials.images.len().max(1);
    let embedding = |index: usize| &embeddings[index * d..(index + 1) * d];
    let mut right = 0;
    for trial in &trials.trials {
        let query = embedding(trial.query);
        let logit = |shots: &Vec<usize>| {
            let logits = shots
                .iter()
                .map(|&shot| folded.logit(query, embedding(shot)));
            logits.sum::<Result<f32, ShapeError>>()
        };
        let logits: Vec<f32> = trial.support.iter().map(logit).collect::<Result<_, _>>()?;
        // A tie is wrong: a network that has collapsed must not look good.
        let best = logits[trial.answer];
        let mut others = logits.iter().enumerate();
        right += usize::from(others.all(|(class, &logit)| class == trial.answer || logit < best));
    }
    Ok(Accuracy::of(right, trials.trials.len()))
}

/// Embeddings of every image of `trials`, `[n][d]`.
pub(super) fn embed_all(
    net: &Net,
    trials: &TrialSet,
    device: Device,
) -> Result<Vec<f32>, TrainError> {
    let mut all = Vec::new();
    for drawings in trials.images.chunks(BATCH) {
        let inputs = drawings
            .iter()
            .map(|drawing| network_input(drawing, Input::of_spec(net.spec())));
        let inputs: Vec<Vec<u8>> = inputs.collect::<Result<_, _>>()?;
        let images = images(&inputs.concat(), net.spec().input_side, device)?;
        all.extend(values(&net.embed(&images, Mode::Evaluate)?)?);
    }
    Ok(all)
}
