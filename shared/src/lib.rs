//! The arithmetic of Onelook: from an image to a verdict, in integers.
//!
//! The same code runs in the firmware and on the desktop, so that both give the same bits.
//!
//! # Principles
//!
//! 1. Every engine computes the same integers: every scale is a power of two and every sum fits
//!    24 bits. The model file carries the proof ([`model::CertificateError`] when it does not hold).
//! 2. Bytes from outside are checked once, in [`model::ModelView::new_checked`]. After that nothing
//!    fails for a reason the caller did not cause.
//! 3. No heap, no panic, no `unsafe` in portable code. The dependencies are small and `no_std`;
//!    `cpufeatures`, which says what a desktop's processor can do, is none of a device's.
//! 4. Slow and obvious before fast and clever: each operator has a `reference` that is its
//!    specification, and a function that runs; a property test ties them bit for bit.
//!
//! # Layers, in reading order
//!
//! | module           | what it is                                                           |
//! |------------------|----------------------------------------------------------------------|
//! | [`quant`]        | rounding and requantization: the only places where precision is lost |
//! | [`shape`]        | image shapes and windows                                             |
//! | [`ops`]          | the operators, one file each; [`ops::float`]: the desktop's, in `f32` |
//! | [`arch`]         | their kernels, one file for each kind of processor                   |
//! | [`image`]        | any grey image, or its mark, to the network's input                  |
//! | [`model`]        | the model file: bytes, checks, arena plan                            |
//! | [`net`]          | image to embedding; the only place where model and operators meet    |
//! | [`decide`]       | embeddings to logits to a decision                                   |
//! | [`arducam`]      | a camera on SPI                                                      |
//! | [`capture`]      | a camera's picture to ink, and what speaks against it                |
//! | [`store`]        | a log in flash that survives power cuts                              |
//! | [`support_set`]  | what was enrolled, in that log: samples, labels, embeddings          |
//! | [`slots`]        | two places in flash for a model: one in use, one for the next        |
//! | `signature`      | who sent a model, where a device asks (feature `ed25519`)            |
//! | [`link`]         | the wire: frames of bytes, messages in them                          |
//! | [`usb`]          | a serial port over USB, for a board that has no other                |
//! | [`session`]      | the device's life: all of this, one step at a time                   |
//! | [`episode_file`] | N-way trials for a device: bytes and checks                          |
//! | `checksum`       | of files and of the log                                              |
//!
//! # Capture to verdict
//!
//! [`session::Session::captured`] → [`capture::Look`] → [`image::Framing::resample`] →
//! [`net::Encoder::advance`] step by step → [`decide::Decider::logit`] per support embedding →
//! [`decide::decide`].
#![cfg_attr(not(test), no_std)]

pub mod arch;
pub mod arducam;
pub mod capture;
mod checksum;
pub mod decide;
pub mod episode_file;
pub mod image;
pub mod link;
pub mod model;
pub mod net;
pub mod ops;
pub mod quant;
pub mod session;
pub mod shape;
#[cfg(feature = "ed25519")]
pub mod signature;
pub mod slots;
pub mod store;
pub mod support_set;
pub mod usb;
