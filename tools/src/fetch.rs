//! One file over HTTP, whole or not at all.
//!
//! In: an address, a path, a checksum when upstream gives one. Out: the file under its name. It is
//! written beside that name as `.part`, its length and checksum are checked, then it is renamed.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use md5::{Digest, Md5};
use sha2::Sha256;

use crate::{Progress, SetupError};

/// What a file's content must hash to, in lower-case hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// MD5: only for archives whose authors publish nothing else.
    Md5(&'static str),
    /// SHA-256.
    Sha256(&'static str),
}

/// One file to download.
#[derive(Debug, Clone)]
pub struct Fetch<'a> {
    /// The address.
    pub url: &'a str,
    /// Where the file goes.
    pub to: &'a Path,
    /// Its checksum, when known.
    pub checksum: Option<Checksum>,
    /// What to do when it fails.
    pub next: &'a str,
}

/// The name a file has until it is whole.
#[must_use]
pub fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

impl Fetch<'_> {
    /// Downloads the file.
    ///
    /// # Errors
    /// The address cannot be reached, the content is cut short or has the wrong checksum, or the
    /// file cannot be written. In each case there is no file under the final name that was not
    /// there before.
    pub fn run(&self, progress: &Progress) -> Result<(), SetupError> {
        let part = part_of(self.to);
        if let Some(folder) = self.to.parent() {
            crate::cache::create_folder(folder)?;
        }
        let result = self
            .write(&part, progress)
            .and_then(|found| self.verify(found))
            .and_then(|()| {
                std::fs::rename(&part, self.to).map_err(|e| SetupError::io("rename", &part, e))
            });
        if result.is_err() {
            crate::cache::remove(&part)?;
        }
        result
    }

    /// Writes the body to `part` and returns its checksum.
    fn write(&self, part: &Path, progress: &Progress) -> Result<Option<String>, SetupError> {
        let response = agent()
            .get(self.url)
            .call()
            .map_err(|e| self.failed(explain(&e)))?;
        let total = response.body().content_length();
        let name = self.to.file_name().unwrap_or_default().to_string_lossy();
        let bar = progress.bytes(&format!("downloading {name} from {}", self.url), total);
        let mut body = response.into_body().into_reader();
        let failed = |error| SetupError::io("write", part, error);
        let mut file = File::create(part).map_err(failed)?;
        let mut hasher = self.checksum.map(Hasher::new);
        let mut chunk = vec![0; 1 << 16];
        let mut received = 0;
        loop {
            let count = body
                .read(&mut chunk)
                .map_err(|error| self.failed(format!("cut off after {received} bytes: {error}")))?;
            let Some(bytes @ [_, ..]) = chunk.get(..count) else {
                break;
            };
            file.write_all(bytes).map_err(failed)?;
            if let Some(hasher) = &mut hasher {
                hasher.update(bytes);
            }
            received += count as u64;
            bar.advance(count as u64);
        }
        if total.is_some_and(|total| total != received) {
            let total = total.unwrap_or_default();
            return Err(self.failed(format!("cut off after {received} of {total} bytes")));
        }
        file.sync_all().map_err(failed)?;
        Ok(hasher.map(Hasher::finish))
    }

    fn verify(&self, found: Option<String>) -> Result<(), SetupError> {
        let (Some(checksum), Some(found)) = (self.checksum, found) else {
            return Ok(());
        };
        checksum.compare(found, self.url, self.next)
    }

    fn failed(&self, reason: String) -> SetupError {
        SetupError::Download {
            url: self.url.into(),
            reason,
            next: self.next.into(),
        }
    }
}

impl Checksum {
    /// Checks a file.
    ///
    /// # Errors
    /// The file cannot be read, or its content hashes to something else.
    pub fn check(self, path: &Path, next: &str) -> Result<(), SetupError> {
        let failed = |error| SetupError::io("read", path, error);
        let mut file = File::open(path).map_err(failed)?;
        let mut hasher = Hasher::new(self);
        let mut chunk = vec![0; 1 << 16];
        loop {
            let count = file.read(&mut chunk).map_err(failed)?;
            let Some(bytes @ [_, ..]) = chunk.get(..count) else {
                break;
            };
            hasher.update(bytes);
        }
        self.compare(hasher.finish(), &path.display().to_string(), next)
    }

