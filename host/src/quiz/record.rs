//! The record of a quiz: JSON lines, the first says what is asked, every other is an answer.
//!
//! In: answers as they are given. Out: a file with all of them, each on disk before the next question,
//! that an interrupted quiz goes on from; or a [`RecordError`] that names the line and the fix. Nothing in
//! it tells the truth about a trial that is not answered. It is locked while a quiz has it open: two would answer the same trials.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::questions::{Plan, Questions};

/// What the first line says that it is.
pub const FORMAT: &str = "onelook-quiz-1";

/// The first line: what draws the same trials again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// Version of the program that began it.
    pub version: String,
    /// `omniglot` or `synthetic`.
    pub data: String,
    /// What was chosen, and how.
    #[serde(flatten)]
    pub plan: Plan,
    /// [`Questions::fingerprint`].
    pub sha256: String,
}

impl Header {
    /// For questions from those drawings.
    #[must_use]
    pub fn of(questions: &Questions, data: &str) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data: data.to_owned(),
            plan: questions.plan(),
            sha256: questions.fingerprint(),
        }
    }
}

/// Any other line. Trials and classes count from 1, as they were shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Which trial.
    pub trial: usize,
    /// The class that the person took.
    pub given: usize,
    /// The right one.
    pub truth: usize,
    /// From the question to the answer.
    pub seconds: f64,
    /// The query's alphabet.
    pub alphabet: String,
    /// The query's character.
    pub character: String,
    /// The character of the class that the person took.
    pub taken_for: String,
}

/// An open record.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    file: File,
    header: Header,
    /// By trial.
    answers: Vec<Option<Answer>>,
    /// Whether the last line lacks its end.
    unended: bool,
}

impl Record {
    /// Begins a record; an older one is never overwritten.
    ///
    /// # Errors
    /// [`RecordError`] when the file exists, or cannot be written.
    pub fn create(path: &Path, header: Header) -> Result<Self, RecordError> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create_new(true).open(path);
        let file = file.map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => RecordError::Exists { path: path.into() },
            _ => RecordError::write(path, source),
        })?;
        lock(path, &file)?;
        let mut record = Self {
            path: path.into(),
            file,
            answers: vec![None; header.plan.trials],
            header,
            unended: false,
        };
        let line = serde_json::to_string(&record.header);
        record.append(&line.map_err(|error| RecordError::write(path, error.into()))?)?;
        Ok(record)
    }

    /// What a record asks, read before its trials are drawn again.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn header(path: &Path) -> Result<Header, RecordError> {
        let bytes = std::fs::read(path).map_err(|source| RecordError::read(path, source))?;
        parse_header(path, &bytes)
    }

    /// Goes on with a record of these questions.
    ///
    /// # Errors
    /// [`RecordError`] naming the line that is damaged, or saying that it is about other trials.
    pub fn resume(path: &Path, questions: &Questions) -> Result<Self, RecordError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).open(path);
        let mut file = file.map_err(|source| RecordError::write(path, source))?;
        lock(path, &file)?;
        let mut bytes = Vec::new();
        let read = file.read_to_end(&mut bytes);
        read.map_err(|source| RecordError::read(path, source))?;
        let header = parse_header(path, &bytes)?;
        if header.sha256 != questions.fingerprint() {
            return Err(RecordError::Others { path: path.into() });
        }
        let mut answers = vec![None; header.plan.trials];
        for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate().skip(1) {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let parsed = parse_answer(line, questions, &answers);
            let answer = parsed.map_err(|reason| RecordError::Line {
                path: path.into(),
                line: index + 1,
                reason,
            })?;
            let place = answer.trial - 1;
            answers[place] = Some(answer);
        }
        Ok(Self {
            path: path.into(),
            file,
            header,
            answers,
            unended: bytes.last() != Some(&b'\n'),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `omniglot` or `synthetic`.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.header.data
    }

    /// By trial.
    #[must_use]
    pub fn answers(&self) -> &[Option<Answer>] {
        &self.answers
    }

    /// Writes an answer; it is on disk when this returns.
    ///
    /// # Errors
    /// [`RecordError`] when its trial is answered already, or it cannot be written.
    pub(super) fn keep(&mut self, answer: Answer) -> Result<(), RecordError> {
        let trial = answer.trial;
        match self.answers.get(trial.wrapping_sub(1)) {
            Some(None) => {}
            _ => return Err(RecordError::Answered { trial }),
        }
        let line = serde_json::to_string(&answer);
        let path = self.path.clone();
        self.append(&line.map_err(|error| RecordError::write(&path, error.into()))?)?;
        self.answers[trial - 1] = Some(answer);
        Ok(())
    }

    /// Removes a record in which nothing is answered: nobody will go on from it.
    pub fn discard_if_empty(&self) {
        if self.answers.iter().all(Option::is_none) {
            // What cannot be removed is a whole record that says the same.
            std::fs::remove_file(&self.path).ok();
        }
    }

    fn append(&mut self, line: &str) -> Result<(), RecordError> {
        let start = if self.unended { "\n" } else { "" };
        let text = format!("{start}{line}\n");
        let failed = |source| RecordError::write(&self.path, source);
        let end = self.file.metadata().map_err(failed)?.len();
        let written = self.file.write_all(text.as_bytes());
        if let Err(source) = written.and_then(|()| self.file.sync_data()) {
            // The answer may be given again: no part of this one must stay before it.
            self.file.set_len(end).ok();
            return Err(failed(source));
        }
        self.unended = false;
        Ok(())
    }
}

