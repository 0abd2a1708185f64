//! Hyperparameter search: which recipe, and which network, learns best in a small budget.
//!
//! In: a configuration to start from, a [`space`] of what may change, a budget. Out: trials in a folder, the
//! best of them as a configuration. A trial is a training run like any other, judged by one-shot accuracy on
//! held-out background alphabets; evaluation alphabets are never read.
//!
//! Reading order: [`field`] and [`space`] (what may change), [`built_in`] (two spaces), [`sampler`] (the next
//! values to try, from the trials so far), [`study`] (the trials so far, from the events of a journal; which of them
//! train on), [`journal`] (the events, in a file that several processes share), [`worker`] (the loop), [`table`]
//! (what comes of it). Nothing here knows libtorch: the worker is given a function that trains.

pub mod built_in;
pub mod field;
pub mod journal;
pub mod sampler;
pub mod space;
pub mod study;
pub mod table;
pub mod worker;

use std::path::PathBuf;

use crate::files::WriteError;

/// Why a search stopped.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// A file of the search cannot be used.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the fix.
        message: String,
    },
    /// A line of the journal is damaged.
    #[error(
        "{path}, line {line}: {message}; remove that line and those below it, or start another search with --name"
    )]
    Journal {
        /// The journal.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The folder holds a search for something else.
    #[error(
        "{folder} holds a search with another {what}; leave out what differs, or choose another --name"
    )]
    Other {
        /// The folder.
        folder: PathBuf,
        /// What differs, with both values where they are short.
        what: String,
    },
    /// Nothing that the sampler proposes can be trained.
    #[error(
        "{tried} proposals in a row do not fit, the last one because: {why}; make the ranges of the search space smaller, under another --name"
    )]
    NothingFits {
        /// How many.
        tried: usize,
        /// Why the last one does not.
        why: String,
    },
    /// A trial could not be trained, for a reason that is not its values.
    #[error("trial {trial}: {message}")]
    Training {
        /// Which one.
        trial: usize,
        /// Why.
        message: String,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl SearchError {
    /// A file that cannot be used.
    fn file(path: &std::path::Path, message: impl std::fmt::Display) -> Self {
        Self::File {
            path: path.into(),
            message: message.to_string(),
        }
    }
}
