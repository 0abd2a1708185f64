//! The parts of a capture's ink: which belong to the mark, and whether there are several marks.
//!
//! In: how much each cell of a coarse grid differs from paper at most ([`Peaks`]). Out: [`Parts`], cells as
//! rows of bits. Where a shadow's edge leaves the picture, the wedge of dark paper behind it can look like
//! ink; it is paler than the mark and touches the edge.

use super::paper::{CELLS, Grid};

/// Ink at the picture's edge that is so many percent as deep as the mark, or less, is a shadow.
const PALE_PERCENT: usize = 75;
/// Parts that are no more than twice so many cells apart belong to one mark.
const NEAR: usize = 3;
/// What is at least so many percent of the picture's side long could be a mark by itself.
const LARGE_PERCENT: usize = 25;
/// A second mark has so many percent of the cells of the first one, or more.
const SECOND_PERCENT: usize = 50;

/// Some of the cells: a row of bits for each row of them.
type Cells = [u32; CELLS];

/// Which cells are what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    grid: Grid,
    mark: Cells,
    /// Ink that is no part of it, and what fades out around that.
    shade: Cells,
    /// Whether the mark looks like several.
    pub(super) several: bool,
}

impl Parts {
    pub(super) const NONE: Self = Self {
        grid: Grid::NONE,
        mark: [0; CELLS],
        shade: [0; CELLS],
        several: false,
    };

    /// Whether a pixel's cell has ink of the mark.
    pub(super) fn is_mark(&self, at: [usize; 2]) -> bool {
        has(&self.mark, self.grid.cell_of(at))
    }

    /// Whether a pixel's cell has ink of something else.
    pub(super) fn is_shade(&self, at: [usize; 2]) -> bool {
        has(&self.shade, self.grid.cell_of(at))
    }
}

fn has(cells: &Cells, [row, column]: [usize; 2]) -> bool {
    cells.get(row).is_some_and(|row| row >> column & 1 == 1)
}

/// How much ink each cell has at the darkest.
pub(super) struct Peaks {
    grid: Grid,
    peaks: [[u8; CELLS]; CELLS],
}

/// A connected set of cells.
#[derive(Clone, Copy)]
struct Part {
    cells: Cells,
    count: usize,
    /// The mean of its peaks.
    depth: usize,
    at_edge: bool,
}

impl Peaks {
    pub(super) const fn new(grid: Grid) -> Self {
        Self {
            grid,
            peaks: [[0; CELLS]; CELLS],
        }
    }

    /// A pixel's difference from paper, in the direction of ink.
    pub(super) fn add(&mut self, [y, x]: [usize; 2], difference: u8) {
        let [row, column] = self.grid.cell_of([y, x]);
        if let Some(peak) = self.peaks.get_mut(row).and_then(|row| row.get_mut(column)) {
            *peak = difference.max(*peak);
        }
    }

    /// Cells with ink as deep as `least`.
    fn inked(&self, least: u8) -> Cells {
        self.peaks.map(|row| {
            let bits = row.iter().rev().map(|&peak| u32::from(peak >= least));
            bits.fold(0, |bits, bit| bits << 1 | bit)
        })
    }

    /// Says of cells with ink of `least` or more what they are.
    pub(super) fn sort(&self, least: u8) -> Parts {
        let inked = self.inked(least);
        let mark = self.parts(inked).reduce(|mark, part| {
            let weight = |part: &Part| part.count * part.depth * if part.at_edge { 1 } else { 4 };
            if weight(&part) > weight(&mark) {
                part
            } else {
                mark
            }
        });
        let Some(mark) = mark else {
            return Parts::NONE;
        };
        let mut kept = inked;
        for part in self.parts(inked) {
            if part.at_edge && part.depth * 100 < mark.depth * PALE_PERCENT {
                kept = both(&kept, &part.cells, |kept, part| kept & !part);
            }
        }
        let shade = both(&inked, &kept, |inked, kept| inked & !kept);
        // Also what fades out around it.
        let shade = both(&grown(&shade), &kept, |shade, kept| shade & !kept);
        Parts {
            grid: self.grid,
            mark: kept,
            shade,
            several: self.several(&kept),
        }
    }

    fn several(&self, kept: &Cells) -> bool {
        let mut near = *kept;
        for _ in 0..NEAR {
            near = grown(&near);
        }
        let mut sizes = [0; 2];
        for group in self.parts(near) {
            let cells = both(&group.cells, kept, |group, kept| group & kept);
            if self.is_large(&cells) {
                let [first, second] = sizes;
                let size = count(&cells);
                sizes = [first.max(size), second.max(size.min(first))];
            }
        }
        let [first, second] = sizes;
        second > 0 && second * 100 >= first * SECOND_PERCENT
    }

    fn is_large(&self, cells: &Cells) -> bool {
        let rows = cells.iter().filter(|row| **row != 0).count();
        let columns = cells.iter().fold(0, |all, row| all | row).count_ones() as usize;
        let [all_rows, all_columns] = self.grid.extents();
        rows * 100 >= all_rows * LARGE_PERCENT || columns * 100 >= all_columns * LARGE_PERCENT
    }

    /// The connected parts of some cells.
    fn parts(&self, mut left: Cells) -> impl Iterator<Item = Part> {
        core::iter::from_fn(move || {
            let cells = first_connected(&left)?;
            left = both(&left, &cells, |left, cells| left & !cells);
            Some(self.part(cells))
        })
    }

    #[inline(never)]
    fn part(&self, cells: Cells) -> Part {
        let (mut sum, mut at_edge) = (0, false);
        let [rows, columns] = self.grid.extents();
        for (row, (bits, peaks)) in cells.iter().zip(&self.peaks).enumerate() {
            for (column, &peak) in peaks.iter().enumerate() {
                if bits >> column & 1 == 1 {
                    sum += usize::from(peak);
                    at_edge |= row == 0 || column == 0 || row + 1 == rows || column + 1 == columns;
                }
            }
        }
        let count = count(&cells);
        Part {
            cells,
            count,
            depth: sum.checked_div(count).unwrap_or(0),
            at_edge,
        }
    }
}

/// The first of some cells and all that it is connected to.
#[inline(never)]
fn first_connected(among: &Cells) -> Option<Cells> {
    let mut cells = [0; CELLS];
    let (row, first) = cells.iter_mut().zip(among).find(|(_, row)| **row != 0)?;
    *row = first & first.wrapping_neg();
    loop {
        let more = both(&grown(&cells), among, |grown, among| grown & among);
        if more == cells {
            return Some(cells);
        }
        cells = more;
    }
}

fn count(cells: &Cells) -> usize {
    cells.iter().map(|row| row.count_ones() as usize).sum()
}

fn both(a: &Cells, b: &Cells, of: fn(u32, u32) -> u32) -> Cells {
    let mut all = *a;
    for (a, b) in all.iter_mut().zip(b) {
        *a = of(*a, *b);
    }
    all
}

/// The cells and those that touch them, also at a corner.
#[inline(never)]
fn grown(cells: &Cells) -> Cells {
    let wide = cells.map(|row| row | row << 1 | row >> 1);
    let mut all = wide;
    for (row, above) in all.iter_mut().skip(1).zip(&wide) {
        *row |= above;
    }
    for (row, below) in all.iter_mut().zip(wide.iter().skip(1)) {
        *row |= below;
    }
    all
}
