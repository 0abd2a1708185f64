//! The accuracies that the report of every run contains.

use super::{ALL_WAY_REPEATS, SEED, TRIALS};
use crate::cmd::{Failure, spinner};
use crate::dataset::Dataset;
use crate::engine::float::Float;
use crate::engine::shared::Shared;
use crate::evaluate::{Evaluation, Outcome, evaluate_all};
use crate::export::Bundle;
use crate::float_net::FloatNet;
use crate::report::Row;
use crate::trials::{self, TrialSet};

/// The protocols of every report, beside Lake's runs.
pub(in super::super) fn standard_trials(evaluation: &Dataset) -> Result<Vec<TrialSet>, Failure> {
    let sets = [
        trials::within_alphabet(evaluation, 20, 1, TRIALS, SEED),
        trials::within_alphabet(evaluation, 5, 1, TRIALS, SEED),
        trials::mixed(evaluation, 20, 1, TRIALS, SEED),
        trials::mixed(evaluation, 5, 1, TRIALS, SEED),
        trials::all_way(evaluation, ALL_WAY_REPEATS, SEED),
    ];
    sets.into_iter()
        .collect::<Result<_, _>>()
        .map_err(Failure::work)
}

/// The float network on one set of trials.
pub(in super::super) fn float_rows(net: &FloatNet, set: &TrialSet) -> Result<Vec<Row>, Failure> {
    let float = Float::new(net).map_err(Failure::work)?;
    let evaluations = evaluate_all(&[set], &float).map_err(Failure::work)?;
    Ok(evaluations.iter().map(row).collect())
}

/// The integer network on several sets of trials, in the device's own code.
pub(in super::super) fn model_rows(
    bundle: &Bundle,
    sets: &[&TrialSet],
) -> Result<Vec<Row>, Failure> {
    let bar = spinner("embedding the evaluation drawings");
    let model = Shared::new(bundle.view().map_err(Failure::work)?);
    let evaluations = evaluate_all(sets, &model).map_err(Failure::work)?;
    bar.finish_and_clear();
    Ok(evaluations.iter().map(row).collect())
}

/// All standard trials have one shot per class, so that there is nothing to pool.
fn row(evaluation: &Evaluation) -> Row {
    let Outcome { accuracy, ties, .. } = evaluation.device;
    Row {
        protocol: evaluation.protocol.clone(),
        engine: evaluation.engine.clone(),
        accuracy,
        ties: Some(ties),
    }
}
