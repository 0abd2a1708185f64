//! A run that was interrupted ends with the same bits as one that was not.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tch::Device;

use super::metrics::METRICS_FILE;
use super::{Outcome, Session, Trained};
use crate::config::Config;
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
    let device = Device::Cpu;
    let session = Session {
        config: &config,
        background,
        folder,
        device,
        interrupted,
    };
    session.run(resume).unwrap()
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

#[test]
fn resuming_changes_nothing() {
    let data = glyphs::synthetic(5, "background", 4, 20);
    let held_out = data.alphabets[3].name.clone();
    let background = Background::new(data, &[&held_out]).unwrap();
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
    assert!((1..200).contains(&step), "stopped at step {step}");
    let resumed = finished(train(halves.path(), &background, &never, true));
    assert_eq!(resumed.net, expected.net);
    assert_eq!(resumed.progress.best_step, expected.progress.best_step);
    assert_eq!(without_times(halves.path()), without_times(whole.path()));
}
