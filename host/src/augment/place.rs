//! Where the pixels of an input lie in a drawing that is distorted.
//!
//! In: a distortion and, where the mark is framed, the drawing. Out: a [`Place`].

use shared::image::{MARK, REACH_PERCENT, SPREAD_PERCENT};

/// Which part of a drawing an input shows: from a place in the input, counted from its middle in units of
/// its side, to one in the drawing's unit square.
pub(super) struct Place {
    pub(super) matrix: [[f32; 2]; 2],
    pub(super) middle: [f32; 2],
}

impl Place {
    /// The square that a device would take of a drawing `[h][w]` that is distorted by the inverse of
    /// `matrix` ([`shared::image::Square`]), moved by `shift` of its side. What the warp does to the mark's
    /// middle and spread is left to the network.
    pub(super) fn around_mark(
        ink: &[u8],
        [h, w]: [usize; 2],
        matrix: [[f32; 2]; 2],
        shift: [f32; 2],
    ) -> Self {
        let [[a, b], [c, d]] = matrix;
        let det = a * d - b * c;
        let distort = [[d / det, -b / det], [-c / det, a / det]];
        let mark = Mark::of(ink, w, distort);
        let side = mark.side();
        let extent = [h as f32, w as f32];
        let matrix = [0, 1].map(|axis| matrix[axis].map(|entry| entry * side / extent[axis]));
        let middle = [0, 1].map(|axis| {
            let moved = matrix[axis][0] * shift[0] + matrix[axis][1] * shift[1];
            mark.middle[axis] / extent[axis] + moved
        });
        Self { matrix, middle }
    }
}

/// The mark of a distorted drawing, in pixels.
struct Mark {
    /// Before the distortion, from the drawing's corner.
    middle: [f32; 2],
    spread: f32,
    reach: f32,
}

impl Mark {
    fn of(ink: &[u8], w: usize, distort: [[f32; 2]; 2]) -> Self {
        let (mut count, mut sum, mut squares) = (0.0_f32, [0.0_f32; 2], 0.0_f32);
        let (mut plain, mut least, mut most) = ([0.0_f32; 2], [f32::MAX; 2], [f32::MIN; 2]);
        for (row, pixels) in ink.chunks_exact(w.max(1)).enumerate() {
            let y = row as f32 + 0.5;
            for (column, _) in (0..).zip(pixels).filter(|(_, ink)| **ink >= MARK) {
                let x = column as f32 + 0.5;
                count += 1.0;
                plain = [plain[0] + y, plain[1] + x];
                for axis in 0..2 {
                    let at = distort[axis][0] * y + distort[axis][1] * x;
                    sum[axis] += at;
                    squares += at * at;
                    (least[axis], most[axis]) = (least[axis].min(at), most[axis].max(at));
                }
            }
        }
        let count = count.max(1.0);
        let middle = sum.map(|sum| sum / count);
        let variance = squares / count - middle[0] * middle[0] - middle[1] * middle[1];
        let reach = (0..2).map(|axis| (most[axis] - middle[axis]).max(middle[axis] - least[axis]));
        Self {
            middle: plain.map(|sum| sum / count),
            spread: (variance.max(0.0) + 1.0).sqrt(),
            reach: reach.fold(0.0, f32::max) + 0.5,
        }
    }

    /// Of the square around it.
    fn side(&self) -> f32 {
        let of = |length: f32, percent: u64| length * 100.0 / percent as f32;
        of(self.spread, SPREAD_PERCENT).max(of(self.reach, REACH_PERCENT))
    }
}

/// The matrix that does what `b` does and then what `a` does.
pub(super) fn product(a: [[f32; 2]; 2], b: [[f32; 2]; 2]) -> [[f32; 2]; 2] {
    let entry = |i: usize, j: usize| a[i][0] * b[0][j] + a[i][1] * b[1][j];
    [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
}
