//! Hands the linker the memory map of the chosen board, and the device the key of who may send models.
//!
//! In: the board feature, `memory/<board>.x`, `memory/psram.x` and `src/board/flash_map.rs`; with the feature `signed` the variable
//! `ONELOOK_PUBLIC_KEY`. Out: both maps as `memory.x` where cortex-m-rt's `link.x` looks for it, and the
//! arguments that make the linker read it; 32 bytes for `src/signature.rs`. The arguments stand here and not
//! in `.cargo/config.toml`, because a `RUSTFLAGS` in the environment would silence those.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

/// Board features and their memory maps.
const BOARDS: &[(&str, &str)] = &[
    ("CARGO_FEATURE_BOARD_AN386", "memory/an386.x"),
    ("CARGO_FEATURE_BOARD_AN500", "memory/an500.x"),
    ("CARGO_FEATURE_BOARD_AN505", "memory/an505.x"),
    ("CARGO_FEATURE_BOARD_AN547", "memory/an547.x"),
    ("CARGO_FEATURE_BOARD_NRF52840", NRF52840),
    ("CARGO_FEATURE_BOARD_PICO2", PICO2),
];

/// The section that the maps of QEMU's boards end with.
const PSRAM: &str = "memory/psram.x";
/// The sections of boards whose maps are made from the firmware's own constants.
const NRF52840: &str = "memory/nrf52840.x";
const PICO2: &str = "memory/pico2.x";

/// 64 hex digits: the line in the `.pub` file of `onelook sign --new-key`.
const KEY: &str = "ONELOOK_PUBLIC_KEY";

#[path = "src/board/flash_map.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the firmware's own file, of which this needs a part"
)]
mod flash_map;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let mut chosen = BOARDS
        .iter()
        .filter(|(feature, _)| env::var_os(feature).is_some());
    // None or several: src/board.rs refuses to compile and says why.
    if let (Some((_, memory)), None) = (chosen.next(), chosen.next()) {
        let out = PathBuf::from(env::var("OUT_DIR")?);
        let map = match *memory {
            NRF52840 => nrf52840_map() + &fs::read_to_string(memory)?,
            PICO2 => pico2_map() + &fs::read_to_string(memory)?,
            _ => fs::read_to_string(memory)? + &fs::read_to_string(PSRAM)?,
        };
        fs::write(out.join("memory.x"), map)?;
        println!("cargo:rerun-if-changed={memory}");
        println!("cargo:rerun-if-changed={PSRAM}");
        println!("cargo:rerun-if-changed=src/board/flash_map.rs");
        println!("cargo:rustc-link-search={}", out.display());
    }
    // Sections start where the map says, not on the pages of an operating system.
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    hand_over_key()
}

/// The program's part of the flash where it is mapped, and the RAM: eight banks that take turns and two that do
/// not, one behind the other (RP2350 datasheet, "Address map").
fn pico2_map() -> String {
    const XIP: u32 = 0x1000_0000;
    let flash_map::Part { start, len } = flash_map::pico2::PROGRAM;
    map((XIP + start, len), (0x2000_0000, 520 * 1024))
}

/// The program's part of the flash, and the RAM without its first 8 bytes, where the master boot record keeps where
/// it sends interrupts (S140 SoftDevice specification, "Memory resource requirements").
fn nrf52840_map() -> String {
    const RAM: u32 = 0x2000_0000;
    let flash_map::Part { start, len } = flash_map::nrf52840::PROGRAM;
    map((start, len), (RAM + 8, 256 * 1024 - 8))
}

fn map(flash: (u32, u32), ram: (u32, u32)) -> String {
    let region = |(start, len): (u32, u32)| format!("ORIGIN = {start:#010x}, LENGTH = {len}");
    let (flash, ram) = (region(flash), region(ram));
    format!("MEMORY\n{{\n  FLASH : {flash}\n  RAM : {ram}\n}}\n")
}

/// Feature and variable come together: nobody who set one of them means a device that takes every model.
fn hand_over_key() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed={KEY}");
    let text = env::var(KEY).unwrap_or_default();
    match (env::var_os("CARGO_FEATURE_SIGNED"), text.trim()) {
        (None, "") => {}
        (None, _) => {
            println!("cargo::error={KEY} is set, but the feature `signed` is not");
            println!(
                "cargo::error=next: build with `cargo xtask firmware build`, add `--features signed`, or unset it"
            );
        }
        (Some(_), text) => match public_key(text) {
            Ok(key) => fs::write(PathBuf::from(env::var("OUT_DIR")?).join("public_key"), key)?,
            Err(why) => {
                println!("cargo::error={KEY} {why}");
                println!(
                    "cargo::error=next: set it to the line in the .pub file of `onelook sign --new-key`"
                );
            }
        },
    }
    Ok(())
}

fn public_key(text: &str) -> Result<[u8; 32], &'static str> {
    if text.is_empty() {
        return Err("is not set, and the feature `signed` needs it");
    }
    if text.len() != 64 {
        return Err("has not 64 digits");
    }
    let mut key = [0; 32];
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok();
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        *byte = digits
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or("has something else than hex digits")?;
    }
    #[cfg(feature = "signed")]
    shared::signature::PublicKey::new(key).ok_or("is no public key of Ed25519")?;
    Ok(key)
}
