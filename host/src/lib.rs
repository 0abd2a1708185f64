//! The desktop half.
