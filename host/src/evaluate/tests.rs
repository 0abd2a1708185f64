//! Decisions on an engine whose logits are known by hand.

use std::sync::Arc;

use proptest::prelude::*;
use shared::image::Framing;
use shared::shape::Hwc;

use super::*;
use crate::dataset::Drawing;

/// Embeds an image as its first pixel; the logit is minus the distance.
struct FirstPixel;

impl Embedder for FirstPixel {
    type Embedding = u8;
    type Logit = i32;

    fn name(&self) -> &str {
        "first pixel"
    }

    fn input(&self) -> Input {
        Input {
            shape: Hwc::new(1, 1, 1),
            framing: Framing::Picture,
        }
    }

    fn embed(&self, input: &[u8]) -> Result<u8, EngineError> {
        self.input().shape.check(input.len())?;
        Ok(input[0])
    }

    fn logit(&self, query: &u8, support: &u8) -> Result<i32, EngineError> {
        Ok(-i32::from(query.abs_diff(*support)))
    }
}

/// One image per grey value `10 * index`.
fn set(trials: Vec<Trial>) -> TrialSet {
    let images = (0..=20).map(|index| {
        Arc::new(Drawing {
            h: 2,
            w: 2,
            ink: vec![10 * index; 4],
        })
    });
    TrialSet {
        protocol: "by hand".to_owned(),
        images: images.collect(),
        trials,
    }
}

fn trial(support: &[&[usize]], query: usize, answer: usize) -> Trial {
    Trial {
        support: support.iter().map(|shots| shots.to_vec()).collect(),
        query,
        answer,
    }
}

#[test]
fn counts_right_decisions_and_ties() {
    let trials = vec![
        trial(&[&[0], &[5], &[9]], 6, 1),
        trial(&[&[0], &[5], &[9]], 6, 2),
        // As far from 4 as from 8: the lower index wins, and the tie is counted.
        trial(&[&[8], &[4]], 6, 1),
    ];
    let evaluation = evaluate(&set(trials), &FirstPixel).unwrap();
    assert_eq!(evaluation.mean.decisions, [1, 1, 0]);
    assert_eq!(
        (evaluation.mean.accuracy.correct, evaluation.mean.ties),
        (1, 1)
    );
    assert_eq!(evaluation.mean, evaluation.max);
    assert_eq!((evaluation.n_way, evaluation.k_shot), (3, 1));
}

#[test]
fn mean_and_maximum_differ() {
    // Class 0 holds one near and one far shot, class 1 two middling ones.
    let trials = vec![trial(&[&[6, 20], &[3, 9]], 6, 0)];
    let evaluation = evaluate(&set(trials), &FirstPixel).unwrap();
    assert_eq!(evaluation.max.decisions, [0]);
    assert_eq!(evaluation.mean.decisions, [1]);
}

/// Class 0 holds one shot that is the query and a far one, class 1 two that are as far.
#[test]
fn a_device_pools_half_way_and_margins_say_how_sure() {
    let set = set(vec![trial(&[&[6, 14], &[9, 3]], 6, 0)]);
    let evaluation = evaluate(&set, &FirstPixel).unwrap();
    assert_eq!(evaluation.device.decisions, [0]);
    // Mean -40 and -30; best 0 and -30; half way -20 and -30.
    assert_eq!(evaluation.mean.margins, [-10.0]);
    assert_eq!(evaluation.max.margins, [30.0]);
    assert_eq!(evaluation.device.margins, [10.0]);
    // Half the unit, half the margin; the same logits have the same digests.
    let logits = [vec![vec![0, -80], vec![-30, -30]]];
    let half = tally(&set, "half", &logits, 0.5);
    assert_eq!(half.device.margins, [5.0]);
    let whole = tally(&set, "whole", &logits, 1.0);
    assert_eq!(whole.digests, evaluation.digests);
    assert_ne!(half.digests, whole.digests);
}

#[test]
fn impossible_trials_are_named() {
    let error = |trials| evaluate(&set(trials), &FirstPixel).unwrap_err().to_string();
    assert_eq!(error(vec![]), "the trial set is empty");
    assert_eq!(
        error(vec![trial(&[&[0], &[1]], 2, 0), trial(&[&[0], &[1]], 2, 2)]),
        "trial 1: the answer is class 2 of 2"
    );
    assert_eq!(
        error(vec![trial(&[&[0], &[21]], 2, 0)]),
        "trial 0: image 21 of 21 does not exist"
    );
    assert_eq!(
        error(vec![trial(&[&[0, 1], &[1]], 2, 0)]),
        "trial 0: every class must have 2 shots (at least 1), as in trial 0"
    );
    let mut damaged = set(vec![trial(&[&[0], &[1]], 2, 0)]);
    damaged.images[1] = Arc::new(Drawing {
        h: 3,
        w: 3,
        ink: vec![0; 8],
    });
    let error = evaluate(&damaged, &FirstPixel).unwrap_err().to_string();
    assert!(error.starts_with("image 1: "), "{error}");
}

proptest! {
    /// Reals decide as the device's integers do.
    #[test]
    fn reals_decide_like_integers(logits in prop::collection::vec(prop::collection::vec(-9..9_i32, 3), 1..7)) {
        let reals: Vec<Vec<f64>> = logits
            .iter()
            .map(|shots| shots.iter().map(|&logit| f64::from(logit) / 1024.0).collect())
            .collect();
        for pooling in [Pooling::Mean, Pooling::Max] {
            prop_assert_eq!(decide(&logits, pooling), decide(&reals, pooling));
        }
    }
}
