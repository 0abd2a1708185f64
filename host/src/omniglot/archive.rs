//! The files under a folder or in a zip archive, read whole.
//!
//! In: a path. Out: [`Entry`]s in path order; nothing is decoded here.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::DataError;

/// A file: its path below the archive or folder, with `/`, and its content.
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
}

/// All files of a zip archive or below a folder.
pub(super) fn entries(at: &Path) -> Result<Vec<Entry>, DataError> {
    let mut entries = if at.is_dir() {
        let mut entries = Vec::new();
        walk(at, "", &mut entries)?;
        entries
    } else {
        unzip(at)?
    };
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

fn unzip(at: &Path) -> Result<Vec<Entry>, DataError> {
    let file = File::open(at).map_err(|source| DataError::Read {
        path: at.into(),
        source,
    })?;
    let damaged = |message: String| DataError::Archive {
        path: at.into(),
        message,
    };
    let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file))
        .map_err(|error| damaged(error.to_string()))?;
    let mut entries = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let mut file = archive
            .by_index(index)
            .map_err(|error| damaged(error.to_string()))?;
        if file.is_dir() {
            continue;
        }
        let mut bytes = Vec::new();
        // Reads to the end, which also checks the entry's CRC-32.
        file.read_to_end(&mut bytes)
            .map_err(|error| damaged(error.to_string()))?;
        let path = file
            .name()
            .map_err(|error| damaged(error.to_string()))?
            .into_owned();
        entries.push(Entry { path, bytes });
    }
    Ok(entries)
}

fn walk(folder: &Path, prefix: &str, entries: &mut Vec<Entry>) -> Result<(), DataError> {
    let failed = |source| DataError::Read {
        path: folder.into(),
        source,
    };
    for child in std::fs::read_dir(folder).map_err(failed)? {
        let child = child.map_err(failed)?;
        let path = format!("{prefix}{}", child.file_name().to_string_lossy());
        if child.path().is_dir() {
            walk(&child.path(), &format!("{path}/"), entries)?;
        } else {
            let bytes = std::fs::read(child.path()).map_err(|source| DataError::Read {
                path: child.path(),
                source,
            })?;
            entries.push(Entry { path, bytes });
        }
    }
    Ok(())
}
