//! The paper of a capture: how bright it would be at every place without the mark.
//!
//! In: a grey picture and whether ink is darker or lighter. Out: the paper's grey value at any pixel,
//! between the values of a coarse grid, so that a lamp to one side, a shadow or a lens that darkens the
//! corners is no ink. A mark may cover a cell of the grid whole: then its neighbours say what is below.

use crate::shape::Hwc;

/// Most rows and columns of the grid.
const CELLS: usize = 8;
/// A cell has at least as many rows and columns of pixels, where there are any.
const LEAST: usize = 8;
/// Parts of a cell: the unit of a place between two of them.
const PART: usize = 256;

/// Which of a cell's values, from dark to light, is paper's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Not known: paper is the median.
    Unknown,
    /// Darker than paper, which is the upper quartile.
    Dark,
    /// Lighter than paper, which is the lower quartile.
    Light,
}

/// A coarse grid of the paper's grey values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paper {
    shape: Hwc,
    rows: usize,
    columns: usize,
    greys: [[u8; CELLS]; CELLS],
}

impl Paper {
    /// Of a picture that holds its shape.
    pub(super) fn of(picture: &[u8], shape: Hwc, ink: Ink) -> Self {
        let cells = |extent: usize| (extent / LEAST).clamp(1, CELLS);
        let mut paper = Self {
            shape,
            rows: cells(shape.h),
            columns: cells(shape.w),
            greys: [[0; CELLS]; CELLS],
        };
        for row in 0..paper.rows {
            for column in 0..paper.columns {
                let grey = paper.cell(picture, [row, column], ink);
                paper.set([row, column], grey);
            }
        }
        paper.without_marks(ink)
    }

    /// Flat paper.
    pub(super) const fn flat(shape: Hwc, grey: u8) -> Self {
        Self {
            shape,
            rows: 1,
            columns: 1,
            greys: [[grey; CELLS]; CELLS],
        }
    }

    fn get(&self, [row, column]: [usize; 2]) -> u8 {
        let row = self.greys.get(row.min(self.rows.saturating_sub(1)));
        let grey = row.and_then(|row| row.get(column.min(self.columns.saturating_sub(1))));
        grey.copied().unwrap_or(0)
    }

    fn set(&mut self, [row, column]: [usize; 2], grey: u8) {
        if let Some(place) = self.greys.get_mut(row).and_then(|row| row.get_mut(column)) {
            *place = grey;
        }
    }

    /// The value that the cell's share of darker pixels is below.
    fn cell(&self, picture: &[u8], [row, column]: [usize; 2], ink: Ink) -> u8 {
        let part = |index: usize, of: usize, extent: usize| {
            let at = |index: usize| (index * extent).checked_div(of).unwrap_or(0);
            at(index)..at(index + 1)
        };
        let columns = part(column, self.columns, self.shape.w);
        let rows = part(row, self.rows, self.shape.h);
        let lines = picture.chunks_exact(self.shape.w.max(1));
        let lines = lines.skip(rows.start).take(rows.len());
        let values = lines.flat_map(|line| line.get(columns.clone()).unwrap_or(&[]));
        let quarter = match ink {
            Ink::Unknown => 2,
            Ink::Dark => 3,
            Ink::Light => 1,
        };
        quantile(values.copied(), [quarter, 4])
    }

    /// A cell that differs from its neighbours as paper never does is covered by the mark.
    fn without_marks(mut self, ink: Ink) -> Self {
        let seen = self;
        for row in 0..self.rows {
            for column in 0..self.columns {
                let around = quantile(seen.around([row, column]), [1, 2]);
                let (least, most) = (around - around / 4, around.saturating_add(around / 4));
                let grey = seen.get([row, column]);
                let grey = match ink {
                    Ink::Unknown => grey.clamp(least, most.max(least)),
                    Ink::Dark => grey.max(least),
                    Ink::Light => grey.min(most),
                };
                self.set([row, column], grey);
            }
        }
        self
    }

    /// The cell and those that touch it; at the grid's edge some count twice.
    fn around(&self, [row, column]: [usize; 2]) -> impl Iterator<Item = u8> {
        (0..3).flat_map(move |down| {
            (0..3).map(move |right| {
                let at = |index: usize, step: usize| (index + step).saturating_sub(1);
                self.get([at(row, down), at(column, right)])
            })
        })
    }

