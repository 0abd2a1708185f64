//! Hands the linker the memory map of the chosen board.
//!
//! In: the board feature and `memory/<board>.x`. Out: `memory.x` where cortex-m-rt's `link.x` looks
//! for it, and the arguments that make the linker read it. They stand here and not in
//! `.cargo/config.toml`, because a `RUSTFLAGS` in the environment would silence those.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

/// Board features and their memory maps.
const BOARDS: &[(&str, &str)] = &[("CARGO_FEATURE_BOARD_AN386", "memory/an386.x")];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let mut chosen = BOARDS
        .iter()
        .filter(|(feature, _)| env::var_os(feature).is_some());
    // None or several: src/main.rs refuses to compile and says why.
    if let (Some((_, memory)), None) = (chosen.next(), chosen.next()) {
        let out = PathBuf::from(env::var("OUT_DIR")?);
        fs::copy(memory, out.join("memory.x"))?;
        println!("cargo:rerun-if-changed={memory}");
        println!("cargo:rustc-link-search={}", out.display());
    }
    // Sections start where the map says, not on the pages of an operating system.
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    Ok(())
}
