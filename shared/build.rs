//! Says which kernels this target can run.
//!
//! In: the target triple. Out: `cfg(onelook_dsp)` for Cortex-M processors with the DSP extension:
//! stable compilers do not show it as a target feature.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(onelook_dsp)");
    let target = std::env::var("TARGET").unwrap_or_default();
    // M4 and M7 always have it; so do the M33 and M55 that boards of this project carry.
    if target.starts_with("thumbv7em") || target.starts_with("thumbv8m.main") {
        println!("cargo:rustc-cfg=onelook_dsp");
    }
}
