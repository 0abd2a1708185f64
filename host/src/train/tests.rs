//! Whole runs of a tiny network: interrupted and resumed, and taught by another.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tch::Device;

use super::metrics::METRICS_FILE;
use super::net::Net;
use super::{Outcome, Session, TrainError, Trained};
use crate::checkpoint::{self, CHECKPOINT};
use crate::config::{Config, LayerRule, PairOptimizer, Precision};
use crate::dataset::Background;
use crate::glyphs;

const TINY: &str = r#"
[train]
steps = 200
episodes = 2
n_way = 5
drawings = 3
dropout = 0.1
class_loss = 0.5
average_decay = 0.99
threads = 1
precision = "float32"
validation_trials = 20

[augment]
captures = 0.5

[network]
input_side = 16
framing = "mark"
layers = [
    { op = "conv", c_out = 4, kernel = 3, stride = 2, pad = 1 },
    { op = "max_pool", kernel = 2, stride = 2 },
]
"#;

fn train(
    folder: &Path,
    background: &Background,
    interrupted: &AtomicBool,
    resume: bool,
) -> Outcome {
    let config = Config::parse(TINY).unwrap();
    run(&config, folder, background, interrupted, resume).unwrap()
}

fn run(
    config: &Config,
    folder: &Path,
    background: &Background,
    interrupted: &AtomicBool,
    resume: bool,
) -> Result<Outcome, TrainError> {
    session(config, folder, background, interrupted).run(resume)
}

const fn session<'a>(
    config: &'a Config,
    folder: &'a Path,
    background: &'a Background,
    interrupted: &'a AtomicBool,
) -> Session<'a> {
    Session {
        config,
        background,
        folder,
        device: Device::Cpu,
        interrupted,
        stop_at: None,
    }
}

fn background() -> Background {
    let data = glyphs::synthetic(5, "background", 4, 20);
    let held_out = data.alphabets[3].name.clone();
    Background::new(data, &[&held_out]).unwrap()
}

fn finished(outcome: Outcome) -> Trained {
    match outcome {
        Outcome::Finished(trained) => trained,
        Outcome::Interrupted { step } => panic!("interrupted at step {step}"),
    }
}

/// Everything but the times, which no two runs share.
fn without_times(folder: &Path) -> Vec<(u64, String)> {
    let lines = std::fs::read_to_string(folder.join(METRICS_FILE)).unwrap();
    let line = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        (
            value["step"].as_u64().unwrap(),
            value["validation_accuracy"].to_string(),
        )
    };
    lines.lines().map(line).collect()
}

/// A network as the paper's, on a set of pairs that it sees several times.
const TINY_PAIRS: &str = r#"
preset = "koch"

[train]
steps = 200
learning_rate = 0.01
dropout = 0.1
threads = 1
validation_trials = 20

[pairs]
count = 60
copies = 2
batch = 8
validate_every = 15
patience = 0

[network]
input_side = 16
layers = [
    { op = "conv", c_out = 4, kernel = 3, stride = 2, pad = 1, norm = "none" },
    { op = "max_pool", kernel = 2, stride = 2 },
    { op = "linear", c_out = 6, norm = "none", activation = "sigmoid" },
]
"#;

#[test]
fn resuming_changes_nothing() {
    resumed_is_uninterrupted(&Config::parse(TINY).unwrap());
}

#[test]
fn resuming_with_momentum_changes_nothing() {
    resumed_is_uninterrupted(&Config::parse(TINY_PAIRS).unwrap());
}

#[test]
fn resuming_with_layers_of_their_own_changes_nothing() {
    let mut config = Config::parse(TINY_PAIRS).unwrap();
    let pairs = config.pairs.as_mut().unwrap();
    if let PairOptimizer::Momentum { layers, .. } = &mut pairs.optimizer {
        *layers = [0.02, 0.005, 0.01].map(layer_rule).into();
    }
    config.check().unwrap();
    resumed_is_uninterrupted(&config);
}

#[test]
fn resuming_with_adam_and_new_pairs_changes_nothing() {
    let text = TINY_PAIRS.replace("preset = \"koch\"", "preset = \"seed\"");
    let text = text.replace("count = 60\ncopies = 2\n", "");
    let mut config = Config::parse(&text).unwrap();
    resumed_is_uninterrupted(&config);
    // A rate that falls is that of the whole run, also where it is resumed.
    config.pairs.as_mut().unwrap().optimizer = PairOptimizer::Adam {
        cosine: true,
        l2: 2e-4,
        l2_linear: 1e-3,
    };
    config.train.average_decay = 0.9;
    resumed_is_uninterrupted(&config);
}

fn layer_rule(learning_rate: f64) -> LayerRule {
    LayerRule {
        learning_rate,
        momentum: 0.7,
        l2: 1e-3,
    }
}

