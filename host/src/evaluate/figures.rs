//! What an evaluation found, as one value: the JSON of `onelook evaluate`, and what plots read.
//!
//! In: accuracies as they are measured. Out: [`Figures`], whose field names stay as they are within
//! one [`FORMAT`]. A [`Curve`] is accuracy against the number of classes, from figures that differ
//! in nothing else.

use serde::{Deserialize, Serialize};

use super::confusions::Confusion;
use super::open::OpenEvaluation;
use crate::trials::Accuracy;

/// Name of the JSON's form; it changes when a field is renamed or changes its meaning.
pub const FORMAT: &str = "onelook-evaluation-1";

/// Everything that one evaluation found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// [`FORMAT`].
    pub format: String,
    /// Version of this program.
    pub version: String,
    /// SHA-256 of `model.onelook`.
    pub model_sha256: String,
    /// Which drawings: `omniglot`, `synthetic` or `images`.
    pub data: String,
    /// Which of them: `evaluation`, `held_out`, `training` or `images`.
    pub alphabets: String,
    /// Seed of the drawn trials.
    pub seed: u64,
    /// One entry for each set of trials and each engine or baseline.
    pub figures: Vec<Figure>,
    /// The same figures as curves over the number of classes, where there are several.
    pub curves: Vec<Curve>,
    /// Which engines decided as the device's own code does.
    pub agreement: Vec<Agreement>,
    /// How long each engine or baseline took.
    pub timings: Vec<Timing>,
    /// What was asked for and cannot be drawn from these alphabets.
    pub skipped: Vec<Skipped>,
    /// The open-set protocol.
    pub open_set: Vec<OpenEvaluation>,
    /// The hardest confusions, worst first.
    pub confusions: Vec<Confusion>,
}

/// Which classes meet in a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Lake's 400 fixed trials.
    LakeWithinAlphabet,
    /// All of one alphabet.
    WithinAlphabet,
    /// Of all alphabets at once.
    MixedAlphabets,
    /// All characters there are.
    AllCharacters,
}

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The trained network on an engine.
    Engine,
    /// What it must beat.
    Baseline,
}

/// How several shots of a class count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shots {
    /// There is one.
    One,
    /// By their mean logit.
    Mean,
    /// By the best of them.
    Best,
    /// Half way between both, as a device does it.
    Device,
}

/// One accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Name of the trials, with N and k.
    pub protocol: String,
    /// Which classes meet.
    pub task: Task,
    /// Classes of a trial.
    pub n_way: usize,
    /// Examples of each.
    pub k_shot: usize,
    /// Alphabets that queries are of.
    pub alphabets: usize,
    /// Characters that queries are of.
    pub characters: usize,
    /// Name of the engine or baseline.
    pub by: String,
    /// Which of both it is.
    pub kind: Kind,
    /// How several shots count.
    pub shots: Shots,
    /// What a guess scores: one in `n_way`.
    pub chance: f64,
    /// How often it was right.
    pub accuracy: Accuracy,
    /// Decisions where several classes scored best and the first was taken; absent for baselines,
    /// whose ties are wrong.
    pub ties: Option<usize>,
    /// The same by alphabet of the query; empty when it was not asked for.
    pub per_alphabet: Vec<AlphabetFigure>,
}

/// Accuracy on the queries of one alphabet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlphabetFigure {
    /// Its name.
    pub alphabet: String,
    /// How often the decision was right.
    pub accuracy: Accuracy,
}

/// Accuracy against the number of classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Which classes meet.
    pub task: Task,
    /// Examples of each.
    pub k_shot: usize,
    /// Name of the engine or baseline.
    pub by: String,
    /// Which of both it is.
    pub kind: Kind,
    /// How several shots count.
    pub shots: Shots,
    /// By rising number of classes.
    pub points: Vec<CurvePoint>,
}

/// One point of a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Classes of a trial.
    pub n_way: usize,
    /// How often the decision was right.
    pub accuracy: Accuracy,
    /// What a guess scores.
    pub chance: f64,
    /// Alphabets that queries are of: large ones only, where N is large.
    pub alphabets: usize,
}

/// An engine compared with the device's own code on this computer, trial by trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Name of the trials.
    pub protocol: String,
    /// Which engine.
    pub engine: String,
    /// Trials compared.
    pub trials: usize,
    /// Trials in which it chose another class.
    pub differing_decisions: usize,
    /// Trials in which any logit has other bits; absent for the float network, whose all have.
    pub differing_logits: Option<usize>,
    /// Trials that `shared` decides right and this engine wrong.
    pub right_by_shared_only: usize,
    /// Trials that this engine decides right and `shared` wrong.
    pub right_by_engine_only: usize,
}

