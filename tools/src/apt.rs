//! Debian packages, where this process may install them.
//!
//! In: package names. Out: the packages, or an error with the command to type.

use std::process::Command;
use std::time::Duration;

use crate::{Progress, SetupError, process};

/// Installs `packages`; `why` says what is missing.
pub(crate) fn install(
    packages: &[&str],
    why: &str,
    alternative: &str,
    progress: &Progress,
) -> Result<(), SetupError> {
    let next = format!(
        "run `sudo apt-get install {}`{alternative}",
        packages.join(" ")
    );
    if !process::on_path("apt-get") {
        let what = format!("{why}, and there is no apt-get to install it with");
        let next = format!("install it with your package manager{alternative}");
        return Err(SetupError::Missing { what, next });
    }
    if !is_root() {
        let what = format!("{why}, and only root may install packages");
        return Err(SetupError::Missing { what, next });
    }
    let _spinner = progress.spinner(&format!("installing {} with apt-get", packages.join(" ")));
    let mut install = apt_get(&["install", "--yes", "--no-install-recommends"]);
    install.args(packages);
    if process::run(&mut install, LIMIT, &next).is_ok() {
        return Ok(());
    }
    // A fresh image has no package lists.
    process::run(&mut apt_get(&["update"]), LIMIT, &next)?;
    process::run(&mut install, LIMIT, &next).map(drop)
}

const LIMIT: Duration = Duration::from_secs(1800);

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
        .args(["--quiet", "-o", "DPkg::Lock::Timeout=300"])
        .args(arguments);
    command
}

fn is_root() -> bool {
    let mut command = Command::new("id");
    process::run(command.arg("-u"), Duration::from_secs(10), "").is_ok_and(|id| id.trim() == "0")
}
