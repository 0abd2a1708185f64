//! The Omniglot archives.
//!
//! In: the cache and, if you like, a mirror. Out: the folder with the three zip files, each with
//! the checksum its authors' files have.

use std::path::PathBuf;

use crate::cache::Cache;
use crate::fetch::{Checksum, Fetch};
use crate::{Progress, SetupError};

/// Where the authors keep the archives.
const UPSTREAM: &str = "https://github.com/brendenlake/omniglot/raw/master/python";

struct Archive {
    file: &'static str,
    below_upstream: &'static str,
    checksum: Checksum,
}

const ARCHIVES: [Archive; 3] = [
    Archive {
        file: "images_background.zip",
        below_upstream: "images_background.zip",
        checksum: Checksum::Md5("68d2efa1b9178cc56df9314c21c6e718"),
    },
    Archive {
        file: "images_evaluation.zip",
        below_upstream: "images_evaluation.zip",
        checksum: Checksum::Md5("6b91aef0f799c5bb55b94e3f2daec811"),
    },
    Archive {
        file: "all_runs.zip",
        below_upstream: "one-shot-classification/all_runs.zip",
        checksum: Checksum::Sha256(
            "437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325",
        ),
    },
];

const NEXT: &str = "check the network; or name another copy of the same files with --mirror URL (a folder that holds images_background.zip, images_evaluation.zip and all_runs.zip); or, if you have Omniglot already, point --data or ONELOOK_DATA at its folder";

/// Puts the three archives into `<cache>/omniglot` and returns that folder.
///
/// `mirror` is the address of a folder that holds the three files. Archives already there with
/// the right checksum are not fetched again.
///
/// # Errors
/// An archive cannot be reached or is not the right one; the message names `--mirror`, `--data`
/// and `ONELOOK_DATA`.
pub fn download(
    cache: &Cache,
    mirror: Option<&str>,
    progress: &Progress,
) -> Result<PathBuf, SetupError> {
    download_from(cache, mirror, progress, &ARCHIVES)
}

fn download_from(
    cache: &Cache,
    mirror: Option<&str>,
    progress: &Progress,
    archives: &[Archive],
) -> Result<PathBuf, SetupError> {
    let folder = cache.path("omniglot");
    let _lock = cache.lock(progress)?;
    for archive in archives {
        let to = folder.join(archive.file);
        if to.is_file() && archive.checksum.check(&to, NEXT).is_ok() {
            continue;
        }
        let url = match mirror {
            Some(mirror) => format!("{}/{}", mirror.trim_end_matches('/'), archive.file),
            None => format!("{UPSTREAM}/{}", archive.below_upstream),
        };
        let fetch = Fetch {
            url: &url,
            to: &to,
            checksum: Some(archive.checksum),
            next: NEXT,
        };
        fetch.run(progress)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::{Answer, serve};

    // MD5 of "one" and of "two".
    const TWO: [Archive; 2] = [
        Archive {
            file: "one.zip",
            below_upstream: "one.zip",
            checksum: Checksum::Md5("f97c5d29941bfb1b2fdab0874906ab82"),
        },
        Archive {
            file: "two.zip",
            below_upstream: "two.zip",
            checksum: Checksum::Md5("b8a9f715dbb64fd5c56e7783c6820a61"),
        },
    ];

    fn whole(body: &str) -> Answer {
        Answer::Whole(body.into())
    }

    #[test]
    fn only_what_is_missing_or_damaged_is_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let server = serve(vec![whole("one"), whole("two"), whole("two")]);
        let mirror = server.url("/copy/");
        let go = || download_from(&cache, Some(&mirror), &Progress::quiet(), &TWO);
        let data = go().unwrap();
        assert_eq!(std::fs::read(data.join("two.zip")).unwrap(), b"two");
        go().unwrap();
        assert_eq!(server.asked(), ["/copy/one.zip", "/copy/two.zip"]);
        std::fs::write(data.join("two.zip"), b"tw").unwrap();
        go().unwrap();
        assert_eq!(server.asked().len(), 3);
        assert_eq!(std::fs::read(data.join("two.zip")).unwrap(), b"two");
    }

    #[test]
    fn a_failure_names_every_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let server = serve(vec![Answer::Status(503)]);
        let error = download(&cache, Some(&server.url("")), &Progress::quiet()).unwrap_err();
        let error = error.to_string();
        for part in [
            "/images_background.zip",
            "503",
            "--mirror",
            "--data",
            "ONELOOK_DATA",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
        assert_eq!(
            std::fs::read_dir(cache.path("omniglot")).unwrap().count(),
            0
        );
    }
}
