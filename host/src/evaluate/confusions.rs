//! The hardest confusions: wrong decisions in order of how sure they were.
//!
//! In: trials, what an engine made of them, and the names of drawings. Out: [`Confusion`]s, worst
//! first.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::Outcome;
use super::alphabets::Catalogue;
use crate::trials::TrialSet;

/// A wrong decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Name of the trials.
    pub protocol: String,
    /// Which engine decided.
    pub engine: String,
    /// Index of the trial.
    pub trial: usize,
    /// The query's alphabet and character.
    pub right: [String; 2],
    /// Those it was taken for.
    pub chosen: [String; 2],
    /// Real logit of the right class less that of the chosen one: 0 or less.
    pub margin: f64,
    /// Indices of the query, of the right class's first shot and of the chosen one's in the set.
    #[serde(skip)]
    pub images: [usize; 3],
}

/// The `most` worst confusions of a set. The same query taken for the same character counts once.
#[must_use]
pub fn confusions(
    set: &TrialSet,
    engine: &str,
    outcome: &Outcome,
    catalogue: &Catalogue<'_>,
    most: usize,
) -> Vec<Confusion> {
    let decided = outcome.decisions.iter().zip(&outcome.margins).enumerate();
    let mut wrong: Vec<(usize, usize, f64)> = decided
        .filter(|(index, (class, _))| set.trials.get(*index).is_some_and(|t| t.answer != **class))
        .map(|(index, (&class, &margin))| (index, class, margin))
        .collect();
    wrong.sort_by(|a, b| a.2.total_cmp(&b.2).then(a.0.cmp(&b.0)));
    let mut seen = HashSet::new();
    let described = wrong.into_iter().filter_map(|(index, class, margin)| {
        let trial = set.trials.get(index)?;
        let shot = |class: usize| trial.support.get(class)?.first().copied();
        let images = [trial.query, shot(trial.answer)?, shot(class)?];
        let names = |image: usize| {
            let place = catalogue.place(set.images.get(image)?);
            Some([place.alphabet, place.character].map(str::to_owned))
        };
        let confusion = Confusion {
            protocol: set.protocol.clone(),
            engine: engine.to_owned(),
            trial: index,
            right: names(trial.query)?,
            chosen: names(images[2])?,
            margin,
            images,
        };
        seen.insert((trial.query, confusion.chosen.clone()))
            .then_some(confusion)
    });
    described.take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyphs;
    use crate::trials::{Accuracy, within_alphabet};

    #[test]
    fn the_surest_errors_come_first() {
        let data = glyphs::synthetic(3, "evaluation", 2, 4);
        let set = within_alphabet(&data, 4, 1, 6, 7).unwrap();
        let wrong = |trial: usize| (set.trials[trial].answer + 1) % 4;
        let outcome = Outcome {
            accuracy: Accuracy::of(4, 6),
            ties: 0,
            decisions: vec![
                set.trials[0].answer,
                wrong(1),
                set.trials[2].answer,
                wrong(3),
                set.trials[4].answer,
                set.trials[5].answer,
            ],
            margins: vec![1.0, -0.5, 2.0, -3.0, 0.1, 0.2],
        };
        let found = confusions(&set, "e", &outcome, &Catalogue::of(&data), 9);
        let trials: Vec<usize> = found.iter().map(|confusion| confusion.trial).collect();
        assert_eq!(trials, [3, 1]);
        assert_eq!(found[0].images[0], set.trials[3].query);
        assert_ne!(found[0].right, found[0].chosen);
        assert_eq!(found[0].right[0], found[0].chosen[0], "one alphabet");
        assert_eq!(
            confusions(&set, "e", &outcome, &Catalogue::of(&data), 1).len(),
            1
        );
    }
}
