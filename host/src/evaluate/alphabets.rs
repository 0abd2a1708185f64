//! Which alphabet and character a drawing belongs to.
//!
//! In: a data set. Out: a [`Catalogue`], which knows drawings by their ink: also those of Lake's
//! runs, whose files do not say what they show.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::dataset::{Dataset, Drawing};
use crate::trials::{Accuracy, Trial, TrialSet};

/// Names of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place<'d> {
    /// Its alphabet.
    pub alphabet: &'d str,
    /// Its character.
    pub character: &'d str,
}

/// What a drawing of no alphabet is called.
const NOWHERE: Place<'static> = Place {
    alphabet: "unknown alphabet",
    character: "unknown character",
};

/// Places by ink.
#[derive(Debug, Default)]
pub struct Catalogue<'d>(HashMap<&'d Drawing, Place<'d>>);

impl<'d> Catalogue<'d> {
    /// Every drawing of a data set. Where two are the same, the first counts.
    #[must_use]
    pub fn of(data: &'d Dataset) -> Self {
        let mut places = HashMap::new();
        for alphabet in &data.alphabets {
            for character in &alphabet.characters {
                let place = Place {
                    alphabet: &alphabet.name,
                    character: &character.name,
                };
                for drawing in &character.drawings {
                    places.entry(&**drawing).or_insert(place);
                }
            }
        }
        Self(places)
    }

    /// Where a drawing belongs.
    #[must_use]
    pub fn place(&self, drawing: &Drawing) -> Place<'d> {
        self.0.get(drawing).copied().unwrap_or(NOWHERE)
    }

    /// How many alphabets, and how many characters, the queries of a set are of.
    #[must_use]
    pub fn extent(&self, set: &TrialSet) -> [usize; 2] {
        // Many trials ask for the same drawing: look at each once.
        let queries: HashSet<usize> = set.trials.iter().map(|trial| trial.query).collect();
        let queries = queries
            .into_iter()
            .filter_map(|query| set.images.get(query));
        let places: HashSet<Place<'_>> = queries.map(|drawing| self.place(drawing)).collect();
        let alphabets: HashSet<&str> = places.iter().map(|place| place.alphabet).collect();
        [alphabets.len(), places.len()]
    }

    /// Accuracy by alphabet of the query, in order of their names.
    #[must_use]
    pub fn by_alphabet(
        &self,
        set: &TrialSet,
        is_right: impl Fn(usize, &Trial) -> bool,
    ) -> Vec<(&'d str, Accuracy)> {
        let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
        for (index, trial) in set.trials.iter().enumerate() {
            let Some(query) = set.images.get(trial.query) else {
                continue;
            };
            let [correct, trials] = counts.entry(self.place(query).alphabet).or_default();
            *correct += usize::from(is_right(index, trial));
            *trials += 1;
        }
        let counts = counts.into_iter();
        counts
            .map(|(name, [correct, trials])| (name, Accuracy::of(correct, trials)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyphs;
    use crate::trials::{lake20, within_alphabet};

    #[test]
    fn trials_know_their_alphabets() {
        let data = glyphs::synthetic(3, "evaluation", 4, 6);
        let catalogue = Catalogue::of(&data);
        let set = within_alphabet(&data, 5, 1, 200, 7).unwrap();
        assert_eq!(catalogue.extent(&set), [4, 24]);
        let rows = catalogue.by_alphabet(&set, |_, trial| trial.answer == 0);
        assert_eq!(rows.len(), 4);
        assert_eq!(rows.iter().map(|(_, row)| row.trials).sum::<usize>(), 200);
        let first = set.trials.iter().filter(|trial| trial.answer == 0).count();
        assert_eq!(
            rows.iter().map(|(_, row)| row.correct).sum::<usize>(),
            first
        );
        assert_eq!(rows[0].0, "synthetic_evaluation_00");
    }

    /// Runs are drawings of their own: only ink connects them.
    #[test]
    fn runs_are_recognised_by_their_ink() {
        let glyphs = glyphs::load(1);
        let catalogue = Catalogue::of(&glyphs.evaluation);
        let mut set = lake20(&glyphs.runs);
        for image in &mut set.images {
            *image = std::sync::Arc::new(Drawing::clone(image));
        }
        assert_eq!(catalogue.extent(&set), [10, 200]);
        let strange = Drawing {
            h: 1,
            w: 1,
            ink: vec![9],
        };
        assert_eq!(catalogue.place(&strange), NOWHERE);
    }
}
