//! A sheet of confusions as a picture.
//!
//! In: [`Confusion`]s and the trials they are of. Out: a grey picture with one panel for each: names
//! above, then the query, the right class's drawing and the chosen one's. Letters are an 8×8 bitmap
//! font; what is not ASCII shows as `?`.

use font8x8::legacy::BASIC_LEGACY;
use shared::image::resample_area;
use shared::shape::Hwc;

use super::confusions::Confusion;
use crate::dataset::Drawing;
use crate::device::images::Grey;
use crate::trials::TrialSet;

/// Side of a drawing on the sheet, as Omniglot's are.
const SIDE: usize = 105;
/// Height and width of a letter.
const LETTER: usize = 8;
/// Between drawings, and around a panel.
const GAP: usize = 8;
/// Lines of text above a panel's drawings.
const LINES: [usize; 3] = [GAP, GAP + 10, GAP + 22];
/// Where a panel's drawings begin.
const DRAWINGS: usize = LINES[2] + LETTER + 2;
/// Size of a panel.
const PANEL: [usize; 2] = [DRAWINGS + SIDE + GAP, GAP + 3 * (SIDE + GAP)];
/// Panels beside each other.
const COLUMNS: usize = 3;
const PAPER: u8 = 255;
const FRAME: u8 = 200;

/// The sheet, worst confusion first, row by row.
#[must_use]
pub fn sheet(set: &TrialSet, confusions: &[Confusion]) -> Grey {
    let columns = confusions.len().clamp(1, COLUMNS);
    let rows = confusions.len().div_ceil(columns).max(1);
    let [h, w] = [rows * PANEL[0], columns * PANEL[1]];
    let mut sheet = Grey {
        h,
        w,
        pixels: vec![PAPER; h * w],
    };
    if confusions.is_empty() {
        write(&mut sheet, [LINES[0], GAP], "no confusion");
    }
    for (index, confusion) in confusions.iter().enumerate() {
        let corner = [index / columns * PANEL[0], index % columns * PANEL[1]];
        panel(&mut sheet, corner, set, confusion);
    }
    sheet
}

fn panel(sheet: &mut Grey, [top, left]: [usize; 2], set: &TrialSet, confusion: &Confusion) {
    let Confusion {
        right,
        chosen,
        margin,
        images,
        ..
    } = confusion;
    let other = match right[0] == chosen[0] {
        true => chosen[1].clone(),
        false => chosen.join(" "),
    };
    let lines = [
        format!("{} ({margin:.2})", right[0]),
        format!("{} taken for {other}", right[1]),
    ];
    for (line, y) in lines.iter().zip(LINES) {
        let room = (PANEL[1] - 2 * GAP) / LETTER;
        let line: String = line.chars().take(room).collect();
        write(sheet, [top + y, left + GAP], &line);
    }
    for (index, (image, name)) in images.iter().zip(["query", "right", "chosen"]).enumerate() {
        let x = left + GAP + index * (SIDE + GAP);
        write(sheet, [top + LINES[2], x], name);
        if let Some(drawing) = set.images.get(*image) {
            paint(sheet, [top + DRAWINGS, x], drawing);
        }
    }
}

/// A drawing with a frame around it.
fn paint(sheet: &mut Grey, [top, left]: [usize; 2], drawing: &Drawing) {
    let mut ink = vec![0; SIDE * SIDE];
    let from = Hwc::new(drawing.h, drawing.w, 1);
    if resample_area(&drawing.ink, from, &mut ink, Hwc::new(SIDE, SIDE, 1)).is_err() {
        return;
    }
    for (index, ink) in ink.into_iter().enumerate() {
        let (y, x) = (index / SIDE, index % SIDE);
        let edge = [y, x].iter().any(|at| [0, SIDE - 1].contains(at));
        let paper = if edge { FRAME } else { PAPER };
        set_pixel(sheet, [top + y, left + x], paper.min(255 - ink));
    }
}

fn write(sheet: &mut Grey, [top, left]: [usize; 2], text: &str) {
    for (place, letter) in text.chars().enumerate() {
        let glyph = BASIC_LEGACY
            .get(letter as usize)
            .unwrap_or(&BASIC_LEGACY['?' as usize]);
        for (y, row) in glyph.iter().enumerate() {
            for x in (0..LETTER).filter(|x| row >> x & 1 == 1) {
                set_pixel(sheet, [top + y, left + place * LETTER + x], 0);
            }
        }
    }
}

fn set_pixel(sheet: &mut Grey, [y, x]: [usize; 2], grey: u8) {
    if x < sheet.w
        && let Some(pixel) = sheet.pixels.get_mut(y * sheet.w + x)
    {
        *pixel = grey;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyphs;
    use crate::trials::within_alphabet;

    #[test]
    fn every_confusion_has_a_panel() {
        let data = glyphs::synthetic(3, "evaluation", 2, 4);
        let set = within_alphabet(&data, 4, 1, 1, 7).unwrap();
        let trial = &set.trials[0];
        let confusion = Confusion {
            protocol: String::new(),
            engine: String::new(),
            trial: 0,
            right: ["Ünknown".into(), "character01".into()],
            chosen: ["Another".into(), "character02".repeat(9)],
            margin: -1.5,
            images: [trial.query, trial.support[0][0], trial.support[1][0]],
        };
        let picture = sheet(&set, &vec![confusion; 4]);
        assert_eq!((picture.h, picture.w), (2 * PANEL[0], 3 * PANEL[1]));
        let dark = |top: usize, left: usize, h: usize, w: usize| {
            let rows = picture.pixels.chunks(picture.w).skip(top).take(h);
            let pixels = rows.flat_map(|row| &row[left..left + w]);
            pixels.filter(|pixel| **pixel < 128).count()
        };
        assert!(dark(LINES[0], GAP, LETTER, 80) > 50, "names");
        for index in 0..3 {
            let left = GAP + index * (SIDE + GAP);
            assert!(dark(DRAWINGS, left, SIDE, SIDE) > 50, "drawing {index}");
        }
        // The fourth stands alone in the second row.
        assert_eq!(dark(PANEL[0], PANEL[1], PANEL[0], 2 * PANEL[1]), 0);
        assert!(sheet(&set, &[]).pixels.contains(&0));
    }
}
