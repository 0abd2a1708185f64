//! The model file `model.onelook`: its bytes, the checks, the arena plan.
//!
//! In: bytes from flash or disk. Out: a [`ModelView`] over the same bytes, nothing copied. Whatever
//! the bytes are, [`ModelView::new_checked`] answers with a view or a typed error.
//!
#![doc = include_str!("../FORMAT.md")]

mod error;
mod format;
mod plan;
mod record;
mod view;

pub use error::{CertificateError, Field, FormatError};
pub use format::{
    EmitError, FORMAT_VERSION, FiltersRepr, HeadRepr, LayerRepr, MAX_KERNEL, MAX_LAYERS, ModelRepr,
};
pub use plan::{Placement, arena_len};
pub use record::{Layer, Layers, Steps};
pub use view::ModelView;
