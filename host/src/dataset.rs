//! Drawings in memory: alphabets of characters, each drawn once by every drawer.
//!
//! In: decoded drawings (from Omniglot or the glyph generator). Out: a [`Dataset`], and for
//! training a [`Background`], which no evaluation alphabet can enter.

use std::sync::Arc;

use sha2::{Digest, Sha256};

/// One drawing: ink `[h][w]`, 255 = ink, 0 = paper.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Drawing {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// `[h][w]`.
    pub ink: Vec<u8>,
}

/// One character; drawing `i` is by drawer `i` of its alphabet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Character {
    /// Name within its alphabet.
    pub name: String,
    /// By drawer.
    pub drawings: Vec<Arc<Drawing>>,
}

/// One alphabet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alphabet {
    /// Name, as in the archive.
    pub name: String,
    /// In the archive's order.
    pub characters: Vec<Character>,
}

/// Several alphabets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dataset {
    /// In the archive's order.
    pub alphabets: Vec<Alphabet>,
}

impl Alphabet {
    /// How many drawers drew every character of this alphabet.
    #[must_use]
    pub fn n_drawers(&self) -> usize {
        let drawings = self.characters.iter().map(|c| c.drawings.len());
        drawings.min().unwrap_or(0)
    }
}

impl Dataset {
    /// All characters, alphabet after alphabet.
    pub fn characters(&self) -> impl Iterator<Item = &Character> {
        self.alphabets.iter().flat_map(|a| &a.characters)
    }

    /// Number of characters.
    #[must_use]
    pub fn n_characters(&self) -> usize {
        self.characters().count()
    }

    /// Number of drawings.
    #[must_use]
    pub fn n_drawings(&self) -> usize {
        self.characters().map(|c| c.drawings.len()).sum()
    }

    /// Unordered pairs of different drawings.
    #[must_use]
    pub fn n_pairs(&self) -> usize {
        let n = self.n_drawings();
        n * n.saturating_sub(1) / 2
    }

    /// Unordered pairs of different drawings of the same character.
    #[must_use]
    pub fn n_same_class_pairs(&self) -> usize {
        let pairs = |n: usize| n * n.saturating_sub(1) / 2;
        self.characters().map(|c| pairs(c.drawings.len())).sum()
    }

    /// SHA-256 in hex over names and ink: which data a run was trained on.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for alphabet in &self.alphabets {
            hasher.update(alphabet.name.as_bytes());
            for character in &alphabet.characters {
                hasher.update(character.name.as_bytes());
                for drawing in &character.drawings {
                    hasher.update(
                        [drawing.h as u64, drawing.w as u64]
                            .map(u64::to_le_bytes)
                            .concat(),
                    );
                    hasher.update(&drawing.ink);
                }
            }
        }
        hex(&hasher.finalize())
    }
}

/// Bytes in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Background alphabets held out from training to choose the checkpoint: five scripts of different
/// kinds, 150 characters.
pub const VALIDATION_ALPHABETS: [&str; 5] = [
    "Alphabet_of_the_Magi",
    "Armenian",
    "Burmese_(Myanmar)",
    "Futurama",
    "Gujarati",
];

/// The alphabets of Omniglot's evaluation half: never trained on, never selected on.
pub const EVALUATION_ALPHABETS: [&str; 20] = [
    "Angelic",
    "Atemayar_Qelisayer",
    "Atlantean",
    "Aurek-Besh",
    "Avesta",
    "Ge_ez",
    "Glagolitic",
    "Gurmukhi",
    "Kannada",
    "Keble",
    "Malayalam",
    "Manipuri",
    "Mongolian",
    "Old_Church_Slavonic_(Cyrillic)",
    "Oriya",
    "Sylheti",
    "Syriac_(Serto)",
    "Tengwar",
    "Tibetan",
    "ULOG",
];

/// Those of them that Lake's 20 runs are drawn from, two runs each.
pub const LAKE_ALPHABETS: [&str; 10] = [
    "Atlantean",
    "Ge_ez",
    "Glagolitic",
    "Gurmukhi",
    "Kannada",
    "Malayalam",
    "Manipuri",
    "Old_Church_Slavonic_(Cyrillic)",
    "Tengwar",
    "Tibetan",
];

/// Alphabets that may be trained on: the type that training, choice of the checkpoint, quantization
/// and calibration take. Nothing but [`Background::new`] makes one:
///
/// ```compile_fail
/// # use host::dataset::{Background, Dataset};
/// let evaluation = Dataset::default();
/// let background = Background { training: evaluation.clone(), validation: evaluation };
/// ```
#[derive(Debug, Clone)]
pub struct Background {
    training: Dataset,
    validation: Dataset,
}

impl Background {
    /// Splits the background half into training and validation alphabets.
    ///
    /// # Errors
    /// [`DatasetError`] when an evaluation alphabet is among them, a held-out alphabet is missing,
    /// or nothing is left to train on.
    pub fn new(dataset: Dataset, held_out: &[&str]) -> Result<Self, DatasetError> {
        let names: Vec<&str> = dataset.alphabets.iter().map(|a| a.name.as_str()).collect();
        let evaluates = |name: &&&str| {
            let mut known = EVALUATION_ALPHABETS.iter();
            known.any(|known| known.eq_ignore_ascii_case(name))
        };
        if let Some(name) = names.iter().find(evaluates) {
            return Err(DatasetError::EvaluationAlphabet((*name).to_owned()));
        }
        if let Some(name) = held_out.iter().find(|name| !names.contains(name)) {
            return Err(DatasetError::Missing((*name).to_owned()));
        }
        let (validation, training): (Vec<_>, Vec<_>) = dataset
            .alphabets
            .into_iter()
            .partition(|alphabet| held_out.contains(&alphabet.name.as_str()));
        if training.is_empty() {
            return Err(DatasetError::NothingToTrain);
        }
        Ok(Self {
            training: Dataset {
                alphabets: training,
            },
            validation: Dataset {
                alphabets: validation,
            },
        })
    }