    fn compare(self, found: String, origin: &str, next: &str) -> Result<(), SetupError> {
        let (kind, expected) = match self {
            Self::Md5(expected) => ("MD5", expected),
            Self::Sha256(expected) => ("SHA-256", expected),
        };
        if found == expected {
            return Ok(());
        }
        Err(SetupError::Checksum {
            origin: origin.into(),
            kind,
            expected: expected.into(),
            found,
            next: next.into(),
        })
    }
}

enum Hasher {
    Md5(Md5),
    Sha256(Sha256),
}

impl Hasher {
    fn new(checksum: Checksum) -> Self {
        match checksum {
            Checksum::Md5(_) => Self::Md5(Md5::new()),
            Checksum::Sha256(_) => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Md5(hasher) => hex(&hasher.finalize()),
            Self::Sha256(hasher) => hex(&hasher.finalize()),
        }
    }
}

/// Gives up soon where nobody answers, so that the next way can be tried; a slow line may take
/// all the time it needs as long as bytes keep coming.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_resolve(Some(Duration::from_secs(5)))
        .timeout_connect(Some(Duration::from_secs(8)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_per_read(Some(Duration::from_secs(30)))
        .build()
        .new_agent()
}

fn explain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::StatusCode(code) => format!("the server answered with status {code}"),
        ureq::Error::HostNotFound => "no such host (is this machine offline?)".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::{Answer, serve};

    const BODY: &[u8] = b"a drawing of a letter";
    const BODY_MD5: &str = "f7c4f172fa24b6a87ddb3185cadd4d1c";
    const BODY_SHA: &str = "c108933d7edcd5be088425c1b588e81ea6355e16584a82db6e44954728bc8a30";

    fn fetch(url: &str, to: &Path, checksum: Option<Checksum>) -> Result<(), SetupError> {
        Fetch {
            url,
            to,
            checksum,
            next: "take the next step",
        }
        .run(&Progress::quiet())
    }

    #[test]
    fn a_whole_file_arrives_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("below/file");
        let server = serve(vec![Answer::Whole(BODY.to_vec()); 2]);
        fetch(&server.url("/file"), &to, Some(Checksum::Md5(BODY_MD5))).unwrap();
        fetch(&server.url("/file"), &to, Some(Checksum::Sha256(BODY_SHA))).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), BODY);
        assert!(!part_of(&to).exists());
        Checksum::Md5(BODY_MD5).check(&to, "").unwrap();
    }

    #[test]
    fn a_cut_off_file_is_not_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("file");
        let server = serve(vec![Answer::Cut {
            body: BODY.to_vec(),
            at: 7,
        }]);
        let error = fetch(&server.url("/file"), &to, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("cut off after 7"), "{error}");
        assert!(
            error.contains("take the next step") && error.contains("/file"),
            "{error}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_wrong_file_does_not_replace_the_right_one() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("file");
        std::fs::write(&to, BODY).unwrap();
        let server = serve(vec![Answer::Whole(b"a sign-in page".to_vec())]);
        let error = fetch(&server.url("/f"), &to, Some(Checksum::Md5(BODY_MD5))).unwrap_err();
        assert!(
            matches!(&error, SetupError::Checksum { kind: "MD5", .. }),
            "{error}"
        );
        assert!(error.to_string().contains(BODY_MD5));
        assert_eq!(std::fs::read(&to).unwrap(), BODY);
        assert!(!part_of(&to).exists());
    }

    #[test]
    fn refusals_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("file");
        let server = serve(vec![Answer::Status(404)]);
        let error = fetch(&server.url("/gone"), &to, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("status 404"), "{error}");
        drop(server);
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let error = fetch(&format!("http://{closed}/x"), &to, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains(&closed.to_string()) && error.contains("take the next step"));
    }
}
