//! The onnxruntime library, the second engine that exported models are checked with.
//!
//! In: `ORT_DYLIB_PATH`, the cache, pip or GitHub. Out: the path of the shared library.

use std::path::{Path, PathBuf};

use crate::cache::{Cache, build_folder, is_complete, remove};
use crate::error::list_attempts;
use crate::fetch::Fetch;
use crate::pip::{self, Wheel};
use crate::{Progress, SetupError, archive};

/// The version that is installed.
pub const VERSION: &str = "1.32.0";

/// What one kind of machine needs.
struct Build {
    wheel: Wheel,
    platform: &'static str,
    library: &'static str,
    release: &'static str,
}

fn build() -> Result<Build, SetupError> {
    let (file, sha256, platform, library, release) =
        match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => (
                "onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_x86_64.whl",
                "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
                "manylinux_2_28_x86_64",
                "libonnxruntime.so.1.32.0",
                "onnxruntime-linux-x64-1.32.0",
            ),
            ("linux", "aarch64") => (
                "onnxruntime-1.32.0-cp311-cp311-manylinux_2_28_aarch64.whl",
                "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
                "manylinux_2_28_aarch64",
                "libonnxruntime.so.1.32.0",
                "onnxruntime-linux-aarch64-1.32.0",
            ),
            ("macos", "aarch64") => (
                "onnxruntime-1.32.0-cp311-cp311-macosx_14_0_arm64.whl",
                "366b9e53d07812cc5c92822cecf7563b76a8a0f32ba3bb8dd232a206ac3bcb6c",
                "macosx_14_0_arm64",
                "libonnxruntime.1.32.0.dylib",
                "onnxruntime-osx-arm64-1.32.0",
            ),
            (os, arch) => {
                return Err(SetupError::Missing {
                    what: format!("onnxruntime cannot be installed by itself on {os} {arch}"),
                    next: by_hand(),
                });
            }
        };
    let wheel = Wheel {
        requirement: "onnxruntime==1.32.0",
        file,
        sha256,
    };
    Ok(Build {
        wheel,
        platform,
        library,
        release,
    })
}

fn by_hand() -> String {
    format!(
        "get onnxruntime {VERSION} from https://github.com/microsoft/onnxruntime/releases and set ORT_DYLIB_PATH to its shared library"
    )
}

/// The path of the onnxruntime shared library, installed first when it is not there.
///
/// `ORT_DYLIB_PATH` wins when set; then the cache; then the wheel through pip; then the release on
/// GitHub.
///
/// # Errors
/// `ORT_DYLIB_PATH` names no file, or every way of installing failed.
pub fn provide(progress: &Progress) -> Result<PathBuf, SetupError> {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|value| !value.is_empty()) {
        return user_set(PathBuf::from(path));
    }
    provide_in(&Cache::open()?, progress)
}

/// The library that [`provide`] would return without installing anything; `None`: it would install one.
///
/// # Errors
/// `ORT_DYLIB_PATH` names no file, or there is none for this kind of machine.
pub fn installed() -> Result<Option<PathBuf>, SetupError> {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|value| !value.is_empty()) {
        return user_set(PathBuf::from(path)).map(Some);
    }
    let folder = Cache::open()?.path("onnxruntime").join(VERSION);
    let library = folder.join(build()?.library);
    let whole = is_complete(&folder) && library.is_file();
    Ok(whole.then_some(library))
}

fn user_set(path: PathBuf) -> Result<PathBuf, SetupError> {
    if path.is_file() {
        return Ok(path);
    }
    Err(SetupError::Missing {
        what: format!("ORT_DYLIB_PATH is {}, and there is no such file", path.display()),
        next: "set it to the onnxruntime library itself (libonnxruntime.so…), or unset it to have one installed".into(),
    })
}