    /// Koch's 40 and 10 alphabets: all of the background half teaches, the evaluation alphabets that Lake's
    /// runs leave out choose the checkpoint ([`crate::config::Split::Paper`]).
    ///
    /// # Errors
    /// As [`Self::new`], and [`DatasetError::Missing`] when an alphabet of Lake's runs is not in `evaluation`:
    /// then it is not Omniglot's.
    pub fn of_paper(background: Dataset, mut evaluation: Dataset) -> Result<Self, DatasetError> {
        let known = |name: &str| evaluation.alphabets.iter().any(|a| a.name == name);
        if let Some(name) = LAKE_ALPHABETS.iter().find(|name| !known(name)) {
            return Err(DatasetError::Missing((*name).to_owned()));
        }
        evaluation
            .alphabets
            .retain(|alphabet| !LAKE_ALPHABETS.contains(&alphabet.name.as_str()));
        Self::peeking(background, evaluation)
    }

    /// All of the background half teaches, `evaluation` chooses the checkpoint, as in the post: a figure about
    /// `evaluation` is then no claim ([`crate::config::Split::PeekAtEvaluation`]).
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn peeking(background: Dataset, evaluation: Dataset) -> Result<Self, DatasetError> {
        let all = Self::new(background, &[])?;
        Ok(Self {
            validation: evaluation,
            ..all
        })
    }

    /// Alphabets to learn from.
    #[must_use]
    pub const fn training(&self) -> &Dataset {
        &self.training
    }

    /// Alphabets to choose the checkpoint with.
    #[must_use]
    pub const fn validation(&self) -> &Dataset {
        &self.validation
    }

    /// Both halves, to split them otherwise.
    #[must_use]
    pub fn into_halves(self) -> [Dataset; 2] {
        [self.training, self.validation]
    }
}

/// Why a data set cannot be trained on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// An alphabet of the evaluation half.
    #[error("{0} is an evaluation alphabet: it must not be trained on; use images_background")]
    EvaluationAlphabet(String),
    /// A held-out alphabet is not there.
    #[error(
        "the alphabet {0}, which selects the checkpoint, is missing: the data set is incomplete"
    )]
    Missing(String),
    /// All alphabets are held out.
    #[error("no alphabet is left to train on")]
    NothingToTrain,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(names: &[&str]) -> Dataset {
        let drawing = Arc::new(Drawing {
            h: 1,
            w: 1,
            ink: vec![255],
        });
        let character = |name: &str| Character {
            name: name.to_owned(),
            drawings: vec![drawing.clone(); 4],
        };
        let alphabet = |name: &&str| Alphabet {
            name: (*name).to_owned(),
            characters: vec![character("a"), character("b")],
        };
        Dataset {
            alphabets: names.iter().map(alphabet).collect(),
        }
    }

    #[test]
    fn counts_pairs() {
        let data = dataset(&["A", "B"]);
        assert_eq!((data.n_characters(), data.n_drawings()), (4, 16));
        assert_eq!((data.n_pairs(), data.n_same_class_pairs()), (120, 24));
    }

    #[test]
    fn splits_whole_alphabets() {
        let split = Background::new(dataset(&["A", "B", "C"]), &["B"]).unwrap();
        assert_eq!(split.training(), &dataset(&["A", "C"]));
        assert_eq!(split.validation(), &dataset(&["B"]));
    }

    #[test]
    fn refuses_evaluation_alphabets() {
        let error = Background::new(dataset(&["A", "Tengwar"]), &[]).unwrap_err();
        assert_eq!(
            error,
            DatasetError::EvaluationAlphabet("Tengwar".to_owned())
        );
        let error = Background::new(dataset(&["A"]), &["B"]).unwrap_err();
        assert_eq!(error, DatasetError::Missing("B".to_owned()));
        let error = Background::new(dataset(&["A"]), &["A"]).unwrap_err();
        assert_eq!(error, DatasetError::NothingToTrain);
    }

    #[test]
    fn the_papers_split_keeps_lakes_alphabets_out() {
        let evaluation = || dataset(&EVALUATION_ALPHABETS);
        let split = Background::of_paper(dataset(&["A", "B"]), evaluation()).unwrap();
        assert_eq!(split.training(), &dataset(&["A", "B"]));
        let chosen = split.validation().alphabets.iter().map(|a| a.name.as_str());
        let chosen: Vec<_> = chosen.collect();
        assert_eq!(chosen.len(), 10);
        assert!(LAKE_ALPHABETS.iter().all(|name| !chosen.contains(name)));
        let error = Background::of_paper(dataset(&["A"]), dataset(&["Angelic"])).unwrap_err();
        assert_eq!(error, DatasetError::Missing("Atlantean".to_owned()));
        let error = Background::peeking(dataset(&["Tengwar"]), evaluation()).unwrap_err();
        assert_eq!(
            error,
            DatasetError::EvaluationAlphabet("Tengwar".to_owned())
        );
    }

    #[test]
    fn fingerprint_sees_ink_and_names() {
        let data = dataset(&["A"]);
        assert_eq!(data.fingerprint(), dataset(&["A"]).fingerprint());
        assert_ne!(data.fingerprint(), dataset(&["B"]).fingerprint());
    }
}