/// A rung of a search: the run is left there with a validation, and goes on as if it had not been.
#[test]
fn a_limit_changes_nothing_behind_it() {
    let config = Config::parse(TINY).unwrap();
    let background = background();
    let (whole, halves) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let never = AtomicBool::new(false);
    run(&config, whole.path(), &background, &never, false).unwrap();
    let until = |stop_at| {
        let session = Session {
            stop_at,
            ..session(&config, halves.path(), &background, &never)
        };
        session.run(true).unwrap()
    };
    // Asked again, it is there already.
    for _ in 0..2 {
        let limited = until(Some(60));
        assert!(matches!(limited, Outcome::Interrupted { step: 60 }));
        assert_eq!(without_times(halves.path()).last().unwrap().0, 60);
    }
    finished(until(None));
    let mut validations = without_times(halves.path());
    validations.retain(|(step, _)| *step != 60);
    assert_eq!(validations, without_times(whole.path()));
}

/// Without a better validation training stops, and what was best is kept.
#[test]
fn patience_ends() {
    let mut config = Config::parse(TINY_PAIRS).unwrap();
    config.train.learning_rate = 1e-9;
    let pairs = config.pairs.as_mut().unwrap();
    (pairs.patience, pairs.optimizer) = (
        3,
        PairOptimizer::Adam {
            cosine: false,
            l2: 0.0,
            l2_linear: 0.0,
        },
    );
    let folder = tempfile::tempdir().unwrap();
    let never = AtomicBool::new(false);
    let outcome = run(&config, folder.path(), &background(), &never, false).unwrap();
    let progress = finished(outcome).progress;
    // Nothing moves, so that no validation is better than the first.
    assert!(
        progress.since_best == 3 && progress.step <= 60,
        "{progress:?}"
    );
}

fn resumed_is_uninterrupted(config: &Config) {
    let train = |folder: &Path, background: &Background, interrupted: &AtomicBool, resume| {
        run(config, folder, background, interrupted, resume).unwrap()
    };
    let background = background();
    let (whole, halves) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let never = AtomicBool::new(false);
    let expected = finished(train(whole.path(), &background, &never, false));

    let stop = AtomicBool::new(false);
    let (metrics, stop) = (&halves.path().join(METRICS_FILE), &stop);
    let first = std::thread::scope(|scope| {
        scope.spawn(move || {
            while std::fs::read(metrics).map_or(true, |lines| lines.is_empty()) {
                std::thread::yield_now();
            }
            stop.store(true, Ordering::Relaxed);
        });
        train(halves.path(), &background, stop, false)
    });
    let Outcome::Interrupted { step } = first else {
        panic!("ended before it could be stopped")
    };
    let so_far = session(config, halves.path(), &background, &never).best_so_far();
    let so_far = so_far.unwrap().progress;
    assert!(so_far.step == step && (1..=step).contains(&so_far.best_step));
    assert!((1..200).contains(&step), "stopped at step {step}");
    let resumed = finished(train(halves.path(), &background, &never, true));
    assert_eq!(resumed.net, expected.net);
    assert_eq!(resumed.progress.best_step, expected.progress.best_step);
    assert_eq!(without_times(halves.path()), without_times(whole.path()));
}

/// What a teacher's logits say is enough to learn from.
#[test]
fn a_student_learns_from_its_teacher_alone() {
    let background = background();
    let (school, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let never = AtomicBool::new(false);
    let teacher = finished(train(school.path(), &background, &never, false));
    let mut config = Config::parse(TINY).unwrap();
    checkpoint::write(&school.path().join(CHECKPOINT), &teacher.net, &config).unwrap();
    let frozen = Net::frozen(&teacher.net, Precision::Float32, Device::Cpu).unwrap();
    assert_eq!(frozen.fold().unwrap(), teacher.net);

    let alone = &mut config.train;
    (alone.episode_loss, alone.pair_loss, alone.class_loss) = (0.0, 0.0, 0.0);
    alone.seed = 2;
    alone.teachers = vec![school.path().into()];
    config.check().unwrap();
    let student = finished(run(&config, work.path(), &background, &never, false).unwrap());
    // One of twenty by chance.
    let reached = student.progress.best_accuracy;
    assert!(
        reached > 0.5 * teacher.progress.best_accuracy && reached > 0.2,
        "{reached}"
    );

    let refused = |change: fn(&mut Config)| {
        let mut config = config.clone();
        change(&mut config);
        let result = run(&config, work.path(), &background, &never, false);
        result.unwrap_err().to_string()
    };
    let other = refused(|config| config.network.as_mut().unwrap().input_side = 20);
    assert!(
        other.contains("its input is 16") && other.contains("the network's is 20"),
        "{other}"
    );
    let missing = refused(|config| config.train.teachers[0] = "nowhere".into());
    assert!(
        missing.starts_with("train.teachers: nowhere: "),
        "{missing}"
    );
}
