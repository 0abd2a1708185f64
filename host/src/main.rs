//! onelook.
fn main() {}
