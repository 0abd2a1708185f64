//! The events of a search in a file that several processes share.
//!
//! In: a folder. Out: its [`Study`], and a place for more events. One event is one line of JSON. Whoever reads
//! to decide and writes what was decided holds the file's lock in between, so that no trial is decided twice. A line
//! without an end is of a process that died while it wrote: it is cut off, nobody has acted on it. A [`Claim`]
//! is a lock on a file of the trial: it is gone when its process is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::SearchError;
use super::study::{Event, FORMAT, Settings, Study};
use crate::files::{WriteError, create_folder};

/// Name of the journal in a search's folder.
pub const JOURNAL: &str = "journal.jsonl";
/// Folder of the trials in a search's folder.
const TRIALS: &str = "trials";
/// Name of the file in a trial's folder that its worker has locked.
const CLAIM: &str = "claim";

/// The journal, locked.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// What its events come to; `None` in a journal that is empty.
    study: Option<Study>,
}

/// A trial that this process trains: let go of when it is dropped, and when the process ends.
#[derive(Debug)]
pub struct Claim {
    /// Holds the lock.
    _file: File,
    /// The trial's folder.
    pub folder: PathBuf,
}

impl Journal {
    /// Opens the journal of a folder, which is created where it is not there, and waits until nobody else has it.
    ///
    /// # Errors
    /// [`SearchError`] naming the file, and the line where one is damaged.
    pub fn open(folder: &Path) -> Result<Self, SearchError> {
        create_folder(folder)?;
        let path = folder.join(JOURNAL);
        let failed = |error: std::io::Error| SearchError::file(&path, error);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut file = options.open(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let whole = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        if whole < bytes.len() {
            let at = path.display();
            eprintln!("{at}: the last line was not written to its end; it is cut off");
            file.set_len(whole as u64).map_err(failed)?;
            file.seek(SeekFrom::End(0)).map_err(failed)?;
            bytes.truncate(whole);
        }
        let study = replay(&path, &bytes)?;
        Ok(Self { path, file, study })
    }

    /// What is known so far.
    #[must_use]
    pub const fn study(&self) -> Option<&Study> {
        self.study.as_ref()
    }

    /// Begins the search of an empty journal.
    ///
    /// # Errors
    /// [`SearchError`] naming the file.
    pub fn begin(&mut self, settings: Settings) -> Result<&Study, SearchError> {
        self.write(&Event::Search(settings.clone()))?;
        Ok(self.study.insert(Study::new(settings)))
    }

    /// Appends an event, onto the disk.
    ///
    /// # Errors
    /// [`SearchError`] naming the file; or the event cannot follow those before it.
    pub fn append(&mut self, event: Event) -> Result<&Study, SearchError> {
        let path = &self.path;
        let study = self.study.as_mut();
        let study = study.ok_or_else(|| SearchError::file(path, "the search has not begun"))?;
        let mut after = study.clone();
        after
            .follow(event.clone())
            .map_err(|message| SearchError::file(path, message))?;
        self.write(&event)?;
        Ok(self.study.insert(after))
    }

    fn write(&mut self, event: &Event) -> Result<(), SearchError> {
        let line = serde_json::to_string(event).unwrap_or_default() + "\n";
        let written = self.file.write_all(line.as_bytes());
        let written = written.and_then(|()| self.file.sync_data());
        written.map_err(|source| {
            let path = self.path.clone();
            WriteError { path, source }.into()
        })
    }
}

/// Events to a study; the first one says what it is about.
fn replay(path: &Path, bytes: &[u8]) -> Result<Option<Study>, SearchError> {
    let mut study: Option<Study> = None;
    // The last piece is what stands behind the last end of a line: nothing.
    let lines = bytes.split(|&byte| byte == b'\n');
    let count = lines.clone().count() - 1;
    for (index, line) in lines.take(count).enumerate() {
        let damaged = |message: String| SearchError::Journal {
            path: path.into(),
            line: index + 1,
            message,
        };
        let event: Event =
            serde_json::from_slice(line).map_err(|error| damaged(format!("no event: {error}")))?;
        match (&mut study, event) {
            (None, Event::Search(settings)) if settings.format == FORMAT => {
                study = Some(Study::new(settings));
            }
            (None, Event::Search(settings)) => {
                let format = settings.format;
                let message = format!(
                    "format {format} is of another version of onelook, this one reads {FORMAT}"
                );
                return Err(damaged(message));
            }
            (None, _) => return Err(damaged("the first event must be `search`".to_owned())),
            (Some(study), event) => study.follow(event).map_err(damaged)?,
        }
    }
    Ok(study)
}

/// The folder of a trial.
#[must_use]
pub fn trial_folder(folder: &Path, trial: usize) -> PathBuf {
    folder.join(TRIALS).join(format!("{trial:03}"))
}

/// Claims a trial; `None` where another worker has it.
///
/// # Errors
/// [`SearchError`] naming the file.
pub fn claim(folder: &Path, trial: usize) -> Result<Option<Claim>, SearchError> {
    let folder = trial_folder(folder, trial);
    create_folder(&folder)?;
    let path = folder.join(CLAIM);
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).open(&path);
    let file = file.map_err(|error| SearchError::file(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Claim {
            _file: file,
            folder,
        })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(SearchError::file(&path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::field::Value;
    use crate::search::study::{Score, tests::settings};

    fn proposed(trial: usize) -> Event {
        Event::Proposed {
            trial,
            values: vec![Value::Real(0.5)],
        }
    }

    fn begun(folder: &Path) -> String {
        let mut journal = Journal::open(folder).unwrap();
        journal.begin(settings(&[10, 30], 2)).unwrap();
        journal.append(Event::Wanted { trials: 3 }).unwrap();
        journal.append(proposed(0)).unwrap();
        let score = Score {
            step: 10,
            accuracy: 1.0 / 3.0,
            standard_error: 0.01,
            seconds: 1.5,
        };
        journal
            .append(Event::Scored {
                trial: 0,
                rung: 0,
                score,
            })
            .unwrap();
        std::fs::read_to_string(folder.join(JOURNAL)).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        begun(folder.path());
        let journal = Journal::open(folder.path()).unwrap();
        let study = journal.study().unwrap();
        assert!(study.wanted == 3 && study.trials.len() == 1);
        assert!((study.trials[0].scores[0].accuracy - 1.0 / 3.0).abs() < 1e-15);
    }

    /// Cut anywhere: the events before the cut are there, and the next one can be written.
    #[test]
    fn a_torn_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let text = begun(folder.path());
        let path = folder.path().join(JOURNAL);
        let lines: Vec<&str> = text.lines().collect();
        let (last, head) = lines.split_last().unwrap();
        let head: String = head.iter().map(|line| format!("{line}\n")).collect();
        for end in 1..=last.len() {
            std::fs::write(&path, format!("{head}{}", &last[..end])).unwrap();
            let mut journal = Journal::open(folder.path()).unwrap();
            assert!(journal.study().unwrap().trials[0].scores.is_empty());
            journal
                .append(Event::Started { trial: 0, rung: 0 })
                .unwrap();
            drop(journal);
            let repaired = Journal::open(folder.path()).unwrap();
            assert_eq!(repaired.study().unwrap().trials[0].started, Some(0));
        }
    }

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let text = begun(folder.path());
        let path = folder.path().join(JOURNAL);
        let refused = |text: String| {
            std::fs::write(&path, text).unwrap();
            Journal::open(folder.path()).unwrap_err().to_string()
        };
        let damaged = refused(text.replace("\"wanted\"", "\"wan"));
        assert!(
            damaged.contains("journal.jsonl, line 2: no event"),
            "{damaged}"
        );
        let twice = refused(format!("{text}{}\n", text.lines().nth(3).unwrap()));
        assert!(
            twice.contains("line 5: trial 0 is not on its way to rung 0"),
            "{twice}"
        );
        let newer = refused(text.replace("\"format\":1", "\"format\":2"));
        assert!(newer.contains("line 1: format 2"), "{newer}");
        let headless = refused(
            text.lines()
                .skip(1)
                .map(|line| format!("{line}\n"))
                .collect(),
        );
        assert!(headless.contains("line 1: the first event"), "{headless}");
    }

    #[test]
    fn many_may_write() {
        let folder = tempfile::tempdir().unwrap();
        Journal::open(folder.path())
            .unwrap()
            .begin(settings(&[10], 2))
            .unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let mut journal = Journal::open(folder.path()).unwrap();
                        let trial = journal.study().unwrap().trials.len();
                        journal.append(proposed(trial)).unwrap();
                    }
                });
            }
        });
        let journal = Journal::open(folder.path()).unwrap();
        assert_eq!(journal.study().unwrap().trials.len(), 40);
    }

    #[test]
    fn a_trial_is_claimed_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = claim(folder.path(), 7).unwrap().unwrap();
        assert!(first.folder.ends_with("trials/007"));
        assert!(claim(folder.path(), 7).unwrap().is_none());
        assert!(claim(folder.path(), 8).unwrap().is_some());
        drop(first);
        assert!(claim(folder.path(), 7).unwrap().is_some());
    }
}
