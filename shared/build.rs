//! Says which kernels this target can run.
//!
//! In: the target triple. Out: `cfg(onelook_dsp)` for Cortex-M processors with the DSP extension,
//! and `cfg(onelook_v8m)` where they are of ARMv8-M: stable compilers show neither as a target
//! feature.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(onelook_dsp)");
    println!("cargo:rustc-check-cfg=cfg(onelook_v8m)");
    let target = std::env::var("TARGET").unwrap_or_default();
    // M4 and M7 always have it; so do the M33 and M55 that boards of this project carry.
    let v8m = target.starts_with("thumbv8m.main");
    if target.starts_with("thumbv7em") || v8m {
        println!("cargo:rustc-cfg=onelook_dsp");
    }
    if v8m {
        println!("cargo:rustc-cfg=onelook_v8m");
    }
}
