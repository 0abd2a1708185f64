//! The desktop half of Onelook: data, training, quantization, export, evaluation, parity.
//!
//! | room                                                     | what it is                                      |
//! |----------------------------------------------------------|-------------------------------------------------|
//! | [`dataset`], [`omniglot`], [`glyphs`], [`image_folder`]  | drawings, and where they come from              |
//! | [`census`]                                               | how much that is                                |
//! | [`trials`], [`baseline`]                                 | N-way tasks, and what a network must beat       |
//! | [`spec`], [`config`], [`boards`]                         | the network, its recipe, where it may run       |
//! | [`capture_sim`]                                          | drawings as a cheap camera sees them            |
//! | [`augment`], `train`, [`metrics`]                        | distortions; training (feature `train`), its diary |
//! | [`search`]                                               | which recipe and which network learn best       |
//! | [`float_net`], [`untrained`], [`checkpoint`], [`layout`] | what training hands on                          |
//! | [`shipped`]                                              | networks for whoever has not trained one        |
//! | [`import`]                                               | networks that were trained elsewhere            |
//! | [`quantize`], [`export`]                                 | float to integers; the files of a run           |
//! | [`engine`], [`evaluate`], [`verify`]                     | who runs the model; how well; whether all agree |
//! | [`open_set`], [`calibration`]                            | unknown marks: trials, thresholds               |
//! | [`mod@bench`]                                            | how fast engines are on this computer           |
//! | [`device`], [`doctor`]                                  | a device and its host; what may be wrong here   |
//! | [`live`]                                                 | a device in a browser                           |
//! | [`quiz`]                                                 | a person takes the test that the network took   |
//! | [`page_server`]                                          | what serves these two to a browser              |
//! | [`signing`]                                              | who may send models to a device                 |
//! | [`heads`]                                                | heads that are compared over one encoder        |
//! | [`report`], [`plot`], [`cmd`]                            | figures in words, in pictures; the command line |

pub mod augment;
pub mod baseline;
pub mod bench;
pub mod boards;
pub mod calibration;
pub mod capture_sim;
pub mod census;
pub mod checkpoint;
pub mod cmd;
pub mod config;
pub mod dataset;
pub mod device;
pub mod doctor;
pub mod engine;
pub mod evaluate;
pub mod export;
pub mod files;
pub mod float_net;
pub mod glyphs;
pub mod heads;
pub mod image_folder;
pub mod import;
pub mod layout;
pub mod live;
pub mod metrics;
pub mod omniglot;
pub mod open_set;
pub mod page_server;
pub mod plot;
pub mod quantize;
pub mod quiz;
pub mod report;
pub mod search;
pub mod shipped;
pub mod signing;
pub mod spec;
#[cfg(feature = "train")]
pub mod train;
pub mod trials;
pub mod untrained;
pub mod verify;
