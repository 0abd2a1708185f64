//! `onelook evaluate`: N-way k-shot accuracy of an exported model.

use clap::ValueEnum;
use shared::decide::DEFAULT_FAR_PPM;

use super::args::SubjectArgs;
use super::{Failure, Verdict, spinner};
use crate::baseline::nearest_pixels;
use crate::dataset::Dataset;
use crate::engine::float::Float;
use crate::engine::shared::Shared;
use crate::evaluate::open::{Decisions, OpenEvaluation};
use crate::evaluate::{Evaluation, evaluate_all};
use crate::export::Bundle;
use crate::float_net::FloatNet;
use crate::open_set::{self, Query};
use crate::report::{Row, accuracy_table, open_set_table};
use crate::trials::{self, TrialSet};

/// Trials of each protocol that is drawn, not given.
const TRIALS: usize = 10_000;
/// How often every character is asked for in the all-way protocol.
const ALL_WAY_REPEATS: usize = 5;
const SEED: u64 = 0x7472_6961;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Which task.
    #[arg(long, value_enum, default_value_t = Protocol::Lake20)]
    protocol: Protocol,
    /// Classes per trial; Lake's runs have 20.
    #[arg(long, default_value_t = 20)]
    ways: usize,
    /// Examples per class; Lake's runs have 1.
    #[arg(long, default_value_t = 1)]
    shots: usize,
    /// Number of trials; Lake's runs have 400. In the open-set protocol so many of enrolled classes,
    /// and so many unknown ones.
    #[arg(long, default_value_t = TRIALS)]
    trials: usize,
    /// Seed of the drawn trials.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
}

/// Which classes meet in a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// Lake's 400 fixed trials, 20-way within one alphabet.
    Lake20,
    /// Drawn within one evaluation alphabet, two drawers.
    Within,
    /// Drawn from all evaluation alphabets at once: easier.
    Mixed,
    /// Every evaluation character at once, 659-way; --ways, --shots and --trials do not apply.
    AllWay,
    /// 5, 20 and 50 classes enrolled, 1 and 5 shots: are unknown marks told from known ones? --ways
    /// and --shots do not apply.
    OpenSet,
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let bundle = Bundle::read(&args.subject.folder).map_err(Failure::work)?;
    let drawings = args.subject.data.open()?;
    if args.protocol == Protocol::OpenSet {
        let rows = open_set(&bundle, &drawings.evaluation()?, args.trials, args.seed)?;
        if args.subject.json {
            let json = serde_json::to_string_pretty(&rows).map_err(Failure::work)?;
            println!("{json}");
        } else {
            println!("{}", open_set_table(&rows));
        }
        return Ok(Verdict::Success);
    }
    let Args {
        ways,
        shots,
        trials,
        seed,
        ..
    } = *args;
    let drawn = match args.protocol {
        Protocol::Lake20 if ways != 20 || shots != 1 => {
            return Err(Failure::Usage(
                "Lake's runs are 20-way 1-shot; --ways and --shots need --protocol within or mixed"
                    .to_owned(),
            ));
        }
        Protocol::Lake20 => Ok(drawings.lake20()?),
        Protocol::Within => {
            trials::within_alphabet(&drawings.evaluation()?, ways, shots, trials, seed)
        }
        Protocol::Mixed => trials::mixed(&drawings.evaluation()?, ways, shots, trials, seed),
        Protocol::AllWay | Protocol::OpenSet => {
            trials::all_way(&drawings.evaluation()?, ALL_WAY_REPEATS, seed)
        }
    };
    let set = drawn.map_err(Failure::usage)?;
    let mut rows = model_rows(&bundle, &[&set])?;
    rows.push(Row {
        protocol: set.protocol.clone(),
        engine: "1-nearest-neighbour on pixels".to_owned(),
        accuracy: nearest_pixels(&set),
        ties: None,
    });
    if args.subject.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&rows).map_err(Failure::work)?
        );
    } else {
        println!("{}", accuracy_table(&rows));
    }
    Ok(Verdict::Success)
}

/// Enrolled classes and shots of the open-set protocol.
const OPEN_SET: [[usize; 2]; 6] = [[5, 1], [5, 5], [20, 1], [20, 5], [50, 1], [50, 5]];

/// The open-set protocol at the rate that devices start with.
fn open_set(
    bundle: &Bundle,
    evaluation: &Dataset,
    trials: usize,
    seed: u64,
) -> Result<Vec<OpenEvaluation>, Failure> {
    let view = bundle.view().map_err(Failure::work)?;
    if view.calibration().is_none() {
        eprintln!("the model is not calibrated: its threshold is a probability of one half");
    }
    let bar = spinner("deciding open-set trials");
    let mut rows = Vec::new();
    for ways in OPEN_SET {
        let draw = |query| open_set::draw(evaluation, ways, query, trials, seed);
        let enrolled = draw(Query::Enrolled).map_err(Failure::usage)?;
        let protocol = match open_set::fits_one_alphabet(evaluation, ways[0]) {
            true => "within_alphabet",
            false => "several_alphabets",
        };
        for (query, unknown) in [
            (Query::SameAlphabet, "same alphabet"),
            (Query::OtherAlphabet, "other alphabets"),
        ] {
            let unknown_set = draw(query).map_err(Failure::usage)?;
            let sets = [&enrolled, &unknown_set];
            let decisions = Decisions::new(view, &sets).map_err(Failure::work)?;
            let row = decisions.evaluate(sets, DEFAULT_FAR_PPM, [protocol, unknown]);
            rows.push(row.map_err(Failure::work)?);
        }
    }
    bar.finish_and_clear();
    Ok(rows)
}

/// The protocols of every report, beside Lake's runs.
pub(super) fn standard_trials(evaluation: &Dataset) -> Result<Vec<TrialSet>, Failure> {
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
pub(super) fn float_rows(net: &FloatNet, set: &TrialSet) -> Result<Vec<Row>, Failure> {
    let float = Float::new(net).map_err(Failure::work)?;
    let evaluations = evaluate_all(&[set], &float).map_err(Failure::work)?;
    Ok(evaluations.iter().flat_map(rows).collect())
}

/// The integer network on several sets of trials, in the device's own code.
pub(super) fn model_rows(bundle: &Bundle, sets: &[&TrialSet]) -> Result<Vec<Row>, Failure> {
    let bar = spinner("embedding the evaluation drawings");
    let model = Shared::new(bundle.view().map_err(Failure::work)?);
    let evaluations = evaluate_all(sets, &model).map_err(Failure::work)?;
    bar.finish_and_clear();
    Ok(evaluations.iter().flat_map(rows).collect())
}

/// With one shot per class one row, with several one for each way to pool them.
fn rows(evaluation: &Evaluation) -> Vec<Row> {
    let row = |engine: String, outcome: &crate::evaluate::Outcome| Row {
        protocol: evaluation.protocol.clone(),
        engine,
        accuracy: outcome.accuracy,
        ties: Some(outcome.ties),
    };
    let name = &evaluation.engine;
    if evaluation.k_shot == 1 {
        return vec![row(name.clone(), &evaluation.mean)];
    }
    vec![
        row(format!("{name}, mean of shots"), &evaluation.mean),
        row(format!("{name}, best shot"), &evaluation.max),
    ]
}
