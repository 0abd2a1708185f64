//! libtorch, which training is built with.
//!
//! In: `LIBTORCH` or `LIBTORCH_USE_PYTORCH` when you have set them, the cache, the official
//! archive, pip. Out: the folder of libtorch, with `<repository>/.libtorch` pointing at it when it
//! is ours, because that is where `.cargo/config.toml` tells the build to look.

mod install;
mod version;

use std::path::{Path, PathBuf};

use crate::cache::{Cache, is_complete, remove};
use crate::{Progress, SetupError, repo};

/// The version that the `tch` crate is written for, exactly.
pub const VERSION: &str = "2.13.0";

/// What the environment asks for.
#[derive(Debug, Default)]
struct Wishes {
    libtorch: Option<PathBuf>,
    pytorch: bool,
    any_version: bool,
}

impl Wishes {
    fn read() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            libtorch: set("LIBTORCH").map(PathBuf::from),
            // torch-sys asks only whether these two exist.
            pytorch: std::env::var_os("LIBTORCH_USE_PYTORCH").is_some(),
            any_version: std::env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_some(),
        }
    }
}

/// The folder of libtorch, installed first when there is none.
///
/// Yours wins: `LIBTORCH_USE_PYTORCH`, then `LIBTORCH`, then a `.libtorch` folder of your own in
/// the repository. Otherwise it is looked for in the cache and installed there, and `.libtorch`
/// becomes a link to it.
///
/// # Errors
/// Yours has the wrong version, or every way of installing failed.
pub fn provide(progress: &Progress) -> Result<PathBuf, SetupError> {
    let link = repo::root().join(".libtorch");
    if let Some(found) = yours(&Wishes::read(), &link)? {
        return Ok(found);
    }
    let cache = Cache::open()?;
    let folder = in_cache(&cache, progress, |part| {
        install::unpack(&cache, part, progress)
    })?;
    place_link(&link, &folder)?;
    Ok(link)
}

/// The folder that [`provide`] would return without installing anything; `None`: it would install one.
///
/// # Errors
/// Yours has the wrong version.
pub fn installed() -> Result<Option<PathBuf>, SetupError> {
    let link = repo::root().join(".libtorch");
    if let Some(found) = yours(&Wishes::read(), &link)? {
        return Ok(Some(found));
    }
    let folder = cached(&Cache::open()?);
    let whole = is_complete(&folder) && version::check_folder(&folder, "the cache").is_ok();
    Ok(whole.then_some(folder))
}

fn cached(cache: &Cache) -> PathBuf {
    cache.path("libtorch").join(format!("{VERSION}-cpu"))
}

fn yours(wishes: &Wishes, link: &Path) -> Result<Option<PathBuf>, SetupError> {
    let check = |folder: &Path, name: &'static str| match wishes.any_version {
        true => Ok(()),
        false => version::check_folder(folder, name),
    };
    if wishes.pytorch {
        return version::of_python(wishes.any_version).map(Some);
    }
    // Cargo sets LIBTORCH to the link when you have not set it.
    if let Some(folder) = wishes.libtorch.as_ref().filter(|folder| *folder != link) {
        check(folder, "LIBTORCH")?;
        return Ok(Some(folder.clone()));
    }
    let is_link = link.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
    if is_link || !link.exists() {
        return Ok(None);
    }
    check(link, ".libtorch")?;
    Ok(Some(link.into()))
}

/// The folder in the cache, filled by `unpack` when it is not whole.
fn in_cache(
    cache: &Cache,
    progress: &Progress,
    unpack: impl FnOnce(&Path) -> Result<String, SetupError>,
) -> Result<PathBuf, SetupError> {
    let folder = cached(cache);
    let in_place = || is_complete(&folder) && version::check_folder(&folder, "the cache").is_ok();
    if in_place() {
        return Ok(folder);
    }
    let _lock = cache.lock(progress)?;
    if !in_place() {
        crate::cache::build_folder(&folder, unpack)?;
        progress.note(&format!("libtorch {VERSION} is in {}", folder.display()));
    }
    Ok(folder)
}

/// Makes `link` point at `folder`; a link that does so already is left alone, because a new one
/// would make the build start over.
fn place_link(link: &Path, folder: &Path) -> Result<(), SetupError> {
    if std::fs::read_link(link).is_ok_and(|target| target == folder) {
        return Ok(());
    }
    remove(link)?;
    make_link(folder, link).map_err(|source| SetupError::Io {
        action: "create the link",
        path: link.into(),
        source,
        next: format!(
            "set LIBTORCH={} and run the same command again",
            folder.display()
        ),
    })
}

#[cfg(unix)]
fn make_link(folder: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(folder, link)
}

#[cfg(not(unix))]
fn make_link(_folder: &Path, _link: &Path) -> std::io::Result<()> {
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn libtorch_at(folder: &Path, version: &str) {
        std::fs::create_dir_all(folder.join("lib")).unwrap();
        std::fs::write(folder.join("build-version"), format!("{version}\n")).unwrap();
    }

    #[test]
    fn yours_is_taken_when_it_has_the_right_version() {
        let root = tempfile::tempdir().unwrap();
        let (link, own) = (root.path().join(".libtorch"), root.path().join("own"));
        libtorch_at(&own, "2.13.0+cu130");
        let wishes = Wishes {
            libtorch: Some(own.clone()),
            ..Wishes::default()
        };
        assert_eq!(yours(&wishes, &link).unwrap(), Some(own.clone()));

        libtorch_at(&own, "2.11.0+cpu");
        let error = yours(&wishes, &link).unwrap_err().to_string();
        for part in ["own", "2.11.0+cpu", VERSION, "unset LIBTORCH"] {
            assert!(error.contains(part), "{part} in {error}");
        }
        let bypass = Wishes {
            any_version: true,
            ..wishes
        };
        assert_eq!(yours(&bypass, &link).unwrap(), Some(own));
    }

    #[test]
    fn what_cargo_sets_is_not_yours_but_a_folder_in_its_place_is() {
        let root = tempfile::tempdir().unwrap();
        let link = root.path().join(".libtorch");
        let wishes = Wishes {
            libtorch: Some(link.clone()),
            ..Wishes::default()
        };
        assert_eq!(yours(&wishes, &link).unwrap(), None);
        make_link(&root.path().join("gone"), &link).unwrap();
        assert_eq!(yours(&wishes, &link).unwrap(), None);
        std::fs::remove_file(&link).unwrap();
        libtorch_at(&link, VERSION);
        assert_eq!(yours(&wishes, &link).unwrap(), Some(link));
    }

    #[test]
    fn it_is_installed_once_and_again_after_a_failure() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::at(root.path()).unwrap();
        let quiet = Progress::quiet();
        let broken = in_cache(&cache, &quiet, |part| {
            libtorch_at(part, VERSION);
            Err(SetupError::Missing {
                what: "half way".into(),
                next: "again".into(),
            })
        });
        assert!(broken.is_err());
        let folder = in_cache(&cache, &quiet, |part| {
            libtorch_at(part, VERSION);
            Ok("test".into())
        })
        .unwrap();
        let again = in_cache(&cache, &quiet, |_| panic!("installed twice")).unwrap();
        assert_eq!(folder, again);

        let link = root.path().join("link");
        place_link(&link, &folder).unwrap();
        let made = link.symlink_metadata().unwrap().modified().unwrap();
        place_link(&link, &folder).unwrap();
        assert_eq!(link.symlink_metadata().unwrap().modified().unwrap(), made);
        assert!(link.join("build-version").is_file());
    }
}
