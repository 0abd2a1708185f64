//! Open-set trials: some classes are enrolled, and the query may belong to none of them.
//!
//! In: drawings. Out: an [`OpenSet`]: support sets with one query each, of an enrolled class or of a
//! character that is not enrolled. One alphabet is enrolled first; where it has too few characters
//! others join it whole. Query and support are by different drawers, all shots of one number by one
//! drawer. The same draws calibrate a model, on other alphabets than those that evaluate it.

use std::collections::HashMap;
use std::sync::Arc;

use rand::seq::{SliceRandom, index};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::dataset::{Alphabet, Character, Dataset, Drawing};
use crate::trials::TrialError;

/// Which character a query shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// One that is enrolled.
    Enrolled,
    /// Another of the alphabet that is enrolled first.
    SameAlphabet,
    /// One of an alphabet of which nothing is enrolled.
    OtherAlphabet,
}

/// Trials over one pool of drawings.
#[derive(Debug, Clone, Default)]
pub struct OpenSet {
    /// Every drawing that a trial uses, once.
    pub images: Vec<Arc<Drawing>>,
    /// The trials.
    pub trials: Vec<OpenTrial>,
}

/// One query against one support set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTrial {
    /// Per class, the indices of its shots in [`OpenSet::images`].
    pub support: Vec<Vec<usize>>,
    /// Index of the query in [`OpenSet::images`].
    pub query: usize,
    /// The query's class: an index into `support`; `None` when it is not enrolled.
    pub answer: Option<usize>,
}

/// Whether some alphabet alone has `n_way` characters and one more for the query.
#[must_use]
pub fn fits_one_alphabet(data: &Dataset, n_way: usize) -> bool {
    data.alphabets.iter().any(|a| a.characters.len() > n_way)
}

/// `n_trials` trials with queries of that kind.
///
/// # Errors
/// [`TrialError`] when there are too few characters, alphabets or drawers.
pub fn draw(
    data: &Dataset,
    [n_way, k_shot]: [usize; 2],
    query: Query,
    n_trials: usize,
    seed: u64,
) -> Result<OpenSet, TrialError> {
    let refused = TrialError {
        task: "data set",
        n_way: n_way + 1,
        k_shot,
        most: data.n_characters(),
    };
    let alone = fits_one_alphabet(data, n_way);
    let enough = |a: &&Alphabet| a.characters.len() > if alone { n_way } else { 1 };
    let firsts: Vec<&Alphabet> = data.alphabets.iter().filter(enough).collect();
    let drawers = data.alphabets.iter().map(Alphabet::n_drawers).min();
    let n_drawers = drawers.unwrap_or(0);
    if firsts.is_empty() || n_way == 0 || k_shot == 0 || n_drawers <= k_shot {
        return Err(refused);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pool = Pool::default();
    for _ in 0..n_trials {
        let first = firsts[rng.random_range(0..firsts.len())];
        let (classes, shown) = classes(data, first, n_way, query, &mut rng).ok_or(refused)?;
        let drawers = index::sample(&mut rng, n_drawers, k_shot + 1).into_vec();
        pool.push(&classes, shown, &drawers);
    }
    Ok(pool.set)
}

/// The query's character, and which class it is.
type Shown<'d> = (&'d Character, Option<usize>);

/// What is enrolled, and what the query shows. `None` when there are too few characters.
fn classes<'d>(
    data: &'d Dataset,
    first: &'d Alphabet,
    n_way: usize,
    query: Query,
    rng: &mut ChaCha8Rng,
) -> Option<(Vec<&'d Character>, Shown<'d>)> {
    // One character of the first alphabet is never enrolled, whatever the query: the support sets
    // of all kinds of trials are alike.
    let order = index::sample(rng, first.characters.len(), first.characters.len());
    let mut characters = order.into_iter().map(|i| &first.characters[i]);
    let left_out = characters.next()?;
    let mut classes: Vec<&Character> = characters.take(n_way).collect();
    let others = data.alphabets.iter().filter(|a| !std::ptr::eq(*a, first));
    let mut others: Vec<&Alphabet> = others.collect();
    others.shuffle(rng);
    let mut others = others.into_iter();
    while classes.len() < n_way {
        let characters = &others.next()?.characters;
        let more = (n_way - classes.len()).min(characters.len());
        let more = index::sample(rng, characters.len(), more);
        classes.extend(more.iter().map(|i| &characters[i]));
    }
    let shown = match query {
        Query::Enrolled => {
            let answer = rng.random_range(0..n_way);
            (classes[answer], Some(answer))
        }
        Query::SameAlphabet => (left_out, None),
        Query::OtherAlphabet => {
            let characters: Vec<&Character> = others.flat_map(|a| &a.characters).collect();
            let chosen = rng.random_range(0..characters.len().max(1));
            (*characters.get(chosen)?, None)
        }
    };
    Some((classes, shown))
}

