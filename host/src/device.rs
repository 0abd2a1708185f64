//! The host's side of the link: ports, a client that asks and repeats, pictures, a folder of samples.
//!
//! In: where a device is (`--port`). Out: typed answers, or an error that a person can act on.
//!
//! | module        | what it is                                                        |
//! |---------------|-------------------------------------------------------------------|
//! | [`port`]      | `/dev/ttyACM0`, `COM3`, `unix:`, `tcp:`, `sim` to a byte stream   |
//! | `line`        | a byte stream to frames, with time limits                         |
//! | [`client`]    | one request at a time, repeated until it is answered              |
//! | `calls`       | a method for each command                                         |
//! | `transfer`    | what does not fit one message                                     |
//! | [`answers`]   | replies and events that own what they hold                        |
//! | [`refusal`]   | the device's faults in words                                      |
//! | [`words`]     | decisions and events in words                                     |
//! | [`selftest`]  | what the device's selftest must give                              |
//! | [`images`]    | picture files to captures and back                                |
//! | [`support`]   | a support set as a folder of pictures                             |
//! | [`simulator`] | where the simulated device is                                     |

pub mod answers;
mod calls;
pub mod client;
#[cfg(test)]
pub(crate) mod desk;
mod error;
#[cfg(test)]
pub(crate) mod fake;
pub mod images;
#[cfg(test)]
mod life_tests;
mod line;
pub mod port;
pub mod refusal;
pub mod selftest;
pub mod simulator;
pub mod support;
#[cfg(test)]
mod tests;
mod transfer;
pub mod words;

pub use client::{Client, Pace};
pub use error::DeviceError;
pub use port::{Address, Port, PortError};
