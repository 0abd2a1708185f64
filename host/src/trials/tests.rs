use super::*;
use crate::glyphs;

#[test]
fn trials_keep_their_promises() {
    let data = glyphs::synthetic(3, "background", 4, 8);
    let within = within_alphabet(&data, 5, 2, 200, 7).unwrap();
    let mixed = mixed(&data, 9, 1, 200, 7).unwrap();
    assert_eq!((within.n_way(), within.k_shot()), (5, 2));
    assert_eq!((mixed.n_way(), mixed.k_shot()), (9, 1));
    for set in [&within, &mixed] {
        for trial in &set.trials {
            assert!(
                trial
                    .support
                    .iter()
                    .flatten()
                    .all(|&shot| shot != trial.query)
            );
            let mut images: Vec<_> = trial.support.iter().flatten().collect();
            images.sort_unstable();
            images.dedup();
            assert_eq!(images.len(), set.n_way() * set.k_shot());
        }
        let first = set.trials.iter().filter(|trial| trial.answer == 0).count();
        let expected = set.trials.len() / set.n_way();
        assert!(
            first < 2 * expected,
            "the true class stands first {first} times"
        );
    }
}

#[test]
fn all_way_asks_for_every_character_once() {
    let data = glyphs::synthetic(3, "background", 2, 4);
    let set = all_way(&data, 2, 1).unwrap();
    assert_eq!((set.n_way(), set.trials.len()), (8, 16));
    assert_eq!(set.protocol, "all_characters_8way_1shot");
    for half in set.trials.chunks(8) {
        let mut queries: Vec<usize> = half.iter().map(|trial| trial.query).collect();
        queries.sort_unstable();
        queries.dedup();
        assert_eq!(queries.len(), 8);
        let owner = |image: usize| {
            let is = |c: &Character| {
                c.drawings
                    .iter()
                    .any(|d| Arc::ptr_eq(d, &set.images[image]))
            };
            data.characters().position(is)
        };
        for trial in half {
            assert_eq!(owner(trial.query), owner(trial.support[trial.answer][0]));
            assert!(trial.support.iter().all(|shots| shots[0] != trial.query));
        }
    }
    assert!(all_way(&Dataset::default(), 1, 1).is_err());
}

#[test]
fn within_alphabet_stays_within() {
    let data = glyphs::synthetic(3, "background", 4, 8);
    let set = within_alphabet(&data, 5, 1, 50, 7).unwrap();
    let alphabet = |image: usize| {
        let wanted = &set.images[image];
        data.alphabets.iter().position(|a| {
            a.characters
                .iter()
                .any(|c| c.drawings.iter().any(|d| Arc::ptr_eq(d, wanted)))
        })
    };
    for trial in &set.trials {
        let home = alphabet(trial.query);
        assert!(
            trial
                .support
                .iter()
                .flatten()
                .all(|&shot| alphabet(shot) == home)
        );
    }
}

#[test]
fn too_many_ways() {
    let data = glyphs::synthetic(3, "background", 2, 4);
    assert!(within_alphabet(&data, 5, 1, 1, 1).is_err());
    assert!(mixed(&data, 9, 1, 1, 1).is_err());
    assert!(within_alphabet(&data, 3, 99, 1, 1).is_err());
}

#[test]
fn wilson_interval() {
    let accuracy = Accuracy::of(384, 400);
    assert!((accuracy.standard_error - 0.009_798).abs() < 1e-6);
    assert!(
        (accuracy.interval95[0] - 0.936_0).abs() < 2e-4,
        "{accuracy:?}"
    );
    assert!((Accuracy::of(0, 0).mean).abs() < f64::EPSILON);
}

/// Each run as one of Lake's: one support set for all its trials, every character asked for once, two drawers.
#[test]
fn runs_are_as_lakes() {
    let data = glyphs::synthetic(3, "background", 3, 8);
    let set = runs(&data, 5, 23, 1).unwrap();
    assert_eq!((set.n_way(), set.k_shot(), set.trials.len()), (5, 1, 23));
    for run in set.trials.chunks(5) {
        assert!(run.iter().all(|trial| trial.support == run[0].support));
        let answers: Vec<usize> = run.iter().map(|trial| trial.answer).collect();
        assert_eq!(answers, (0..run.len()).collect::<Vec<_>>());
    }
    assert_ne!(set.trials[0].support, set.trials[5].support);
    assert!(runs(&data, 9, 1, 1).is_err());
}

#[test]
fn only_what_is_used_is_kept() {
    let data = glyphs::synthetic(3, "background", 4, 8);
    let whole = mixed(&data, 6, 2, 40, 7).unwrap();
    let mut few = whole.clone();
    few.trials.truncate(3);
    let few = few.without_unused();
    assert!(few.images.len() <= 3 * 13 && few.images.len() < whole.images.len());
    for (a, b) in whole.trials.iter().zip(&few.trials) {
        let same = |x: usize, y: usize| Arc::ptr_eq(&whole.images[x], &few.images[y]);
        assert!(same(a.query, b.query) && a.answer == b.answer);
        let shots = a.support.iter().flatten().zip(b.support.iter().flatten());
        assert!(shots.into_iter().all(|(x, y)| same(*x, *y)));
    }
}