fn provide_in(cache: &Cache, progress: &Progress) -> Result<PathBuf, SetupError> {
    let build = build()?;
    let folder = cache.path("onnxruntime").join(VERSION);
    let library = folder.join(build.library);
    let in_place = || is_complete(&folder) && library.is_file();
    if in_place() {
        return Ok(library);
    }
    let _lock = cache.lock(progress)?;
    if in_place() {
        return Ok(library);
    }
    cache.require_space("onnxruntime", 150)?;
    let wheels = cache.path("wheels").join("onnxruntime");
    let with_pip = build_folder(&folder, |part| from_wheel(&build, &wheels, part, progress));
    let Err(pip_error) = with_pip else {
        remove(&wheels)?;
        return Ok(library);
    };
    let archive = cache.path(format!("{}.tgz", build.release));
    let from_github = build_folder(&folder, |part| {
        from_release(&build, &archive, part, progress)
    });
    remove(&archive)?;
    from_github
        .map(|()| library)
        .map_err(|github_error| SetupError::Exhausted {
            what: format!("onnxruntime {VERSION}"),
            tried: list_attempts(&[("pip", pip_error), ("GitHub", github_error)]),
            next: by_hand(),
        })
}

fn from_wheel(
    build: &Build,
    wheels: &Path,
    part: &Path,
    progress: &Progress,
) -> Result<String, SetupError> {
    pip::download(
        std::slice::from_ref(&build.wheel),
        &[build.platform],
        wheels,
        progress,
    )?;
    let wheel = wheels.join(build.wheel.file);
    let member = format!("onnxruntime/capi/{}", build.library);
    let place = |name: &str| (name == member).then(|| PathBuf::from(build.library));
    let count = archive::unzip(&wheel, part, progress, place)?;
    one_library(count, &wheel, build)?;
    Ok(build.wheel.file.into())
}

fn from_release(
    build: &Build,
    archive: &Path,
    part: &Path,
    progress: &Progress,
) -> Result<String, SetupError> {
    let url = format!(
        "https://github.com/microsoft/onnxruntime/releases/download/v{VERSION}/{}.tgz",
        build.release
    );
    // The release page gives no checksum that could be pinned here: HTTPS, the announced length
    // and the checksum inside gzip have to do.
    Fetch {
        url: &url,
        to: archive,
        checksum: None,
        next: &by_hand(),
    }
    .run(progress)?;
    let member = format!("{}/lib/{}", build.release, build.library);
    let place = |name: &str| {
        (name.trim_start_matches("./") == member).then(|| PathBuf::from(build.library))
    };
    let count = archive::untar(archive, part, place)?;
    one_library(count, archive, build)?;
    Ok(url)
}

fn one_library(count: usize, path: &Path, build: &Build) -> Result<(), SetupError> {
    if count == 1 {
        return Ok(());
    }
    Err(SetupError::Archive {
        path: path.into(),
        reason: format!("it does not hold {}", build.library),
        next: by_hand(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_you_set_is_taken_or_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libonnxruntime.so");
        let error = user_set(library.clone()).unwrap_err().to_string();
        assert!(
            error.contains("ORT_DYLIB_PATH") && error.contains("libonnxruntime.so"),
            "{error}"
        );
        std::fs::write(&library, b"").unwrap();
        assert_eq!(user_set(library.clone()).unwrap(), library);
    }

    #[test]
    fn a_whole_installation_is_found_and_half_of_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let Ok(build) = build() else { return };
        let home = cache.path("onnxruntime").join(VERSION);
        build_folder::<SetupError>(&home, |part| {
            std::fs::write(part.join(build.library), b"elf").unwrap();
            Ok("test".into())
        })
        .unwrap();
        // No network is touched: with the marker and the library there, this returns at once.
        let found = provide_in(&cache, &Progress::quiet()).unwrap();
        assert_eq!(found, home.join(build.library));
    }

    #[test]
    fn a_release_archive_gives_its_library() {
        let folder = tempfile::tempdir().unwrap();
        let Ok(build) = build() else { return };
        let path = folder.path().join("release.tgz");
        let file = std::fs::File::create(&path).unwrap();
        let gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for name in ["LICENSE", "lib/other.so", &format!("lib/{}", build.library)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(4);
            header.set_mode(0o644);
            let name = format!("{}/{name}", build.release);
            tar.append_data(&mut header, name, &b"\x7fELF"[..]).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        let member = format!("{}/lib/{}", build.release, build.library);
        let place = |name: &str| (name == member).then(|| PathBuf::from("lib.so"));
        assert_eq!(archive::untar(&path, folder.path(), place).unwrap(), 1);
        assert_eq!(
            std::fs::read(folder.path().join("lib.so")).unwrap(),
            b"\x7fELF"
        );
    }
}
