//! How a training went: validation accuracy, loss and learning rate against the step.
//!
//! In: the [`Metrics`] of a run, finished or not. Out: a [`TrainingFigure`] of three panels over one
//! axis, and [`rows`] for its CSV.

use plotters::prelude::DrawingBackend;
use serde::Serialize;

use super::canvas::{Area, Drawn, Figure, Pen, beside};
use super::chart::{
    Axis, BLUE, Curve, ErrorMark, GREEN, INK, LETTERS, Look, Marker, PURPLE, VERMILION,
};
use super::chart::{axes, legend};
use crate::metrics::Metrics;

/// One validation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Steps done.
    pub step: usize,
    /// Seconds spent in training.
    pub seconds: f64,
    /// Within-alphabet 20-way one-shot accuracy on held-out background alphabets.
    pub validation_accuracy: f64,
    /// Its standard error.
    pub validation_standard_error: f64,
    /// The same with weights that are not averaged, where their average counts.
    pub unaveraged_accuracy: Option<f64>,
    /// Mean training loss since the last validation.
    pub loss: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Images per second.
    pub images_per_second: f64,
}

/// The same with a column for everything, also for what is not there.
#[must_use]
pub fn rows(metrics: &[Metrics]) -> Vec<Row> {
    let row = |metrics: &Metrics| Row {
        step: metrics.step,
        seconds: metrics.seconds,
        validation_accuracy: metrics.validation_accuracy,
        validation_standard_error: metrics.validation_standard_error,
        unaveraged_accuracy: metrics.unaveraged_accuracy,
        loss: metrics.loss,
        learning_rate: metrics.learning_rate,
        images_per_second: metrics.images_per_second,
    };
    metrics.iter().map(row).collect()
}

/// Three panels over the step.
#[derive(Debug)]
pub struct TrainingFigure<'a> {
    /// In the order of training.
    pub rows: &'a [Row],
}

impl TrainingFigure<'_> {
    fn curve(&self, name: &str, look: Look, value: impl Fn(&Row) -> Option<[f64; 2]>) -> Curve {
        let points = self.rows.iter().filter_map(|row| {
            let [y, error] = value(row)?;
            Some([row.step as f64, y, error])
        });
        Curve {
            name: name.to_owned(),
            look,
            points: points.collect(),
        }
    }

    /// Validation, and what it would be without averaging where that is known.
    fn accuracies(&self) -> Vec<Curve> {
        let averaged = self
            .rows
            .iter()
            .any(|row| row.unaveraged_accuracy.is_some());
        let name = match averaged {
            true => "validation, averaged weights (band: ± 1 standard error)",
            false => "validation (band: ± 1 standard error)",
        };
        let whole = look(BLUE, None, Marker::Circle, ErrorMark::Band);
        let mut curves = vec![self.curve(name, whole, |row| {
            let error = row.validation_standard_error;
            Some([100.0 * row.validation_accuracy, 100.0 * error])
        })];
        if averaged {
            let dashed = look(VERMILION, Some([6, 4]), Marker::Triangle, ErrorMark::None);
            curves.push(
                self.curve("validation, weights of the step itself", dashed, |row| {
                    Some([100.0 * row.unaveraged_accuracy?, 0.0])
                }),
            );
        }
        curves
    }

    fn panel<DB: DrawingBackend>(
        &self,
        area: &Area<DB>,
        pen: Pen,
        [x, y]: [&'static str; 2],
        curves: &[Curve],
    ) -> Drawn<DB> {
        let last = self.rows.last().map_or(1, |row| row.step);
        let mut across = Axis::new(x, 0.0..1.03 * last as f64, 6);
        if x.is_empty() {
            across.format = |_| String::new();
        }
        let up = Axis::new(y, around(curves), 4);
        let place = axes(area, pen, [&across, &up])?;
        curves
            .iter()
            .try_for_each(|curve| curve.draw(area, pen, &place))
    }
}

const fn look(
    color: plotters::style::RGBColor,
    dash: Option<[i32; 2]>,
    marker: Marker,
    error: ErrorMark,
) -> Look {
    Look {
        color,
        dash,
        marker,
        error,
    }
}

/// From the least to the largest value with its error, and some air.
fn around(curves: &[Curve]) -> std::ops::Range<f64> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let low = points()
        .map(|[_, y, error]| y - error)
        .fold(f64::MAX, f64::min);
    let high = points()
        .map(|[_, y, error]| y + error)
        .fold(f64::MIN, f64::max);
    let air = (0.06 * (high - low)).max(1e-4 * high.abs()).max(1e-9);
    low - air..high + air
}

impl Figure for TrainingFigure<'_> {
    fn title(&self) -> String {
        "Training: validation accuracy, loss and learning rate against the step".to_owned()
    }

    fn size(&self) -> [u32; 2] {
        [820, 860]
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB> {
        let accuracies = self.accuracies();
        let head = if accuracies.len() > 1 { 96 } else { 74 };
        let (title, rest) = area.split_vertically(pen.px(head));
        let (first, rest) = rest.split_vertically(pen.px(320));
        let (second, third) = rest.split_vertically(pen.px(210));
        let letters = beside(pen.bold(LETTERS + 1, INK));
        let words = "20-way one-shot within alphabet, held-out background alphabets";
        title.draw_text(words, &letters, pen.at(84, 24))?;
        legend(&title, pen, [90, 54], &accuracies)?;
        self.panel(&first, pen, ["", "accuracy (%)"], &accuracies)?;
        let line = |color, dash, marker| look(color, dash, marker, ErrorMark::None);
        let loss = line(GREEN, None, Marker::Square);
        let loss = self.curve("", loss, |row| Some([row.loss, 0.0]));
        self.panel(&second, pen, ["", "training loss"], &[loss])?;
        let rate = line(PURPLE, Some([8, 4]), Marker::Diamond);
        let rate = self.curve("", rate, |row| Some([1e3 * row.learning_rate, 0.0]));
        self.panel(
            &third,
            pen,
            ["optimizer step", "learning rate × 10³"],
            &[rate],
        )
    }
}
