//! The folder of a run: which one, and whether something may be written there.

use std::path::{Path, PathBuf};

use super::Failure;
use crate::search::journal::JOURNAL;

/// Where a run lives.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct RunArgs {
    /// Folder that holds the runs.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Name of the run [default: the preset's, or that of the --config or ONNX file, with -quick where that is given;
    /// numbered when it is taken].
    #[arg(long)]
    name: Option<String>,
}

impl RunArgs {
    /// Folder of a new run, not yet created; an older run is never overwritten.
    pub(super) fn unoccupied(&self, default: &str) -> Result<PathBuf, Failure> {
        match &self.name {
            Some(name) => {
                let folder = self.named(name)?;
                if occupied(&folder) {
                    let at = folder.display();
                    return Err(Failure::Usage(format!(
                        "{at} already holds a run; go on with --resume, or choose another --name"
                    )));
                }
                Ok(folder)
            }
            None => Ok(self
                .numbered(default)
                .find(|folder| !occupied(folder))
                .unwrap_or_default()),
        }
    }

    /// The folder of a run that was started and not finished: the named one, or the last of the
    /// default's. `started` and `finished` are files that tell.
    pub(super) fn unfinished(
        &self,
        default: &str,
        [started, finished]: [&str; 2],
    ) -> Result<PathBuf, Failure> {
        // A search has a configuration too; its trials are its own to go on with.
        let unfinished = |folder: &PathBuf| {
            let has = |file| folder.join(file).exists();
            has(started) && !has(finished) && !has(JOURNAL)
        };
        let last = match &self.name {
            Some(name) => Some(self.named(name)?).filter(unfinished),
            None => self
                .numbered(default)
                .take_while(|folder| occupied(folder))
                .filter(unfinished)
                .last(),
        };
        last.ok_or_else(|| {
            let (name, out) = (self.name.as_deref().unwrap_or(default), self.out.display());
            Failure::Usage(format!(
                "no unfinished run called {name} in {out}; start one without --resume, or name it with --name"
            ))
        })
    }

    /// The flags that go on with the run in `folder`.
    #[cfg(feature = "train")]
    pub(super) fn resume_flags(&self, folder: &Path) -> String {
        let name = folder.file_name().unwrap_or_default().display();
        format!("--resume --out {} --name {name}", self.out.display())
    }

    fn named(&self, name: &str) -> Result<PathBuf, Failure> {
        named(&self.out, name)
    }

    /// `default`, `default-2`, `default-3`, …
    fn numbered(&self, default: &str) -> impl Iterator<Item = PathBuf> {
        (1..).map(move |n: usize| match n {
            1 => self.out.join(default),
            _ => self.out.join(format!("{default}-{n}")),
        })
    }
}

/// The folder of that name in `out`.
pub(super) fn named(out: &Path, name: &str) -> Result<PathBuf, Failure> {
    let plain = Path::new(name).file_name().is_some_and(|file| file == name);
    if plain {
        Ok(out.join(name))
    } else {
        Err(Failure::Usage(format!(
            "--name {name} must be a plain name; the folder around it is --out"
        )))
    }
}

/// Whether anything is there.
pub(super) fn occupied(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(out: &Path, name: Option<&str>) -> RunArgs {
        RunArgs {
            out: out.into(),
            name: name.map(str::to_owned),
        }
    }

    #[test]
    fn never_overwrites() {
        let out = tempfile::tempdir().unwrap();
        let first = args(out.path(), None).unoccupied("micro").unwrap();
        std::fs::create_dir(&first).unwrap();
        std::fs::write(first.join("started"), "").unwrap();
        let second = args(out.path(), None).unoccupied("micro").unwrap();
        assert_eq!(second, out.path().join("micro-2"));
        for name in ["micro", "../x"] {
            let refused = args(out.path(), Some(name)).unoccupied("x");
            assert!(matches!(refused, Err(Failure::Usage(_))));
        }
    }

    #[test]
    fn only_unfinished_runs_go_on() {
        let out = tempfile::tempdir().unwrap();
        let folder = out.path().join("micro");
        let found = || args(out.path(), None).unfinished("micro", ["started", "finished"]);
        assert!(found().is_err());
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("started"), "").unwrap();
        assert_eq!(found().unwrap(), folder);
        std::fs::write(folder.join(JOURNAL), "").unwrap();
        assert!(found().is_err(), "a search is no run");
        std::fs::remove_file(folder.join(JOURNAL)).unwrap();
        std::fs::write(folder.join("finished"), "").unwrap();
        assert!(found().is_err());
    }
}
