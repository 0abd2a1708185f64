//! Engines (placeholder until merged).
use shared::shape::{Hwc, ShapeError};

use crate::dataset::Drawing;

/// A drawing cannot become a network input.
pub type InputError = ShapeError;

/// A drawing at the network's size.
///
/// # Errors
/// [`ShapeError`].
pub fn network_input(drawing: &Drawing, input: Hwc) -> Result<Vec<u8>, InputError> {
    let mut out = vec![0; input.len()];
    shared::image::resample_area(&drawing.ink, Hwc::new(drawing.h, drawing.w, 1), &mut out, input)?;
    Ok(out)
}