    /// A row of pixels, between the middles of the cells above and below.
    pub(super) fn line(&self, y: usize) -> Line {
        let (row, down) = between(y, self.shape.h, self.rows);
        let mut line = Line {
            width: self.shape.w,
            columns: self.columns,
            greys: [0; CELLS + 1],
        };
        for (column, grey) in line.greys.iter_mut().enumerate() {
            let cell = |row| usize::from(self.get([row, column]));
            *grey = mix(cell(row), cell(row + 1), down) as u16;
        }
        line
    }
}

/// The paper of one row of pixels.
pub(super) struct Line {
    width: usize,
    columns: usize,
    /// At the middle of each column of cells, in parts of a grey value; the last one twice.
    greys: [u16; CELLS + 1],
}

impl Line {
    /// The paper at a pixel.
    pub(super) fn at(&self, x: usize) -> u8 {
        let (column, right) = between(x, self.width, self.columns);
        let grey = |column: usize| self.greys.get(column).copied().map_or(0, usize::from);
        let grey = mix(grey(column), grey(column + 1), right);
        ((grey + PART * PART / 2) / (PART * PART)) as u8
    }
}

const fn mix(a: usize, b: usize, share: usize) -> usize {
    a * (PART - share) + b * share
}

/// The cell whose middle is before a pixel's, and how far it is to the next one.
fn between(at: usize, extent: usize, cells: usize) -> (usize, usize) {
    let place = ((2 * at + 1) * cells * PART / 2).checked_div(extent);
    let place = place.unwrap_or(0).saturating_sub(PART / 2);
    (place / PART, place % PART)
}

/// The value that `share` of the values are below.
pub(super) fn quantile(values: impl Iterator<Item = u8>, [share, whole]: [usize; 2]) -> u8 {
    let mut counts = [0; 256];
    values.for_each(|value| super::count(&mut counts, value));
    let all: usize = counts.iter().map(|&count| usize::from(count)).sum();
    let mut below = 0;
    for (value, &count) in (0_u8..=255).zip(&counts) {
        below += usize::from(count);
        if below * whole > all * share {
            return value;
        }
    }
    255
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Hwc = Hwc::new(96, 128, 1);

    /// Paper that is darker to the right, from 220 to 110.
    fn lit() -> Vec<u8> {
        (0..SHAPE.len())
            .map(|at| 220 - (at % SHAPE.w * 110 / SHAPE.w) as u8)
            .collect()
    }

    fn largest_error(paper: &Paper, truth: &[u8]) -> u8 {
        let all = truth.iter().enumerate();
        let errors =
            all.map(|(at, grey)| paper.line(at / SHAPE.w).at(at % SHAPE.w).abs_diff(*grey));
        errors.max().unwrap()
    }

    #[test]
    fn flat_paper_is_flat() {
        for shape in [Hwc::new(1, 1, 1), Hwc::new(9, 100, 1), SHAPE] {
            let paper = Paper::of(&vec![177; shape.len()], shape, Ink::Dark);
            assert!((0..shape.len()).all(|at| paper.line(at / shape.w).at(at % shape.w) == 177));
        }
    }

    #[test]
    fn a_slope_is_followed_and_strokes_are_passed_over() {
        let truth = lit();
        let mut picture = truth.clone();
        for y in 10..86 {
            // Nine pixels wide, slanting.
            picture[y * SHAPE.w + 20 + y / 2..][..9].fill(30);
        }
        let paper = Paper::of(&picture, SHAPE, Ink::Dark);
        assert!(largest_error(&paper, &truth) <= 12);
        // Lighter strokes on the same paper.
        let mut picture = truth.clone();
        for y in 10..86 {
            picture[y * SHAPE.w + 20 + y / 2..][..9].fill(250);
        }
        let paper = Paper::of(&picture, SHAPE, Ink::Light);
        assert!(largest_error(&paper, &truth) <= 12);
    }

    #[test]
    fn below_a_blot_is_paper() {
        let mut picture = vec![200; SHAPE.len()];
        for y in 40..56 {
            picture[y * SHAPE.w + 50..][..16].fill(20);
        }
        let paper = Paper::of(&picture, SHAPE, Ink::Dark);
        assert!(largest_error(&paper, &vec![200; SHAPE.len()]) <= 50);
    }
}
