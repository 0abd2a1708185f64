//! Task sheets: one query and the support set that it must be found in, as the network saw them.
//!
//! In: evaluation drawings and a model. Out: a [`Task`] with the network's answer and its
//! probabilities, and the [`TaskSheet`] that shows it: query on the left, support set on the right.

use std::sync::Arc;

use plotters::prelude::DrawingBackend;
use serde::Serialize;
use shared::decide::nearest;
use shared::model::ModelView;

use super::PlotError;
use super::canvas::{Area, Drawn, Figure, Pen, beside};
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

/// One trial and what the network makes of it.
#[derive(Debug, Serialize)]
pub struct Task {
    /// Where the characters are from.
    pub alphabet: String,
    /// Name of every class, in the order of the sheet.
    pub classes: Vec<String>,
    /// Which of them the query is.
    pub answer: usize,
    /// Which the network takes it for.
    pub chosen: usize,
    /// The network's probability that query and support are the same, for each class.
    pub probabilities: Vec<f32>,
    #[serde(skip)]
    query: Arc<Drawing>,
    #[serde(skip)]
    support: Vec<Arc<Drawing>>,
}

impl Task {
    /// A task of `n_way` characters of one alphabet by one drawer, and a query by another.
    ///
    /// # Errors
    /// [`PlotError::Trials`] when no alphabet has so many characters.
    pub fn draw(
        model: ModelView<'_>,
        data: &Dataset,
        n_way: usize,
        seed: u64,
    ) -> Result<Self, PlotError> {
        let mut set = within_alphabet(data, n_way, 1, 1, seed)?;
        let none = || PlotError::Nothing(format!("there is no {n_way}-way task"));
        let trial = set.trials.pop().ok_or_else(none)?;
        let query = set.images[trial.query].clone();
        let shots = trial.support.iter().flatten();
        let support: Vec<_> = shots.map(|&shot| set.images[shot].clone()).collect();
        let embedded = Embedded::new(model, &set.images)?;
        let logits = support.iter().map(|shot| embedded.logit(&query, shot));
        let logits = logits.collect::<Result<Vec<i32>, _>>()?;
        let (chosen, _) = nearest(logits.iter().copied()).ok_or_else(none)?;
        let catalogue = Catalogue::of(data);
        let classes = support
            .iter()
            .map(|drawing| catalogue.place(drawing).character.to_owned());
        let decider = model.decider();
        Ok(Self {
            alphabet: catalogue.place(&query).alphabet.replace('_', " "),
            classes: classes.collect(),
            answer: trial.answer,
            chosen,
            probabilities: logits
                .iter()
                .map(|&logit| decider.probability(logit))
                .collect(),
            query,
            support,
        })
    }
}

/// The sheet of one task.
#[derive(Debug)]
pub struct TaskSheet<'a>(pub &'a Task);

impl TaskSheet<'_> {
    fn columns(&self) -> i32 {
        (1..)
            .find(|side| side * side >= self.0.support.len() as i32)
            .unwrap_or(1)
    }

    fn draw_support<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB> {
        let Task {
            support,
            answer,
            chosen,
            probabilities,
            ..
        } = self.0;
        let columns = self.columns();
        for (class, (drawing, &probability)) in (0..).zip(support.iter().zip(probabilities)) {
            let frame = match class as usize {
                class if class == *answer => Some(GREEN),
                class if class == *chosen => Some(VERMILION),
                _ => None,
            };
            let cell = Cell {
                drawing,
                at: [
                    GRID_LEFT + PITCH_X * (class % columns),
                    TOP + PITCH_Y * (class / columns),
                ],
                side: SIDE,
                frame,
                caption: &percent(probability),
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
        let Task {
            alphabet, support, ..
        } = self.0;
        format!("{}-way one-shot task, {alphabet}", support.len())
    }

    fn size(&self) -> [u32; 2] {
        let columns = self.columns();
        let rows = (self.0.support.len() as i32 + columns - 1) / columns;
        let w = (GRID_LEFT + PITCH_X * columns + 8).max(620);
        [w, (TOP + PITCH_Y * rows + 6).max(330)].map(i32::unsigned_abs)
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB> {
        let title = beside(pen.bold(LETTERS + 2, INK));
        area.draw_text(&self.title(), &title, pen.at(28, 28))?;
        let right = self.0.chosen == self.0.answer;
        let (words, color) = match right {
            true => ("green: the right class, and the network's choice", GREEN),
            false => (
                "green: the right class; orange: the network's choice",
                VERMILION,
            ),
        };
        area.draw_text(words, &beside(pen.text(LETTERS, color)), pen.at(28, 54))?;
        let query = Cell {
            drawing: &self.0.query,
            at: [36, TOP + 8],
            side: QUERY_SIDE,
            frame: Some(INK),
            caption: "query",
            letters: LETTERS + 1,
        };
        query.draw(area, pen)?;
        let note = pen.text(LETTERS - 2, GREY);
        for (line, words) in (0..).zip([
            "by another drawer;",
            "below each support:",
            "probability of the",
            "same character",
        ]) {
            area.draw_text(
                words,
                &super::canvas::centred(note.clone()),
                pen.at(101, TOP + 176 + 18 * line),
            )?;
        }
        self.draw_support(area, pen)
    }
}
