//! Fills a folder with libtorch.
//!
//! In: the official archive, or, where only package registries can be reached, the wheels that
//! hold the same library. Out: `include/`, `lib/` and `build-version`.
//!
//! The wheels are built for CUDA. Of them the CPU part is taken, with the two small CUDA libraries
//! that it is linked to; nothing of CUDA is used at run time, and no GPU is needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{VERSION, version};
use crate::cache::{Cache, create_folder, remove};
use crate::error::list_attempts;
use crate::fetch::Fetch;
use crate::pip::{self, Wheel};
use crate::{Progress, SetupError, archive, process};

const OFFICIAL: &str =
    "https://download.pytorch.org/libtorch/cpu/libtorch-shared-with-deps-2.13.0%2Bcpu.zip";

/// The archive or the wheels, and what comes out of them.
const SPACE_MB: u64 = 2_000;

const WHEELS: [Wheel; 3] = [
    Wheel {
        requirement: "torch==2.13.0",
        file: "torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        sha256: "60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7",
    },
    Wheel {
        requirement: "nvidia-cuda-runtime==13.0.96",
        file: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    },
    Wheel {
        requirement: "nvidia-cuda-cupti==13.0.85",
        file: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
    },
];

const PLATFORMS: [&str; 4] = [
    "manylinux_2_28_x86_64",
    "manylinux_2_25_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
];

/// Fills `part` in the first way that works and says which one that was.
pub(crate) fn unpack(
    cache: &Cache,
    part: &Path,
    progress: &Progress,
) -> Result<String, SetupError> {
    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        return Err(SetupError::Missing {
            what: format!("libtorch cannot be installed by itself on {os} {arch}"),
            next: format!(
                "`pip install torch=={VERSION}` and set LIBTORCH_USE_PYTORCH=1, or set LIBTORCH to a libtorch {VERSION}"
            ),
        });
    }
    cache.require_space("libtorch", SPACE_MB)?;
    let official = match from_archive(OFFICIAL, cache, part, progress) {
        Ok(()) => return Ok(OFFICIAL.into()),
        Err(error) => error,
    };
    progress.note("libtorch's own site gives nothing; taking it from the wheels that pip finds");
    remove(part)?;
    create_folder(part)?;
    match from_wheels(cache, part, progress) {
        Ok(()) => Ok("wheels".into()),
        Err(wheels) => Err(SetupError::Exhausted {
            what: format!("libtorch {VERSION}"),
            tried: list_attempts(&[("official archive", official), ("pip", wheels)]),
            next: by_hand(),
        }),
    }
}

fn by_hand() -> String {
    format!(
        "install Python 3 with pip (on Debian: apt-get install python3-pip) and run again; or set LIBTORCH to a libtorch {VERSION}; or `pip install torch=={VERSION}` and set LIBTORCH_USE_PYTORCH=1; or run this once where the network is open and copy the cache (ONELOOK_CACHE)"
    )
}

fn from_archive(
    url: &str,
    cache: &Cache,
    part: &Path,
    progress: &Progress,
) -> Result<(), SetupError> {
    let zip = cache.path(format!("libtorch-{VERSION}.zip"));
    // Upstream publishes no checksum of this file, so none is pinned: HTTPS, the announced length,
    // the CRC-32 of every member and the version inside have to do.
    Fetch {
        url,
        to: &zip,
        checksum: None,
        next: &by_hand(),
    }
    .run(progress)?;
    let place = |name: &str| name.strip_prefix("libtorch/").map(PathBuf::from);
    let unpacked = archive::unzip(&zip, part, progress, place);
    remove(&zip)?;
    unpacked?;
    version::check_folder(part, "the official archive")
}

fn from_wheels(cache: &Cache, part: &Path, progress: &Progress) -> Result<(), SetupError> {
    let wheels = cache.path("wheels").join("libtorch");
    pip::download(&WHEELS, &PLATFORMS, &wheels, progress)?;
    let files: Vec<PathBuf> = WHEELS.iter().map(|wheel| wheels.join(wheel.file)).collect();
    let unpacked = assemble(&files, part, progress);
    if unpacked.is_ok() {
        remove(&wheels)?;
    }
    unpacked
}

/// The layout of an official archive, out of wheels.
fn assemble(wheels: &[PathBuf], part: &Path, progress: &Progress) -> Result<(), SetupError> {
    for wheel in wheels {
        archive::unzip(wheel, part, progress, place_wheel_member)?;
    }
    let lib = part.join("lib");
    let gomp = lib.join("libgomp.so");
    std::fs::copy(lib.join("libgomp.so.1"), &gomp)
        .map_err(|e| SetupError::io("create", &gomp, e))?;
    make_umbrella(&lib)?;
    let version = part.join("build-version");
    std::fs::write(&version, VERSION).map_err(|e| SetupError::io("write", &version, e))?;
    version::check_folder(part, "the wheels")
}

