//! How much data a folder of drawings is: what can be compared, and asked, with so many drawings.
//!
//! In: a [`Dataset`]. Out: a [`Census`]: alphabets, characters, drawers, pairs, and the number of different
//! N-way one-shot tasks. A siamese network learns from pairs: their number is the size of its data set.

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde::{Deserialize, Serialize};

use crate::dataset::{Alphabet, Dataset};
use crate::report::thousands;

/// What there is of one data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Census {
    /// Which drawings.
    pub name: String,
    /// Number of characters, of all alphabets.
    pub characters: usize,
    /// Fewest and most drawers of a character.
    pub drawers: [usize; 2],
    /// Number of drawings.
    pub drawings: usize,
    /// Unordered pairs of different drawings.
    pub pairs: usize,
    /// Those of one character.
    pub same_pairs: usize,
    /// Those of two characters.
    pub different_pairs: usize,
    /// Different one-shot tasks.
    pub tasks: Vec<Tasks>,
    /// Of each alphabet.
    pub alphabets: Vec<AlphabetCount>,
}

/// What there is of one alphabet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlphabetCount {
    /// Its name.
    pub name: String,
    /// Its characters.
    pub characters: usize,
    /// Who drew all of them.
    pub drawers: usize,
    /// Unordered pairs of different drawings within it.
    pub pairs: usize,
    /// Those of one character.
    pub same_pairs: usize,
}

/// How many N-way one-shot tasks are different: in their characters, in which of them is asked for, in who
/// drew the query and who, another, the examples. Numbers beyond 2⁵³ are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tasks {
    /// Classes.
    pub n_way: usize,
    /// All of one alphabet.
    pub within_alphabet: f64,
    /// Of all alphabets at once.
    pub mixed_alphabets: f64,
}

impl Census {
    /// Counts.
    #[must_use]
    pub fn of(name: &str, data: &Dataset, n_ways: &[usize]) -> Self {
        let drawers = data.characters().map(|character| character.drawings.len());
        let drawers: Vec<usize> = drawers.collect();
        let (pairs, same_pairs) = (data.n_pairs(), data.n_same_class_pairs());
        let fewest = drawers.iter().copied().min().unwrap_or(0);
        let tasks = |&n_way: &usize| Tasks {
            n_way,
            within_alphabet: data
                .alphabets
                .iter()
                .map(|alphabet| tasks(alphabet.characters.len(), n_way, alphabet.n_drawers()))
                .sum(),
            mixed_alphabets: tasks(data.n_characters(), n_way, fewest),
        };
        Self {
            name: name.to_owned(),
            characters: data.n_characters(),
            drawers: [fewest, drawers.into_iter().max().unwrap_or(0)],
            drawings: data.n_drawings(),
            pairs,
            same_pairs,
            different_pairs: pairs - same_pairs,
            tasks: n_ways.iter().map(tasks).collect(),
            alphabets: data.alphabets.iter().map(AlphabetCount::of).collect(),
        }
    }

    /// For people.
    #[must_use]
    pub fn words(&self) -> String {
        let [fewest, most] = self.drawers;
        let drawers = match fewest == most {
            true => fewest.to_string(),
            false => format!("{fewest} to {most}"),
        };
        let mut lines = vec![
            format!(
                "{}: {}, {} by {drawers} drawers each, {} drawings",
                self.name,
                counted(self.alphabets.len(), "alphabet"),
                counted(self.characters, "character"),
                thousands(self.drawings)
            ),
            format!(
                "pairs of drawings: {}, of these {} of the same character, {} of different ones",
                thousands(self.pairs),
                thousands(self.same_pairs),
                thousands(self.different_pairs)
            ),
        ];
        lines.extend(self.tasks.iter().map(|tasks| {
            let [within, mixed] = [tasks.within_alphabet, tasks.mixed_alphabets].map(magnitude);
            format!(
                "different {}-way one-shot tasks: {within} within alphabet, {mixed} mixed",
                tasks.n_way
            )
        }));
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header([
            "alphabet",
            "characters",
            "drawers",
            "pairs",
            "same character",
        ]);
        for row in &self.alphabets {
            let counts = [row.characters, row.drawers, row.pairs, row.same_pairs];
            table.add_row([row.name.clone()].into_iter().chain(counts.map(thousands)));
        }
        format!("{}\n\n{table}", lines.join("\n"))
    }
}

