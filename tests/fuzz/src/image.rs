//! A picture of any size to any other size.
//!
//! A mean lies between its least and its largest term, the same size changes nothing, and every
//! small result is that of rational arithmetic.

use shared::image::{Framing, resample_area};
use shared::shape::Hwc;

use crate::source::{Source, stretch};

/// Pixels of one picture; extents go up to [`EXTENT`], beyond what is allowed.
const MAX_PIXELS: usize = 1024;
const EXTENT: usize = 4200;
/// Overlaps of two pixels that the second opinion may take.
const MAX_OVERLAPS: usize = 2_000;

/// The target.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    // Bit by bit: is this extent large?
    let large = source.byte();
    let [h, w, to_h, to_w]: [usize; 4] = std::array::from_fn(|axis| {
        let [low, high] = source.array::<2>().map(usize::from);
        match large >> axis & 1 {
            0 => low % 64,
            _ => (low + 256 * high) % EXTENT,
        }
    });
    let spoil = usize::from(source.byte() == 1);
    let (from, to) = (Hwc::new(h, w, 1), Hwc::new(to_h, to_w, 1));
    if from.len().max(to.len()) > MAX_PIXELS {
        return;
    }
    let picture = stretch(source.rest(), from.len());
    let mut result = vec![0xa5; to.len() + spoil];
    let answer = resample_area(&picture, from, &mut result, to);
    let legal = |shape: Hwc| !shape.is_empty() && shape.h.max(shape.w) <= 4096;
    assert_eq!(answer.is_ok(), spoil == 0 && legal(from) && legal(to));
    if answer.is_err() {
        return;
    }
    let (least, most) = (picture.iter().min(), picture.iter().max());
    assert!(least <= result.iter().min() && result.iter().max() <= most);
    if from == to {
        assert_eq!(picture, result);
    }
    if (h + to_h) * (w + to_w) <= MAX_OVERLAPS {
        assert_eq!(result, second_opinion(&picture, from, to));
    }
    // Around its mark there may be more paper, but no more ink.
    let most = most.copied();
    let framed = Framing::Mark.resample(&picture, from, &mut result, to);
    assert_eq!(framed, Ok(()));
    assert!(result.iter().max().copied() <= most);
}

/// Every pair of pixels that overlap, in units of `1 / (from · to)` of the picture.
fn second_opinion(picture: &[u8], from: Hwc, to: Hwc) -> Vec<u8> {
    let axis = |from: usize, to: usize| -> Vec<Vec<(usize, u64)>> {
        let overlap = |out: usize, index: usize| {
            let end = ((out + 1) * from).min((index + 1) * to);
            end.saturating_sub((out * from).max(index * to)) as u64
        };
        (0..to)
            .map(|out| {
                let all = (0..from).map(|index| (index, overlap(out, index)));
                all.filter(|(_, overlap)| *overlap > 0).collect()
            })
            .collect()
    };
    let (rows, columns) = (axis(from.h, to.h), axis(from.w, to.w));
    let mut result = Vec::with_capacity(to.len());
    for row in &rows {
        for column in &columns {
            let mut sum = 0;
            for (y, tall) in row {
                for (x, wide) in column {
                    sum += tall * wide * u64::from(picture[y * from.w + x]);
                }
            }
            let area = (from.h * from.w) as u64;
            result.push(u8::try_from((2 * sum + area) / (2 * area)).expect("a mean of bytes"));
        }
    }
    result
}
