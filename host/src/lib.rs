
pub mod dataset;
pub mod files;
pub mod float_net;
pub mod quantize;
pub mod spec;
pub mod trials;
pub mod untrained;
