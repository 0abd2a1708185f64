//! The operators, one file each: shapes, the plain reference, the function that runs.

pub mod conv2d;
pub mod float;
pub mod l1_head;
pub mod max_pool2d;
pub mod sigmoid;
