//! Whole searches with a function in place of a training.

use std::collections::HashSet;
use std::sync::Mutex;

use super::*;
use crate::search::field::Value;
use crate::search::space::{Parameter, Range, Space};
use crate::search::study::FORMAT;

fn base() -> Config {
    let mut base = Config::preset("nano").unwrap();
    base.train.steps = 90;
    base
}

fn settings() -> Settings {
    let parameter = |field: &str, range| Parameter {
        field: field.to_owned(),
        range,
    };
    Settings {
        format: FORMAT,
        seed: 5,
        rungs: vec![10, 30, 90],
        eta: 3,
        base: base().hash(),
        data: Default::default(),
        space: Space {
            parameters: vec![
                parameter(
                    "train.learning_rate",
                    Range::Log {
                        low: 1e-4,
                        high: 1e-1,
                    },
                ),
                // Above 20 the kernel is larger than the picture that this layer sees.
                parameter(
                    "network.layers[1].kernel",
                    Range::Integer {
                        low: 3,
                        high: 41,
                        step: 2,
                    },
                ),
            ],
        },
    }
}

/// Best at 0.004; a large rate diverges.
fn toy(job: &Job<'_>) -> Ended {
    let rate = job.config.train.learning_rate;
    if rate > 0.05 {
        return Ended::Failed("step 3".to_owned());
    }
    Ended::Scored(Score {
        step: job.steps,
        accuracy: 1.0 / (1.0 + (rate / 0.004).log10().abs()) * (job.steps as f64).ln() / 5.0,
        standard_error: 0.01,
        seconds: 1.0,
    })
}

fn worker<'a>(folder: &'a Path, base: &'a Config, interrupted: &'a AtomicBool) -> Worker<'a> {
    Worker {
        folder,
        base,
        accepts: &|_| Ok(()),
        interrupted,
    }
}

fn study(folder: &Path) -> Study {
    Journal::open(folder).unwrap().study().unwrap().clone()
}

#[test]
fn an_interrupted_search_is_an_uninterrupted_one() {
    let (base, never) = (base(), AtomicBool::new(false));
    let whole = tempfile::tempdir().unwrap();
    enter(whole.path(), &base, settings(), Some(12)).unwrap();
    let stopped = worker(whole.path(), &base, &never)
        .run(|job| Ok(toy(job)))
        .unwrap();
    assert_eq!(stopped, Stopped::Finished);
    let expected = study(whole.path());
    assert_eq!(
        expected.trials.iter().filter(|trial| trial.fits()).count(),
        12
    );
    assert!(
        expected.trials.iter().any(|trial| !trial.fits()),
        "every kernel fits"
    );
    let top = expected.ranking()[0];
    assert_eq!(expected.trials[top].scores.len(), 3);

    // Stopped in every second training, and every time asked again; now and then the worker dies.
    let pieces = tempfile::tempdir().unwrap();
    let mut wanted = Some(12);
    for sitting in 0.. {
        enter(pieces.path(), &base, settings(), wanted.take()).unwrap();
        let mut count = 0;
        let stopped = worker(pieces.path(), &base, &never).run(|job| {
            count += 1;
            match count {
                2 if sitting % 2 == 0 => Ok(Ended::Interrupted { step: 5 }),
                2 => Err("killed".to_owned()),
                _ => Ok(toy(job)),
            }
        });
        if matches!(stopped, Ok(Stopped::Finished)) {
            break;
        }
    }
    assert_eq!(study(pieces.path()), expected);
}

#[test]
fn workers_share_the_trials() {
    let (base, never) = (base(), AtomicBool::new(false));
    let folder = tempfile::tempdir().unwrap();
    enter(folder.path(), &base, settings(), Some(12)).unwrap();
    let (done, workers) = (Mutex::new(HashSet::new()), Mutex::new(HashSet::new()));
    std::thread::scope(|scope| {
        for number in 0..3 {
            let (done, workers) = (&done, &workers);
            let (base, never, folder) = (&base, &never, folder.path());
            scope.spawn(move || {
                let stopped = worker(folder, base, never).run(|job| {
                    let first = done.lock().unwrap().insert((job.trial, job.rung));
                    assert!(
                        first,
                        "trial {} was trained twice for rung {}",
                        job.trial, job.rung
                    );
                    workers.lock().unwrap().insert(number);
                    std::thread::sleep(Duration::from_millis(5));
                    Ok(toy(job))
                });
                assert_eq!(stopped.unwrap(), Stopped::Finished);
            });
        }
    });
    let study = study(folder.path());
    let open = study.trials.iter().filter(|trial| trial.started.is_some());
    assert!(open.count() == 0 && workers.lock().unwrap().len() > 1);
    assert_eq!(study.trials.iter().filter(|trial| trial.fits()).count(), 12);
}

#[test]
fn more_trials_may_be_wanted_and_nothing_else_may_change() {
    let (base, never) = (base(), AtomicBool::new(false));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    enter(folder, &base, settings(), Some(2)).unwrap();
    let run = || {
        worker(folder, &base, &never)
            .run(|job| Ok(toy(job)))
            .unwrap()
    };
    run();
    enter(folder, &base, settings(), Some(5)).unwrap();
    run();
    assert_eq!(
        study(folder)
            .trials
            .iter()
            .filter(|trial| trial.fits())
            .count(),
        5
    );
    let refused = |change: fn(&mut Settings)| {
        let mut settings = settings();
        change(&mut settings);
        enter(folder, &base, settings, None)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(|settings| settings.seed = 6).contains("another --seed (5, not 6)"));
    assert!(refused(|settings| settings.rungs = vec![10]).contains("--rungs"));
    assert!(refused(|settings| settings.base.clear()).contains("--config"));
    assert!(refused(|settings| settings.data[0].push('x')).contains("--dataset"));
}

#[test]
fn a_space_in_which_nothing_fits_is_refused() {
    let (base, never) = (base(), AtomicBool::new(false));
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.space.parameters[1].range = Range::Choice {
        values: vec![Value::Whole(101), Value::Whole(103)],
    };
    enter(folder.path(), &base, settings, Some(2)).unwrap();
    let error = worker(folder.path(), &base, &never)
        .run(|job| Ok(toy(job)))
        .unwrap_err();
    assert!(
        matches!(&error, SearchError::NothingFits { why, .. } if why.contains("network.layers[1]")),
        "{error}"
    );
}
