//! Calibration of the decision: which scores unknown marks reach, and which the right ones do.
//!
//! In: the integer network as a device runs it, and alphabets that it was not trained on. Out: the
//! [`CalibrationRepr`] of the model file, and a [`CalibrationReport`] of one in words. Evaluation
//! alphabets never come here: what `evaluate` says about the thresholds, they were chosen without.

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use rand::seq::index;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use shared::decide::{
    CALIBRATED_CLASSES, CALIBRATED_PPM, Calibration, CalibrationRepr, DecideError,
    GENUINE_PERMILLE, Policy, Thresholds, decide,
};
use shared::model::ModelView;

use crate::dataset::{Character, Dataset};
use crate::engine::EngineError;
use crate::evaluate::EvaluateError;
use crate::evaluate::embedded::Embedded;
use crate::open_set::{Query, draw};
use crate::quantize::{ModelError, QuantNet};
use crate::trials::TrialError;

/// Unknown marks for each number of classes: 20 of them are above the strictest threshold.
const DRAWS: usize = 20_000;
/// Same-class pairs.
const PAIRS: usize = 20_000;
const SEED: u64 = 0x756e_6b6e;

/// What `net` makes of `held_out`; `None` where there are too few characters to tell.
///
/// With fewer characters than 65, the thresholds of more classes are those of the most there are.
///
/// # Errors
/// [`CalibrationError`] when the network has no model file, or an image cannot be embedded.
pub fn calibrate(
    net: &QuantNet,
    held_out: &Dataset,
) -> Result<Option<CalibrationRepr>, CalibrationError> {
    let bytes = net.to_model_bytes("")?;
    let view = ModelView::new_checked(&bytes).map_err(ModelError::Format)?;
    let pool = Pool::new(held_out, view)?;
    let (n_classes, n_drawers) = (pool.characters.len(), pool.n_drawers());
    if n_classes < 2 || n_drawers < 2 {
        return Ok(None);
    }
    let mut calibration = CalibrationRepr {
        draws: DRAWS as u32,
        pairs: PAIRS as u32,
        thresholds: Default::default(),
        genuine: quantiles(pool.genuine()?),
    };
    let mut before = [i32::MIN; CALIBRATED_PPM.len()];
    for (row, &classes) in calibration.thresholds.iter_mut().zip(&CALIBRATED_CLASSES) {
        if (classes as usize) < n_classes {
            let scores = pool.unknown(classes as usize)?;
            *row = thresholds(scores);
        }
        // More classes or a smaller rate never lower a threshold; a table of draws might.
        let mut least = i32::MIN;
        for (threshold, before) in row.iter_mut().zip(&mut before) {
            least = least.max(*before);
            if (classes as usize) < n_classes {
                least = least.max(*threshold);
            }
            (*threshold, *before) = (least, least);
        }
    }
    Ok(Some(calibration))
}

/// For each rate the least threshold that at most so many of the scores reach.
fn thresholds(mut scores: Vec<i32>) -> [i32; CALIBRATED_PPM.len()] {
    scores.sort_unstable_by_key(|&score| std::cmp::Reverse(score));
    CALIBRATED_PPM.map(|ppm| {
        let allowed = scores.len() * ppm as usize / 1_000_000;
        scores.get(allowed).map_or(0, |score| score + 1)
    })
}

/// The logits that a share of the pairs stays below.
fn quantiles(mut logits: Vec<i32>) -> [i32; GENUINE_PERMILLE.len()] {
    logits.sort_unstable();
    GENUINE_PERMILLE.map(|share| {
        let at = logits.len() * usize::from(share) / 1000;
        logits.get(at).copied().unwrap_or_default()
    })
}

/// Held-out drawings, embedded once.
struct Pool<'d, 'm> {
    data: &'d Dataset,
    characters: Vec<&'d Character>,
    embedded: Embedded<'m>,
}

impl<'d, 'm> Pool<'d, 'm> {
    fn new(data: &'d Dataset, view: ModelView<'m>) -> Result<Self, EvaluateError> {
        let characters: Vec<&Character> = data.characters().collect();
        let drawings = characters.iter().flat_map(|c| &c.drawings);
        Ok(Self {
            data,
            embedded: Embedded::new(view, drawings)?,
            characters,
        })
    }

    fn n_drawers(&self) -> usize {
        let drawings = self.characters.iter().map(|c| c.drawings.len());
        drawings.min().unwrap_or(0)
    }

    /// Logits of pairs of one character by two drawers.
    fn genuine(&self) -> Result<Vec<i32>, EngineError> {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let pairs = (0..PAIRS).map(|_| {
            let character = self.characters[rng.random_range(0..self.characters.len())];
            let pair = index::sample(&mut rng, character.drawings.len(), 2);
            let [a, b] = [0, 1].map(|i| &character.drawings[pair.index(i)]);
            self.embedded.logit(a, b)
        });
        pairs.collect()
    }

    /// Scores of marks that none of `classes` enrolled ones is, all of one alphabet where one is
    /// large enough: the hardest unknown marks there are.
    fn unknown(&self, classes: usize) -> Result<Vec<i32>, CalibrationError> {
        let seed = SEED + classes as u64;
        let set = draw(self.data, [classes, 1], Query::SameAlphabet, DRAWS, seed)?;
        let never_unknown = Policy {
            far_ppm: 0,
            offset: 0,
        };
        let thresholds = Thresholds::new(None);
        let scores = set.trials.par_iter().map(|trial| {
            let query = &set.images[trial.query];
            let shots = trial.support.iter().map(|shots| &set.images[shots[0]]);
            let logits = shots.map(|shot| self.embedded.logit(query, shot));
            let logits = logits.collect::<Result<Vec<i32>, _>>()?;
            let decision = decide(logits.into_iter().enumerate(), &thresholds, never_unknown)?;
            Ok(decision.score())
        });
        scores.collect()
    }
}

