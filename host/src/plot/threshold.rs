//! What a threshold for unknown marks costs: true accepts against false accepts.
//!
//! In: a calibrated model and the evaluation alphabets. Out: a [`Row`] for each threshold on a curve,
//! the point that a device starts with, and the [`ThresholdFigure`]. The shipped threshold
//! comes from held-out background alphabets: what rate it has here is a result, not a fit.

use plotters::element::PathElement;
use plotters::prelude::DrawingBackend;
use serde::Serialize;
use shared::decide::{DEFAULT_FAR_PPM, Decision, Policy};
use shared::model::ModelView;

use super::PlotError;
use super::canvas::{Area, Drawn, Figure, Pen, beside};
use super::chart::{Axis, BLUE, Curve, ErrorMark, GREY, INK, LETTERS, Look, Marker, VERMILION};
use super::chart::{axes, legend};
use crate::dataset::Dataset;
use crate::evaluate::open::Decisions;
use crate::open_set::{OpenSet, Query, draw};
use crate::trials::Accuracy;

/// Enrolled classes, one sample each.
const N_WAYS: [usize; 2] = [5, 20];
/// Points of a curve for each power of ten.
const PER_DECADE: f64 = 16.0;
/// Left end of the axis: 0.03 %.
const LEAST_RATE: f64 = 3e-4;

/// One threshold on one curve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Enrolled classes.
    pub n_way: usize,
    /// Where the unknown marks come from.
    pub unknown: &'static str,
    /// Whether it is the threshold that the model file holds.
    pub shipped: bool,
    /// In units of the model's logit.
    pub threshold: i32,
    /// Share of unknown marks that reach it.
    pub false_accepts: f64,
    /// Binomial.
    pub false_accepts_standard_error: f64,
    /// Unknown marks.
    pub unknown_trials: usize,
    /// Share of enrolled marks that reach it and are taken for what they are.
    pub true_accepts: f64,
    /// Binomial.
    pub true_accepts_standard_error: f64,
    /// Enrolled marks.
    pub enrolled_trials: usize,
}

/// Every curve and its shipped point.
///
/// # Errors
/// [`PlotError`] when the model is not calibrated or the drawings are too few.
pub fn measure(
    model: ModelView<'_>,
    evaluation: &Dataset,
    trials: usize,
    seed: u64,
) -> Result<Vec<Row>, PlotError> {
    if model.calibration().is_none() {
        let words = "the model is not calibrated: its threshold is a guess; `onelook export RUN` calibrates";
        return Err(PlotError::Nothing(words.to_owned()));
    }
    let mut rows = Vec::new();
    for n_way in N_WAYS {
        let sets = [Query::Enrolled, Query::SameAlphabet, Query::OtherAlphabet];
        let sets = sets.map(|query| draw(evaluation, [n_way, 1], query, trials, seed));
        let [enrolled, same, other] = sets;
        let (enrolled, same, other) = (enrolled?, same?, other?);
        let decisions = Decisions::new(model, &[&enrolled, &same, &other])?;
        let policy = Policy {
            far_ppm: DEFAULT_FAR_PPM,
            offset: 0,
        };
        let known = Genuine::new(&enrolled, &decisions.decide_all(&enrolled, policy)?);
        let shipped = model.thresholds().at(n_way, None, policy);
        for (unknown, set) in [("same alphabet", &same), ("other alphabets", &other)] {
            let decided = decisions.decide_all(set, policy)?;
            let mut scores: Vec<i32> = decided.iter().map(Decision::score).collect();
            scores.sort_unstable_by_key(|&score| std::cmp::Reverse(score));
            let row = |threshold, shipped| {
                known.row([n_way, scores.len()], unknown, &scores, threshold, shipped)
            };
            rows.extend(thresholds(&scores).map(|threshold| row(threshold, false)));
            rows.push(row(shipped, true));
        }
    }
    Ok(rows)
}

/// Thresholds at which the rate of false accepts grows evenly on a logarithmic axis.
fn thresholds(descending: &[i32]) -> impl Iterator<Item = i32> {
    let n = descending.len();
    let points = (-LEAST_RATE.log10() * PER_DECADE) as i32;
    let ranks = (0..=points).map(move |point| {
        let rate = 10_f64.powf(f64::from(point - points) / PER_DECADE);
        ((rate * n as f64).round() as usize).clamp(1, n.max(1)) - 1
    });
    let mut thresholds: Vec<i32> = ranks
        .filter_map(|rank| descending.get(rank).copied())
        .collect();
    thresholds.dedup();
    thresholds.into_iter()
}

/// Scores of enrolled marks.
struct Genuine {
    /// Of those taken for what they are.
    right: Vec<i32>,
    trials: usize,
}

impl Genuine {
    fn new(set: &OpenSet, decisions: &[Decision]) -> Self {
        let pairs = set.trials.iter().zip(decisions);
        let right = pairs.filter(|(trial, decision)| trial.answer == Some(decision.best.class));
        Self {
            right: right.map(|(_, decision)| decision.score()).collect(),
            trials: set.trials.len(),
        }
    }

