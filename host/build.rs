//! Lets the binaries of this package find libtorch without `LD_LIBRARY_PATH`, and tells packages
//! that depend on this one where it is.

fn main() {
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    // Set by torch-sys (a direct dependency for just this) when the `train` feature is on.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
        println!("cargo:libtorch={lib}");
    }
}
