//! The error gallery: every wrong decision of a set of trials, the surest first.
//!
//! In: Lake's runs and a model. Out: [`Mistake`]s with the probabilities of the right and of the
//! chosen class, and the [`Gallery`] that shows them.

use std::sync::Arc;

use plotters::element::PathElement;
use plotters::prelude::DrawingBackend;
use serde::Serialize;
use shared::decide::nearest;
use shared::model::ModelView;

use super::PlotError;
use super::canvas::{Area, Drawn, Figure, Pen, beside};
use super::chart::{FAINT, GREEN, GREY, INK, LETTERS, VERMILION};
use super::sheet::Cell;
use super::tasks::percent;
use crate::dataset::Drawing;
use crate::evaluate::embedded::Embedded;
use crate::trials::{Trial, TrialSet};

/// Most mistakes on a sheet.
const SHOWN: usize = 36;
/// Mistakes in a row of the sheet.
const COLUMNS: usize = 3;
/// Sides and gaps in units.
const SIDE: i32 = 84;
const PITCH: i32 = 114;
const CARD: [i32; 2] = [386, 158];
const TOP: i32 = 90;

/// A wrong decision.
#[derive(Debug, Serialize)]
pub struct Mistake {
    /// Number of the trial, counted from 1 in the order of the set.
    pub trial: usize,
    /// The right class, counted from 1 in the order of the support set.
    pub answer: usize,
    /// The chosen class, likewise.
    pub chosen: usize,
    /// Probability that query and support of the right class are the same character.
    pub probability_right: f32,
    /// The same for the chosen class.
    pub probability_chosen: f32,
    #[serde(skip)]
    drawings: [Arc<Drawing>; 3],
}

/// The wrong decisions of one-shot trials, those first of which the network was surest.
///
/// # Errors
/// [`PlotError::Evaluate`] naming the drawing that cannot be used.
pub fn mistakes(model: ModelView<'_>, set: &TrialSet) -> Result<Vec<Mistake>, PlotError> {
    let embedded = Embedded::new(model, &set.images)?;
    let mut mistakes = Vec::new();
    for (index, trial) in set.trials.iter().enumerate() {
        mistakes.extend(mistake(model, &embedded, set, (index, trial))?);
    }
    let lead = |mistake: &Mistake| mistake.probability_chosen - mistake.probability_right;
    mistakes.sort_by(|a, b| lead(b).total_cmp(&lead(a)));
    Ok(mistakes)
}

fn mistake(
    model: ModelView<'_>,
    embedded: &Embedded<'_>,
    set: &TrialSet,
    (index, trial): (usize, &Trial),
) -> Result<Option<Mistake>, PlotError> {
    let query = &set.images[trial.query];
    let shots: Vec<&Arc<Drawing>> = trial
        .support
        .iter()
        .flatten()
        .map(|&shot| &set.images[shot])
        .collect();
    let logits = shots.iter().map(|shot| embedded.logit(query, shot));
    let logits = logits.collect::<Result<Vec<i32>, _>>()?;
    let wrong = nearest(logits.iter().copied()).filter(|&(chosen, _)| chosen != trial.answer);
    Ok(wrong.map(|(chosen, _)| {
        let probability = |class: usize| model.decider().probability(logits[class]);
        Mistake {
            trial: index + 1,
            answer: trial.answer + 1,
            chosen: chosen + 1,
            probability_right: probability(trial.answer),
            probability_chosen: probability(chosen),
            drawings: [query, shots[trial.answer], shots[chosen]].map(Arc::clone),
        }
    }))
}

/// The sheet of all mistakes, as far as there is room.
#[derive(Debug)]
pub struct Gallery<'a> {
    /// Name of the trials.
    pub protocol: &'a str,
    /// How many there were.
    pub trials: usize,
    /// Those that went wrong.
    pub mistakes: &'a [Mistake],
}

impl Gallery<'_> {
    fn shown(&self) -> &[Mistake] {
        &self.mistakes[..self.mistakes.len().min(SHOWN)]
    }
}

impl Figure for Gallery<'_> {
    fn title(&self) -> String {
        let (wrong, trials) = (self.mistakes.len(), self.trials);
        format!("{wrong} wrong decisions in {trials} trials")
    }

    fn size(&self) -> [u32; 2] {
        let rows = self.shown().len().div_ceil(COLUMNS).max(1) as i32;
        let [w, h] = CARD;
        [w * COLUMNS as i32 + 10, TOP + h * rows].map(i32::unsigned_abs)
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB> {
        let title = beside(pen.bold(LETTERS + 3, INK));
        area.draw_text(&self.title(), &title, pen.at(28, 28))?;
        let shown = self.shown();
        let what = match shown.len() < self.mistakes.len() {
            true => format!("{}; the {SHOWN} surest", self.protocol),
            false => format!("{}; the surest first", self.protocol),
        };
        area.draw_text(&what, &beside(pen.text(LETTERS, GREY)), pen.at(28, 56))?;
        for (index, mistake) in (0..).zip(shown) {
            let [w, h] = CARD;
            let columns = COLUMNS as i32;
            let at = [28 + w * (index % columns), TOP + h * (index / columns)];
            mistake.draw(area, pen, at)?;
        }
        Ok(())
    }
}

impl Mistake {
    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen, [x, y]: [i32; 2]) -> Drawn<DB> {
        let edge = [pen.at(x, y - 8), pen.at(x + CARD[0] - 56, y - 8)];
        area.draw(&PathElement::new(edge, pen.line(FAINT, 1)))?;
        let name = format!("trial {}", self.trial);
        area.draw_text(&name, &pen.text(LETTERS - 2, GREY), pen.at(x, y))?;
        let [right, chosen] = [self.probability_right, self.probability_chosen].map(percent);
        let captions = [
            "query".to_owned(),
            format!("right {right}"),
            format!("chosen {chosen}"),
        ];
        let frames = [None, Some(GREEN), Some(VERMILION)];
        let cells = self.drawings.iter().zip(&captions).zip(frames);
        for (column, ((drawing, caption), frame)) in (0..).zip(cells) {
            let cell = Cell {
                drawing,
                at: [x + 4 + PITCH * column, y + 24],
                side: SIDE,
                frame,
                caption,
                letters: LETTERS - 2,
            };
            cell.draw(area, pen)?;
        }
        Ok(())
    }
}