fn place_wheel_member(name: &str) -> Option<PathBuf> {
    const LIBRARIES: [&str; 5] = [
        "torch/lib/libtorch_cpu.so",
        "torch/lib/libc10.so",
        "torch/lib/libgomp.so.1",
        "nvidia/cu13/lib/libcudart.so.13",
        "nvidia/cu13/lib/libcupti.so.13",
    ];
    if LIBRARIES.contains(&name) {
        return Some(Path::new("lib").join(Path::new(name).file_name()?));
    }
    name.starts_with("torch/include/")
        .then(|| name.strip_prefix("torch/").map(PathBuf::from))?
}

/// `libtorch.so` only gathers the others. The wheel's own gathers CUDA too, so one is made that
/// does not.
fn make_umbrella(lib: &Path) -> Result<(), SetupError> {
    let source = lib.join("empty.c");
    std::fs::write(&source, "").map_err(|e| SetupError::io("write", &source, e))?;
    let mut command = Command::new("cc");
    command
        .arg("-shared")
        .arg("-fPIC")
        .arg("-o")
        .arg(lib.join("libtorch.so"))
        .arg(&source);
    command
        .arg("-L")
        .arg(lib)
        .args(["-Wl,--no-as-needed", "-ltorch_cpu", "-lc10"]);
    // What libtorch_cpu.so itself needs is found when a program is started.
    command.args(["-Wl,--allow-shlib-undefined", "-Wl,-rpath,$ORIGIN"]);
    let next = "install a C and C++ compiler (on Debian: apt-get install build-essential), which building with libtorch needs as well, then run again";
    process::run(&mut command, Duration::from_secs(300), next)?;
    remove(&source)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::archive::tests::zip_of;
    use crate::test_server::{Answer, serve};

    fn shared_library(folder: &Path, name: &str) -> Vec<u8> {
        let (source, out) = (folder.join("a.c"), folder.join(name));
        std::fs::write(&source, "").unwrap();
        let mut command = Command::new("cc");
        command
            .args(["-shared", "-fPIC", "-o"])
            .arg(&out)
            .arg(&source);
        assert!(command.status().unwrap().success());
        std::fs::read(&out).unwrap()
    }

    #[test]
    fn wheels_become_an_official_layout() {
        let root = tempfile::tempdir().unwrap();
        let library = shared_library(root.path(), "any.so");
        let torch = root.path().join("torch.whl");
        let members: [(&str, &[u8]); 7] = [
            ("torch/lib/libtorch_cpu.so", &library),
            ("torch/lib/libc10.so", &library),
            ("torch/lib/libgomp.so.1", &library),
            ("torch/lib/libtorch_cuda.so", &library),
            ("torch/lib/libtorch.so", b"gathers CUDA"),
            ("torch/include/torch/all.h", b"//"),
            ("torch/__init__.py", b""),
        ];
        std::fs::write(&torch, zip_of(&members)).unwrap();
        let cuda = root.path().join("cuda.whl");
        std::fs::write(
            &cuda,
            zip_of(&[("nvidia/cu13/lib/libcudart.so.13", &library)]),
        )
        .unwrap();
        let part = root.path().join("part");
        assemble(&[torch, cuda], &part, &Progress::quiet()).unwrap();
        let mut files: Vec<String> = std::fs::read_dir(part.join("lib"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let expected = [
            "libc10.so",
            "libcudart.so.13",
            "libgomp.so",
            "libgomp.so.1",
            "libtorch.so",
            "libtorch_cpu.so",
        ];
        assert_eq!(files, expected);
        assert!(part.join("include/torch/all.h").is_file() && !part.join("__init__.py").exists());
        let umbrella = std::fs::read(part.join("lib/libtorch.so")).unwrap();
        assert!(umbrella.starts_with(b"\x7fELF"));
        assert!(umbrella.windows(15).any(|name| name == b"libtorch_cpu.so"));
    }

    #[test]
    fn an_official_archive_is_unpacked_and_its_version_checked() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::at(root.path()).unwrap();
        let archive = |version: &[u8]| {
            zip_of(&[
                ("libtorch/build-version", version),
                ("libtorch/lib/libtorch.so", b"x"),
            ])
        };
        let right = archive(b"2.13.0+cpu\n");
        let cut = Answer::Cut {
            body: right.clone(),
            at: right.len() / 2,
        };
        let server = serve(vec![
            cut,
            Answer::Whole(archive(b"2.12.0+cpu")),
            Answer::Whole(right),
        ]);
        let part = root.path().join("part");
        let go = || from_archive(&server.url("/l.zip"), &cache, &part, &Progress::quiet());
        assert!(go().unwrap_err().to_string().contains("cut off"));
        assert!(!part.exists());
        assert!(go().unwrap_err().to_string().contains("2.12.0+cpu"));
        go().unwrap();
        assert!(part.join("lib/libtorch.so").is_file());
        assert!(!cache.path("libtorch-2.13.0.zip").exists());
    }
}
