//! The same drawing as SVG and as PNG.
//!
//! In: a [`Figure`], which draws itself in units of an SVG pixel. Out: the text of an SVG, or the
//! bytes of a PNG with two pixels a unit. Text is set in a font that the program carries: no font of
//! the system is asked for.

use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::prelude::{BitMapBackend, DrawingArea, DrawingBackend, IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color, FontDesc, FontFamily, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle, WHITE,
    register_font,
};

use super::PlotError;

/// The font that the program carries, and what a browser may take where it has not got it.
const FONT: &str = "DejaVu Sans, Verdana, sans-serif";
/// Pixels of a PNG for each unit.
const SCALE: u32 = 2;
/// A PNG is drawn so many times larger and averaged: the edges of thick lines are smooth.
const OVERSAMPLE: u32 = 2;

/// Where a figure draws.
pub type Area<DB> = DrawingArea<DB, Shift>;
/// How drawing ends.
pub type Drawn<DB> = Result<(), Refusal<DB>>;
/// Why a backend cannot draw.
pub type Refusal<DB> = plotters::drawing::DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>;

/// Something that can be drawn.
pub trait Figure {
    /// What it shows, in a few words; an SVG carries it for who cannot see.
    fn title(&self) -> String;

    /// Width and height in units.
    fn size(&self) -> [u32; 2];

    /// Draws it on a white area of that size.
    ///
    /// # Errors
    /// What the backend refuses.
    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>, pen: Pen) -> Drawn<DB>;
}

/// How many pixels a unit has, and what follows for lines and letters.
#[derive(Debug, Clone, Copy)]
pub struct Pen(u32);

impl Pen {
    /// A length in pixels.
    #[must_use]
    pub const fn px(self, units: i32) -> i32 {
        units * self.0 as i32
    }

    /// A place in pixels.
    #[must_use]
    pub const fn at(self, x: i32, y: i32) -> (i32, i32) {
        (self.px(x), self.px(y))
    }

    /// A line `width` units wide.
    #[must_use]
    pub fn line(self, color: RGBColor, width: u32) -> ShapeStyle {
        color.stroke_width(width * self.0)
    }

    /// Letters `size` units high.
    #[must_use]
    pub fn text(self, size: i32, color: RGBColor) -> TextStyle<'static> {
        (FONT, self.px(size)).into_font().color(&color)
    }

    /// The same, bold.
    #[must_use]
    pub fn bold(self, size: i32, color: RGBColor) -> TextStyle<'static> {
        let family = FontFamily::Name(FONT);
        FontDesc::new(family, f64::from(self.px(size)), FontStyle::Bold).color(&color)
    }
}

/// Text that hangs below the middle of its place.
#[must_use]
pub fn centred(style: TextStyle<'static>) -> TextStyle<'static> {
    style.pos(Pos::new(HPos::Center, VPos::Top))
}

/// Text to the right of its place, half above and half below.
#[must_use]
pub fn beside(style: TextStyle<'static>) -> TextStyle<'static> {
    style.pos(Pos::new(HPos::Left, VPos::Center))
}

/// The figure as the text of an SVG.
///
/// # Errors
/// [`PlotError::Draw`].
pub fn svg(figure: &impl Figure) -> Result<String, PlotError> {
    load_fonts()?;
    let [w, h] = figure.size();
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, (w, h)).into_drawing_area();
    paint(figure, &area, Pen(1))?;
    drop(area);
    Ok(titled(&text, &figure.title()))
}

/// With a title as the first child of the root.
fn titled(svg: &str, title: &str) -> String {
    let title = maud::html! { title { (title) } }.into_string();
    // The root's tag is the first that ends: backends write no declaration.
    match svg.split_once('>') {
        Some((root, rest)) => format!("{root} role=\"img\">\n{title}{rest}"),
        None => svg.to_owned(),
    }
}

/// Pixels of a figure.
#[derive(Debug)]
pub struct Picture {
    /// Width and height.
    pub size: [u32; 2],
    /// `[h][w][3]`, red, green, blue.
    pub rgb: Vec<u8>,
}

/// The figure as the bytes of a PNG.
///
/// # Errors
/// [`PlotError::Draw`].
pub fn png(figure: &impl Figure) -> Result<Vec<u8>, PlotError> {
    let Picture { size, rgb } = picture(figure, SCALE)?;
    encode(size, &rgb)
}

/// The figure as pixels, `scale` for a unit.
///
/// # Errors
/// [`PlotError::Draw`].
pub fn picture(figure: &impl Figure, scale: u32) -> Result<Picture, PlotError> {
    load_fonts()?;
    let size = figure.size().map(|units| units * scale);
    let [wide, high] = size.map(|pixels| pixels * OVERSAMPLE);
    let mut large = vec![255; (wide * high * 3) as usize];
    let area = BitMapBackend::with_buffer(&mut large, (wide, high)).into_drawing_area();
    paint(figure, &area, Pen(scale * OVERSAMPLE))?;
    drop(area);
    let rgb = averaged(&large, wide as usize);
    Ok(Picture { size, rgb })
}

fn paint<DB: DrawingBackend>(
    figure: &impl Figure,
    area: &Area<DB>,
    pen: Pen,
) -> Result<(), PlotError> {
    let drawn = area
        .fill(&WHITE)
        .and_then(|()| figure.draw(area, pen))
        .and_then(|()| area.present());
    drawn.map_err(|error| PlotError::Draw(error.to_string()))
}

/// RGB, a quarter of the pixels: each is the mean of [`OVERSAMPLE`]² ones.
fn averaged(large: &[u8], wide: usize) -> Vec<u8> {
    let side = OVERSAMPLE as usize;
    let mut small = Vec::with_capacity(large.len() / (side * side));
    for rows in large.chunks_exact(3 * wide * side) {
        for x in 0..wide / side {
            for channel in 0..3 {
                let column = |at: usize| 3 * (x * side + at % side) + channel;
                let row = |at: usize| 3 * wide * (at / side);
                let pixels = (0..side * side).map(|at| rows[row(at) + column(at)]);
                let sum: usize = pixels.map(usize::from).sum();
                small.push((sum / (side * side)) as u8);
            }
        }
    }
    small
}

fn encode([w, h]: [u32; 2], rgb: &[u8]) -> Result<Vec<u8>, PlotError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, w, h);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    let written = encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(rgb));
    written.map_err(|error| PlotError::Draw(error.to_string()))?;
    Ok(bytes)
}

/// Gives the fonts to the backends, once in a process.
fn load_fonts() -> Result<(), PlotError> {
    static LOADED: OnceLock<bool> = OnceLock::new();
    let load = || {
        let faces = [
            (FontStyle::Normal, dejavu::sans::regular()),
            (FontStyle::Bold, dejavu::sans::bold()),
        ];
        let mut loaded = faces
            .into_iter()
            .map(|(style, face)| register_font(FONT, style, face));
        loaded.all(|face| face.is_ok())
    };
    match LOADED.get_or_init(load) {
        true => Ok(()),
        false => Err(PlotError::Draw("the font is damaged".to_owned())),
    }
}
