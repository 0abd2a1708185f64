//! The paper of a capture: how bright it would be at every place without the mark.
//!
//! In: a grey picture, and then whether ink is darker or lighter. Out: the paper's grey value at any pixel,
//! between the values of a coarse grid, so that a lamp to one side, a shadow or a lens that darkens the
//! corners is no ink. The grid's cells are means; a grey closing (of light ink: an opening) takes strokes
//! out of them and leaves the edge of a shadow where it is (Serra 1982, chapter XII). Where the mark is too
//! wide for that, the cells beside it say what is below.

use crate::shape::Hwc;

/// Most rows and columns of the grid.
pub(super) const CELLS: usize = 32;
/// A cell has at least as many rows and columns of pixels, where there are any.
const LEAST: usize = 4;
/// A stroke is narrower than twice as many cells and one, or it is a shadow.
const REACH: usize = 3;
/// How far around a place paper is averaged before it is known what ink is, in cells.
const WIDE: usize = 8;
/// Paper that is darker than so many percent of the paper two cells away is covered by the mark: a shadow
/// takes less of the light than ink.
const SHADED_PERCENT: usize = 40;
/// Parts of a cell: the unit of a place between two of them.
const PART: usize = 256;

/// How a picture is cut into cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    shape: Hwc,
    rows: usize,
    columns: usize,
}

impl Grid {
    /// Of no picture.
    pub(super) const NONE: Self = Self {
        shape: Hwc::new(0, 0, 1),
        rows: 1,
        columns: 1,
    };

    /// Cells of [`LEAST`] pixels along each axis, larger ones where there would be too many.
    pub(super) fn new(shape: Hwc) -> Self {
        let cells = |extent: usize| (extent / LEAST).clamp(1, CELLS);
        Self {
            shape,
            rows: cells(shape.h),
            columns: cells(shape.w),
        }
    }

    /// Rows and columns.
    pub(super) const fn extents(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Row and column of the cell in which a pixel lies.
    pub(super) fn cell_of(&self, [y, x]: [usize; 2]) -> [usize; 2] {
        let cell = |at: usize, of: usize, extent: usize| {
            (((at + 1) * of).saturating_sub(1))
                .checked_div(extent)
                .unwrap_or(0)
        };
        [
            cell(y, self.rows, self.shape.h),
            cell(x, self.columns, self.shape.w),
        ]
    }
}

/// A coarse grid of the paper's grey values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paper {
    grid: Grid,
    greys: [[u8; CELLS]; CELLS],
}

impl Paper {
    /// What is there, a mark or not: the means of the cells of a picture that holds its shape.
    pub(super) fn seen(picture: &[u8], shape: Hwc) -> Self {
        let mut paper = Self {
            grid: Grid::new(shape),
            greys: [[0; CELLS]; CELLS],
        };
        for row in 0..paper.grid.rows {
            for column in 0..paper.grid.columns {
                let grey = paper.cell(picture, [row, column]);
                paper.set([row, column], grey);
            }
        }
        paper
    }

    /// What is there on average over a wide area.
    pub(super) fn on_average(mut self) -> Self {
        self.sweep(WIDE, |around| mean(around));
        self
    }

    /// Without strokes, which are darker than paper or lighter.
    pub(super) fn without_ink(mut self, dark: bool) -> Self {
        let (first, second): (Choose, Choose) = match dark {
            true => (largest, smallest),
            false => (smallest, largest),
        };
        self.sweep(REACH, first);
        self.sweep(REACH, second);
        if dark {
            self.fill();
        }
        self
    }

    /// Flat paper.
    pub(super) const fn flat(shape: Hwc, grey: u8) -> Self {
        Self {
            grid: Grid {
                shape,
                rows: 1,
                columns: 1,
            },
            greys: [[grey; CELLS]; CELLS],
        }
    }

    fn get(&self, [row, column]: [usize; 2]) -> u8 {
        let row = self.greys.get(row.min(self.grid.rows.saturating_sub(1)));
        let grey = row.and_then(|row| row.get(column.min(self.grid.columns.saturating_sub(1))));
        grey.copied().unwrap_or(0)
    }

    fn set(&mut self, [row, column]: [usize; 2], grey: u8) {
        if let Some(place) = self.greys.get_mut(row).and_then(|row| row.get_mut(column)) {
            *place = grey;
        }
    }

