//! Task sheets: one query and the support set that it must be found in.
//!
//! In: drawings, and a model where there is one. Out: a [`Task`], with the network's answer and its
//! probabilities, and the [`TaskSheet`] that shows it: query on the left, support set on the right.

use std::sync::Arc;

use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;
use serde::Serialize;
use shared::decide::nearest;
use shared::model::ModelView;

use super::PlotError;
use super::canvas::{Area, Drawn, Figure, Pen, beside, centred};
use super::chart::{GREEN, GREY, INK, LETTERS, VERMILION};
use super::sheet::Cell;
use crate::dataset::{Dataset, Drawing};
use crate::evaluate::alphabets::Catalogue;
use crate::evaluate::embedded::Embedded;
use crate::trials::within_alphabet;

/// Classes of the sheets.
pub const N_WAYS: [usize; 3] = [9, 25, 36];

/// Sides and gaps in units.
const SIDE: i32 = 78;
const PITCH_X: i32 = 94;
const PITCH_Y: i32 = 112;
const QUERY_SIDE: i32 = 130;
const GRID_LEFT: i32 = 210;
const TOP: i32 = 84;

/// One trial, and what a network makes of it.
#[derive(Debug, Serialize)]
pub struct Task {
    /// Where the characters are from.
    pub alphabet: String,
    /// Name of every class, in the order of the sheet.
    pub classes: Vec<String>,
    /// Which of them the query is.
    pub answer: usize,
    /// What a network makes of it; absent where none was asked.
    #[serde(flatten)]
    pub network: Option<Network>,
    #[serde(skip)]
    query: Arc<Drawing>,
    #[serde(skip)]
    support: Vec<Arc<Drawing>>,
}

/// What a network makes of a task.
#[derive(Debug, Serialize)]
pub struct Network {
    /// Which class it takes the query for.
    pub chosen: usize,
    /// Its probability that query and support are the same, for each class.
    pub probabilities: Vec<f32>,
}

impl Task {
    /// A task of `n_way` characters of one alphabet by one drawer, and a query by another.
    ///
    /// # Errors
    /// [`PlotError::Trials`] when no alphabet has so many characters.
    pub fn draw(data: &Dataset, n_way: usize, seed: u64) -> Result<Self, PlotError> {
        let mut set = within_alphabet(data, n_way, 1, 1, seed)?;
        let trial = set.trials.pop().ok_or_else(|| nothing(n_way))?;
        let query = set.images[trial.query].clone();
        let shots = trial.support.iter().flatten();
        let support: Vec<_> = shots.map(|&shot| set.images[shot].clone()).collect();
        let catalogue = Catalogue::of(data);
        let classes = support
            .iter()
            .map(|drawing| catalogue.place(drawing).character.to_owned());
        Ok(Self {
            alphabet: catalogue.place(&query).alphabet.replace('_', " "),
            classes: classes.collect(),
            answer: trial.answer,
            network: None,
            query,
            support,
        })
    }

    /// Asks a network.
    ///
    /// # Errors
    /// [`PlotError`] when it gives no answer.
    pub fn ask(&mut self, model: ModelView<'_>) -> Result<(), PlotError> {
        let embedded = Embedded::new(model, self.support.iter().chain([&self.query]))?;
        let logits = self.support.iter();
        let logits = logits.map(|shot| embedded.logit(&self.query, shot));
        let logits = logits.collect::<Result<Vec<i32>, _>>()?;
        let nearest = nearest(logits.iter().copied());
        let (chosen, _) = nearest.ok_or_else(|| nothing(self.support.len()))?;
        let decider = model.decider();
        self.network = Some(Network {
            chosen,
            probabilities: logits
                .iter()
                .map(|&logit| decider.probability(logit))
                .collect(),
        });
        Ok(())
    }
}

fn nothing(n_way: usize) -> PlotError {
    PlotError::Nothing(format!("there is no {n_way}-way task"))
}

/// A sheet with a query and a support set.
#[derive(Debug)]
pub struct TaskSheet<'a> {
    title: String,
    /// A sentence about the frames.
    words: &'static str,
    color: RGBColor,
    query: &'a Drawing,
    /// Lines below the query.
    note: &'static [&'static str],
    support: Vec<Support<'a>>,
}

