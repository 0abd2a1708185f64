//! The model file `model.onelook`: its bytes, the checks, the arena plan.
//!
//! In: bytes from flash or disk. Out: a [`ModelView`] over the same bytes, nothing copied. Whatever
//! the bytes are, [`ModelView::new_checked`] answers with a view or a typed error.
//!
#![doc = include_str!("../FORMAT.md")]

mod error;
mod format;
mod plan;
mod view;

pub use error::{CertificateError, Field, FormatError};
pub use format::{
    EmitError, FORMAT_VERSION, HeadRepr, LayerRepr, MAX_LAYERS, ModelRepr, Preprocessing,
};
pub use plan::arena_len;
pub(crate) use plan::{activation, split};
pub use view::{Layer, Layers, ModelView, Operator};
