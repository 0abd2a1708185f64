//! What comes before a net: a capture is looked at, developed and framed.
//!
//! In: random numbers and an arena. Out: each step between marks, and a digest of what it made. The capture is
//! made here: two strokes on grained paper, lit from one side, with a shadow over a corner. Its steps have no
//! reference of their own; a desktop gets the same digests.

use core::fmt;

use firmware::board::mark::{onelook_mark_start, onelook_mark_stop};
use shared::capture::Look;
use shared::image::Framing;
use shared::shape::{Hwc, ShapeError};

use crate::check::digest;
use crate::random::Random;

/// As large as a sample's picture may be.
const CAPTURE: Hwc = Hwc::new(128, 128, 1);
/// `micro`'s input.
const INPUT: Hwc = Hwc::new(48, 48, 1);

/// What a step did.
pub(crate) struct Step {
    name: &'static str,
    outputs: usize,
    digest: u32,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            outputs,
            digest,
        } = self;
        let arena = CAPTURE.len() + INPUT.len();
        write!(
            f,
            "capture-128x128-{name} macs 0 outputs {outputs} arena {arena} digest {digest:08x}"
        )
    }
}

/// Measures the three steps.
pub(crate) fn run(seed: u64, arena: &mut [u8]) -> Result<[Step; 3], ShapeError> {
    let short = ShapeError::Length {
        expected: CAPTURE.len() + INPUT.len(),
        got: arena.len(),
    };
    let (picture, rest) = arena.split_at_mut_checked(CAPTURE.len()).ok_or(short)?;
    let input = rest.get_mut(..INPUT.len()).ok_or(short)?;
    draw(picture, &mut Random::new(seed));
    onelook_mark_start();
    let look = Look::at(picture, CAPTURE);
    onelook_mark_stop();
    let looked = digest(&[look.quality() as u8]);
    onelook_mark_start();
    look.develop(picture);
    onelook_mark_stop();
    onelook_mark_start();
    let framed = Framing::Mark.resample(picture, CAPTURE, input, INPUT);
    onelook_mark_stop();
    framed?;
    let step = |name, outputs, digest| Step {
        name,
        outputs,
        digest,
    };
    Ok([
        step("look", 1, looked),
        step("develop", CAPTURE.len(), digest(picture)),
        step("frame", INPUT.len(), digest(input)),
    ])
}

/// Paper at 120 to 215 and ink at a fifth of it; behind the diagonal of a corner half the light is missing.
fn draw(picture: &mut [u8], random: &mut Random) {
    for (y, row) in picture.chunks_exact_mut(CAPTURE.w).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            let stroke = (30..90).contains(&y)
                && ((40..47).contains(&x) || (x + 5..x + 12).contains(&(y + 20)));
            let light = 120 + (x * 3 / 4) as u32;
            let light = if x + y > 210 { light / 2 } else { light };
            let paper = if stroke { light / 5 } else { light };
            *pixel = (paper + random.below(7)) as u8;
        }
    }
}
