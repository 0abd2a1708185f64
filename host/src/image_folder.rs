//! A folder of pictures as a data set, so that people can try marks of their own.
//!
//! In: `DIR/class/*.png` or `DIR/alphabet/class/*.png` (PNG, JPEG, BMP or PGM, any size, dark on light
//! or light on dark). Out: a [`Dataset`] of ink on paper with at least two classes, each with at
//! least two pictures; or a [`FolderError`] that names the file and the fix.
//!
//! A picture becomes ink as on the device (`shared::capture`): its light is evened out, and what differs
//! most from the paper is ink. It is made smaller to fit; which part a network sees is the network's choice.
//! Drawing `i` of every class is its `i`-th file by name: where the same person always made the same
//! number, query and support are by different people.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use shared::capture::Look;
use shared::link::Quality;
use shared::shape::Hwc;
use shared::support_set::MAX_CAPTURE;

use crate::dataset::{Alphabet, Character, Dataset, Drawing};
use crate::device::images::{Grey, ImageError, pictures_in};

/// Fewest pictures of a class: one to learn from, one to ask with.
const FEWEST: usize = 2;

/// What a folder holds.
#[derive(Debug)]
pub struct ImageFolder {
    /// The drawings.
    pub dataset: Dataset,
    /// What its owner should know, in sentences.
    pub remarks: Vec<String>,
}

/// Reads a folder of folders of pictures.
///
/// # Errors
/// [`FolderError`].
pub fn load(folder: &Path) -> Result<ImageFolder, FolderError> {
    let mut remarks = Vec::new();
    let mut alphabets = Vec::new();
    for (folder, classes) in alphabets_in(folder)? {
        let characters = classes.iter().map(|class| character(class, &mut remarks));
        alphabets.push(Alphabet {
            name: name(&folder),
            characters: characters.collect::<Result<_, _>>()?,
        });
    }
    let dataset = Dataset { alphabets };
    if dataset.n_characters() < 2 {
        return Err(FolderError::OneClass {
            path: folder.into(),
        });
    }
    remarks.extend(dataset.alphabets.iter().filter_map(uneven));
    Ok(ImageFolder { dataset, remarks })
}

/// The folders of each alphabet's classes: one alphabet, where the folders in `folder` hold pictures.
fn alphabets_in(folder: &Path) -> Result<Vec<(PathBuf, Vec<PathBuf>)>, FolderError> {
    let mut alphabets = Vec::new();
    let mut classes = Vec::new();
    for inner in folders_in(folder)? {
        let below = folders_in(&inner)?;
        match (pictures_in(&inner)?.is_empty(), below.is_empty()) {
            (false, true) => classes.push(inner),
            (true, false) => alphabets.push((inner, below)),
            (false, false) => return Err(FolderError::Both { path: inner }),
            (true, true) => {
                return Err(FolderError::TooFew {
                    path: inner,
                    got: 0,
                });
            }
        }
    }
    match (classes.is_empty(), alphabets.first()) {
        (true, None) => Err(FolderError::NoFolders {
            path: folder.into(),
        }),
        (true, Some(_)) => Ok(alphabets),
        (false, None) => Ok(vec![(folder.into(), classes)]),
        (false, Some((alphabet, _))) => Err(FolderError::Depths {
            class: classes.swap_remove(0),
            alphabet: alphabet.clone(),
        }),
    }
}

