//! The folder where everything that is downloaded is kept, and the lock over it.
//!
//! In: `ONELOOK_CACHE` or the platform's cache folder. Out: paths below it; a lock, so that two
//! processes do not download the same thing at once; a check for free space.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::{Progress, SetupError};

/// Written last into an unpacked folder: with it the folder is whole, without it it is not.
const COMPLETE: &str = ".onelook-complete";

/// The cache folder.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// Held while something is put in place; let go when dropped.
#[derive(Debug)]
pub struct CacheLock {
    _file: File,
}

impl Cache {
    /// The folder named by `ONELOOK_CACHE`, or `onelook` in the platform's cache folder.
    ///
    /// # Errors
    /// There is no such folder and it cannot be created.
    pub fn open() -> Result<Self, SetupError> {
        let root = match std::env::var_os("ONELOOK_CACHE").filter(|value| !value.is_empty()) {
            Some(root) => PathBuf::from(root),
            None => directories::BaseDirs::new()
                .map(|folders| folders.cache_dir().join("onelook"))
                .ok_or_else(|| SetupError::Missing {
                    what: "no cache folder: this user has no home folder".into(),
                    next: "set ONELOOK_CACHE to a folder that can be written".into(),
                })?,
        };
        Self::at(&root)
    }

    /// A cache in a folder of your choice; it is created when it is not there.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn at(root: &Path) -> Result<Self, SetupError> {
        create_folder(root)?;
        // Absolute: links into the cache must not depend on the current folder.
        let root = root
            .canonicalize()
            .map_err(|e| SetupError::io("find", root, e))?;
        Ok(Self { root })
    }

    /// A path below the cache.
    #[must_use]
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// Waits until no other process puts anything in place here.
    ///
    /// # Errors
    /// The lock file cannot be written.
    pub fn lock(&self, progress: &Progress) -> Result<CacheLock, SetupError> {
        let path = self.path(".lock");
        let failed = |error| SetupError::io("lock", &path, error);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let _waiting =
                    progress.spinner("waiting: another process is installing into the same cache");
                file.lock().map_err(failed)?;
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        Ok(CacheLock { _file: file })
    }

    /// Megabytes that are free where the cache is.
    ///
    /// # Errors
    /// The system does not say.
    pub fn free_mb(&self) -> Result<u64, SetupError> {
        let free = fs4::available_space(&self.root)
            .map_err(|e| SetupError::io("measure free space of", &self.root, e))?;
        Ok(free / 1_000_000)
    }

    /// Refuses to start what the disk cannot hold.
    ///
    /// # Errors
    /// [`SetupError::Space`] with what is free and what is needed.
    pub fn require_space(&self, what: &'static str, needed_mb: u64) -> Result<(), SetupError> {
        let free_mb = self.free_mb()?;
        if free_mb >= needed_mb {
            return Ok(());
        }
        Err(SetupError::Space {
            what,
            needed_mb,
            free_mb,
            path: self.root.clone(),
        })
    }
}

/// Builds a folder under another name and gives it its own only when it is whole.
pub(crate) fn build_folder<E: From<SetupError>>(
    folder: &Path,
    fill: impl FnOnce(&Path) -> Result<String, E>,
) -> Result<(), E> {
    let part = crate::fetch::part_of(folder);
    remove(&part)?;
    create_folder(&part)?;
    let origin = match fill(&part) {
        Ok(origin) => origin,
        Err(error) => {
            // Half a gigabyte of half an installation helps nobody; the reason matters more than
            // a failure to tidy up.
            remove(&part).ok();
            return Err(error);
        }
    };
    let marker = part.join(COMPLETE);
    std::fs::write(&marker, origin).map_err(|e| SetupError::io("write", &marker, e))?;
    remove(folder)?;
    std::fs::rename(&part, folder).map_err(|e| SetupError::io("rename", &part, e))?;
    Ok(())
}

/// Whether [`build_folder`] has finished this folder.
pub(crate) fn is_complete(folder: &Path) -> bool {
    folder.join(COMPLETE).is_file()
}

/// Creates a folder and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<(), SetupError> {
    std::fs::create_dir_all(path).map_err(|e| SetupError::io("create", path, e))
}

/// Removes a file or folder; nothing there is fine.
pub(crate) fn remove(path: &Path) -> Result<(), SetupError> {
    let result = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(_) => return Ok(()),
    };
    result.map_err(|e| SetupError::io("remove", path, e))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let (inside, entered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let _lock = cache.lock(&Progress::quiet()).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::sleep(Duration::from_millis(30));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    entered.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(entered.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn a_full_disk_is_named_before_anything_is_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        cache.require_space("nothing", 0).unwrap();
        let error = cache
            .require_space("libtorch", u64::MAX / 1_000_000)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("libtorch") && error.contains("ONELOOK_CACHE"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_that_failed_half_way_is_not_there() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("thing");
        let failed = build_folder(&folder, |part| {
            std::fs::write(part.join("a"), b"1").unwrap();
            Err(SetupError::Missing {
                what: "power".into(),
                next: "plug in".into(),
            })
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
        build_folder::<SetupError>(&folder, |part| {
            assert!(!part.join("a").exists(), "starts from nothing");
            std::fs::write(part.join("b"), b"2").unwrap();
            Ok("here".into())
        })
        .unwrap();
        assert!(is_complete(&folder) && folder.join("b").is_file());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_cache_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = Cache::at(&file.join("cache")).unwrap_err().to_string();
        assert!(
            error.contains("file/cache") && error.contains("ONELOOK_CACHE"),
            "{error}"
        );
    }
}