impl AlphabetCount {
    fn of(alphabet: &Alphabet) -> Self {
        let alone = Dataset {
            alphabets: vec![alphabet.clone()],
        };
        Self {
            name: alphabet.name.clone(),
            characters: alphabet.characters.len(),
            drawers: alphabet.n_drawers(),
            pairs: alone.n_pairs(),
            same_pairs: alone.n_same_class_pairs(),
        }
    }
}

/// Ways to choose the characters, one of them, and two drawers.
fn tasks(characters: usize, n_way: usize, drawers: usize) -> f64 {
    if n_way > characters {
        return 0.0;
    }
    let choose = |product: f64, k: usize| product * (characters - k) as f64 / (k + 1) as f64;
    let characters = (0..n_way).fold(1.0, choose);
    let drawers = drawers as f64 * drawers.saturating_sub(1) as f64;
    (characters * n_way as f64 * drawers).round()
}

fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", thousands(number))
}

/// In full where a person can read it, else its power of ten.
fn magnitude(number: f64) -> String {
    match number < 1e12 {
        true => thousands(number as usize),
        false => {
            let power = number.log10().floor();
            format!("{:.1}·10^{power}", number / 10_f64.powf(power))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dataset::{Character, Drawing};

    fn data(alphabets: usize, characters: usize, drawers: usize) -> Dataset {
        let drawing = Arc::new(Drawing {
            h: 1,
            w: 1,
            ink: vec![255],
        });
        let character = |index: usize| Character {
            name: index.to_string(),
            drawings: vec![drawing.clone(); drawers],
        };
        let alphabet = |index: usize| Alphabet {
            name: index.to_string(),
            characters: (0..characters).map(character).collect(),
        };
        Dataset {
            alphabets: (0..alphabets).map(alphabet).collect(),
        }
    }

    /// The numbers of Omniglot's background half that are quoted everywhere: 964 characters by 20 drawers.
    #[test]
    fn pairs_of_omniglot() {
        let census = Census::of("background", &data(4, 241, 20), &[]);
        assert_eq!((census.characters, census.drawings), (964, 19_280));
        assert_eq!(census.pairs, 185_849_560);
        assert_eq!(census.same_pairs, 183_160);
        assert_eq!(census.different_pairs, 185_666_400);
        assert!(census.words().contains("185,849,560"));
    }

    /// Counted by hand: three characters of two alphabets each, by two drawers.
    #[test]
    fn tasks_by_hand() {
        let census = Census::of("a", &data(2, 3, 2), &[2, 3, 7]);
        let found: Vec<[f64; 2]> = census
            .tasks
            .iter()
            .map(|tasks| [tasks.within_alphabet, tasks.mixed_alphabets])
            .collect();
        // Of one alphabet: 3 pairs of characters, either asked for, either drawer: 12. Of six: 15 pairs.
        assert_eq!(found, [[24.0, 60.0], [12.0, 120.0], [0.0, 0.0]]);
        assert_eq!(
            (census.alphabets[1].pairs, census.alphabets[1].same_pairs),
            (15, 3)
        );
    }

    /// Pictures of one's own: some classes have more.
    #[test]
    fn uneven_classes() {
        let mut data = data(1, 2, 3);
        data.alphabets[0].characters[1].drawings.truncate(2);
        let census = Census::of("own", &data, &[2]);
        assert_eq!(census.drawers, [2, 3]);
        assert_eq!((census.pairs, census.same_pairs), (10, 4));
        assert_eq!(census.alphabets[0].drawers, 2);
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(magnitude(1e6), "1,000,000");
        assert_eq!(magnitude(2.54e41), "2.5·10^41");
    }
}