/// The folders directly in a folder, by name, without hidden ones.
fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let failed = |source| ImageError::Read {
        path: folder.into(),
        source,
    };
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() && !name(&path).starts_with('.') {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn name(path: &Path) -> String {
    // `.` and `..` have no name of their own.
    let whole = path.canonicalize().unwrap_or_else(|_| path.into());
    whole
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn character(folder: &Path, remarks: &mut Vec<String>) -> Result<Character, FolderError> {
    let paths = pictures_in(folder)?;
    if paths.len() < FEWEST {
        return Err(FolderError::TooFew {
            path: folder.into(),
            got: paths.len(),
        });
    }
    let read = paths.par_iter().map(|path| drawing(path));
    let read = read.collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashMap::new();
    let mut drawings = Vec::new();
    for (path, (drawing, remark)) in paths.into_iter().zip(read) {
        remarks.extend(remark);
        if let Some(first) = seen.insert(drawing.clone(), path.clone()) {
            return Err(FolderError::Twice {
                first,
                second: path,
            });
        }
        drawings.push(Arc::new(drawing));
    }
    Ok(Character {
        name: name(folder),
        drawings,
    })
}

/// A picture as ink, and what speaks against it.
fn drawing(path: &Path) -> Result<(Drawing, Option<String>), FolderError> {
    let Grey { h, w, pixels } = Grey::read(path)?.fit(MAX_CAPTURE);
    let look = Look::at(&pixels, Hwc::new(h, w, 1));
    let remark = match look.quality() {
        Quality::Empty => return Err(FolderError::NoMark { path: path.into() }),
        Quality::Full => "is half ink or more",
        Quality::Faint => "is faint",
        Quality::Clipped => "touches the picture's edge",
        Quality::Several => "looks like several",
        Quality::Blurred => "is blurred",
        Quality::Good => "",
    };
    let remark = (!remark.is_empty()).then(|| {
        format!(
            "{}: the mark {remark}; a device would say so",
            path.display()
        )
    });
    let mut ink = pixels;
    look.develop(&mut ink);
    Ok((Drawing { h, w, ink }, remark))
}

/// Trials take as many drawings of each class as the class with the fewest has.
fn uneven(alphabet: &Alphabet) -> Option<String> {
    let fewest = alphabet.n_drawers();
    let more = alphabet
        .characters
        .iter()
        .filter(|c| c.drawings.len() > fewest);
    let more: Vec<&str> = more.map(|character| character.name.as_str()).collect();
    let (first, name) = (more.first()?, &alphabet.name);
    Some(format!(
        "{name}: the classes have different numbers of pictures; trials within it use the first {fewest} of each, so not all of {} ({first} …)",
        more.len()
    ))
}

/// Why a folder cannot be evaluated on.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A picture or folder cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// No folder in it.
    #[error(
        "{path} holds no folders\nnext: put the pictures of each class into a folder of their own: {path}/class/1.png, or {path}/alphabet/class/1.png"
    )]
    NoFolders {
        /// The folder.
        path: PathBuf,
    },
    /// A folder with pictures and folders.
    #[error(
        "{path} holds pictures and folders\nnext: move the pictures into a folder of their own class, or take the folders away"
    )]
    Both {
        /// The folder.
        path: PathBuf,
    },
    /// Classes at two depths.
    #[error(
        "{class} holds pictures and {alphabet} holds folders\nnext: let all of them be classes, or all of them alphabets"
    )]
    Depths {
        /// A folder with pictures.
        class: PathBuf,
        /// A folder with folders.
        alphabet: PathBuf,
    },
    /// A class with too few pictures.
    #[error(
        "the class {path} holds {got} pictures (PNG, JPEG, BMP or PGM); a trial needs {FEWEST}, one to learn from and one to ask with\nnext: add pictures, or take the folder away"
    )]
    TooFew {
        /// The class's folder.
        path: PathBuf,
        /// Its pictures.
        got: usize,
    },
    /// Nothing to tell apart.
    #[error("{path} holds one class\nnext: add a folder for a second one")]
    OneClass {
        /// The folder.
        path: PathBuf,
    },
    /// No mark in a picture.
    #[error(
        "{path} shows no mark\nnext: take the file away, or draw darker or lighter than the paper"
    )]
    NoMark {
        /// The file.
        path: PathBuf,
    },
    /// A picture that is there twice: asking with what was learned proves nothing.
    #[error("{second} is the same picture as {first}\nnext: take one of them away")]
    Twice {
        /// The one.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

#[cfg(test)]
mod tests;
