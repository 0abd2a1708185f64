//! Omniglot (Lake et al. 2015) from its archives or from folders.
//!
//! In: a folder that holds `images_background`, `images_evaluation` and `all_runs`, each as a zip
//! archive or unpacked. Out: [`Dataset`]s and Lake's [`Run`]s, ink 255 on paper 0, or a
//! [`DataError`] that names the file and the fix.

mod archive;
mod locate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

pub use locate::{DATA_VARIABLE, Places, Source};

use crate::dataset::{Alphabet, Character, Dataset, Drawing};
use archive::Entry;

/// Stem of the background half.
pub const BACKGROUND: &str = "images_background";
/// Stem of the evaluation half.
pub const EVALUATION: &str = "images_evaluation";
/// Stem of Lake's runs.
pub const RUNS: &str = "all_runs";

/// One of Lake's 20 runs: 20 support drawings by one drawer, 20 queries by another.
#[derive(Debug, Clone)]
pub struct Run {
    /// One per class.
    pub support: Vec<Arc<Drawing>>,
    /// The drawings to name.
    pub queries: Vec<Arc<Drawing>>,
    /// Per query, its class: an index into `support`.
    pub answers: Vec<usize>,
}

/// Reads the background half.
///
/// # Errors
/// [`DataError`].
pub fn load_background(source: &Source) -> Result<Dataset, DataError> {
    load_half(source, BACKGROUND)
}

/// Reads the evaluation half.
///
/// # Errors
/// [`DataError`].
pub fn load_evaluation(source: &Source) -> Result<Dataset, DataError> {
    load_half(source, EVALUATION)
}

/// Reads Lake's 20 runs.
///
/// # Errors
/// [`DataError`].
pub fn load_runs(source: &Source) -> Result<Vec<Run>, DataError> {
    let at = source.part(RUNS)?;
    let mut by_run: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for entry in archive::entries(&at)? {
        let mut parts = entry.path.rsplitn(3, '/').map(str::to_owned);
        let (Some(name), Some(folder)) = (parts.next(), parts.next()) else {
            continue;
        };
        // `run01/class_labels.txt`, `run01/test/item01.png`, `run01/training/class01.png`.
        let (run, path) = match parts.next() {
            Some(head) if folder == "test" || folder == "training" => {
                let run = head.rsplit('/').next().unwrap_or_default().to_owned();
                (run, format!("{folder}/{name}"))
            }
            _ => (folder, name),
        };
        if run.starts_with("run") {
            by_run.entry(run).or_default().insert(path, entry.bytes);
        }
    }
    if by_run.is_empty() {
        return Err(DataError::NoImages {
            path: at,
            expected: "runNN/training/classNN.png",
        });
    }
    by_run
        .into_iter()
        .map(|(name, files)| read_run(&at, &name, &files))
        .collect()
}

fn read_run(at: &Path, run: &str, files: &BTreeMap<String, Vec<u8>>) -> Result<Run, DataError> {
    let image = |path: &str| {
        let at = at.join(run).join(path);
        let bytes = files
            .get(path)
            .ok_or_else(|| DataError::Missing { path: at.clone() })?;
        decode(bytes)
            .map(Arc::new)
            .map_err(|message| DataError::Image { path: at, message })
    };
    let labels_at = at.join(run).join("class_labels.txt");
    let labels = files
        .get("class_labels.txt")
        .ok_or_else(|| DataError::Missing {
            path: labels_at.clone(),
        })?;
    let supports: Vec<&String> = files
        .keys()
        .filter(|p| p.starts_with("training/"))
        .collect();
    let support = supports
        .iter()
        .map(|path| image(path))
        .collect::<Result<_, _>>()?;
    let (mut queries, mut answers) = (Vec::new(), Vec::new());
    for line in String::from_utf8_lossy(labels)
        .lines()
        .filter(|line| !line.trim().is_empty())
    {
        let malformed = || DataError::Labels {
            path: labels_at.clone(),
            line: line.to_owned(),
        };
        let mut paths = line
            .split_whitespace()
            .map(|p| p.trim_start_matches(run).trim_start_matches('/'));
        let (Some(query), Some(class)) = (paths.next(), paths.next()) else {
            return Err(malformed());
        };
        let answer = supports
            .iter()
            .position(|path| path.as_str() == class)
            .ok_or_else(malformed)?;
        queries.push(image(query)?);
        answers.push(answer);
    }
    Ok(Run {
        support,
        queries,
        answers,
    })
}

