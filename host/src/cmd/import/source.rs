//! The files that an import reads: the network, its head, calibration images.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::Failure;
use super::Args;
use crate::dataset::hex;
use crate::engine::{Input, network_input};
use crate::float_net::FloatHead;
use crate::import::fold::Folded;
use crate::import::tensor::External;
use crate::import::{self, Head, Parsed};
use crate::omniglot;

/// Most calibration images that are taken from a folder.
const MOST_CALIBRATION: usize = 4096;

/// An ONNX file and the files beside it that hold its weights.
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    pub(super) external: External,
}

impl File {
    /// Reads a file; of one that is missing beside it, whoever needs it says so.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let refuse = |message: String| Failure::Usage(format!("{}: {message}", path.display()));
        let length = std::fs::metadata(path)
            .map_err(|error| refuse(error.to_string()))?
            .len();
        if length > import::MAX_FILE as u64 {
            return Err(refuse(format!(
                "it has {} MiB, at most {} are read",
                length >> 20,
                import::MAX_FILE >> 20
            )));
        }
        let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        let mut external = External::new();
        let is_onnx = path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"));
        if is_onnx {
            for name in import::external_files(&bytes).map_err(|error| refuse(error.to_string()))? {
                let beside = path.with_file_name(&name);
                let fits = std::fs::metadata(&beside)
                    .is_ok_and(|file| file.len() <= import::MAX_FILE as u64);
                if let (true, Ok(content)) = (fits, std::fs::read(&beside)) {
                    external.insert(name, content);
                }
            }
        }
        Ok(Self { bytes, external })
    }

    /// SHA-256 in hex over the file and those that hold its weights.
    pub(super) fn sha256(&self) -> String {
        let mut hasher = Sha256::new_with_prefix(&self.bytes);
        let mut beside: Vec<_> = self.external.iter().collect();
        beside.sort_unstable();
        for (_, content) in beside {
            hasher.update(content);
        }
        hex(&hasher.finalize())
    }
}

/// The head that came with the network.
pub(super) fn given_head(
    args: &Args,
    parsed: &Parsed,
    folded: &Folded,
) -> Result<Option<FloatHead>, Failure> {
    let (head, path): (Option<Head>, &Path) = match (&args.head, &parsed.head) {
        (Some(path), Some(_)) => {
            return Err(Failure::Usage(format!(
                "{} has a head of its own; leave out --head {}, or export its encoder alone",
                args.file.display(),
                path.display()
            )));
        }
        (Some(path), None) => {
            let file = File::read(path)?;
            let head = Head::from_file(path, &file.bytes, &file.external);
            let head =
                head.map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
            (Some(head), path)
        }
        (None, own) => (own.clone(), &args.file),
    };
    let embedding = folded.spec.embedding().map_err(Failure::usage)?;
    let on = |head: Head| head.on(embedding, &folded.embedding_scale);
    head.map(on)
        .transpose()
        .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

/// Every PNG of a folder as a network input.
pub(super) fn from_folder(folder: &Path, input: Input) -> Result<Vec<Vec<u8>>, Failure> {
    let refuse = |path: &Path, message: &dyn std::fmt::Display| {
        Failure::Usage(format!("{}: {message}", path.display()))
    };
    let entries = std::fs::read_dir(folder).map_err(|error| refuse(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
    });
    paths.sort_unstable();
    paths.truncate(MOST_CALIBRATION);
    if paths.len() < 2 {
        return Err(refuse(
            folder,
            &"it holds fewer than 2 PNGs; --calibration needs some hundred drawings",
        ));
    }
    let images = paths.iter().map(|path| {
        let bytes = std::fs::read(path).map_err(|error| refuse(path, &error))?;
        let drawing = omniglot::decode(&bytes).map_err(|error| refuse(path, &error))?;
        network_input(&drawing, input).map_err(|error| refuse(path, &error))
    });
    images.collect()
}

/// A path's last part.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::image::Framing;
    use shared::shape::Hwc;

    /// Dark is ink; other files are left alone; a damaged one is named.
    #[test]
    fn a_folder_of_pngs_calibrates() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, grey) in [("a.png", 0_u8), ("b.PNG", 255)] {
            let file = std::fs::File::create(at(name)).unwrap();
            let mut encoder = png::Encoder::new(file, 2, 2);
            encoder.set_color(png::ColorType::Grayscale);
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(&[grey; 4]).unwrap();
        }
        std::fs::write(at("notes.txt"), "no image").unwrap();
        let input = Input {
            shape: Hwc::new(4, 4, 1),
            framing: Framing::Picture,
        };
        let images = from_folder(folder.path(), input).unwrap();
        assert_eq!(images, [vec![255; 16], vec![0; 16]]);

        std::fs::write(at("c.png"), "no PNG").unwrap();
        let refused = from_folder(folder.path(), input).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("c.png"), "{refused}");
    }

    /// Weights beside the file count as the file.
    #[test]
    fn the_hash_covers_the_weights() {
        let file = |weight: u8| File {
            bytes: vec![1, 2, 3],
            external: External::from([("a".to_owned(), vec![weight]), ("b".to_owned(), vec![9])]),
        };
        assert_eq!(file(4).sha256(), hex(&Sha256::digest([1, 2, 3, 4, 9])));
        assert_ne!(file(4).sha256(), file(5).sha256());
    }
}
