//! Drawings on paper: what task sheets, alphabet sheets and the error gallery are made of.
//!
//! In: a [`Drawing`] with a frame and a caption. Out: strokes on an area. A sheet is a PNG first; its
//! SVG is the same picture in a frame ([`embedded`]), for thousands of strokes would be far larger.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use plotters::element::Rectangle;
use plotters::prelude::DrawingBackend;
use plotters::style::{Color, RGBColor};

use super::PlotError;
use super::canvas::{Area, Drawn, Figure, Pen, centred, png};
use super::chart::INK;
use crate::dataset::Drawing;

/// A thin frame around every drawing.
const PAPER_EDGE: RGBColor = RGBColor(200, 200, 200);
/// From the frame to the caption, in units.
const CAPTION_GAP: i32 = 9;

/// One drawing on a sheet.
#[derive(Debug)]
pub struct Cell<'a> {
    /// What is drawn.
    pub drawing: &'a Drawing,
    /// Left and upper edge, in units.
    pub at: [i32; 2],
    /// Width and height, in units.
    pub side: i32,
    /// A frame that stands out.
    pub frame: Option<RGBColor>,
    /// Words below.
    pub caption: &'a str,
    /// Height of their letters, in units.
    pub letters: i32,
}

impl Cell<'_> {
    /// Draws it.
    ///
    /// # Errors
    /// What the backend refuses.
    pub fn draw<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB> {
        let [x, y] = self.at;
        let corners = [pen.at(x, y), pen.at(x + self.side, y + self.side)];
        ink(area, corners[0], pen.px(self.side), self.drawing)?;
        match self.frame {
            None => area.draw(&Rectangle::new(corners, pen.line(PAPER_EDGE, 1)))?,
            Some(color) => thick_frame(area, pen, corners, color)?,
        }
        if self.caption.is_empty() {
            return Ok(());
        }
        let color = self.frame.unwrap_or(INK);
        let below = pen.at(x + self.side / 2, y + self.side + CAPTION_GAP);
        area.draw_text(self.caption, &centred(pen.text(self.letters, color)), below)
    }
}

/// Four units wide, outside of the drawing.
fn thick_frame<DB: DrawingBackend>(
    area: &Area<DB>,
    pen: Pen,
    [(left, top), (right, bottom)]: [(i32, i32); 2],
    color: RGBColor,
) -> Drawn<DB> {
    let w = pen.px(4);
    let bars = [
        [(left - w, top - w), (right + w, top)],
        [(left - w, bottom), (right + w, bottom + w)],
        [(left - w, top), (left, bottom)],
        [(right, top), (right + w, bottom)],
    ];
    bars.into_iter()
        .try_for_each(|bar| area.draw(&Rectangle::new(bar, color.filled())))
}

/// Every run of ink in a row as one bar; ink is black at half of its range and above.
fn ink<DB: DrawingBackend>(
    area: &Area<DB>,
    (left, top): (i32, i32),
    side: i32,
    drawing: &Drawing,
) -> Drawn<DB> {
    let Drawing { h, w, ink } = drawing;
    let place = |at: usize, of: usize| at as i32 * side / of.max(1) as i32;
    for (y, row) in ink.chunks_exact((*w).max(1)).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| (*a >= 128) == (*b >= 128)) {
            let end = x + run.len();
            if run.first().is_some_and(|&value| value >= 128) {
                let corners = [
                    (left + place(x, *w), top + place(y, *h)),
                    (left + place(end, *w), top + place(y + 1, *h)),
                ];
                area.draw(&Rectangle::new(corners, INK.filled()))?;
            }
            x = end;
        }
    }
    Ok(())
}

/// A sheet's PNG, and an SVG that holds it.
///
/// # Errors
/// [`PlotError::Draw`].
pub fn embedded(figure: &impl Figure) -> Result<(Vec<u8>, String), PlotError> {
    let bytes = png(figure)?;
    let [w, h] = figure.size();
    let title = maud::html! { title { (figure.title()) } }.into_string();
    let data = BASE64_STANDARD.encode(&bytes);
    let svg = format!(
        "<svg width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\">\n{title}\n<image width=\"{w}\" height=\"{h}\" href=\"data:image/png;base64,{data}\"/>\n</svg>\n"
    );
    Ok((bytes, svg))
}
