//! Accuracy against the number of classes: what the network can do, what it must beat, and how much
//! it loses on alphabets that it was not trained on.
//!
//! In: an engine and two families of alphabets. Out: a [`Row`] for each N and curve, and the
//! [`AccuracyFigure`] of one protocol. *Within alphabet* and *mixed alphabets* are two figures,
//! never one: they are different tasks.

use serde::Serialize;

use super::PlotError;
use super::canvas::{Area, Drawn, Figure, Pen, beside};
use super::chart::{Axis, BLUE, Curve, ErrorMark, GREEN, GREY, Look, Marker, VERMILION};
use super::chart::{axes, legend};
use crate::baseline::nearest_pixels;
use crate::dataset::Dataset;
use crate::engine::Embedder;
use crate::evaluate::evaluate_all;
use crate::trials::{Accuracy, TrialSet, mixed, within_alphabet};

/// Classes of the trials.
const N_WAYS: [usize; 12] = [2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60];

/// Which classes meet in a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Those of one alphabet.
    Within,
    /// Those of all alphabets.
    Mixed,
}

/// What a curve is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// The network on alphabets that it was trained on.
    NetworkBackground,
    /// The network on evaluation alphabets.
    NetworkEvaluation,
    /// 1-nearest-neighbour on pixels, on the same trials.
    PixelsEvaluation,
    /// 1 / N.
    Chance,
}

/// One point of a curve.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// How the trials were drawn.
    pub protocol: String,
    /// Which curve.
    pub series: Series,
    /// Classes.
    pub n_way: usize,
    /// Alphabets with that many characters.
    pub alphabets: usize,
    /// Right decisions; none for chance.
    pub correct: Option<usize>,
    /// Decisions; none for chance.
    pub trials: Option<usize>,
    /// Share of right ones.
    pub accuracy: f64,
    /// Binomial.
    pub standard_error: f64,
}

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Within, Self::Mixed];

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Within => "within alphabet",
            Self::Mixed => "mixed alphabets",
        }
    }

    /// For file names.
    #[must_use]
    pub const fn stem(self) -> &'static str {
        match self {
            Self::Within => "accuracy-within",
            Self::Mixed => "accuracy-mixed",
        }
    }

    /// One-shot trials for every N that the drawings have enough characters for.
    fn trials(self, data: &Dataset, trials: usize, seed: u64) -> Vec<TrialSet> {
        let draw = match self {
            Self::Within => within_alphabet,
            Self::Mixed => mixed,
        };
        let n_ways = N_WAYS.into_iter().zip(seed..);
        // Refused only where there are too few characters: the curve ends there. Within alphabet it
        // ends before: on the few largest alphabets it would be about another task.
        let n_ways = n_ways.filter(|&(n_way, _)| {
            self == Self::Mixed || 4 * n_large_enough(data, n_way) >= data.alphabets.len()
        });
        let drawn = n_ways.map(|(n_way, seed)| draw(data, n_way, 1, trials, seed));
        drawn.filter_map(Result::ok).collect()
    }
}

/// Decides `trials` trials for every N, protocol and family of alphabets.
///
/// # Errors
/// [`PlotError::Evaluate`] naming the drawing that cannot be used.
pub fn measure<E: Embedder>(
    engine: &E,
    [evaluation, background]: [&Dataset; 2],
    trials: usize,
    seed: u64,
) -> Result<Vec<(Protocol, Vec<Row>)>, PlotError> {
    let draw = |data| Protocol::ALL.map(|protocol| protocol.trials(data, trials, seed));
    let (seen, unseen) = (draw(background), draw(evaluation));
    let decide = |sets: &[Vec<TrialSet>; 2]| {
        evaluate_all(&sets.iter().flatten().collect::<Vec<_>>(), engine)
    };
    let (mut on_seen, mut on_unseen) = (decide(&seen)?.into_iter(), decide(&unseen)?.into_iter());
    let mut figures = Vec::new();
    for ((protocol, seen), unseen) in Protocol::ALL.into_iter().zip(&seen).zip(&unseen) {
        let mut rows = Vec::new();
        for (set, decided) in unseen.iter().zip(&mut on_unseen) {
            let point = |series, accuracy| row(series, set, evaluation, accuracy);
            rows.push(point(
                Series::NetworkEvaluation,
                Some(decided.mean.accuracy),
            ));
            rows.push(point(Series::PixelsEvaluation, Some(nearest_pixels(set))));
            rows.push(point(Series::Chance, None));
        }
        for (set, decided) in seen.iter().zip(&mut on_seen) {
            let accuracy = Some(decided.mean.accuracy);
            rows.push(row(Series::NetworkBackground, set, background, accuracy));
        }
        figures.push((protocol, rows));
    }
    Ok(figures)
}

