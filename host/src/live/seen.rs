//! What the network sees of a picture: the device's own steps, taken on this computer.
//!
//! In: a capture, and a model that says what it wants to see. Out: the network's input, ink 255.

use shared::capture::Look;
use shared::model::ModelView;
use shared::shape::Hwc;

use crate::dataset::{Drawing, hex};
use crate::device::images::Grey;
use crate::engine::{Input, network_input};
use crate::shipped::SHIPPED;

/// A model by the fingerprint that a device tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownModel {
    /// What a person calls it.
    pub name: String,
    /// The fingerprint in hex.
    pub fingerprint: String,
    /// What it wants to see.
    pub input: Input,
}

impl KnownModel {
    /// Of a model's view.
    #[must_use]
    pub fn of(name: &str, model: &ModelView<'_>) -> Self {
        Self {
            name: name.into(),
            fingerprint: hex(&model.fingerprint()),
            input: Input::of(model),
        }
    }

    /// Those that ship.
    #[must_use]
    pub fn shipped() -> Vec<Self> {
        let known = SHIPPED.into_iter().filter_map(|shipped| {
            let view = ModelView::new_checked(shipped.model).ok()?;
            Some(Self::of(shipped.name, &view))
        });
        known.collect()
    }
}

/// The network's input; `None` for a picture that is too small or too large to be one.
pub(super) fn seen(picture: &Grey, input: Input) -> Option<Grey> {
    let (h, w) = (picture.h, picture.w);
    let mut ink = picture.pixels.clone();
    Look::at(&ink, Hwc::new(h, w, 1)).develop(&mut ink);
    let pixels = network_input(&Drawing { h, w, ink }, input).ok()?;
    Grey::new(input.shape.h, input.shape.w, pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_in_a_corner_is_seen_in_the_middle() {
        let micro = KnownModel::shipped().remove(0);
        assert_eq!(micro.name, "micro");
        let side = 96;
        let pixels = (0..side * side).map(|at| {
            let (y, x) = (at / side, at % side);
            let ink = (10..40).contains(&y) && (12..18).contains(&x);
            if ink { 40 } else { 200 }
        });
        let picture = Grey::new(side, side, pixels.collect()).unwrap();
        let seen = seen(&picture, micro.input).unwrap();
        assert_eq!((seen.h, seen.w), (48, 48));
        let mean = |along: fn(usize) -> usize| {
            let weight: usize = seen.pixels.iter().map(|ink| usize::from(*ink)).sum();
            let place = seen.pixels.iter().enumerate();
            let sum: usize = place.map(|(at, ink)| along(at) * usize::from(*ink)).sum();
            sum / weight
        };
        assert!((22..26).contains(&mean(|at| at / 48)), "down");
        assert!((22..26).contains(&mean(|at| at % 48)), "across");
        assert_eq!(seen.pixels.iter().max(), Some(&255));
        assert_eq!(seen.pixels[0], 0, "paper is 0");
    }
}
