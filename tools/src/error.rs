//! What can go wrong while something is put in place.
//!
//! In: a failure. Out: one message that names the file, address or command, and the next step.

use std::io;
use std::path::{Path, PathBuf};

/// Something could not be put in place. Every message ends with the next step to take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}: {source}\nnext: {next}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
        /// What to do.
        next: String,
    },
    /// A download did not start or did not finish.
    #[error("cannot download {url}: {reason}\nnext: {next}")]
    Download {
        /// The address.
        url: String,
        /// Why it failed.
        reason: String,
        /// What to do.
        next: String,
    },
    /// A file arrived whole but is not the one that was asked for.
    #[error("{origin}: the {kind} is {found}, expected {expected}\nnext: {next}")]
    Checksum {
        /// Where the file came from.
        origin: String,
        /// The kind of checksum.
        kind: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
        /// What to do.
        next: String,
    },
    /// A program or library is there in another version than the one needed.
    #[error("{place}: found {name} {found}, but {needed} is needed\nnext: {next}")]
    Version {
        /// Where it was found.
        place: String,
        /// Its name.
        name: &'static str,
        /// The version found.
        found: String,
        /// The version needed.
        needed: String,
        /// What to do.
        next: String,
    },
    /// The disk is too full for what is about to be downloaded.
    #[error(
        "{what} needs {needed_mb} MB in {path}, {free_mb} MB are free\nnext: free some space, or set ONELOOK_CACHE to a folder on a larger disk"
    )]
    Space {
        /// What was to be installed.
        what: &'static str,
        /// Megabytes needed.
        needed_mb: u64,
        /// Megabytes free.
        free_mb: u64,
        /// The folder that was looked at.
        path: PathBuf,
    },
    /// A command was not found, failed, or ran for too long.
    #[error("`{command}` {reason}\nnext: {next}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended, with the end of what it wrote.
        reason: String,
        /// What to do.
        next: String,
    },
    /// An archive could not be unpacked.
    #[error("cannot unpack {path}: {reason}\nnext: {next}")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why it failed.
        reason: String,
        /// What to do.
        next: String,
    },
    /// Something is not there and cannot be installed without you.
    #[error("{what}\nnext: {next}")]
    Missing {
        /// What is missing and why it was not installed.
        what: String,
        /// What to do.
        next: String,
    },
    /// Every way of installing something failed.
    #[error("cannot install {what}; every way failed:\n{tried}\nnext: {next}")]
    Exhausted {
        /// What was to be installed.
        what: String,
        /// The ways, one a line, each with its reason.
        tried: String,
        /// What to do.
        next: String,
    },
}

impl SetupError {
    /// An error of the file system below the cache, where the next step is always the same.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
            next:
                "check permissions and free space there, or set ONELOOK_CACHE to another folder, then run the same command again"
                    .into(),
        }
    }
}

/// Puts the failed ways under each other, indented, for [`SetupError::Exhausted`].
pub(crate) fn list_attempts(attempts: &[(&str, SetupError)]) -> String {
    let lines = attempts.iter().map(|(way, error)| {
        // The next step of a single way would contradict the one at the end.
        let text = error.to_string();
        let reason = text
            .split("\nnext: ")
            .next()
            .unwrap_or(&text)
            .replace('\n', "\n    ");
        format!("  {way}: {reason}")
    });
    lines.collect::<Vec<_>>().join("\n")
}
