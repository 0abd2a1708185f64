//! Axes and curves: what the figures with two axes have in common.
//!
//! In: [`Axis`] and [`Curve`]s in their own units. Out: strokes on an area. Curves differ in colour
//! (after Okabe and Ito, who chose them for colour-blind eyes), in dashes and in markers.

use std::ops::Range;

use plotters::chart::ChartBuilder;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Rectangle};
use plotters::prelude::DrawingBackend;
use plotters::style::{Color, RGBColor};

use super::canvas::{Area, Drawn, Pen, Refusal, beside};

/// Blue.
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
/// Vermilion.
pub const VERMILION: RGBColor = RGBColor(213, 94, 0);
/// Bluish green.
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
/// Reddish purple.
pub const PURPLE: RGBColor = RGBColor(204, 121, 167);
/// Letters.
pub const INK: RGBColor = RGBColor(34, 34, 34);
/// Notes and chance.
pub const GREY: RGBColor = RGBColor(110, 110, 110);
/// The grid.
pub const FAINT: RGBColor = RGBColor(225, 225, 225);

/// Size of letters at axes and in legends, in units.
pub const LETTERS: i32 = 16;

/// One axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What it counts, with the unit.
    pub name: &'static str,
    /// From where to where.
    pub range: Range<f64>,
    /// Where numbers stand.
    pub ticks: Vec<f64>,
    /// The number there.
    pub format: fn(f64) -> String,
}

impl Axis {
    /// Ticks at round numbers, about `n` of them.
    #[must_use]
    pub fn new(name: &'static str, range: Range<f64>, n: usize) -> Self {
        Self {
            name,
            ticks: round_numbers(&range, n),
            range,
            format: plain,
        }
    }
}

/// What `plotters` asks of an axis.
impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let span = self.range.end - self.range.start;
        let share = (value - self.range.start) / span;
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, hint: H) -> Vec<f64> {
        match hint.weight().allow_light_points() {
            true => Vec::new(),
            false => self.ticks.clone(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        plain(*value)
    }

    fn format_ext(&self, value: &f64) -> String {
        (self.format)(*value)
    }
}

/// A number without needless digits.
fn plain(value: f64) -> String {
    let rounded = (value * 1e4).round() / 1e4;
    format!("{rounded}")
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn round_numbers(range: &Range<f64>, n: usize) -> Vec<f64> {
    let rough = (range.end - range.start).max(f64::MIN_POSITIVE) / n.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|&step| step >= rough * 0.9);
    let step = step.unwrap_or(rough);
    let (first, last) = ((range.start / step).ceil(), (range.end / step).floor());
    let count = (last - first).max(0.0) as usize;
    (0..=count).map(|i| (first + i as f64) * step).collect()
}

/// A line with its margin of error.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Its words in the legend.
    pub name: String,
    /// Colour, dashes, markers.
    pub look: Look,
    /// x, y and the standard error of y.
    pub points: Vec<[f64; 3]>,
}

/// How a curve can be told from the others.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Also of its markers and its band.
    pub color: RGBColor,
    /// Lengths of dash and gap in units; `None` for a whole line, a dash of no length for markers alone.
    pub dash: Option<[i32; 2]>,
    /// What marks a point.
    pub marker: Marker,
    /// How a standard error is shown.
    pub error: ErrorMark,
}

/// What marks a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// Nothing.
    None,
    /// A filled circle.
    Circle,
    /// A filled square.
    Square,
    /// A filled triangle.
    Triangle,
    /// A filled diamond.
    Diamond,
}

/// How a standard error is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorMark {
    /// Not.
    None,
    /// A bar through the point.
    Bar,
    /// A band along the curve.
    Band,
}

/// Draws axes and grid on `panel` and says where a pair of values lies on it.
///
/// # Errors
/// What the backend refuses.
pub fn axes<'a, DB: DrawingBackend + 'a>(
    panel: &'a Area<DB>,
    pen: Pen,
    [x, y]: [&Axis; 2],
) -> Result<impl Fn(f64, f64) -> (i32, i32) + use<'a, DB>, Refusal<DB>> {
    let mut builder = ChartBuilder::on(panel);
    builder
        .margin(pen.px(8))
        .margin_right(pen.px(24))
        .x_label_area_size(pen.px(if x.name.is_empty() { 26 } else { 50 }))
        .y_label_area_size(pen.px(76));
    let mut chart = builder.build_cartesian_2d(x.clone(), y.clone())?;
    chart
        .configure_mesh()
        .light_line_style(plotters::style::TRANSPARENT)
        .bold_line_style(pen.line(FAINT, 1))
        .axis_style(pen.line(INK, 1))
        .set_all_tick_mark_size(pen.px(5))
        .x_labels(x.ticks.len())
        .y_labels(y.ticks.len())
        .label_style(pen.text(LETTERS, INK))
        .axis_desc_style(pen.text(LETTERS, INK))
        .x_desc(x.name)
        .y_desc(y.name)
        .draw()?;
    let (left, top) = panel.get_base_pixel();
    Ok(move |x, y| {
        let (x, y) = chart.backend_coord(&(x, y));
        (x - left, y - top)
    })
}