/// Reads `<stem>/<Alphabet>/characterNN/XXXX_DD.png`.
fn load_half(source: &Source, stem: &'static str) -> Result<Dataset, DataError> {
    let at = source.part(stem)?;
    let entries = archive::entries(&at)?;
    let decoded: Vec<_> = entries
        .into_par_iter()
        .filter_map(|entry| decode_entry(&at, entry).transpose())
        .collect::<Result<_, _>>()?;
    let mut alphabets: BTreeMap<String, BTreeMap<String, BTreeMap<String, Arc<Drawing>>>> =
        BTreeMap::new();
    for ([alphabet, character, file], drawing) in decoded {
        let characters = alphabets.entry(alphabet).or_default();
        characters
            .entry(character)
            .or_default()
            .insert(file, Arc::new(drawing));
    }
    if alphabets.is_empty() {
        return Err(DataError::NoImages {
            path: at,
            expected: "Alphabet/characterNN/NNNN_NN.png",
        });
    }
    let alphabets = alphabets.into_iter().map(|(name, characters)| Alphabet {
        name,
        characters: characters
            .into_iter()
            .map(|(name, drawings)| Character {
                name,
                drawings: drawings.into_values().collect(),
            })
            .collect(),
    });
    let dataset = Dataset {
        alphabets: alphabets.collect(),
    };
    check_drawers(&at, &dataset)?;
    Ok(dataset)
}

/// Every character of an alphabet must be drawn by all its drawers, or drawing `i` would not be by
/// drawer `i`.
fn check_drawers(at: &Path, dataset: &Dataset) -> Result<(), DataError> {
    for alphabet in &dataset.alphabets {
        let expected = alphabet
            .characters
            .iter()
            .map(|c| c.drawings.len())
            .max()
            .unwrap_or(0);
        let short = alphabet
            .characters
            .iter()
            .find(|c| c.drawings.len() != expected);
        if let Some(character) = short {
            return Err(DataError::Incomplete {
                path: at.join(&alphabet.name).join(&character.name),
                expected,
                got: character.drawings.len(),
            });
        }
    }
    Ok(())
}

/// A drawing with its alphabet, character and file name; `None` for what is not an image.
fn decode_entry(at: &Path, entry: Entry) -> Result<Option<([String; 3], Drawing)>, DataError> {
    let mut parts = entry.path.rsplitn(4, '/').map(str::to_owned);
    let (Some(file), Some(character), Some(alphabet)) = (parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    if !file.ends_with(".png") {
        return Ok(None);
    }
    let drawing = decode(&entry.bytes).map_err(|message| DataError::Image {
        path: at.join(&entry.path),
        message,
    })?;
    Ok(Some(([alphabet, character, file], drawing)))
}

/// A grey or black-and-white PNG to ink: dark is 255.
pub(crate) fn decode(bytes: &[u8]) -> Result<Drawing, String> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let size = reader
        .output_buffer_size()
        .ok_or("the image is too large")?;
    let mut pixels = vec![0; size];
    let info = reader
        .next_frame(&mut pixels)
        .map_err(|error| error.to_string())?;
    if info.color_type != png::ColorType::Grayscale {
        return Err(format!(
            "colour type {:?}; expected greyscale",
            info.color_type
        ));
    }
    let (h, w) = (info.height as usize, info.width as usize);
    pixels.truncate(h * w);
    for pixel in &mut pixels {
        *pixel = 255 - *pixel;
    }
    Ok(Drawing { h, w, ink: pixels })
}

/// Why Omniglot cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Nothing anywhere.
    #[error(
        "Omniglot was not found (looked in {}); run `onelook download`, or name its folder with --data or {DATA_VARIABLE}",
        looked.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    NotFound {
        /// Folders without data.
        looked: Vec<PathBuf>,
    },
    /// A folder named by the user holds no part of Omniglot.
    #[error(
        "{path} holds none of images_background, images_evaluation, all_runs (as folder or .zip); name the folder that does"
    )]
    NotOmniglot {
        /// The folder.
        path: PathBuf,
    },
    /// A half or the runs are not there.
    #[error(
        "{path}: {part} is missing, neither as folder nor as .zip; get it with `onelook download`"
    )]
    Part {
        /// The folder.
        path: PathBuf,
        /// What is not there.
        part: &'static str,
    },
    /// A file or folder cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a zip archive, or not all of it.
    #[error("{path} is not a whole zip archive ({message}); delete it and download it again")]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// Nothing in it that looks like Omniglot.
    #[error("{path} holds no image named {expected}")]
    NoImages {
        /// The archive or folder.
        path: PathBuf,
        /// The names it should hold.
        expected: &'static str,
    },
    /// An image cannot be decoded.
    #[error("{path} is not a readable PNG ({message}); download the archive again")]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A character lacks drawings.
    #[error(
        "{path} holds {got} drawings, the alphabet's others {expected}; download the archive again"
    )]
    Incomplete {
        /// The character.
        path: PathBuf,
        /// Drawings of the other characters.
        expected: usize,
        /// Drawings of this one.
        got: usize,
    },
    /// A file of a run is not there.
    #[error("{path} is missing; download the archive again")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A line of a run's labels is not `query class`.
    #[error("{path}: the line `{line}` does not name a query and a class of this run")]
    Labels {
        /// The file.
        path: PathBuf,
        /// The line.
        line: String,
    },
}

#[cfg(test)]
mod tests;
