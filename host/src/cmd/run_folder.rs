//! The folder of a run: which one, and whether something may be written there.

use std::path::{Path, PathBuf};

use super::Failure;
use crate::files::create_folder;

/// Where a run lives.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct RunArgs {
    /// Folder that holds the runs.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Name of the run [default: the preset's name, numbered when that is taken].
    #[arg(long)]
    name: Option<String>,
}

impl RunArgs {
    /// A new folder for a run; an older run is never overwritten.
    pub(super) fn create(&self, default: &str) -> Result<PathBuf, Failure> {
        let folder = match &self.name {
            Some(name) => {
                let folder = self.named(name)?;
                if occupied(&folder) {
                    let at = folder.display();
                    return Err(Failure::Usage(format!(
                        "{at} already holds a run; go on with --resume, or choose another --name"
                    )));
                }
                folder
            }
            None => self
                .numbered(default)
                .find(|folder| !occupied(folder))
                .unwrap_or_default(),
        };
        create_folder(&folder).map_err(Failure::work)?;
        Ok(folder)
    }

    /// The folder of an unfinished run: the named one, or the last of the default's.
    pub(super) fn unfinished(&self, default: &str, marker: &str) -> Result<PathBuf, Failure> {
        let last = match &self.name {
            Some(name) => Some(self.named(name)?).filter(|folder| folder.join(marker).exists()),
            None => self
                .numbered(default)
                .take_while(|folder| occupied(folder))
                .filter(|folder| folder.join(marker).exists())
                .last(),
        };
        last.ok_or_else(|| {
            let (name, out) = (self.name.as_deref().unwrap_or(default), self.out.display());
            Failure::Usage(format!(
                "no unfinished run called {name} in {out}; start one without --resume, or name it with --name"
            ))
        })
    }

    fn named(&self, name: &str) -> Result<PathBuf, Failure> {
        let plain = Path::new(name).file_name().is_some_and(|file| file == name);
        if plain {
            Ok(self.out.join(name))
        } else {
            Err(Failure::Usage(format!(
                "--name {name} must be a plain name; the folder around it is --out"
            )))
        }
    }

    /// `default`, `default-2`, `default-3`, …
    fn numbered(&self, default: &str) -> impl Iterator<Item = PathBuf> {
        (1..).map(move |n: usize| match n {
            1 => self.out.join(default),
            _ => self.out.join(format!("{default}-{n}")),
        })
    }
}

fn occupied(folder: &Path) -> bool {
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
        let first = args(out.path(), None).create("micro").unwrap();
        std::fs::write(first.join("state"), "").unwrap();
        let second = args(out.path(), None).create("micro").unwrap();
        assert_eq!(second, out.path().join("micro-2"));
        assert!(matches!(
            args(out.path(), Some("micro")).create("x"),
            Err(Failure::Usage(_))
        ));
        assert!(matches!(
            args(out.path(), Some("../x")).create("x"),
            Err(Failure::Usage(_))
        ));
        assert_eq!(
            args(out.path(), None).unfinished("micro", "state").unwrap(),
            first
        );
        assert!(args(out.path(), None).unfinished("micro", "other").is_err());
    }
}