impl Curve {
    /// Draws it where `place` says.
    ///
    /// # Errors
    /// What the backend refuses.
    pub fn draw<DB: DrawingBackend>(
        &self,
        panel: &Area<DB>,
        pen: Pen,
        place: impl Fn(f64, f64) -> (i32, i32),
    ) -> Drawn<DB> {
        let Look { color, error, .. } = self.look;
        let line: Vec<_> = self.points.iter().map(|&[x, y, _]| place(x, y)).collect();
        let ends = |&[x, y, error]: &[f64; 3]| [place(x, y - error), place(x, y + error)];
        if error == ErrorMark::Band && line.len() > 1 {
            let below = self.points.iter().map(|point| ends(point)[0]);
            let above = self.points.iter().rev().map(|point| ends(point)[1]);
            let outline: Vec<_> = below.chain(above).collect();
            panel.draw(&Polygon::new(outline, color.mix(0.2)))?;
        }
        if error == ErrorMark::Bar {
            for point in &self.points {
                error_bar(panel, pen, color, ends(point))?;
            }
        }
        self.look.stroke(panel, pen, &line)?;
        line.iter()
            .try_for_each(|&at| self.look.mark(panel, pen, at))
    }
}

fn error_bar<DB: DrawingBackend>(
    panel: &Area<DB>,
    pen: Pen,
    color: RGBColor,
    [low, high]: [(i32, i32); 2],
) -> Drawn<DB> {
    let style = pen.line(color, 1);
    panel.draw(&PathElement::new(vec![low, high], style))?;
    let cap = pen.px(4);
    [low, high].into_iter().try_for_each(|(x, y)| {
        let ends = vec![(x - cap, y), (x + cap, y)];
        panel.draw(&PathElement::new(ends, style))
    })
}

impl Look {
    /// A line, dashed or not.
    fn stroke<DB: DrawingBackend>(
        &self,
        panel: &Area<DB>,
        pen: Pen,
        line: &[(i32, i32)],
    ) -> Drawn<DB> {
        let style = pen.line(self.color, 2);
        match self.dash {
            None => panel.draw(&PathElement::new(line.to_vec(), style)),
            Some([0, _]) => Ok(()),
            Some([dash, gap]) => {
                let (dash, gap) = (pen.px(dash), pen.px(gap));
                let line = line.to_vec();
                panel.draw(&DashedPathElement::new(line, dash, gap, style))
            }
        }
    }

    /// A marker.
    fn mark<DB: DrawingBackend>(
        &self,
        panel: &Area<DB>,
        pen: Pen,
        (x, y): (i32, i32),
    ) -> Drawn<DB> {
        let (fill, r) = (self.color.filled(), pen.px(4));
        match self.marker {
            Marker::None => Ok(()),
            Marker::Circle => panel.draw(&Circle::new((x, y), r, fill)),
            Marker::Square => panel.draw(&Rectangle::new([(x - r, y - r), (x + r, y + r)], fill)),
            Marker::Triangle => {
                let r = pen.px(5);
                let corners = vec![(x, y - r), (x + r, y + r), (x - r, y + r)];
                panel.draw(&Polygon::new(corners, fill))
            }
            Marker::Diamond => {
                let r = pen.px(6);
                let corners = vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y)];
                panel.draw(&Polygon::new(corners, fill))
            }
        }
    }
}

/// A legend, one curve a line, from `at` in units.
///
/// # Errors
/// What the backend refuses.
pub fn legend<'c, DB: DrawingBackend>(
    panel: &Area<DB>,
    pen: Pen,
    at: [i32; 2],
    curves: impl IntoIterator<Item = &'c Curve>,
) -> Drawn<DB> {
    let [left, top] = at;
    curves.into_iter().enumerate().try_for_each(|(row, curve)| {
        let y = top + 22 * row as i32;
        let sample = [pen.at(left, y), pen.at(left + 44, y)];
        curve.look.stroke(panel, pen, &sample)?;
        curve.look.mark(panel, pen, pen.at(left + 22, y))?;
        let letters = beside(pen.text(LETTERS, INK));
        panel.draw_text(&curve.name, &letters, pen.at(left + 54, y))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            round_numbers(&(0.0..100.0), 5),
            [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
        );
        assert_eq!(
            round_numbers(&(0.0..42.0), 4),
            [0.0, 10.0, 20.0, 30.0, 40.0]
        );
        assert_eq!(
            round_numbers(&(78.0..90.0), 6),
            [78.0, 80.0, 82.0, 84.0, 86.0, 88.0, 90.0]
        );
        assert_eq!(plain(0.1 + 0.2), "0.3");
    }
}
