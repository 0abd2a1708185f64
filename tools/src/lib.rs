//! Puts in place what Onelook is built and tested with, and drives it.
//!
//! In: the environment (what you have set yourself), a cache folder, the network. Out: paths to
//! libtorch, the onnxruntime library, the Omniglot archives, a firmware program, QEMU and Chromium, or a
//! [`SetupError`] that names what failed and what to do next. Every function may be called again
//! at any time: what is in place is found and left alone.
//!
//! `cargo xtask` is the command line over this library; `host` calls it directly.

mod apt;
mod archive;
pub mod cache;
pub mod chromium;
pub mod data;
mod error;
pub mod fetch;
pub mod firmware;
pub mod fuzz;
pub mod icount;
pub mod layers;
pub mod libtorch;
pub mod miri;
pub mod onnxruntime;
mod pip;
pub mod process;
mod progress;
pub mod qemu;
pub mod repo;
pub mod ship;
#[cfg(test)]
mod test_server;
// The plugin is a program of its own, which cargo does not know; what has no QEMU in it is tested here.
#[cfg(test)]
#[path = "../plugin/thumb.rs"]
mod thumb;

pub use error::SetupError;
pub use progress::Progress;
