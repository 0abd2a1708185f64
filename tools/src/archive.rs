//! Unpacks archives that came from elsewhere.
//!
//! In: a zip or tar.gz file and a choice of its members. Out: those members below a folder, each
//! checked against the checksum in the archive; a name that points outside the folder is refused.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use zip::ZipArchive;

use crate::cache::create_folder;
use crate::{Progress, SetupError};

/// What to do about an archive that does not open.
const NEXT: &str = "run the same command again; the file is downloaded anew";

/// Unpacks the members of a zip file for which `place` gives a path below `into`; returns how many.
pub(crate) fn unzip(
    path: &Path,
    into: &Path,
    progress: &Progress,
    place: impl Fn(&str) -> Option<PathBuf>,
) -> Result<usize, SetupError> {
    let file = File::open(path).map_err(|e| SetupError::io("open", path, e))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| bad(path, &e))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bar = progress.spinner(&format!("unpacking {name}"));
    let mut count = 0;
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(|e| bad(path, &e))?;
        if !member.is_file() {
            continue;
        }
        let member_name = member.name().map_err(|e| bad(path, &e))?.into_owned();
        let Some(below) = place(&member_name) else {
            continue;
        };
        bar.advance(member.size());
        write_member(path, &member_name, &mut member, into, &below)?;
        count += 1;
    }
    Ok(count)
}

/// Unpacks the members of a `.tar.gz` file for which `place` gives a path; returns how many.
pub(crate) fn untar(
    path: &Path,
    into: &Path,
    place: impl Fn(&str) -> Option<PathBuf>,
) -> Result<usize, SetupError> {
    let file = File::open(path).map_err(|e| SetupError::io("open", path, e))?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut count = 0;
    for member in archive.entries().map_err(|e| bad(path, &e))? {
        let mut member = member.map_err(|e| bad(path, &e))?;
        if !member.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        let Some(below) = place(&name) else { continue };
        write_member(path, &name, &mut member, into, &below)?;
        count += 1;
    }
    Ok(count)
}

fn write_member(
    archive: &Path,
    name: &str,
    content: &mut impl Read,
    into: &Path,
    below: &Path,
) -> Result<(), SetupError> {
    if !below
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        return Err(bad(archive, &format!("{name} points outside the archive")));
    }
    let to = into.join(below);
    if let Some(folder) = to.parent() {
        create_folder(folder)?;
    }
    let mut file = File::create(&to).map_err(|e| SetupError::io("create", &to, e))?;
    // Reading fails on a damaged member, writing on a full disk: the message says which file.
    std::io::copy(content, &mut file)
        .map_err(|e| bad(archive, &format!("{name} to {}: {e}", to.display())))?;
    Ok(())
}

fn bad(path: &Path, reason: &dyn std::fmt::Display) -> SetupError {
    SetupError::Archive {
        path: path.into(),
        reason: reason.to_string(),
        next: NEXT.into(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::*;

    /// A zip file with these members.
    pub(crate) fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, content) in members {
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn unpack(bytes: &[u8], into: &Path) -> Result<usize, SetupError> {
        let path = into.with_extension("zip");
        std::fs::write(&path, bytes).unwrap();
        unzip(&path, into, &Progress::quiet(), |name| Some(name.into()))
    }

    #[test]
    fn members_arrive_and_damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..40_000u32).map(|i| ((i * i) >> 7) as u8).collect();
        let whole = zip_of(&[("a/b.so", &content)]);
        let into = folder.path().join("whole");
        assert_eq!(unpack(&whole, &into).unwrap(), 1);
        assert_eq!(std::fs::read(into.join("a/b.so")).unwrap(), content);

        let into = folder.path().join("cut");
        let error = unpack(&whole[..whole.len() / 2], &into)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("cut.zip") && error.contains("again"),
            "{error}"
        );

        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 0x10;
        assert!(unpack(&flipped, &folder.path().join("flipped")).is_err());
    }

    #[test]
    fn a_member_cannot_leave_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let evil = zip_of(&[("../outside", b"x")]);
        let error = unpack(&evil, &folder.path().join("in"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("outside"), "{error}");
        assert!(!folder.path().join("outside").exists());
    }
}
