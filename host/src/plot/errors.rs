//! The error gallery: wrong decisions, the surest first.
//!
//! In: [`Confusion`]s and the trials that they are of. Out: the [`Gallery`] that shows them: names, then
//! the query, the right class's drawing and the chosen one's. `onelook plot` draws it of Lake's runs,
//! `onelook evaluate --confusions` of whatever was asked for.

use plotters::element::PathElement;
use plotters::prelude::DrawingBackend;
use serde::Serialize;

use super::canvas::{Area, Drawn, Figure, Pen, beside};
use super::chart::{FAINT, GREEN, GREY, INK, LETTERS, VERMILION};
use super::sheet::Cell;
use crate::evaluate::confusions::Confusion;
use crate::trials::TrialSet;

/// Most confusions on a sheet.
pub const SHOWN: usize = 36;
/// Confusions in a row of the sheet.
const COLUMNS: usize = 3;
/// Sides and gaps in units.
const SIDE: i32 = 84;
const PITCH: i32 = 114;
const CARD: [i32; 2] = [386, 176];
const TOP: i32 = 90;
/// Letters of a line that a card has room for.
const LINE: usize = 50;

/// A confusion as a line of a table.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    /// Number of the trial, counted from 0 in the order of the set.
    trial: usize,
    alphabet: &'a str,
    character: &'a str,
    chosen_alphabet: &'a str,
    chosen_character: &'a str,
    /// Real logit of the right class less that of the chosen one.
    margin: f64,
}

impl<'a> From<&'a Confusion> for Row<'a> {
    fn from(confusion: &'a Confusion) -> Self {
        let Confusion { right, chosen, .. } = confusion;
        Self {
            trial: confusion.trial,
            alphabet: &right[0],
            character: &right[1],
            chosen_alphabet: &chosen[0],
            chosen_character: &chosen[1],
            margin: confusion.margin,
        }
    }
}

/// The sheet of confusions, as far as there is room.
#[derive(Debug)]
pub struct Gallery<'a> {
    /// The trials.
    pub set: &'a TrialSet,
    /// How many of them were decided wrong.
    pub wrong: usize,
    /// The surest of these, each query and choice once.
    pub confusions: &'a [Confusion],
}

impl Gallery<'_> {
    fn shown(&self) -> &[Confusion] {
        &self.confusions[..self.confusions.len().min(SHOWN)]
    }
}

impl Figure for Gallery<'_> {
    fn title(&self) -> String {
        let (wrong, trials) = (self.wrong, self.set.trials.len());
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
        let what = match shown.len() < self.wrong {
            true => format!("{}; the {} surest", self.set.protocol, shown.len()),
            false => format!("{}; the surest first", self.set.protocol),
        };
        area.draw_text(&what, &beside(pen.text(LETTERS, GREY)), pen.at(28, 56))?;
        for (index, confusion) in (0..).zip(shown) {
            let [w, h] = CARD;
            let columns = COLUMNS as i32;
            let at = [28 + w * (index % columns), TOP + h * (index / columns)];
            card(self.set, confusion, area, pen, at)?;
        }
        Ok(())
    }
}

fn card<DB: DrawingBackend>(
    set: &TrialSet,
    confusion: &Confusion,
    area: &Area<DB>,
    pen: Pen,
    [x, y]: [i32; 2],
) -> Drawn<DB> {
    let edge = [pen.at(x, y - 8), pen.at(x + CARD[0] - 56, y - 8)];
    area.draw(&PathElement::new(edge, pen.line(FAINT, 1)))?;
    for (line, words) in (0..).zip(words(confusion)) {
        let words: String = words.chars().take(LINE).collect();
        let place = pen.at(x, y + 18 * line);
        area.draw_text(&words, &pen.text(LETTERS - 2, GREY), place)?;
    }
    let captions = ["query", "right", "chosen"];
    let frames = [None, Some(GREEN), Some(VERMILION)];
    let cells = confusion.images.iter().zip(captions).zip(frames);
    for (column, ((&image, caption), frame)) in (0..).zip(cells) {
        let Some(drawing) = set.images.get(image) else {
            continue;
        };
        let cell = Cell {
            drawing,
            at: [x + 4 + PITCH * column, y + 42],
            side: SIDE,
            frame,
            caption,
            letters: LETTERS - 2,
        };
        cell.draw(area, pen)?;
    }
    Ok(())
}

/// What was taken for what, in two lines.
fn words(confusion: &Confusion) -> [String; 2] {
    let Confusion {
        trial,
        right,
        chosen,
        margin,
        ..
    } = confusion;
    let other = match right[0] == chosen[0] {
        true => chosen[1].clone(),
        false => chosen.join(" "),
    };
    [
        format!("trial {trial}, {}, margin {margin:.2}", right[0]),
        format!("{} taken for {other}", right[1]),
    ]
}
