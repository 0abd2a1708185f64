//! Where Omniglot is: the command line, then the environment, then the cache.
//!
//! In: the places to look. Out: a [`Source`], which knows where each part lies.

use std::path::{Path, PathBuf};

use super::{BACKGROUND, DataError, EVALUATION, RUNS};

/// Environment variable with the folder of Omniglot.
pub const DATA_VARIABLE: &str = "ONELOOK_DATA";

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// `--data`.
    pub data: Option<PathBuf>,
    /// [`DATA_VARIABLE`].
    pub variable: Option<PathBuf>,
    /// The folder that `onelook download` fills.
    pub downloaded: PathBuf,
}

/// A folder with at least one part of Omniglot.
#[derive(Debug, Clone)]
pub struct Source {
    folder: PathBuf,
}

impl Places {
    /// The places of this process.
    #[must_use]
    pub fn of_process(data: Option<PathBuf>, downloaded: PathBuf) -> Self {
        let variable = std::env::var_os(DATA_VARIABLE).filter(|value| !value.is_empty());
        Self {
            data,
            variable: variable.map(PathBuf::from),
            downloaded,
        }
    }

    /// The first place that was named, or the downloaded one.
    ///
    /// # Errors
    /// [`DataError::NotOmniglot`] when a place named by the user holds nothing (the others are then
    /// not asked: a typing error must not train on other data), [`DataError::NotFound`] when none
    /// was named and nothing was downloaded.
    pub fn locate(&self) -> Result<Source, DataError> {
        if let Some(named) = self.data.as_ref().or(self.variable.as_ref()) {
            return Source::open(named);
        }
        Source::open(&self.downloaded).map_err(|_| DataError::NotFound {
            looked: vec![self.downloaded.clone()],
        })
    }
}

impl Source {
    /// A folder with parts of Omniglot, or one of its archives, whose folder is meant.
    ///
    /// # Errors
    /// [`DataError::Read`] when the path does not exist, [`DataError::NotOmniglot`] when it holds
    /// no part.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let metadata = std::fs::metadata(path).map_err(|source| DataError::Read {
            path: path.into(),
            source,
        })?;
        let is_part = |path: &Path| {
            let stem = path.file_stem().unwrap_or_default();
            [BACKGROUND, EVALUATION, RUNS]
                .iter()
                .any(|part| stem == *part)
        };
        let folder = if metadata.is_file() || is_part(path) {
            path.parent().unwrap_or(path)
        } else {
            path
        };
        let source = Self {
            folder: folder.into(),
        };
        let any = [BACKGROUND, EVALUATION, RUNS]
            .iter()
            .any(|part| source.part(part).is_ok());
        if any {
            Ok(source)
        } else {
            Err(DataError::NotOmniglot { path: path.into() })
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a part lies: its folder, or its archive.
    pub(super) fn part(&self, part: &'static str) -> Result<PathBuf, DataError> {
        let folder = self.folder.join(part);
        let archive = self.folder.join(format!("{part}.zip"));
        [folder, archive]
            .into_iter()
            .find(|path| path.exists())
            .ok_or_else(|| DataError::Part {
                path: self.folder.clone(),
                part,
            })
    }
}
