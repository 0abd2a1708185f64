//! Counts what a program in QEMU does, with a plugin that this builds.
//!
//! In: `tools/plugin/`, a program's marks and windows. Out: the instructions of each region between
//! two marks, and whether the power was cut. The plugin's own documentation says what is counted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::cache::{Cache, create_folder};
use crate::firmware::Symbols;
use crate::qemu::{Output, PluginInterface, Qemu, QemuError};
use crate::{Progress, SetupError, process, qemu, repo};

const SOURCES: [&str; 3] = ["icount.rs", "interface.rs", "thumb.rs"];
const LIMIT: Duration = Duration::from_secs(300);

/// Addresses from the first up to, not including, the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first address.
    pub first: u64,
    /// The address behind the window.
    pub end: u64,
}

/// What to count.
#[derive(Debug, Clone)]
pub struct Icount {
    library: PathBuf,
    arguments: Vec<String>,
}

/// What happened between a start mark and its stop mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Regions that were open when this one started.
    pub depth: u64,
    /// Instructions.
    pub instructions: u64,
    /// Instructions that load.
    pub loads: u64,
    /// Instructions that store.
    pub stores: u64,
    /// Branches that were taken.
    pub branches: u64,
    /// Cycles of the model in `tools/plugin/thumb.rs`.
    pub cycles: u64,
    /// Bytes of stack below the start mark.
    pub stack: u64,
}

/// What the plugin wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Regions in the order in which they started.
    pub regions: Vec<Region>,
    /// The store at which the power was cut, counted from 1.
    pub cut: Option<u64>,
    /// Stores into the window of [`Icount::count_stores`], when the program came to its end.
    pub nv_stores: Option<u64>,
}

impl Icount {
    /// Builds the plugin, unless that was done before.
    ///
    /// # Errors
    /// This QEMU takes no plugin of this kind, or the plugin cannot be built.
    pub fn provide(progress: &Progress) -> Result<Self, SetupError> {
        qemu::provide(progress)?;
        Ok(Self {
            library: library(qemu::plugin_interface()?, progress)?,
            arguments: Vec::new(),
        })
    }

    /// Counts regions between two functions, and how deep each goes below `_stack_start`.
    ///
    /// # Errors
    /// The program has no such functions, or no stack.
    #[must_use = "this changes nothing by itself"]
    pub fn regions(mut self, symbols: &Symbols, marks: [&str; 2]) -> Result<Self, SetupError> {
        let [start, stop] = marks;
        for (name, symbol) in [
            ("start", start),
            ("stop", stop),
            ("stack_lo", "_stack_end"),
            ("stack_hi", "_stack_start"),
        ] {
            self.set(name, symbols.address(symbol)?);
        }
        Ok(self)
    }

    /// Counts stores into a window.
    #[must_use]
    pub fn count_stores(mut self, window: Window) -> Self {
        self.set("nv_lo", window.first);
        self.set("nv_hi", window.end);
        self
    }

    /// Kills QEMU at that store into the window, counted from 1, as at a power cut.
    #[must_use]
    pub fn cut_at(mut self, store: u64) -> Self {
        self.set("cut", store);
        self
    }

    fn set(&mut self, name: &str, value: u64) {
        self.arguments.push(format!("{name}={value:#x}"));
    }

    /// Runs a program and counts. What the program did and what was counted are told apart: after a
    /// power cut there is no output, but there are counts.
    ///
    /// # Errors
    /// The counts cannot be read.
    pub fn run(&self, run: Qemu) -> Result<(Result<Output, QemuError>, Counts), SetupError> {
        let folder = tempfile::tempdir()
            .map_err(|error| SetupError::io("create a folder in", &std::env::temp_dir(), error))?;
        let out = folder.path().join("counts");
        let result = run.plugin(&self.describe(&out)).run();
        let text = match std::fs::read_to_string(&out) {
            Ok(text) => text,
            // QEMU did not come as far as the plugin: its own words say why.
            Err(_) if result.is_err() => String::new(),
            Err(error) => return Err(SetupError::io("read", &out, error)),
        };
        Ok((result, parse(&text)?))
    }

    /// `run` with the counting, for a program that is not waited for. `out` is where the counts go.
    #[must_use]
    pub fn attach(&self, run: Qemu, out: &Path) -> Qemu {
        run.plugin(&self.describe(out))
    }

    /// Reads what [`Self::attach`] said to count, once the program has ended.
    ///
    /// # Errors
    /// The counts cannot be read.
    pub fn read(out: &Path) -> Result<Counts, SetupError> {
        let text = std::fs::read_to_string(out);
        parse(&text.map_err(|error| SetupError::io("read", out, error))?)
    }

    fn describe(&self, out: &Path) -> String {
        // QEMU's way to write a comma inside a value.
        let path = |path: &Path| path.display().to_string().replace(',', ",,");
        let mut parts = vec![
            format!("file={}", path(&self.library)),
            format!("out={}", path(out)),
        ];
        parts.extend(self.arguments.iter().cloned());
        parts.join(",")
    }
}

