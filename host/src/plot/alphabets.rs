//! Alphabet sheets: every character of one alphabet, by one drawer.
//!
//! In: an [`Alphabet`]. Out: an [`AlphabetSheet`], and its rows for a CSV.

use plotters::prelude::DrawingBackend;
use serde::Serialize;

use super::canvas::{Area, Drawn, Figure, Pen, beside};
use super::chart::{INK, LETTERS};
use super::sheet::Cell;
use crate::dataset::Alphabet;

/// Drawings in a row of the sheet.
const COLUMNS: i32 = 9;
/// Sides and gaps in units.
const SIDE: i32 = 76;
const PITCH_X: i32 = 88;
const PITCH_Y: i32 = 106;
const TOP: i32 = 60;
const LEFT: i32 = 20;

/// One character on the sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Counted from 1, as on the sheet.
    pub number: usize,
    /// As in the archive.
    pub alphabet: String,
    /// As in the archive.
    pub character: String,
    /// Counted from 1.
    pub drawer: usize,
}

/// All characters of an alphabet.
#[derive(Debug)]
pub struct AlphabetSheet<'a> {
    /// Which.
    pub alphabet: &'a Alphabet,
    /// Whose drawings, counted from 0.
    pub drawer: usize,
}

impl AlphabetSheet<'_> {
    /// What is where.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let characters = self.alphabet.characters.iter().enumerate();
        let row = |(index, character): (usize, &crate::dataset::Character)| Row {
            number: index + 1,
            alphabet: self.alphabet.name.clone(),
            character: character.name.clone(),
            drawer: self.drawer + 1,
        };
        characters.map(row).collect()
    }
}

impl Figure for AlphabetSheet<'_> {
    fn title(&self) -> String {
        let n = self.alphabet.characters.len();
        let name = self.alphabet.name.replace('_', " ");
        format!("{name}: {n} characters by drawer {}", self.drawer + 1)
    }

    fn size(&self) -> [u32; 2] {
        let rows = (self.alphabet.characters.len() as i32 + COLUMNS - 1) / COLUMNS;
        [
            2 * LEFT + PITCH_X * COLUMNS - (PITCH_X - SIDE),
            TOP + PITCH_Y * rows + 4,
        ]
        .map(i32::unsigned_abs)
    }

    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB> {
        let title = beside(pen.bold(LETTERS + 2, INK));
        area.draw_text(&self.title(), &title, pen.at(LEFT, 30))?;
        for (index, character) in (0..).zip(&self.alphabet.characters) {
            let Some(drawing) = character.drawings.get(self.drawer) else {
                continue;
            };
            let cell = Cell {
                drawing,
                at: [
                    LEFT + PITCH_X * (index % COLUMNS),
                    TOP + PITCH_Y * (index / COLUMNS),
                ],
                side: SIDE,
                frame: None,
                caption: &(index + 1).to_string(),
                letters: LETTERS - 2,
            };
            cell.draw(area, pen)?;
        }
        Ok(())
    }
}
