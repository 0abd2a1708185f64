//! How a search went: the trials in their order, and their accuracy against every parameter.
//!
//! In: a [`Study`]. Out: a [`SearchFigure`]. A trial stands where its highest rung has left it; colours and markers
//! tell rungs apart, for accuracies after different numbers of steps are no equals.

use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;

use super::canvas::{Area, Drawn, Figure, Pen, beside, centred};
use super::chart::{
    Axis, BLUE, Curve, ErrorMark, GREEN, GREY, INK, LETTERS, Look, Marker, PURPLE, VERMILION,
};
use super::chart::{axes, legend};
use crate::search::field::Value;
use crate::search::space::{Parameter, Range};
use crate::search::study::Study;

/// From the lowest rung on; higher ones share the last.
const RUNGS: [(RGBColor, Marker); 4] = [
    (BLUE, Marker::Circle),
    (VERMILION, Marker::Square),
    (GREEN, Marker::Triangle),
    (PURPLE, Marker::Diamond),
];
/// Panels of parameters side by side.
const ACROSS: usize = 3;
const WIDTH: i32 = 1000;
/// Height of the panel of all trials.
const FIRST: i32 = 330;
/// Height of a panel of a parameter, with its title.
const PANEL: i32 = 236;
const TITLE: i32 = 30;

/// All trials of a search that have a score.
#[derive(Debug)]
pub struct SearchFigure<'a> {
    /// The search.
    pub study: &'a Study,
}

impl SearchFigure<'_> {
    fn n_rungs(&self) -> usize {
        self.study.settings.rungs.len()
    }

    /// For each rung the trials that it is the highest of, at `x`; accuracy and error in percent.
    fn by_rung(&self, bars: bool, x: impl Fn(usize, &[Value]) -> Option<f64>) -> Vec<Curve> {
        let curve = |rung: usize| {
            let trials = self.study.trials.iter().enumerate();
            let points = trials.filter_map(|(number, trial)| {
                let (at, score) = trial.standing()?;
                let point = [
                    x(number, &trial.values)?,
                    100.0 * score.accuracy,
                    100.0 * score.standard_error,
                ];
                (at == rung).then_some(point)
            });
            let (color, marker) = RUNGS[rung.min(RUNGS.len() - 1)];
            let steps = self.study.settings.rungs.get(rung).copied().unwrap_or(0);
            Curve {
                name: format!("stopped after {steps} steps"),
                look: Look {
                    color,
                    // Points of different trials are no curve.
                    dash: Some([0, 1]),
                    marker,
                    error: if bars {
                        ErrorMark::Bar
                    } else {
                        ErrorMark::None
                    },
                },
                points: points.collect(),
            }
        };
        let mut curves: Vec<Curve> = (0..self.n_rungs()).map(curve).collect();
        if let Some(last) = curves.last_mut() {
            last.name = last.name.replace("stopped", "finished");
        }
        curves
    }

    /// The best accuracy so far, whatever the rung.
    fn best_so_far(&self) -> Curve {
        let mut best = f64::MIN;
        let mut points: Vec<[f64; 3]> = Vec::new();
        for (number, trial) in self.study.trials.iter().enumerate() {
            let Some((_, score)) = trial.standing() else {
                continue;
            };
            if !points.is_empty() {
                points.push([number as f64, best, 0.0]);
            }
            best = best.max(100.0 * score.accuracy);
            points.push([number as f64, best, 0.0]);
        }
        let look = Look {
            color: GREY,
            dash: None,
            marker: Marker::None,
            error: ErrorMark::None,
        };
        let name = "best so far".to_owned();
        Curve { name, look, points }
    }

    fn accuracy_axis(&self) -> Axis {
        let scores = self
            .study
            .trials
            .iter()
            .filter_map(|trial| trial.standing());
        let bounds = scores.map(|(_, score)| {
            let (mean, error) = (100.0 * score.accuracy, 100.0 * score.standard_error);
            [mean - error, mean + error]
        });
        let around = |[a, b]: [f64; 2], [low, high]: [f64; 2]| [a.min(low), b.max(high)];
        let [low, high] = bounds.fold([f64::MAX, f64::MIN], around);
        let [low, high] = if low > high {
            [0.0, 100.0]
        } else {
            [low, high]
        };
        let air = 0.06 * (high - low).max(1.0);
        Axis::new("accuracy (%)", low - air..high + air, 5)
    }

    fn trials<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB> {
        let last = self.study.trials.len().max(1) as f64;
        let mut across = Axis::new("trial", -0.5..last - 0.5, 8);
        across.ticks.retain(|tick| tick.fract().abs() < 1e-9);
        let place = axes(area, pen, [&across, &self.accuracy_axis()])?;
        self.best_so_far().draw(area, pen, &place)?;
        let curves = self.by_rung(true, |number, _| Some(number as f64));
        curves
            .iter()
            .try_for_each(|curve| curve.draw(area, pen, &place))
    }

    fn parameter<DB: DrawingBackend>(
        &self,
        area: &Area<DB>,
        pen: Pen,
        (index, label): (usize, &str),
    ) -> Drawn<DB> {
        let Some(parameter) = self.study.settings.space.parameters.get(index) else {
            return Ok(());
        };
        let (title, panel) = area.split_vertically(pen.px(TITLE));
        let letters = beside(pen.bold(LETTERS - 1, INK));
        title.draw_text(label, &letters, pen.at(84, TITLE - 10))?;
        let scale = Scale::of(parameter);
        let place = axes(&panel, pen, [&scale.axis, &self.accuracy_axis()])?;
        let curves = self.by_rung(false, |_, values| scale.position(values.get(index)?));
        curves
            .iter()
            .try_for_each(|curve| curve.draw(&panel, pen, &place))?;
        // An axis writes numbers alone.
        let below = self.accuracy_axis().range.start;
        for (index, choice) in scale.choices.iter().enumerate() {
            let (x, y) = place(index as f64, below);
            let letters = centred(pen.text(LETTERS - 2, INK));
            panel.draw_text(&choice.to_string(), &letters, (x, y + pen.px(8)))?;
        }
        Ok(())
    }
}

