//! Chromium without a window, which the live page is tested in.
//!
//! In: `ONELOOK_CHROMIUM`, or the PATH. Out: the program, installed first when it is not there.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{Progress, SetupError, apt, process};

/// Names the program, where it is not on the PATH.
pub const VARIABLE: &str = "ONELOOK_CHROMIUM";

/// What it is called: by Debian, by Ubuntu, and its brother of another house.
const PROGRAMS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// The program that was named, or one on the PATH, installed first when there is none.
///
/// # Errors
/// It is missing and cannot be installed here; the message has the command to type.
pub fn provide(progress: &Progress) -> Result<PathBuf, SetupError> {
    let named = std::env::var_os(VARIABLE);
    if let Some(found) = locate(named, process::on_path)? {
        return Ok(found);
    }
    let why = "there is no Chromium on the PATH";
    let alternative = format!(", or set {VARIABLE} to the program of another Chromium or Chrome");
    apt::install(&["chromium"], why, &alternative, progress)?;
    Ok(PROGRAMS[0].into())
}

/// The program that was named, or the first one that is there.
fn locate(
    named: Option<OsString>,
    is_there: impl Fn(&str) -> bool,
) -> Result<Option<PathBuf>, SetupError> {
    let Some(named) = named.filter(|named| !named.is_empty()) else {
        let found = PROGRAMS.into_iter().find(|program| is_there(program));
        return Ok(found.map(PathBuf::from));
    };
    let path = PathBuf::from(named);
    if path.is_file() {
        return Ok(Some(path));
    }
    Err(SetupError::Missing {
        what: format!(
            "{VARIABLE} is {}, and there is no such file",
            path.display()
        ),
        next: format!("correct it, or unset {VARIABLE} to have Chromium looked for and installed"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_goes_before_what_is_on_the_path() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let named = locate(Some(file.path().into()), |_| true).unwrap();
        assert_eq!(named.as_deref(), Some(file.path()));
        let found = locate(None, |program| program.starts_with("google")).unwrap();
        assert_eq!(found, Some("google-chrome".into()));
        assert_eq!(locate(Some("".into()), |_| false).unwrap(), None);
        let error = locate(Some("/no/such/chromium".into()), |_| true).unwrap_err();
        assert!(error.to_string().contains(VARIABLE), "{error}");
    }
}
