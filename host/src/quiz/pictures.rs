//! Drawings as characters of a terminal.
//!
//! In: ink. Out: lines of text, or the escape sequence of a picture. Dots (Braille) have eight pixels a
//! character and show most; blocks have two, for fonts without dots; terminals with kitty's graphics
//! protocol, or with sixels, show the drawings as they are.

use std::fmt::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::ValueEnum;
use icy_sixel::{EncodeOptions, SixelImage};
use shared::image::Framing;
use shared::shape::Hwc;

use crate::dataset::Drawing;
use crate::plot::PlotError;
use crate::plot::canvas::Picture;

/// How drawings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pictures {
    /// Kitty's protocol or sixels where the terminal says that it knows them, dots elsewhere.
    Auto,
    /// Kitty's graphics protocol (kitty, Ghostty, WezTerm, Konsole).
    Kitty,
    /// Sixels (foot, mlterm, contour, iTerm2, mintty; xterm as a VT340).
    Sixel,
    /// Braille: 2×4 pixels a character.
    Dots,
    /// Half blocks: 1×2 pixels a character.
    Blocks,
}

impl Pictures {
    /// What this terminal shows; `variable` reads the environment.
    #[must_use]
    pub fn resolved(self, is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        if self != Self::Auto {
            return self;
        }
        let term = variable("TERM").unwrap_or_default();
        let program = variable("TERM_PROGRAM").unwrap_or_default();
        // A multiplexer passes the variables on and not the pictures.
        let multiplexed = variable("TMUX").is_some() || term.starts_with("screen");
        let one_of = |names: &[&str]| names.iter().any(|name| term.contains(name));
        let kitty = one_of(&["kitty", "ghostty"])
            || ["WezTerm", "ghostty"].contains(&program.as_str())
            || variable("KITTY_WINDOW_ID").is_some()
            || variable("KONSOLE_VERSION").is_some();
        let sixel = one_of(&["foot", "mlterm", "contour", "vt340", "sixel"])
            || ["iTerm.app", "mintty"].contains(&program.as_str());
        match is_terminal && !multiplexed {
            true if kitty => Self::Kitty,
            true if sixel => Self::Sixel,
            _ => Self::Dots,
        }
    }
}

/// Pixels of a character, down and across.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grain {
    h: usize,
    w: usize,
}

/// Braille.
pub(super) const DOTS: Grain = Grain { h: 4, w: 2 };
/// Half blocks.
pub(super) const BLOCKS: Grain = Grain { h: 2, w: 1 };

/// Least grey of ink: a thin stroke that lies between two pixels must not be lost.
const INK: u8 = 50;

/// A square around the mark, `columns` characters wide and half as many lines high.
pub(super) fn tile(drawing: &Drawing, grain: Grain, columns: usize) -> Vec<String> {
    let lines = columns / 2;
    let shape = Hwc::new(lines * grain.h, columns * grain.w, 1);
    let cropped = cropped(drawing);
    let from = Hwc::new(cropped.h, cropped.w, 1);
    let mut pixels = vec![0; shape.len()];
    // What cannot be resampled is an empty tile.
    Framing::Picture
        .resample(&cropped.ink, from, &mut pixels, shape)
        .ok();
    let is_ink = |y: usize, x: usize| pixels[y * shape.w + x] >= INK;
    let character = |line: usize, column: usize| {
        let at = |dy, dx| is_ink(line * grain.h + dy, column * grain.w + dx);
        match grain.h {
            2 => block([at(0, 0), at(1, 0)]),
            _ => braille(at),
        }
    };
    let line = |line| (0..columns).map(|column| character(line, column)).collect();
    (0..lines).map(line).collect()
}

/// The smallest square with all of the ink; few pixels are too dear for paper.
fn cropped(drawing: &Drawing) -> Drawing {
    let Drawing { h, w, ref ink } = *drawing;
    let is_ink = |y: usize, x: usize| ink.get(y * w + x).is_some_and(|&value| value >= 128);
    let extent = |n: usize, has_ink: &dyn Fn(usize) -> bool| {
        let first = (0..n).find(|&at| has_ink(at)).unwrap_or(0);
        let last = (0..n).rev().find(|&at| has_ink(at)).unwrap_or(0);
        (first, last + 1 - first)
    };
    let (top, high) = extent(h, &|y| (0..w).any(|x| is_ink(y, x)));
    let (left, wide) = extent(w, &|x| (0..h).any(|y| is_ink(y, x)));
    let side = high.max(wide);
    let mut square = vec![0; side * side];
    let (down, right) = ((side - high) / 2, (side - wide) / 2);
    for y in 0..high.min(h) {
        let from = (top + y) * w + left;
        let to = (down + y) * side + right;
        if let Some(row) = ink.get(from..from + wide.min(w)) {
            square[to..to + row.len()].copy_from_slice(row);
        }
    }
    Drawing {
        h: side,
        w: side,
        ink: square,
    }
}

const fn block([upper, lower]: [bool; 2]) -> char {
    match (upper, lower) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}

/// Bits of a Braille character: three rows of both columns, then the fourth row.
const BRAILLE: [[usize; 2]; 8] = [
    [0, 0],
    [1, 0],
    [2, 0],
    [0, 1],
    [1, 1],
    [2, 1],
    [3, 0],
    [3, 1],
];

fn braille(is_ink: impl Fn(usize, usize) -> bool) -> char {
    let bits = BRAILLE.iter().enumerate();
    let bits = bits
        .map(|(bit, &[y, x])| u32::from(is_ink(y, x)) << bit)
        .sum::<u32>();
    char::from_u32(0x2800 + bits).unwrap_or(' ')
}

/// Most characters of a chunk in kitty's protocol.
const CHUNK: usize = 4096;

/// The escape sequence that shows a PNG, `columns` characters wide.
pub(super) fn kitty(png: &[u8], columns: usize) -> String {
    let data = BASE64_STANDARD.encode(png);
    let mut text = String::new();
    let mut chunks = data.as_bytes().chunks(CHUNK).peekable();
    let mut first = format!("a=T,f=100,q=2,c={columns},");
    while let Some(chunk) = chunks.next() {
        let more = u8::from(chunks.peek().is_some());
        // Base64 is ASCII, and writing to a String cannot fail.
        let chunk = String::from_utf8_lossy(chunk);
        let _ = write!(text, "\x1b_G{first}m={more};{chunk}\x1b\\");
        first.clear();
    }
    text
}

/// Greys and the few colours of a task are exact with so many.
const COLOURS: u16 = 64;

/// The escape sequence that shows a picture in sixels, pixel for pixel.
pub(super) fn sixel(picture: &Picture) -> Result<String, PlotError> {
    let [w, h] = picture.size.map(|pixels| pixels as usize);
    let pixels = picture.rgb.chunks_exact(3);
    let rgba = pixels.flat_map(|rgb| rgb.iter().copied().chain([u8::MAX]));
    // Strokes are no photograph: without dithering their edges stay sharp.
    let options = EncodeOptions {
        max_colors: COLOURS,
        diffusion: 0.0,
        ..EncodeOptions::default()
    };
    let image = SixelImage::try_from_rgba(rgba.collect(), w, h);
    let sequence = image.and_then(|image| image.encode_with(&options));
    sequence.map_err(|error| PlotError::Draw(error.to_string()))
}
