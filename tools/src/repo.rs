//! Where the source tree is.
//!
//! In: the place this program was compiled from. Out: the root of the repository.

use std::path::{Path, PathBuf};

/// The root of the repository: the folder above this crate.
///
/// A program that was moved away from its source tree looks from the current folder upwards.
#[must_use]
pub fn root() -> PathBuf {
    let compiled = Path::new(env!("CARGO_MANIFEST_DIR"));
    let compiled = compiled.parent().unwrap_or(compiled);
    if is_root(compiled) {
        return compiled.to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    here.ancestors()
        .find(|folder| is_root(folder))
        .map_or(here.clone(), Path::to_owned)
}

fn is_root(folder: &Path) -> bool {
    folder.join("Cargo.toml").is_file() && folder.join("tools/Cargo.toml").is_file()
}

#[cfg(test)]
mod tests {
    #[test]
    fn finds_the_workspace() {
        let manifest = std::fs::read_to_string(super::root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }
}
