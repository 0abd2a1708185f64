//! Hands the linker the memory map of the chosen board.
//!
//! In: the board feature, `memory/<board>.x` and `memory/psram.x`. Out: both as `memory.x` where
//! cortex-m-rt's `link.x` looks for it, and the arguments that make the linker read it. They stand
//! here and not in `.cargo/config.toml`, because a `RUSTFLAGS` in the environment would silence
//! those.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

/// Board features and their memory maps.
const BOARDS: &[(&str, &str)] = &[
    ("CARGO_FEATURE_BOARD_AN386", "memory/an386.x"),
    ("CARGO_FEATURE_BOARD_AN500", "memory/an500.x"),
    ("CARGO_FEATURE_BOARD_AN505", "memory/an505.x"),
    ("CARGO_FEATURE_BOARD_AN547", "memory/an547.x"),
];

/// The section that every map ends with.
const PSRAM: &str = "memory/psram.x";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let mut chosen = BOARDS
        .iter()
        .filter(|(feature, _)| env::var_os(feature).is_some());
    // None or several: src/board.rs refuses to compile and says why.
    if let (Some((_, memory)), None) = (chosen.next(), chosen.next()) {
        let out = PathBuf::from(env::var("OUT_DIR")?);
        let map = fs::read_to_string(memory)? + &fs::read_to_string(PSRAM)?;
        fs::write(out.join("memory.x"), map)?;
        println!("cargo:rerun-if-changed={memory}");
        println!("cargo:rerun-if-changed={PSRAM}");
        println!("cargo:rustc-link-search={}", out.display());
    }
    // Sections start where the map says, not on the pages of an operating system.
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    Ok(())
}
