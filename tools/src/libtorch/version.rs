//! Which libtorch a folder or a Python holds.
//!
//! In: a folder. Out: its version, checked against the one that is needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::VERSION;
use crate::{SetupError, pip, process};

/// Checks a folder; `name` says who named it.
pub(crate) fn check_folder(folder: &Path, name: &'static str) -> Result<(), SetupError> {
    let next = match name {
        "LIBTORCH" => {
            format!("set LIBTORCH to libtorch {VERSION}, or unset LIBTORCH to have it installed")
        }
        _ => format!(
            "remove {} to have libtorch {VERSION} installed",
            folder.display()
        ),
    };
    if !folder.join("lib").is_dir() {
        let what = format!("{name} is {}, which has no lib folder", folder.display());
        return Err(SetupError::Missing { what, next });
    }
    let found = of_folder(folder).unwrap_or_else(|| "of an unknown version".into());
    compare(&found, format!("{} ({name})", folder.display()), next)
}

/// The folder of the torch that Python imports, checked unless any version will do.
pub(crate) fn of_python(any_version: bool) -> Result<PathBuf, SetupError> {
    let next = format!(
        "install it (`pip install torch=={VERSION}`), or unset LIBTORCH_USE_PYTORCH to have libtorch installed"
    );
    let mut command = Command::new(pip::interpreter());
    command.args([
        "-c",
        "import torch; print(torch.__version__); print(torch.__path__[0])",
    ]);
    let said = process::run(&mut command, Duration::from_secs(120), &next)?;
    let mut lines = said.lines().map(str::trim);
    let (found, folder) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    if !any_version {
        compare(found, format!("{folder} (LIBTORCH_USE_PYTORCH)"), next)?;
    }
    Ok(folder.into())
}

fn compare(found: &str, place: String, next: String) -> Result<(), SetupError> {
    // "2.13.0+cpu" and "2.13.0+cu130" are both 2.13.0, as for torch-sys.
    if found.split('+').next() == Some(VERSION) {
        return Ok(());
    }
    let (name, needed) = ("libtorch", VERSION.into());
    Err(SetupError::Version {
        place,
        name,
        found: found.into(),
        needed,
        next,
    })
}

/// Official archives hold `build-version`; a Python package holds `version.py`; every one holds
/// its headers.
fn of_folder(folder: &Path) -> Option<String> {
    let read = |below: &str| std::fs::read_to_string(folder.join(below)).ok();
    if let Some(version) = read("build-version") {
        return Some(version.trim().to_owned());
    }
    if let Some(version) = read("version.py").as_deref().and_then(python_version) {
        return Some(version);
    }
    let header = read("include/torch/headeronly/version.h")?;
    let part = |name: &str| {
        let line = header
            .lines()
            .find_map(|line| line.strip_prefix(&format!("#define {name} ")))?;
        line.trim().parse::<u32>().ok()
    };
    let (major, minor) = (part("TORCH_VERSION_MAJOR")?, part("TORCH_VERSION_MINOR")?);
    Some(format!("{major}.{minor}.{}", part("TORCH_VERSION_PATCH")?))
}

fn python_version(text: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(value.trim_matches(['\'', '"']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_folder_tells_its_version() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path();
        assert_eq!(of_folder(folder), None);
        let headers = folder.join("include/torch/headeronly");
        std::fs::create_dir_all(&headers).unwrap();
        let header = "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 13\n#define TORCH_VERSION_PATCH 0\n";
        std::fs::write(headers.join("version.h"), header).unwrap();
        assert_eq!(of_folder(folder).unwrap(), "2.13.0");
        let python = "from typing import Optional\n__version__ = '2.13.0+cu130'\n";
        std::fs::write(folder.join("version.py"), python).unwrap();
        assert_eq!(of_folder(folder).unwrap(), "2.13.0+cu130");
        std::fs::write(folder.join("build-version"), "2.13.1+cpu\n").unwrap();
        assert_eq!(of_folder(folder).unwrap(), "2.13.1+cpu");
    }

    #[test]
    fn near_misses_are_refused() {
        for found in ["2.13.0", "2.13.0+cpu"] {
            compare(found, "x".into(), "y".into()).unwrap();
        }
        for found in ["2.13.00", "2.13", "2.13.0a1", "", "of an unknown version"] {
            compare(found, "x".into(), "y".into()).unwrap_err();
        }
    }
}