/// Where values lie across a panel.
struct Scale<'p> {
    axis: Axis,
    logarithmic: bool,
    choices: &'p [Value],
}

impl<'p> Scale<'p> {
    fn of(parameter: &'p Parameter) -> Self {
        let (low, high, logarithmic, choices): (f64, f64, bool, &[Value]) = match &parameter.range {
            Range::Log { low, high } => (low.log10(), high.log10(), true, &[]),
            Range::Linear { low, high } => (*low, *high, false, &[]),
            Range::Integer { low, high, .. } => (*low as f64, *high as f64, false, &[]),
            Range::Choice { values } => (-0.5, values.len() as f64 - 0.5, false, values),
        };
        let air = if choices.is_empty() {
            0.04 * (high - low)
        } else {
            0.0
        };
        let mut axis = Axis::new("", low - air..high + air, 4);
        if logarithmic {
            let whole = (low.ceil() as i32..=high.floor() as i32).map(f64::from);
            axis.ticks = whole.collect();
            axis.format = |power| format!("{:e}", 10_f64.powf(power));
        }
        if !choices.is_empty() {
            axis.ticks = (0..choices.len()).map(|index| index as f64).collect();
            axis.format = |_| String::new();
        }
        Self {
            axis,
            logarithmic,
            choices,
        }
    }

    fn position(&self, value: &Value) -> Option<f64> {
        if !self.choices.is_empty() {
            return self
                .choices
                .iter()
                .position(|choice| choice == value)
                .map(|at| at as f64);
        }
        match *value {
            Value::Real(number) if self.logarithmic => Some(number.log10()),
            Value::Real(number) => Some(number),
            Value::Whole(number) => Some(number as f64),
            Value::Flag(_) | Value::Word(_) => None,
        }
    }
}

impl Figure for SearchFigure<'_> {
    fn title(&self) -> String {
        "Search: accuracy of the trials in their order, and against every parameter".to_owned()
    }

    fn size(&self) -> [u32; 2] {
        let rows = self.study.settings.space.parameters.len().div_ceil(ACROSS);
        let head = self.head();
        [WIDTH as u32, (head + FIRST + PANEL * rows as i32) as u32]
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB> {
        let (head, rest) = area.split_vertically(pen.px(self.head()));
        let letters = beside(pen.bold(LETTERS + 1, INK));
        let words = "20-way one-shot, held-out background alphabets (bars: ± 1 standard error)";
        head.draw_text(words, &letters, pen.at(84, 24))?;
        let curves = self.by_rung(false, |number, _| Some(number as f64));
        legend(
            &head,
            pen,
            [90, 52],
            curves.iter().chain([&self.best_so_far()]),
        )?;
        let (first, mut rest) = rest.split_vertically(pen.px(FIRST));
        self.trials(&first, pen)?;
        let labels: Vec<(usize, &str)> = self
            .study
            .settings
            .space
            .labels()
            .into_iter()
            .enumerate()
            .collect();
        for row in labels.chunks(ACROSS) {
            let (mut panels, below) = rest.split_vertically(pen.px(PANEL));
            rest = below;
            for &label in row {
                let (panel, beside) = panels.split_horizontally(pen.px(WIDTH / ACROSS as i32));
                self.parameter(&panel, pen, label)?;
                panels = beside;
            }
        }
        Ok(())
    }
}

impl SearchFigure<'_> {
    /// Height of the title and the legend: a line for each rung and one for the best.
    fn head(&self) -> i32 {
        52 + 22 * (self.n_rungs() as i32 + 1)
    }
}

#[cfg(test)]
mod tests;
