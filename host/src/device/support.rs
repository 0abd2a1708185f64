//! A support set as a folder: pictures, and a file that says what they are.
//!
//! In: samples from a device, or such a folder, or any folder whose names are classes. Out: the folder,
//! or labels with pictures to enrol. The pictures are what counts: a device embeds them anew.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shared::link::MAX_LABEL;

use super::images::{ImageError, is_picture, pictures_in};
use crate::files::{WriteError, write_whole};

/// The file that says what the pictures are.
pub const FILE: &str = "support-set.json";
/// What that file is, and its version.
const FORMAT: &str = "onelook-support-set-1";

/// A support set that was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupportSet {
    format: String,
    /// The board it comes from.
    pub board: String,
    /// Fingerprint of the model that was in use.
    pub model: Option<String>,
    /// Its samples, in order of enrolment.
    pub samples: Vec<Kept>,
}

/// One sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Its class.
    pub label: String,
    /// The name of its picture in the same folder.
    pub file: String,
}

/// A picture to enrol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// As which class.
    pub label: String,
    /// Which picture.
    pub picture: PathBuf,
}

/// A folder is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum SupportError {
    /// The description cannot be read.
    #[error("cannot read {path}: {source}\nnext: name a folder that `onelook device export` wrote")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The description is not one.
    #[error(
        "{path} is no support set: {reason}\nnext: export it again, or correct it at that place"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A name that cannot be a label.
    #[error(
        "{path} would be class `{label}`, but a label has 1 to {MAX_LABEL} bytes\nnext: give it a shorter name"
    )]
    Label {
        /// The picture or folder.
        path: PathBuf,
        /// Its name.
        label: String,
    },
    /// The pictures.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The folder cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl SupportSet {
    /// An empty one.
    #[must_use]
    pub fn new(board: &str, model: Option<&str>) -> Self {
        Self {
            format: FORMAT.into(),
            board: board.into(),
            model: model.map(Into::into),
            samples: Vec::new(),
        }
    }

    /// Adds a sample and returns the name for its picture.
    pub fn add(&mut self, label: &str) -> String {
        let readable = label.chars().map(|letter| {
            // A label may be anything; a file name on every system may not.
            if letter.is_alphanumeric() {
                letter
            } else {
                '_'
            }
        });
        let readable: String = readable.collect();
        let file = format!("{:04}-{readable}.png", self.samples.len());
        let label = label.into();
        self.samples.push(Kept {
            label,
            file: file.clone(),
        });
        file
    }

    /// Writes the description, the last thing to be written.
    ///
    /// # Errors
    /// [`SupportError::Write`].
    pub fn write(&self, folder: &Path) -> Result<(), SupportError> {
        let path = folder.join(FILE);
        let text = serde_json::to_vec_pretty(self).map_err(|error| SupportError::Format {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Ok(write_whole(&path, &text)?)
    }

    /// Reads the description.
    ///
    /// # Errors
    /// [`SupportError`] naming the file and the place in it.
    pub fn read(folder: &Path) -> Result<Self, SupportError> {
        let path = folder.join(FILE);
        let text = std::fs::read(&path).map_err(|source| SupportError::Read {
            path: path.clone(),
            source,
        })?;
        let wrong = |reason: String| SupportError::Format {
            path: path.clone(),
            reason,
        };
        let set: Self = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if set.format != FORMAT {
            return Err(wrong(format!(
                "its format is `{}`, not `{FORMAT}`",
                set.format
            )));
        }
        for Kept { label, file } in &set.samples {
            // A name from a file must not lead out of the folder.
            if Path::new(file).file_name() != Some(file.as_ref()) {
                return Err(wrong(format!(
                    "`{file}` is not the name of a file in the folder"
                )));
            }
            checked(label, &folder.join(file))?;
        }
        Ok(set)
    }

    /// Its samples as pictures to enrol.
    #[must_use]
    pub fn lessons(&self, folder: &Path) -> Vec<Lesson> {
        let lessons = self.samples.iter().map(|Kept { label, file }| Lesson {
            label: label.clone(),
            picture: folder.join(file),
        });
        lessons.collect()
    }
}

/// What a folder teaches: each folder in it is a class, and so is the name of each picture in it, up to
/// a number behind `-`: `A.png`, `A-2.png`.
///
/// # Errors
/// [`SupportError`] when there is no picture, or a name is no label.
pub fn lessons_in(folder: &Path) -> Result<Vec<Lesson>, SupportError> {
    let mut lessons = Vec::new();
    for picture in pictures_in(folder)? {
        let stem = picture.file_stem().unwrap_or_default().to_string_lossy();
        let label = checked(class_of(&stem), &picture)?;
        lessons.push(Lesson { label, picture });
    }
    let read = |source| ImageError::Read {
        path: folder.into(),
        source,
    };
    let entries = std::fs::read_dir(folder).map_err(read)?;
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    for class in folders {
        let name = class.file_name().unwrap_or_default().to_string_lossy();
        for picture in pictures_in(&class)? {
            let label = checked(&name, &class)?;
            lessons.push(Lesson { label, picture });
        }
    }
    if lessons.is_empty() {
        let next =
            "put in a folder of pictures for each class, or pictures named A.png, A-2.png, B.png";
        let path = folder.into();
        return Err(ImageError::None { path, next }.into());
    }
    Ok(lessons)
}

/// One picture under a label, or a folder's pictures under their own or that label.
///
/// # Errors
/// As [`lessons_in`].
pub fn lessons_at(path: &Path, label: Option<&str>) -> Result<Vec<Lesson>, SupportError> {
    let mut lessons = if path.is_dir() {
        lessons_in(path)?
    } else {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let label = checked(label.unwrap_or_else(|| class_of(&stem)), path)?;
        let picture = path.into();
        vec![Lesson { label, picture }]
    };
    if let Some(label) = label {
        for lesson in &mut lessons {
            lesson.label = checked(label, path)?;
        }
    }
    Ok(lessons)
}

/// Pictures to look at: one, or those of a folder.
///
/// # Errors
/// [`ImageError`] when there is none.
pub fn pictures_at(path: &Path) -> Result<Vec<PathBuf>, ImageError> {
    if !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let pictures = pictures_in(path)?;
    if pictures.is_empty() {
        let next = "put pictures in it, or name another folder";
        let path = path.into();
        return Err(ImageError::None { path, next });
    }
    debug_assert!(pictures.iter().all(|picture| is_picture(picture)));
    Ok(pictures)
}

fn class_of(stem: &str) -> &str {
    match stem.rsplit_once('-') {
        Some((class, number))
            if !class.is_empty()
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            class
        }
        _ => stem,
    }
}