    /// The mean of a cell.
    fn cell(&self, picture: &[u8], [row, column]: [usize; 2]) -> u8 {
        let part = |index: usize, of: usize, extent: usize| {
            let at = |index: usize| (index * extent).checked_div(of).unwrap_or(0);
            at(index)..at(index + 1)
        };
        let columns = part(column, self.grid.columns, self.grid.shape.w);
        let rows = part(row, self.grid.rows, self.grid.shape.h);
        let lines = picture.chunks_exact(self.grid.shape.w.max(1));
        let lines = lines.skip(rows.start).take(rows.len());
        let values = lines.flat_map(|line| line.get(columns.clone()).unwrap_or(&[]));
        mean(values.copied())
    }

    /// Every cell becomes what `of` says of the cells around it, along the rows and then along the columns.
    fn sweep(&mut self, reach: usize, of: Choose) {
        let [rows, columns] = self.grid.extents();
        for row in 0..rows {
            self.sweep_line([row, columns], reach, of, |[row, place]| [row, place]);
        }
        for column in 0..columns {
            self.sweep_line([column, rows], reach, of, |[column, place]| [place, column]);
        }
    }

    /// The same along a row or a column, whose places `at` names.
    #[inline(never)]
    fn sweep_line(
        &mut self,
        [line, len]: [usize; 2],
        reach: usize,
        of: Choose,
        at: fn([usize; 2]) -> [usize; 2],
    ) {
        let mut before = [0; CELLS];
        for (place, grey) in before.iter_mut().enumerate() {
            *grey = self.get(at([line, place]));
        }
        for place in 0..len {
            let end = (place + reach + 1).min(len);
            let around = before.get(place.saturating_sub(reach)..end);
            self.set(at([line, place]), of(around.unwrap_or(&[]).iter().copied()));
        }
    }

    /// Cells that the mark covers whole become like those beside them.
    fn fill(&mut self) {
        let (rows, columns) = (self.grid.rows, self.grid.columns);
        let all = (0..rows).flat_map(|row| (0..columns).map(move |column| [row, column]));
        for at in all.clone() {
            self.fill_from(at, |at| at.map(|place| place.checked_sub(2)));
        }
        for [row, column] in all {
            let at = [rows - 1 - row, columns - 1 - column];
            self.fill_from(at, |at| at.map(|place| Some(place + 2)));
        }
    }

    fn fill_from(&mut self, [row, column]: [usize; 2], step: fn([usize; 2]) -> [Option<usize>; 2]) {
        let [beside_row, beside_column] = step([row, column]);
        let beside = [
            beside_row.map(|row| [row, column]),
            beside_column.map(|column| [row, column]),
        ];
        let beside = beside
            .into_iter()
            .flatten()
            .map(|at| self.get(at))
            .max()
            .unwrap_or(0);
        let grey = self.get([row, column]);
        if usize::from(grey) * 100 < usize::from(beside) * SHADED_PERCENT {
            self.set([row, column], beside);
        }
    }

    /// A row of pixels, between the middles of the cells above and below.
    #[inline(never)]
    pub(super) fn line(&self, y: usize) -> Line {
        let (row, down) = between(y, self.grid.shape.h, self.grid.rows);
        let mut line = Line {
            width: self.grid.shape.w,
            columns: self.grid.columns,
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

/// A grey value for a place, of those around it.
type Choose = fn(Around<'_>) -> u8;

type Around<'g> = core::iter::Copied<core::slice::Iter<'g, u8>>;

fn mean(values: impl Iterator<Item = u8>) -> u8 {
    let (mut sum, mut count) = (0_u32, 0_u32);
    for value in values {
        (sum, count) = (sum + u32::from(value), count + 1);
    }
    (sum + count / 2).checked_div(count).unwrap_or(0) as u8
}

fn largest(values: Around<'_>) -> u8 {
    values.max().unwrap_or(0)
}

fn smallest(values: Around<'_>) -> u8 {
    values.min().unwrap_or(0)
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
            let paper = Paper::seen(&vec![177; shape.len()], shape).without_ink(true);
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
        let paper = Paper::seen(&picture, SHAPE).without_ink(true);
        assert!(largest_error(&paper, &truth) <= 12);
        // Lighter strokes on the same paper.
        let mut picture = truth.clone();
        for y in 10..86 {
            picture[y * SHAPE.w + 20 + y / 2..][..9].fill(250);
        }
        let paper = Paper::seen(&picture, SHAPE).without_ink(false);
        assert!(largest_error(&paper, &truth) <= 12);
    }

    #[test]
    fn below_a_blot_is_paper() {
        let mut picture = vec![200; SHAPE.len()];
        for y in 40..56 {
            picture[y * SHAPE.w + 50..][..16].fill(20);
        }
        let paper = Paper::seen(&picture, SHAPE).without_ink(true);
        assert!(largest_error(&paper, &vec![200; SHAPE.len()]) <= 50);
    }
}