#[derive(Debug)]
struct Support<'a> {
    drawing: &'a Drawing,
    frame: Option<RGBColor>,
    caption: String,
}

/// Below the query where supports are numbered.
const NUMBERED: &[&str] = &["by another drawer"];
/// Below the query where supports have a probability.
const WITH_PROBABILITIES: &[&str] = &[
    "by another drawer;",
    "below each support:",
    "probability of the",
    "same character",
];

impl<'a> TaskSheet<'a> {
    /// The sheet of a task, with its answer.
    #[must_use]
    pub fn of(task: &'a Task) -> Self {
        let chosen = task.network.as_ref().map(|network| network.chosen);
        let (words, color) = match chosen {
            None => ("green: the right class", GREEN),
            Some(chosen) if chosen == task.answer => {
                ("green: the right class, and the network's choice", GREEN)
            }
            Some(_) => (
                "green: the right class; orange: the network's choice",
                VERMILION,
            ),
        };
        let support = task.support.iter().enumerate().map(|(class, drawing)| {
            let probability = task.network.as_ref().map(|n| n.probabilities[class]);
            Support {
                drawing,
                frame: match class {
                    class if class == task.answer => Some(GREEN),
                    class if Some(class) == chosen => Some(VERMILION),
                    _ => None,
                },
                caption: probability.map_or_else(|| (class + 1).to_string(), percent),
            }
        });
        Self {
            title: format!(
                "{}-way one-shot task, {}",
                task.support.len(),
                task.alphabet
            ),
            words,
            color,
            query: &task.query,
            note: chosen.map_or(NUMBERED, |_| WITH_PROBABILITIES),
            support: support.collect(),
        }
    }

    /// The sheet of a question, which does not tell its answer.
    #[must_use]
    pub fn asking(title: String, query: &'a Drawing, classes: &[&'a Drawing]) -> Self {
        let support = classes.iter().enumerate().map(|(class, &drawing)| Support {
            drawing,
            frame: None,
            caption: (class + 1).to_string(),
        });
        Self {
            title,
            words: "which of them is the query's character?",
            color: GREY,
            query,
            note: NUMBERED,
            support: support.collect(),
        }
    }

    fn columns(&self) -> i32 {
        (1..)
            .find(|side| side * side >= self.support.len() as i32)
            .unwrap_or(1)
    }

    fn draw_support<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB> {
        let columns = self.columns();
        for (class, support) in (0..).zip(&self.support) {
            let cell = Cell {
                drawing: support.drawing,
                at: [
                    GRID_LEFT + PITCH_X * (class % columns),
                    TOP + PITCH_Y * (class / columns),
                ],
                side: SIDE,
                frame: support.frame,
                caption: &support.caption,
                letters: LETTERS - 1,
            };
            cell.draw(area, pen)?;
        }
        Ok(())
    }
}

/// A probability in percent, as short as may be.
#[must_use]
pub fn percent(probability: f32) -> String {
    match 100.0 * probability {
        p if p > 99.9 => "> 99.9 %".to_owned(),
        p if p < 0.1 => "< 0.1 %".to_owned(),
        p => format!("{p:.1} %"),
    }
}

impl Figure for TaskSheet<'_> {
    fn title(&self) -> String {
        self.title.clone()
    }

    fn size(&self) -> [u32; 2] {
        let columns = self.columns();
        let rows = (self.support.len() as i32 + columns - 1) / columns;
        let w = (GRID_LEFT + PITCH_X * columns + 8).max(620);
        [w, (TOP + PITCH_Y * rows + 6).max(330)].map(i32::unsigned_abs)
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB> {
        let title = beside(pen.bold(LETTERS + 2, INK));
        area.draw_text(&self.title, &title, pen.at(28, 28))?;
        let words = beside(pen.text(LETTERS, self.color));
        area.draw_text(self.words, &words, pen.at(28, 54))?;
        let query = Cell {
            drawing: self.query,
            at: [36, TOP + 8],
            side: QUERY_SIDE,
            frame: Some(INK),
            caption: "query",
            letters: LETTERS + 1,
        };
        query.draw(area, pen)?;
        let note = centred(pen.text(LETTERS - 2, GREY));
        for (line, words) in (0..).zip(self.note) {
            area.draw_text(words, &note, pen.at(101, TOP + 176 + 18 * line))?;
        }
        self.draw_support(area, pen)
    }
}
