//! Decisions over trials with made-up scores.

use super::*;
use crate::search::space::{Parameter, Range};

pub(crate) fn settings(rungs: &[usize], eta: usize) -> Settings {
    let range = Range::Linear {
        low: 0.0,
        high: 1.0,
    };
    Settings {
        format: FORMAT,
        seed: 1,
        rungs: rungs.to_vec(),
        eta,
        base: String::new(),
        data: Default::default(),
        space: Space {
            parameters: vec![Parameter {
                field: "train.dropout".to_owned(),
                range,
            }],
        },
    }
}

fn proposed(trial: usize) -> Event {
    Event::Proposed {
        trial,
        values: vec![Value::Real(0.5)],
    }
}

fn scored(trial: usize, rung: usize, accuracy: f64) -> Event {
    let score = Score {
        step: 1,
        accuracy,
        standard_error: 0.01,
        seconds: 1.0,
    };
    Event::Scored { trial, rung, score }
}

/// A study of `accuracies` at the first rung.
fn study(accuracies: &[f64], wanted: usize) -> Study {
    let mut study = Study::new(settings(&[10, 30, 90], 3));
    study.follow(Event::Wanted { trials: wanted }).unwrap();
    for (trial, &accuracy) in accuracies.iter().enumerate() {
        study.follow(proposed(trial)).unwrap();
        study.follow(scored(trial, 0, accuracy)).unwrap();
    }
    study
}

fn next(study: &Study) -> Step {
    study.next(|_| false)
}

#[test]
fn one_of_eta_goes_on() {
    assert_eq!(next(&study(&[0.1, 0.3], 9)), Step::Propose);
    let mut three = study(&[0.1, 0.3, 0.2], 9);
    assert_eq!(next(&three), Step::Train { trial: 1, rung: 1 });
    three.follow(Event::Started { trial: 1, rung: 1 }).unwrap();
    assert_eq!(three.next(|trial| trial == 1), Step::Propose);
    three.follow(scored(1, 1, 0.5)).unwrap();
    assert_eq!(next(&three), Step::Propose);
    assert_eq!(three.ranking(), [1, 2, 0]);
}

#[test]
fn the_highest_rung_comes_first() {
    let accuracies = [0.9, 0.8, 0.7, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1];
    let mut study = study(&accuracies, 9);
    for (trial, accuracy) in [(0, 0.90), (1, 0.95), (2, 0.92)] {
        assert_eq!(next(&study), Step::Train { trial, rung: 1 });
        study.follow(scored(trial, 1, accuracy)).unwrap();
    }
    assert_eq!(next(&study), Step::Train { trial: 1, rung: 2 });
    study.follow(scored(1, 2, 0.96)).unwrap();
    assert_eq!(next(&study), Step::Finish);
    assert_eq!(study.ranking()[..3], [1, 2, 0]);
    let best = study
        .known()
        .into_iter()
        .map(|known| known.score)
        .fold(f64::MIN, f64::max);
    assert!((best - 2.96).abs() < 1e-12);
}

#[test]
fn of_equal_trials_the_earlier_goes_on() {
    assert_eq!(
        next(&study(&[0.2; 3], 9)),
        Step::Train { trial: 0, rung: 1 }
    );
}

#[test]
fn what_nobody_trains_is_taken_up() {
    let mut study = study(&[0.1], 4);
    study.follow(proposed(1)).unwrap();
    // Proposed, and then the worker died.
    assert_eq!(next(&study), Step::Train { trial: 1, rung: 0 });
    study.follow(Event::Started { trial: 1, rung: 0 }).unwrap();
    assert_eq!(next(&study), Step::Train { trial: 1, rung: 0 });
    assert_eq!(study.next(|trial| trial == 1), Step::Propose);
    study.wanted = 2;
    assert_eq!(study.next(|trial| trial == 1), Step::Wait);
}

#[test]
fn failures_are_no_errors() {
    let mut study = study(&[0.1, 0.3], 4);
    for trial in [2, 3] {
        study.follow(proposed(trial)).unwrap();
    }
    study
        .follow(Event::DoesNotFit {
            trial: 2,
            why: "too large".into(),
        })
        .unwrap();
    let why = "step 3".to_owned();
    study
        .follow(Event::Diverged {
            trial: 3,
            rung: 0,
            why,
        })
        .unwrap();
    // Three have been at the first rung, one of them in vain; who does not fit is replaced.
    assert_eq!(next(&study), Step::Train { trial: 1, rung: 1 });
    let why = "step 20".to_owned();
    study
        .follow(Event::Diverged {
            trial: 1,
            rung: 1,
            why,
        })
        .unwrap();
    assert_eq!(next(&study), Step::Propose);
    assert_eq!(study.ranking(), [0]);
    let failed = study
        .known()
        .into_iter()
        .filter(|known| known.score.is_infinite());
    assert_eq!(failed.count(), 3);
}

#[test]
fn events_that_cannot_be_are_refused() {
    let refused = |event: Event| study(&[0.1], 4).follow(event).is_err();
    assert!(refused(Event::Search(settings(&[1], 2))));
    assert!(refused(proposed(2)));
    assert!(refused(Event::Proposed {
        trial: 1,
        values: Vec::new()
    }));
    assert!(refused(scored(0, 0, 0.5)) && refused(scored(0, 2, 0.5)) && refused(scored(7, 0, 0.5)));
    assert!(refused(Event::Started { trial: 0, rung: 3 }));
}
