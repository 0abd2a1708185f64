//! Chooses the kernels for this target.
//!
//! In: the target triple, the crate's features and the profile. Out: `cfg(onelook_kernels = "…")`,
//! the name of a file in `src/arch/`; `cfg(onelook_v8m)` where a Cortex-M is of ARMv8-M: stable
//! compilers show neither DSP nor Helium as a target feature; `cfg(onelook_small)` where size counts
//! more than speed.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!(
        "cargo:rustc-check-cfg=cfg(onelook_kernels, values(\"armv7em\", \"mve\", \"portable\", \"x86_64\"))"
    );
    println!("cargo:rustc-check-cfg=cfg(onelook_v8m)");
    println!("cargo:rustc-check-cfg=cfg(onelook_small)");
    // What is short and called from many loops is inlined for speed, and for size it is not.
    if env::var("OPT_LEVEL").is_ok_and(|level| level == "s" || level == "z") {
        println!("cargo:rustc-cfg=onelook_small");
    }
    let target = env::var("TARGET").unwrap_or_default();
    let v8m = target.starts_with("thumbv8m.main");
    let on = |variable: &str| env::var_os(variable).is_some();
    // Miri knows no assembly.
    let kernels = if on("CARGO_FEATURE_PORTABLE") || on("CARGO_CFG_MIRI") {
        "portable"
    } else if v8m && on("CARGO_FEATURE_HELIUM") {
        "mve"
    } else if target.starts_with("thumbv7em") || v8m {
        // M4 and M7 always have DSP; so do the M33 and M55 that boards of this project carry.
        "armv7em"
    } else if target.starts_with("x86_64") {
        "x86_64"
    } else {
        "portable"
    };
    println!("cargo:rustc-cfg=onelook_kernels=\"{kernels}\"");
    if v8m {
        println!("cargo:rustc-cfg=onelook_v8m");
    }
}