impl Agreement {
    /// Whether nothing differs that must not.
    #[must_use]
    pub fn equal(&self) -> bool {
        self.differing_logits
            .is_none_or(|logits| logits == 0 && self.differing_decisions == 0)
    }

    /// What the device's integers lose against this engine on the same trials, as a share, and its
    /// standard error: that of the difference of two paired proportions (McNemar 1947).
    #[must_use]
    pub fn drop(&self) -> [f64; 2] {
        let n = self.trials.max(1) as f64;
        let (gained, lost) = (self.right_by_shared_only, self.right_by_engine_only);
        let [gained, lost] = [gained, lost].map(|trials| trials as f64 / n);
        let drop = lost - gained;
        [drop, ((lost + gained - drop * drop) / n).sqrt()]
    }
}

/// Wall time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Which engine or baseline.
    pub by: String,
    /// Seconds for all of its trials.
    pub seconds: f64,
}

/// A set of trials that these alphabets are too small for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Which classes were to meet.
    pub task: Task,
    /// Classes of a trial.
    pub n_way: usize,
    /// Examples of each.
    pub k_shot: usize,
    /// Why not.
    pub reason: String,
}

/// Figures as curves, in the order of their first points; what has one number of classes only is
/// none.
#[must_use]
pub fn curves(figures: &[Figure]) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for figure in figures {
        let point = CurvePoint {
            n_way: figure.n_way,
            accuracy: figure.accuracy,
            chance: figure.chance,
            alphabets: figure.alphabets,
        };
        match curves.iter_mut().find(|curve| curve.continues(figure)) {
            Some(curve) => curve.points.push(point),
            None => curves.push(Curve {
                task: figure.task,
                k_shot: figure.k_shot,
                by: figure.by.clone(),
                kind: figure.kind,
                shots: figure.shots,
                points: vec![point],
            }),
        }
    }
    for curve in &mut curves {
        curve.points.sort_by_key(|point| point.n_way);
    }
    curves.retain(|curve| curve.points.len() > 1);
    curves
}

impl Curve {
    fn continues(&self, figure: &Figure) -> bool {
        (self.task, self.k_shot, self.kind, self.shots)
            == (figure.task, figure.k_shot, figure.kind, figure.shots)
            && self.by == figure.by
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(n_way: usize, by: &str) -> Figure {
        Figure {
            protocol: format!("within_alphabet_{n_way}way_1shot"),
            task: Task::WithinAlphabet,
            n_way,
            k_shot: 1,
            alphabets: 20,
            characters: 659,
            by: by.to_owned(),
            kind: Kind::Engine,
            shots: Shots::One,
            chance: 1.0 / n_way as f64,
            accuracy: Accuracy::of(9, 10),
            ties: Some(0),
            per_alphabet: Vec::new(),
        }
    }

    #[test]
    fn figures_that_differ_in_n_alone_are_a_curve() {
        let all = [figure(20, "a"), figure(5, "a"), figure(5, "b")];
        let curves = curves(&all);
        let n: Vec<usize> = curves[0].points.iter().map(|point| point.n_way).collect();
        assert_eq!((curves.len(), n), (1, vec![5, 20]));
    }

    #[test]
    fn the_drop_counts_what_only_one_of_both_decides_right() {
        let paired = |right_by_shared_only, right_by_engine_only| Agreement {
            protocol: String::new(),
            engine: "float".to_owned(),
            trials: 100,
            differing_decisions: 6,
            differing_logits: None,
            right_by_shared_only,
            right_by_engine_only,
        };
        assert_eq!(paired(0, 0).drop(), [0.0, 0.0]);
        let [drop, error] = paired(1, 3).drop();
        assert!((drop - 0.02).abs() < 1e-12, "{drop}");
        assert!(
            (error - (0.0396_f64 / 100.0).sqrt()).abs() < 1e-12,
            "{error}"
        );
        assert_eq!(paired(3, 1).drop()[0], -drop);
    }

    /// Plots depend on these names.
    #[test]
    fn the_names_of_the_json_stay() {
        let json = serde_json::to_value(curves(&[figure(5, "a"), figure(20, "a")])).unwrap();
        let expected = serde_json::json!({
            "task": "within_alphabet", "k_shot": 1, "by": "a", "kind": "engine", "shots": "one",
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&json[0][name], value, "{name}");
        }
        let point = &json[0]["points"][0];
        let names: Vec<&String> = point.as_object().unwrap().keys().collect();
        assert_eq!(names, ["accuracy", "alphabets", "chance", "n_way"]);
        let names: Vec<&String> = point["accuracy"].as_object().unwrap().keys().collect();
        assert_eq!(
            names,
            ["correct", "interval95", "mean", "standard_error", "trials"]
        );
    }
}
