//! The modified Hausdorff distance (Dubuisson and Jain 1994) between the ink of two drawings.
//!
//! In: drawings. Out: the larger of two means: from every ink pixel of one to the nearest of the
//! other, and back. Coordinates are relative to the drawing's mean, as in the demonstration beside
//! Lake's runs, whose 38.8 % errors check the trials and the reading of images.

use crate::dataset::Drawing;

/// Minima kept side by side.
const LANES: usize = 8;

/// Rows and columns of ink pixels, relative to their mean; behind the first `len`, points infinitely
/// far away fill up the last [`LANES`].
#[derive(Debug, Default)]
pub(super) struct Points {
    len: usize,
    y: Vec<f32>,
    x: Vec<f32>,
}

/// Where a drawing has ink.
pub(super) fn points(drawing: &Drawing) -> Points {
    let ink = drawing
        .ink
        .iter()
        .enumerate()
        .filter(|(_, ink)| **ink >= 128);
    let places = ink.map(|(at, _)| (at / drawing.w.max(1), at % drawing.w.max(1)));
    let (y, x): (Vec<f32>, Vec<f32>) = places.map(|(y, x)| (y as f32, x as f32)).unzip();
    Points {
        len: y.len(),
        y: centred(y),
        x: centred(x),
    }
}

fn centred(mut values: Vec<f32>) -> Vec<f32> {
    let sum: f64 = values.iter().copied().map(f64::from).sum();
    let mean = (sum / values.len().max(1) as f64) as f32;
    for value in &mut values {
        *value -= mean;
    }
    values.resize(values.len().next_multiple_of(LANES), f32::INFINITY);
    values
}

/// Infinite when one of both has no ink.
pub(super) fn distance(a: &Points, b: &Points) -> f64 {
    directed(a, b).max(directed(b, a))
}

/// Mean distance from a pixel of `from` to the nearest of `to`.
fn directed(from: &Points, to: &Points) -> f64 {
    let nearest = from.y.iter().zip(&from.x).take(from.len).map(|(&y, &x)| {
        let squares =
            to.y.as_chunks::<LANES>()
                .0
                .iter()
                .zip(to.x.as_chunks::<LANES>().0);
        // A minimum for each lane: compilers make vectors of these, of a single one they may not.
        let least = squares.fold([f32::INFINITY; LANES], |mut least, (v, u)| {
            for ((least, v), u) in least.iter_mut().zip(v).zip(u) {
                let (dy, dx) = (v - y, u - x);
                let square = dy * dy + dx * dx;
                *least = if square < *least { square } else { *least };
            }
            least
        });
        f64::from(least.into_iter().fold(f32::INFINITY, f32::min)).sqrt()
    });
    let sum: f64 = nearest.sum();
    if from.len == 0 {
        f64::INFINITY
    } else {
        sum / from.len as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(w: usize, ink: &[u8]) -> Points {
        points(&Drawing {
            h: ink.len() / w,
            w,
            ink: ink.to_vec(),
        })
    }

    #[test]
    fn is_the_larger_of_both_means() {
        // Two pixels three apart, around their mean at ±1.5; and one at 0.
        let two = drawing(4, &[255, 0, 0, 255]);
        let one = drawing(4, &[0, 255, 0, 0]);
        assert!((distance(&two, &one) - 1.5).abs() < 1e-6);
        assert!((distance(&one, &two) - 1.5).abs() < 1e-6);
        // Where a drawing stands does not matter.
        let moved = drawing(5, &[0, 255, 0, 0, 255]);
        assert!(distance(&two, &moved) < 1e-6);
        // -2, 0 and 2 against -1.5 and 1.5.
        let three = drawing(5, &[255, 0, 255, 0, 255]);
        let means = [2.0 * 0.5 + 1.5, 0.5 + 0.5];
        let expected = f64::max(means[0] / 3.0, means[1] / 2.0);
        assert!((distance(&three, &two) - expected).abs() < 1e-6);
        assert!(distance(&drawing(1, &[0]), &one).is_infinite());
    }
}