/// A model's calibration for people and programs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationReport {
    /// Unknown marks drawn for each number of classes.
    pub draws: u32,
    /// Same-class pairs drawn.
    pub pairs: u32,
    /// Rates of the thresholds, in a million unknown marks.
    pub far_ppm: [u32; CALIBRATED_PPM.len()],
    /// One row for each number of enrolled classes.
    pub rows: Vec<CalibrationRow>,
    /// Shares, in a thousand, of same-class pairs.
    pub genuine_permille: [u16; GENUINE_PERMILLE.len()],
    /// Logits that so many same-class pairs stay below.
    pub genuine: Vec<i32>,
}

/// Thresholds for a number of classes, in the order of [`CalibrationReport::far_ppm`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationRow {
    /// Enrolled classes.
    pub classes: u32,
    /// In units of the model's logit.
    pub thresholds: [i32; CALIBRATED_PPM.len()],
    /// Share of same-class pairs, in a thousand, whose logit reaches them.
    pub reached_permille: [u16; CALIBRATED_PPM.len()],
}

impl CalibrationReport {
    /// In words and shares.
    #[must_use]
    pub fn of(calibration: &Calibration<'_>) -> Self {
        let rows = CALIBRATED_CLASSES.map(|classes| {
            let threshold = |ppm| calibration.threshold(classes as usize, ppm);
            let thresholds = CALIBRATED_PPM.map(threshold);
            let reached = thresholds.map(|t| calibration.expected_accepts_permille(t));
            CalibrationRow {
                classes,
                thresholds,
                reached_permille: reached,
            }
        });
        Self {
            draws: calibration.draws(),
            pairs: calibration.pairs(),
            far_ppm: CALIBRATED_PPM,
            rows: rows.into(),
            genuine_permille: GENUINE_PERMILLE,
            genuine: calibration.genuine().collect(),
        }
    }

    /// A row for each number of classes, a column for each rate: threshold, and the share of
    /// same-class pairs that reach it.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        let rate = |&ppm: &u32| format!("{} % false accepts", f64::from(ppm) / 10_000.0);
        let header = std::iter::once("classes".to_owned());
        table.set_header(header.chain(self.far_ppm.iter().map(rate)));
        for row in &self.rows {
            let cell = |(threshold, &reached): (&i32, &u16)| {
                format!("{threshold} ({:.1} %)", f64::from(reached) / 10.0)
            };
            let cells = row.thresholds.iter().zip(&row.reached_permille).map(cell);
            table.add_row(std::iter::once(row.classes.to_string()).chain(cells));
        }
        table
    }
}

/// Why a network cannot be calibrated.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The network has no valid model file.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A drawing cannot be embedded.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The engine gave no answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Too few characters.
    #[error(transparent)]
    Trials(#[from] TrialError),
    /// The decision was refused.
    #[error(transparent)]
    Decide(#[from] DecideError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyphs;
    use crate::quantize::quantize;
    use crate::spec::NetSpec;
    use crate::untrained::untrained;

    #[test]
    fn at_most_so_many_reach_a_threshold() {
        let scores: Vec<i32> = (0..2000).map(|i| i / 2).collect();
        let thresholds = thresholds(scores.clone());
        for (ppm, threshold) in CALIBRATED_PPM.into_iter().zip(thresholds) {
            let reached = scores.iter().filter(|&&score| score >= threshold).count();
            let allowed = 2 * ppm as usize / 1000;
            assert!(
                reached <= allowed && reached + 2 >= allowed,
                "{reached} {allowed}"
            );
        }
    }

    #[test]
    fn a_calibrated_model_is_accepted_and_keeps_its_rate() {
        let spec = NetSpec::preset("nano").unwrap();
        let data = glyphs::synthetic(1, "background", 3, 12);
        let side = spec.input().h;
        let images: Vec<Vec<u8>> = (0..4_usize)
            .map(|image| {
                (0..side * side)
                    .map(|i| (i * (image + 3) % 251) as u8)
                    .collect()
            })
            .collect();
        let (mut net, _) = quantize(&untrained(&spec, 1).unwrap(), &images).unwrap();
        net.calibration = calibrate(&net, &data).unwrap();
        let bytes = net.to_model_bytes("").unwrap();
        let view = ModelView::new_checked(&bytes).unwrap();
        let calibration = view.calibration().unwrap();
        // The 37th character would be the 36th other: more classes than 32 are those of 32.
        assert_eq!(
            calibration.threshold(64, 10_000),
            calibration.threshold(32, 10_000)
        );
        let pool = Pool::new(&data, view).unwrap();
        let scores = pool.unknown(8).unwrap();
        let reached = |ppm| {
            let threshold = calibration.threshold(8, ppm);
            scores.iter().filter(|&&score| score >= threshold).count()
        };
        assert!(reached(10_000) <= DRAWS / 100 && reached(1_000) <= DRAWS / 1000);
        let report = CalibrationReport::of(&calibration);
        assert!(report.table().to_string().contains("10 % false accepts"));
    }

    #[test]
    fn one_character_says_nothing() {
        let spec = NetSpec::preset("nano").unwrap();
        let net = QuantNet::blank(&spec).unwrap();
        let data = glyphs::synthetic(1, "background", 1, 1);
        assert_eq!(calibrate(&net, &data).unwrap(), None);
    }
}
