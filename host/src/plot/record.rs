//! What figures leave in a folder: their files, and a list of them.
//!
//! In: a drawn figure with its numbers. Out: three files of one stem and a [`Record`] in
//! [`FIGURES_FILE`]. A record names the model that its figure is about, so that no page ever shows the
//! figures of an older model.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::canvas::{Figure, png, svg};
use super::sheet::embedded;
use super::{PlotError, json};
use crate::files::write_whole;

/// Name of the list.
pub const FIGURES_FILE: &str = "figures.json";

/// A family of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Accuracy against the number of classes, within alphabet and mixed.
    Accuracy,
    /// Validation accuracy, loss and learning rate against the step.
    Training,
    /// A query and its support set, 9-, 25- and 36-way.
    Tasks,
    /// All characters of an alphabet.
    Alphabets,
    /// The wrong decisions on Lake's runs.
    Errors,
    /// True accepts against false accepts.
    Threshold,
}

impl Kind {
    /// Whether it shows drawings: a PNG first.
    #[must_use]
    pub const fn is_sheet(self) -> bool {
        matches!(self, Self::Tasks | Self::Alphabets | Self::Errors)
    }

    /// Whether it needs drawings alone, and no run.
    #[must_use]
    pub const fn is_of_drawings(self) -> bool {
        matches!(self, Self::Tasks | Self::Alphabets)
    }

    /// As on the command line.
    #[must_use]
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A figure in a folder; the files by their names there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Which family.
    pub kind: Kind,
    /// What it shows.
    pub title: String,
    /// How it was made.
    pub caption: String,
    /// The figure.
    pub svg: String,
    /// The same.
    pub png: String,
    /// Its numbers.
    pub data: String,
    /// SHA-256 of the model that it is about; none for a figure about the training alone.
    pub model_sha256: Option<String>,
}

/// The numbers of a figure as text.
#[derive(Debug)]
pub enum Numbers {
    /// A table.
    Csv(String),
    /// Anything else.
    Json(String),
}

/// Where figures go, and which model they are about.
#[derive(Debug)]
pub struct Folder<'a> {
    /// An existing folder.
    pub path: &'a Path,
    /// SHA-256 of the model.
    pub model_sha256: Option<String>,
}

impl Folder<'_> {
    /// Draws a figure twice and writes it with its numbers.
    ///
    /// # Errors
    /// [`PlotError`] of the drawing or of the file.
    pub fn write(
        &self,
        kind: Kind,
        stem: &str,
        figure: &impl Figure,
        numbers: &Numbers,
        caption: String,
    ) -> Result<Record, PlotError> {
        let (bitmap, vectors) = match kind.is_sheet() {
            true => embedded(figure)?,
            false => (png(figure)?, svg(figure)?),
        };
        let (extension, text) = match numbers {
            Numbers::Csv(text) => ("csv", text),
            Numbers::Json(text) => ("json", text),
        };
        let name = |extension| format!("{stem}.{extension}");
        let record = Record {
            kind,
            title: figure.title(),
            caption,
            svg: name("svg"),
            png: name("png"),
            data: name(extension),
            model_sha256: self.model_sha256.clone(),
        };
        write_whole(&self.path.join(&record.svg), vectors.as_bytes())?;
        write_whole(&self.path.join(&record.png), &bitmap)?;
        write_whole(&self.path.join(&record.data), text.as_bytes())?;
        Ok(record)
    }
}

impl Record {
    /// Its files in `folder`.
    #[must_use]
    pub fn files(&self, folder: &Path) -> [PathBuf; 3] {
        [&self.svg, &self.png, &self.data].map(|name| folder.join(name))
    }
}

/// The figures in a folder; none where there is no list.
///
/// # Errors
/// [`PlotError::File`] when the list cannot be read.
pub fn read(folder: &Path) -> Result<Vec<Record>, PlotError> {
    let path = folder.join(FIGURES_FILE);
    let failed = |error: &dyn std::fmt::Display| PlotError::File {
        path: path.clone(),
        message: format!("{error}; remove the file: `onelook plot` writes it again"),
    };
    match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(&error)),
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(&error)),
    }
}

/// Puts `new` in the place of all older figures of its kind, and writes the list.
///
/// # Errors
/// [`PlotError::Write`].
pub fn replace(
    folder: &Path,
    records: &mut Vec<Record>,
    kind: Kind,
    new: Vec<Record>,
) -> Result<(), PlotError> {
    records.retain(|record| record.kind != kind);
    records.extend(new);
    // Stable: the figures of one kind keep their order.
    records.sort_by_key(|record| record.kind);
    Ok(write_whole(
        &folder.join(FIGURES_FILE),
        json(records)?.as_bytes(),
    )?)
}
