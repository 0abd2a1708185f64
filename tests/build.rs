//! Lets the tests find libtorch without `LD_LIBRARY_PATH`, as `host/build.rs` does for `onelook`.

fn main() {
    println!("cargo:rerun-if-env-changed=DEP_ONELOOK_HOST_LIBTORCH");
    // Set by host's build script when its `train` feature is on.
    if let Ok(lib) = std::env::var("DEP_ONELOOK_HOST_LIBTORCH") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    }
}