/// A set under construction: every drawing is kept once.
#[derive(Default)]
struct Pool {
    set: OpenSet,
    index: HashMap<*const Drawing, usize>,
}

impl Pool {
    fn image(&mut self, drawing: &Arc<Drawing>) -> usize {
        let images = &mut self.set.images;
        *self.index.entry(Arc::as_ptr(drawing)).or_insert_with(|| {
            images.push(drawing.clone());
            images.len() - 1
        })
    }

    /// The first drawer draws the query, the others a shot of every class.
    fn push(&mut self, classes: &[&Character], shown: Shown<'_>, drawers: &[usize]) {
        let (character, answer) = shown;
        let Some((&by, shots)) = drawers.split_first() else {
            return;
        };
        let query = self.image(&character.drawings[by]);
        let support = classes.iter().map(|class| {
            let shots = shots.iter().map(|&by| self.image(&class.drawings[by]));
            shots.collect()
        });
        let support = support.collect();
        self.set.trials.push(OpenTrial {
            support,
            query,
            answer,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyphs;

    /// Alphabet and character of a drawing.
    fn place(data: &Dataset, drawing: &Arc<Drawing>) -> (usize, usize) {
        let alphabets = data.alphabets.iter().enumerate();
        let mut places = alphabets.filter_map(|(a, alphabet)| {
            let owns = |c: &Character| c.drawings.iter().any(|d| Arc::ptr_eq(d, drawing));
            Some((a, alphabet.characters.iter().position(owns)?))
        });
        places.next().unwrap()
    }

    #[test]
    fn trials_keep_their_promises() {
        // Four alphabets of four characters.
        let data = glyphs::synthetic(3, "background", 4, 4);
        for (n_way, kind) in [(3, true), (5, false)] {
            assert_eq!(fits_one_alphabet(&data, n_way), kind);
            for query in [Query::Enrolled, Query::SameAlphabet, Query::OtherAlphabet] {
                let set = draw(&data, [n_way, 2], query, 50, 7).unwrap();
                assert_eq!(set.trials.len(), 50);
                for trial in &set.trials {
                    let place = |&image: &usize| place(&data, &set.images[image]);
                    let enrolled: Vec<_> = trial.support.iter().map(|s| place(&s[0])).collect();
                    let mut distinct = enrolled.clone();
                    distinct.sort_unstable();
                    distinct.dedup();
                    assert_eq!(distinct.len(), n_way);
                    let same = |shots: &Vec<usize>| place(&shots[0]) == place(&shots[1]);
                    assert!(trial.support.iter().all(same));
                    assert!(
                        !trial
                            .support
                            .iter()
                            .flatten()
                            .any(|&shot| shot == trial.query)
                    );
                    let shown = place(&trial.query);
                    let answer = enrolled.iter().position(|&class| class == shown);
                    assert_eq!(answer, trial.answer);
                    assert_eq!(answer.is_some(), query == Query::Enrolled);
                    let known_alphabet = enrolled.iter().any(|class| class.0 == shown.0);
                    assert_eq!(known_alphabet, query != Query::OtherAlphabet);
                }
            }
        }
    }

    #[test]
    fn too_few() {
        let data = glyphs::synthetic(3, "background", 2, 4);
        assert!(draw(&data, [7, 1], Query::SameAlphabet, 1, 1).is_ok());
        assert!(draw(&data, [8, 1], Query::SameAlphabet, 1, 1).is_err());
        assert!(draw(&data, [5, 1], Query::OtherAlphabet, 1, 1).is_err());
        assert!(draw(&data, [3, 99], Query::Enrolled, 1, 1).is_err());
        assert!(draw(&Dataset::default(), [1, 1], Query::Enrolled, 1, 1).is_err());
    }
}
