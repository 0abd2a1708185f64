//! How well unknown marks are told from known ones: open-set trials on the device's own decision.
//!
//! In: trials with enrolled and with unknown queries, and a calibrated model. Out: an
//! [`OpenEvaluation`] at a threshold that was chosen without looking at any of them.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use shared::decide::{Decision, Policy, Thresholds, decide};
use shared::model::ModelView;

use super::EvaluateError;
use super::embedded::Embedded;
use crate::engine::EngineError;
use crate::open_set::{OpenSet, OpenTrial};
use crate::trials::Accuracy;

/// One row of the open-set protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenEvaluation {
    /// How the trials were drawn.
    pub protocol: String,
    /// Where the unknown queries come from.
    pub unknown: String,
    /// Enrolled classes.
    pub n_way: usize,
    /// Samples of each.
    pub k_shot: usize,
    /// Allowed rate of false accepts, in a million.
    pub far_ppm: u32,
    /// Threshold of the score for it, from the model file.
    pub threshold: i32,
    /// Queries of enrolled classes that were accepted, as the right class.
    pub true_accepts: Accuracy,
    /// Of the accepted queries of enrolled classes, those taken for the right one.
    pub right_of_accepted: Accuracy,
    /// Unknown queries that were accepted, as whatever class.
    pub false_accepts: Accuracy,
    /// True accepts at the threshold that these very unknown queries reach at exactly the allowed
    /// rate: for information, no device can know it.
    pub oracle_true_accepts: Accuracy,
}

/// A model's decisions on open-set trials.
pub struct Decisions<'m> {
    embedded: Embedded<'m>,
    thresholds: Thresholds<'m>,
}

impl<'m> Decisions<'m> {
    /// Embeds every drawing of the sets.
    ///
    /// # Errors
    /// [`EvaluateError`] naming the image that cannot be used.
    pub fn new(view: ModelView<'m>, sets: &[&OpenSet]) -> Result<Self, EvaluateError> {
        let drawings = sets.iter().flat_map(|set| &set.images);
        Ok(Self {
            embedded: Embedded::new(view, drawings)?,
            thresholds: view.thresholds(),
        })
    }

    fn decide(
        &self,
        set: &OpenSet,
        trial: &OpenTrial,
        policy: Policy,
    ) -> Result<Decision, EvaluateError> {
        let query = &set.images[trial.query];
        let samples = trial.support.iter().enumerate();
        let samples = samples.flat_map(|(class, shots)| shots.iter().map(move |&s| (class, s)));
        let logits = samples.map(|(class, shot)| {
            let logit = self.embedded.logit(query, &set.images[shot])?;
            Ok((class, logit))
        });
        let logits = logits.collect::<Result<Vec<_>, EngineError>>()?;
        Ok(decide(logits, &self.thresholds, policy)?)
    }

    /// The decision of every trial, in their order.
    ///
    /// # Errors
    /// [`EvaluateError`] naming what cannot be decided.
    pub fn decide_all(
        &self,
        set: &OpenSet,
        policy: Policy,
    ) -> Result<Vec<Decision>, EvaluateError> {
        let decisions = set.trials.par_iter();
        decisions
            .map(|trial| self.decide(set, trial, policy))
            .collect()
    }

    /// Decides every trial of two sets with equally many classes and shots: one with enrolled
    /// queries, one with unknown ones.
    ///
    /// # Errors
    /// [`EvaluateError`] when a set is empty or a trial cannot be decided.
    pub fn evaluate(
        &self,
        [enrolled, unknown]: [&OpenSet; 2],
        far_ppm: u32,
        [protocol, kind]: [&'static str; 2],
    ) -> Result<OpenEvaluation, EvaluateError> {
        let first = enrolled.trials.first().ok_or(EvaluateError::Empty)?;
        let (n_way, k_shot) = (
            first.support.len(),
            first.support.first().map_or(0, Vec::len),
        );
        let policy = Policy { far_ppm, offset: 0 };
        let known = self.decide_all(enrolled, policy)?;
        let impostors = self.decide_all(unknown, policy)?;
        let right =
            |(trial, decision): &(&OpenTrial, &Decision)| trial.answer == Some(decision.best.class);
        let genuine: Vec<_> = enrolled.trials.iter().zip(&known).collect();
        let accepted: Vec<_> = genuine.iter().filter(|(_, d)| d.known).copied().collect();
        let right_accepted = accepted.iter().filter(|pair| right(pair)).count();
        let mut scores: Vec<i32> = impostors.iter().map(Decision::score).collect();
        scores.sort_unstable_by_key(|&score| std::cmp::Reverse(score));
        let allowed = (scores.len() as u64 * u64::from(far_ppm) / 1_000_000) as usize;
        let oracle = scores.get(allowed).copied().unwrap_or(i32::MIN);
        let best = genuine
            .iter()
            .filter(|pair| right(pair) && pair.1.score() > oracle);
        Ok(OpenEvaluation {
            protocol: format!("open_set_{protocol}_{n_way}way_{k_shot}shot"),
            unknown: kind.to_owned(),
            n_way,
            k_shot,
            far_ppm,
            threshold: self.thresholds.at(n_way, None, policy),
            true_accepts: Accuracy::of(right_accepted, genuine.len()),
            right_of_accepted: Accuracy::of(right_accepted, accepted.len()),
            false_accepts: Accuracy::of(
                impostors.iter().filter(|d| d.known).count(),
                impostors.len(),
            ),
            oracle_true_accepts: Accuracy::of(best.count(), genuine.len()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::calibrate;
    use crate::glyphs;
    use crate::open_set::{Query, draw};
    use crate::quantize::QuantNet;
    use crate::spec::NetSpec;

    /// A blank network says the same of every pair: nothing is right but by chance, and with a
    /// threshold nothing is accepted.
    #[test]
    fn a_blank_network_accepts_nothing() {
        let data = glyphs::synthetic(3, "background", 4, 4);
        let mut net = QuantNet::blank(&NetSpec::preset("nano").unwrap()).unwrap();
        net.calibration = calibrate(&net, &data).unwrap();
        let bytes = net.to_model_bytes("").unwrap();
        let view = ModelView::new_checked(&bytes).unwrap();
        let [enrolled, unknown] = [Query::Enrolled, Query::SameAlphabet]
            .map(|query| draw(&data, [3, 2], query, 60, 7).unwrap());
        let decisions = Decisions::new(view, &[&enrolled, &unknown]).unwrap();
        let names = ["within_alphabet", "same alphabet"];
        let row = decisions
            .evaluate([&enrolled, &unknown], 10_000, names)
            .unwrap();
        assert_eq!(row.protocol, "open_set_within_alphabet_3way_2shot");
        assert_eq!((row.true_accepts.correct, row.true_accepts.trials), (0, 60));
        assert_eq!(
            (row.false_accepts.correct, row.false_accepts.trials),
            (0, 60)
        );
        assert_eq!(row.oracle_true_accepts.correct, 0);
        // Never unknown: everything is accepted.
        let row = decisions.evaluate([&enrolled, &unknown], 0, names).unwrap();
        assert_eq!(row.false_accepts.correct, 60);
        assert_eq!(row.right_of_accepted.trials, 60);
        let empty = OpenSet::default();
        assert!(decisions.evaluate([&empty, &unknown], 0, names).is_err());
    }
}