/// The plugin for this QEMU, this compiler and these sources.
fn library(interface: PluginInterface, progress: &Progress) -> Result<PathBuf, SetupError> {
    let sources = repo::root().join("tools/plugin");
    let mut hash = Sha256::new();
    hash.update(format!("{interface:?}"));
    for name in SOURCES {
        let path = sources.join(name);
        hash.update(std::fs::read(&path).map_err(|e| SetupError::io("read", &path, e))?);
    }
    let mut version = rustc();
    hash.update(process::run(
        version.arg("-vV"),
        LIMIT,
        "install Rust with rustup",
    )?);
    let key: String = hash
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let cache = Cache::open()?;
    let path = cache.path(format!("qemu-plugin/{key}/libicount.so"));
    let _lock = cache.lock(progress)?;
    if path.is_file() {
        return Ok(path);
    }
    let _spinner = progress.spinner("building the QEMU plugin");
    let folder = path.parent().unwrap_or(&path);
    create_folder(folder)?;
    let part = folder.join("libicount.part");
    let mut command = rustc();
    command.args(["--edition", "2024", "-O", "-D", "warnings"]);
    if interface == PluginInterface::Version3 {
        command.args(["--cfg", "interface_3"]);
    }
    command.args(["--crate-type", "cdylib", "--crate-name", "icount", "-o"]);
    command.arg(&part).arg(sources.join("icount.rs"));
    process::run(
        &mut command,
        LIMIT,
        "change tools/plugin/ as the compiler says",
    )?;
    std::fs::rename(&part, &path).map_err(|e| SetupError::io("rename", &part, e))?;
    Ok(path)
}

/// The compiler of this workspace.
fn rustc() -> std::process::Command {
    let mut command = process::cargo_elsewhere("rustc");
    command.current_dir(repo::root());
    command
}

fn parse(text: &str) -> Result<Counts, SetupError> {
    let mut counts = Counts::default();
    let mut regions = Vec::new();
    for line in text.lines() {
        let line = Line(line);
        match line.0.split(' ').next() {
            Some("region") => regions.push((line.number("region")?, line.region()?)),
            Some("cut") => counts.cut = Some(line.number("nv_store")?),
            Some("total") => counts.nv_stores = Some(line.number("nv_stores")?),
            _ => return Err(line.refuse("is of no known kind")),
        }
    }
    // A region is written when it ends, and its nested ones end first.
    regions.sort_by_key(|(index, _): &(u64, _)| *index);
    counts.regions = regions.into_iter().map(|(_, region)| region).collect();
    Ok(counts)
}

/// A line of the plugin: names, each followed by its number.
struct Line<'t>(&'t str);

impl Line<'_> {
    fn number(&self, name: &str) -> Result<u64, SetupError> {
        let mut words = self.0.split(' ').skip_while(|word| *word != name).skip(1);
        let value = words.next().and_then(|value| value.parse().ok());
        value.ok_or_else(|| self.refuse(&format!("has no number `{name}`")))
    }

    fn region(&self) -> Result<Region, SetupError> {
        Ok(Region {
            depth: self.number("depth")?,
            instructions: self.number("instructions")?,
            loads: self.number("loads")?,
            stores: self.number("stores")?,
            branches: self.number("branches")?,
            cycles: self.number("cycles")?,
            stack: self.number("stack")?,
        })
    }

    fn refuse(&self, why: &str) -> SetupError {
        SetupError::Missing {
            what: format!("the QEMU plugin wrote `{}`, which {why}", self.0),
            next: "report this: tools/plugin/icount.rs and tools/src/icount.rs disagree".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_come_in_the_order_of_their_start() {
        let text = "region 1 depth 1 instructions 5 loads 1 stores 2 branches 3 cycles 9 stack 8\n\
                    region 0 depth 0 instructions 50 loads 1 stores 2 branches 3 cycles 90 stack 16\n\
                    total instructions 99 nv_stores 4\n";
        let counts = parse(text).unwrap();
        let instructions: Vec<_> = counts
            .regions
            .iter()
            .map(|region| region.instructions)
            .collect();
        assert_eq!(instructions, [50, 5]);
        assert_eq!((counts.nv_stores, counts.cut), (Some(4), None));
        assert_eq!(
            parse("cut nv_store 7 address 0x21000000\n").unwrap().cut,
            Some(7)
        );
    }

    #[test]
    fn a_line_that_is_not_understood_is_shown() {
        for text in ["region 0 depth x", "noise"] {
            assert!(
                parse(text).unwrap_err().to_string().contains(text),
                "{text}"
            );
        }
    }

    #[test]
    fn a_comma_in_a_path_is_written_twice() {
        let icount = Icount {
            library: "/a,b/c.so".into(),
            arguments: vec![],
        }
        .cut_at(3);
        assert_eq!(
            icount.describe(Path::new("/d")),
            "file=/a,,b/c.so,out=/d,cut=0x3"
        );
    }
}