/// Until the file is closed, which it also is when this process ends.
fn lock(path: &Path, file: &File) -> Result<(), RecordError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => RecordError::Busy { path: path.into() },
        TryLockError::Error(source) => RecordError::write(path, source),
    })
}

fn parse_header(path: &Path, bytes: &[u8]) -> Result<Header, RecordError> {
    let wrong = |reason: String| RecordError::Header {
        path: path.into(),
        reason,
    };
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or(bytes);
    if line.trim_ascii().is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    let header: Header = serde_json::from_slice(line).map_err(|e| wrong(e.to_string()))?;
    if header.format != FORMAT {
        let format = &header.format;
        return Err(wrong(format!(
            "the format is {format:?}, this program reads {FORMAT:?}"
        )));
    }
    Ok(header)
}

/// An answer that belongs to these questions and to none that is answered already.
fn parse_answer(
    line: &[u8],
    questions: &Questions,
    answers: &[Option<Answer>],
) -> Result<Answer, String> {
    let answer: Answer = serde_json::from_slice(line).map_err(|error| {
        let cut = if error.is_eof() {
            "it is cut off: "
        } else {
            ""
        };
        format!("{cut}{error}")
    })?;
    let Answer {
        trial,
        given,
        truth,
        seconds,
        ..
    } = answer;
    let asked = questions.set().trials.get(trial.wrapping_sub(1));
    let asked = asked.ok_or_else(|| {
        let n = questions.set().trials.len();
        format!("`trial` is {trial}, and there are 1 to {n}")
    })?;
    if !(1..=questions.n_way()).contains(&given) {
        let n = questions.n_way();
        return Err(format!("`given` is {given}, and there are 1 to {n}"));
    }
    if truth != asked.answer + 1 {
        return Err(format!("`truth` is {truth}, which is not what was asked"));
    }
    if !(seconds.is_finite() && seconds >= 0.0) {
        return Err(format!("`seconds` is {seconds}"));
    }
    match answers.get(trial - 1) {
        Some(None) => Ok(answer),
        _ => Err(format!("trial {trial} is answered twice")),
    }
}

/// Why there is no record to write to.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is there already.
    #[error("{path} already holds a quiz; go on with --resume, or choose another --record")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Another quiz has it open.
    #[error("{path} is open in another quiz; end that one, or choose another --record")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read {path}: {source}; name the record of a quiz with --record")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The first line is damaged.
    #[error(
        "{path}, line 1: {reason}; this line says which trials were asked: put it back as it was, or begin another quiz with another --record"
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An answer is damaged.
    #[error(
        "{path}, line {line}: {reason}; put the line back as it was, or remove it: then its trial is asked again"
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// It is about other drawings.
    #[error(
        "{path}, line 1: `sha256`: its trials are not those of these drawings; name the ones that it was begun with by --data"
    )]
    Others {
        /// The file.
        path: PathBuf,
    },
    /// The trial has an answer.
    #[error("trial {trial} is answered already")]
    Answered {
        /// Which, from 1.
        trial: usize,
    },
    /// It cannot be written.
    #[error(
        "cannot write {path}: {source}; what was answered before is kept: check free space and permissions, then go on with --resume"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl RecordError {
    fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read {
            path: path.into(),
            source,
        }
    }

    fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write {
            path: path.into(),
            source,
        }
    }
}
