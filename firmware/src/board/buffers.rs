//! Memory of a board that lives: buffers, and the model that it comes with.
//!
//! In: nothing. Out: buffers once; the model, which lies in the program's own flash.

use core::sync::atomic::{AtomicBool, Ordering};

use shared::model::ModelView;
use shared::support_set::MAX_CAPTURE;

use super::chip::FIRST_MODEL;
use super::slot::Slot;

/// Largest arena.
const ARENA_LEN: usize = 64 * 1024;

/// The buffers of the program that lives, all zero at first.
pub struct Buffers {
    /// For a model that is not read in place: there is none.
    pub model: &'static mut [u8],
    /// For activations.
    pub arena: &'static mut [u8],
    /// For the picture.
    pub pixels: &'static mut [u8],
}

impl Buffers {
    /// The buffers; `None` the second time.
    #[must_use]
    pub fn take() -> Option<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        static ARENA: Slot<[u8; ARENA_LEN]> = Slot::new();
        static PIXELS: Slot<[u8; MAX_CAPTURE]> = Slot::new();
        if TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: `TAKEN` lets one call come here, and integers may be zero.
        Some(unsafe {
            Self {
                model: &mut [],
                arena: ARENA.take(),
                pixels: PIXELS.take(),
            }
        })
    }
}

/// A model as a file, where its weights may be read as words.
#[derive(Debug)]
#[repr(C, align(16))]
pub(super) struct Aligned<T: ?Sized>(pub(super) T);

/// The model that ships, in the program's own flash: what a device has until it is sent another.
#[must_use]
pub fn first_model(_: &mut [u8]) -> Option<ModelView<'static>> {
    ModelView::new_checked(&FIRST_MODEL.0).ok()
}