fn checked(label: &str, path: &Path) -> Result<String, SupportError> {
    if (1..=MAX_LABEL).contains(&label.len()) {
        return Ok(label.into());
    }
    Err(SupportError::Label {
        path: path.into(),
        label: label.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_classes() {
        assert_eq!(class_of("A"), "A");
        assert_eq!(class_of("A-2"), "A");
        assert_eq!(class_of("left-hand"), "left-hand");
        assert_eq!(class_of("left-hand-12"), "left-hand");
        assert_eq!((class_of("-2"), class_of("A-")), ("-2", "A-"));
    }

    #[test]
    fn a_folder_teaches_by_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert!(lessons_in(at).unwrap_err().to_string().contains("A-2.png"));
        std::fs::create_dir(at.join("star")).unwrap();
        for name in ["A.png", "A-2.PGM", "notes.txt", "star/x.png"] {
            std::fs::write(at.join(name), b"").unwrap();
        }
        let lessons = lessons_in(at).unwrap();
        let labels: Vec<&str> = lessons.iter().map(|lesson| lesson.label.as_str()).collect();
        assert_eq!(labels, ["A", "A", "star"]);
        let all = lessons_at(at, Some("B")).unwrap();
        assert!(all.iter().all(|lesson| lesson.label == "B"));
        let one = lessons_at(&at.join("A-2.PGM"), None).unwrap();
        assert_eq!(one[0].label, "A");
        std::fs::write(at.join(format!("{}.png", "x".repeat(33))), b"").unwrap();
        assert!(matches!(
            lessons_in(at).unwrap_err(),
            SupportError::Label { .. }
        ));
    }

    #[test]
    fn a_support_set_comes_back_and_stays_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let mut set = SupportSet::new("an386", Some("00ff"));
        assert_eq!(set.add("a/b"), "0000-a_b.png");
        set.add("ü");
        set.write(at).unwrap();
        let back = SupportSet::read(at).unwrap();
        assert_eq!(back, set);
        assert_eq!(back.lessons(at)[0].label, "a/b");
        for file in ["../x.png", "/x.png", "", ".."] {
            set.samples[0].file = file.into();
            set.write(at).unwrap();
            assert!(
                matches!(SupportSet::read(at), Err(SupportError::Format { .. })),
                "{file}"
            );
        }
    }
}
