//! `cargo xtask setup`.
//!
//! In: what to install. Out: where it is, one line each.

use clap::ValueEnum;
use tools::cache::Cache;
use tools::firmware::{self, TARGETS, Toolchain};
use tools::{Progress, SetupError, chromium, data, libtorch, onnxruntime, qemu};

/// What can be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// libtorch, for training
    Libtorch,
    /// onnxruntime, for checking exported models
    Onnxruntime,
    /// a compiler for the firmware
    Firmware,
    /// QEMU, for running the firmware
    Qemu,
    /// Chromium, for testing the live page
    Chromium,
    /// the Omniglot archives
    Data,
    /// all of these
    All,
}

/// Installs it.
pub(crate) fn run(what: What, mirror: Option<&str>, progress: &Progress) -> Result<(), SetupError> {
    let wanted = |one| what == one || what == What::All;
    if wanted(What::Libtorch) {
        println!("libtorch: {}", libtorch::provide(progress)?.display());
    }
    if wanted(What::Onnxruntime) {
        println!("onnxruntime: {}", onnxruntime::provide(progress)?.display());
    }
    if wanted(What::Firmware) {
        for target in TARGETS {
            let toolchain = firmware::toolchain(target, progress)?;
            println!("firmware: {}", describe(&toolchain, target));
        }
    }
    if wanted(What::Qemu) {
        qemu::provide(progress)?;
        println!("qemu: qemu-system-arm is on the PATH");
    }
    if wanted(What::Chromium) {
        println!("chromium: {}", chromium::provide(progress)?.display());
    }
    // Last: it is the one that only the open internet has.
    if wanted(What::Data) {
        println!(
            "data: {}",
            data::download(&Cache::open()?, mirror, progress)?.display()
        );
    }
    Ok(())
}

/// A toolchain in words.
pub(crate) fn describe(toolchain: &Toolchain, target: &str) -> String {
    match toolchain {
        Toolchain::Rustup => format!("rustup has {target}"),
        Toolchain::Debian { linker } => {
            let linker = linker.display();
            format!("/usr/bin/rustc builds core for {target}, {linker} links")
        }
    }
}