    fn row(
        &self,
        [n_way, unknown_trials]: [usize; 2],
        unknown: &'static str,
        scores: &[i32],
        threshold: i32,
        shipped: bool,
    ) -> Row {
        let reach = |scores: &[i32]| scores.iter().filter(|&&score| score >= threshold).count();
        let false_accepts = Accuracy::of(reach(scores), unknown_trials);
        let true_accepts = Accuracy::of(reach(&self.right), self.trials);
        Row {
            n_way,
            unknown,
            shipped,
            threshold,
            false_accepts: false_accepts.mean,
            false_accepts_standard_error: false_accepts.standard_error,
            unknown_trials,
            true_accepts: true_accepts.mean,
            true_accepts_standard_error: true_accepts.standard_error,
            enrolled_trials: self.trials,
        }
    }
}

/// Four curves, and on each the point of the shipped threshold.
#[derive(Debug)]
pub struct ThresholdFigure<'a> {
    /// Its points.
    pub rows: &'a [Row],
}

impl ThresholdFigure<'_> {
    fn curves(&self, shipped: bool) -> Vec<Curve> {
        let mut curves = Vec::new();
        for (n_way, color) in N_WAYS.into_iter().zip([BLUE, VERMILION]) {
            for (unknown, dash) in [("same alphabet", None), ("other alphabets", Some([7, 4]))] {
                let marker = match (shipped, dash) {
                    (false, _) => Marker::None,
                    (true, None) => Marker::Circle,
                    (true, Some(_)) => Marker::Diamond,
                };
                let of_curve = self.rows.iter().filter(|row| {
                    row.n_way == n_way && row.unknown == unknown && row.shipped == shipped
                });
                let error = if shipped {
                    ErrorMark::Bar
                } else {
                    ErrorMark::Band
                };
                curves.push(Curve {
                    name: format!(
                        "{n_way} classes enrolled, unknown marks of {}",
                        match unknown {
                            "same alphabet" => "the same alphabet",
                            other => other,
                        }
                    ),
                    look: Look {
                        color,
                        dash,
                        marker,
                        error,
                    },
                    points: of_curve.map(point).collect(),
                });
            }
        }
        curves
    }
}

/// The rate on a logarithmic axis, the share in percent.
fn point(row: &Row) -> [f64; 3] {
    let rate = row.false_accepts.max(LEAST_RATE).log10();
    [
        rate,
        100.0 * row.true_accepts,
        100.0 * row.true_accepts_standard_error,
    ]
}

/// One standard error of the rate to both sides, as [`point`] has it.
fn rate_error(row: &Row) -> [f64; 2] {
    let error = row.false_accepts_standard_error;
    [-error, error].map(|error| (row.false_accepts + error).max(LEAST_RATE).log10())
}

impl Figure for ThresholdFigure<'_> {
    fn title(&self) -> String {
        "Unknown marks: true accepts against false accepts".to_owned()
    }

    fn size(&self) -> [u32; 2] {
        [820, 660]
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB> {
        let (head, panel) = area.split_vertically(pen.px(180));
        let title = beside(pen.bold(LETTERS + 1, INK));
        let trials = self.rows.first().map_or(0, |row| row.enrolled_trials);
        let words = format!(
            "Evaluation alphabets, 1 sample a class, {trials} trials; bands, bars: ± 1 standard error"
        );
        head.draw_text(&words, &title, pen.at(84, 24))?;
        let (curves, shipped) = (self.curves(false), self.curves(true));
        legend(&head, pen, [90, 56], &curves)?;
        let note = beside(pen.text(LETTERS, INK));
        let rate = f64::from(DEFAULT_FAR_PPM) / 1e6;
        let words = format!(
            "Markers: the shipped threshold; it aims at {} % false accepts (grey line)",
            100.0 * rate
        );
        head.draw_text(&words, &note, pen.at(90, 148))?;
        let x = Axis {
            name: "false accepts: unknown marks that are accepted (%)",
            range: LEAST_RATE.log10()..0.0,
            ticks: [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
                .map(f64::log10)
                .into(),
            format: |log| format!("{}", (1e4 * 10_f64.powf(log)).round() / 100.0),
        };
        let y = Axis::new("true accepts: right and accepted (%)", 0.0..102.0, 5);
        let place = axes(&panel, pen, [&x, &y])?;
        let aim = [0.0, 102.0].map(|y| place(rate.log10(), y));
        let aim = PathElement::new(aim.to_vec(), pen.line(GREY, 1));
        panel.draw(&aim)?;
        for row in self.rows.iter().filter(|row| row.shipped) {
            let ends = rate_error(row).map(|x| place(x, 100.0 * row.true_accepts));
            panel.draw(&PathElement::new(ends.to_vec(), pen.line(INK, 1)))?;
        }
        let mut curves = curves.iter().chain(&shipped);
        curves.try_for_each(|curve| curve.draw(&panel, pen, &place))
    }
}
