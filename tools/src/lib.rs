//! cargo xtask.