fn row(series: Series, set: &TrialSet, data: &Dataset, accuracy: Option<Accuracy>) -> Row {
    let n_way = set.n_way();
    Row {
        protocol: set.protocol.clone(),
        series,
        n_way,
        alphabets: n_large_enough(data, n_way),
        correct: accuracy.map(|a| a.correct),
        trials: accuracy.map(|a| a.trials),
        accuracy: accuracy.map_or(1.0 / n_way as f64, |a| a.mean),
        standard_error: accuracy.map_or(0.0, |a| a.standard_error),
    }
}

/// Alphabets with that many characters.
fn n_large_enough(data: &Dataset, n_way: usize) -> usize {
    let alphabets = data.alphabets.iter();
    alphabets.filter(|a| a.characters.len() >= n_way).count()
}

/// The curves of one protocol.
#[derive(Debug)]
pub struct AccuracyFigure<'a> {
    /// Whose trials.
    pub protocol: Protocol,
    /// Its points.
    pub rows: &'a [Row],
    /// How many trials a point stands for.
    pub trials: usize,
    /// Whether the network was trained on the background alphabets.
    pub trained_here: bool,
}

impl AccuracyFigure<'_> {
    /// The largest N for which every evaluation alphabet has enough characters, when some have not.
    fn last_with_all(&self) -> Option<usize> {
        let evaluation = || {
            let rows = self.rows.iter();
            rows.filter(|row| row.series == Series::NetworkEvaluation)
        };
        let most = evaluation().map(|row| row.alphabets).max()?;
        let (all, fewer): (Vec<&Row>, Vec<&Row>) =
            evaluation().partition(|row| row.alphabets == most);
        let last = all.iter().map(|row| row.n_way).max();
        last.filter(|_| self.protocol == Protocol::Within && !fewer.is_empty())
    }

    fn curves(&self) -> Vec<Curve> {
        let background = match self.trained_here {
            true => "network, alphabets it was trained on",
            false => "network, background alphabets",
        };
        let looks = [
            (
                Series::NetworkBackground,
                background,
                BLUE,
                Some([10, 5]),
                Marker::Square,
            ),
            (
                Series::NetworkEvaluation,
                "network, evaluation alphabets",
                VERMILION,
                None,
                Marker::Circle,
            ),
            (
                Series::PixelsEvaluation,
                "1-nearest-neighbour on pixels",
                GREEN,
                Some([4, 4]),
                Marker::Triangle,
            ),
            (Series::Chance, "chance", GREY, Some([2, 5]), Marker::None),
        ];
        let curves = looks.map(|(series, name, color, dash, marker)| {
            let error = if marker == Marker::None {
                ErrorMark::None
            } else {
                ErrorMark::Bar
            };
            let rows = self.rows.iter().filter(|row| row.series == series);
            let point = |row: &Row| {
                [
                    row.n_way as f64,
                    100.0 * row.accuracy,
                    100.0 * row.standard_error,
                ]
            };
            Curve {
                name: name.to_owned(),
                look: Look {
                    color,
                    dash,
                    marker,
                    error,
                },
                points: rows.map(point).collect(),
            }
        });
        curves.into()
    }
}

impl Figure for AccuracyFigure<'_> {
    fn title(&self) -> String {
        format!(
            "One-shot accuracy against the number of classes, {}",
            self.protocol.name()
        )
    }

    fn size(&self) -> [u32; 2] {
        [820, 640]
    }

    fn draw<DB: plotters::prelude::DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB> {
        let curves = self.curves();
        let (head, panel) = area.split_vertically(pen.px(162));
        let note = format!(
            "One-shot, {}; {} trials a point, bars: ± 1 standard error",
            self.protocol.name(),
            self.trials
        );
        let letters = beside(pen.bold(super::chart::LETTERS + 1, super::chart::INK));
        head.draw_text(&note, &letters, pen.at(84, 24))?;
        legend(&head, pen, [90, 56], &curves)?;
        if let Some(n_way) = self.last_with_all() {
            let words =
                format!("Beyond N = {n_way} only the larger alphabets have enough characters.");
            let letters = beside(pen.text(super::chart::LETTERS - 1, GREY));
            head.draw_text(&words, &letters, pen.at(90, 146))?;
        }
        let most = self.rows.iter().map(|row| row.n_way).max().unwrap_or(2);
        let x = Axis::new("N, classes to choose from", 0.0..most as f64 + 2.0, 7);
        let y = Axis::new("accuracy (%)", 0.0..102.0, 5);
        let place = axes(&panel, pen, [&x, &y])?;
        curves
            .iter()
            .try_for_each(|curve| curve.draw(&panel, pen, &place))
    }
}
