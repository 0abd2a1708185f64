//! The accuracies that the report of every run contains.

use tools::Progress;

use super::{ALL_WAY_REPEATS, SEED, TRIALS};
use crate::cmd::{Failure, spinner};
use crate::dataset::Dataset;
use crate::engine::Graph;
use crate::engine::float::Float;
use crate::engine::graph::FloatGraphEncoder;
use crate::engine::onnxruntime::{Level, Onnxruntime};
use crate::engine::shared::Shared;
use crate::evaluate::verification::VerificationSet;
use crate::evaluate::{Evaluation, Outcome, evaluate_all};
use crate::export::Bundle;
use crate::float_net::FloatNet;
use crate::report::Row;
use crate::trials::{self, TrialSet};

/// Multiply-accumulates of one image above which an evaluation of the usual size takes too long in floating
/// point.
const LARGE_NETWORK: u64 = 100_000_000;
/// Trials of such a network.
const FLOAT_TRIALS: usize = 1_000;

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

/// The same for a network that stays in floating point; fewer of a large one, and not all characters at once.
pub(in super::super) fn float_trials(
    evaluation: &Dataset,
    macs: u64,
) -> Result<Vec<TrialSet>, Failure> {
    let sets = standard_trials(evaluation)?;
    if macs <= LARGE_NETWORK {
        return Ok(sets);
    }
    let few = |mut set: TrialSet| {
        set.trials.truncate(FLOAT_TRIALS);
        set.without_unused()
    };
    Ok(sets.into_iter().take(4).map(few).collect())
}

/// A network that stays in floating point on several sets of trials, in onnxruntime.
pub(in super::super) fn float_bundle_rows(
    bundle: &Bundle,
    sets: &[TrialSet],
) -> Result<Vec<Row>, Failure> {
    let sets: Vec<&TrialSet> = sets.iter().collect();
    let bar = spinner("embedding the evaluation drawings");
    let rows = in_onnxruntime(bundle, |float| evaluate_all(&sets, float))?;
    bar.finish_and_clear();
    Ok(rows.iter().map(row).collect())
}

/// Koch's verification task on pairs from the evaluation alphabets: same or different, by a probability above
/// one half.
pub(in super::super) fn same_or_different(
    bundle: &Bundle,
    evaluation: &Dataset,
) -> Result<Row, Failure> {
    let net = bundle.float_net().map_err(Failure::work)?;
    let macs = net.spec.macs().map_err(Failure::work)?;
    let n_pairs = if macs > LARGE_NETWORK {
        FLOAT_TRIALS
    } else {
        TRIALS
    };
    let pairs = VerificationSet::draw(evaluation, n_pairs, SEED).map_err(Failure::work)?;
    let bar = spinner("deciding pairs");
    let accuracy = in_onnxruntime(bundle, |float| pairs.decide(float))?;
    bar.finish_and_clear();
    Ok(Row {
        protocol: pairs.protocol().to_owned(),
        engine: "float, onnxruntime, optimised".to_owned(),
        accuracy,
        ties: None,
    })
}

fn in_onnxruntime<T, E: std::error::Error + Send + Sync + 'static>(
    bundle: &Bundle,
    work: impl FnOnce(&FloatGraphEncoder<'_>) -> Result<T, E>,
) -> Result<T, Failure> {
    let net = bundle.float_net().map_err(Failure::work)?;
    let library = tools::onnxruntime::provide(&Progress::stderr()).map_err(Failure::work)?;
    let ort = Onnxruntime::of(bundle, &library, Level::All, &[Graph::FloatEncoder]);
    let ort = ort.map_err(Failure::work)?;
    let float = FloatGraphEncoder::new(&ort, &net).map_err(Failure::work)?;
    work(&float).map_err(Failure::work)
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
