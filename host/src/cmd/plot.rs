//! `onelook plot`: the figures of a run, their numbers, and the page that shows them.

use std::path::{Path, PathBuf};

use super::args::DataArgs;
use super::{Failure, Verdict, spinner};
use crate::files::{create_folder, write_whole};
use crate::plot::page::{REPORT_HTML, Shown, html, mention};
use crate::plot::record::{self, FIGURES_FILE, Kind, Record};
use crate::report::{REPORT_MARKDOWN, Report};

mod studio;

use studio::Studio;

/// Where figures go in a run's folder.
const PLOTS: &str = "plots";
/// Trials of a point: the standard error is at most 0.8 points.
const TRIALS: usize = 4_000;
const SEED: u64 = 0x706c_6f74;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of a run; for the training curve alone it need not be finished. Without one, --out gets
    /// what the drawings alone show: tasks and alphabets.
    #[arg(value_name = "RUN", required_unless_present = "out")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    /// Marks of your own instead of Omniglot, as `onelook evaluate` takes them; without RUN.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "dataset", "folder"])]
    images: Option<PathBuf>,
    /// Draw these figures only, and fail where one cannot be drawn [default: all that can be].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FIGURE,…")]
    only: Vec<Kind>,
    /// Folder for figures and page [default: RUN/plots, and the page in RUN].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Trials for each point of the accuracy and threshold curves.
    #[arg(long, default_value_t = TRIALS, value_parser = at_least_one)]
    trials: usize,
    /// Seed of trials and task sheets.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Alphabet to show on a sheet, as in the archive; may be given again [default: three evaluation
    /// alphabets].
    #[arg(long, value_name = "NAME")]
    alphabet: Vec<String>,
    /// Whose drawings an alphabet's sheet shows, counted from 1.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = at_least_one)]
    drawer: usize,
    /// Print the list of figures as JSON on stdout, instead of the files.
    #[arg(long)]
    json: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(trials) => Ok(trials),
        Err(error) => Err(error.to_string()),
    }
}

impl Args {
    fn kinds(&self) -> Vec<Kind> {
        let wanted = |kind: &Kind| match self.only.is_empty() {
            true => self.folder.is_some() || kind.is_of_drawings(),
            false => self.only.contains(kind),
        };
        let all = <Kind as clap::ValueEnum>::value_variants();
        all.iter().copied().filter(wanted).collect()
    }

    fn out(&self) -> PathBuf {
        let default = || self.folder.clone().unwrap_or_default().join(PLOTS);
        self.out.clone().unwrap_or_else(default)
    }

    /// Refuses what cannot be, before anything is read.
    fn check(&self) -> Result<(), Failure> {
        if let Some(folder) = self.folder.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(Failure::Usage(format!(
                "{} is no folder; name the folder of a run, such as runs/micro",
                folder.display()
            )));
        }
        let of_a_run = self.only.iter().find(|kind| !kind.is_of_drawings());
        match of_a_run {
            Some(kind) if self.folder.is_none() => Err(Failure::Usage(format!(
                "--only {}: this figure is about a run; name its folder",
                kind.name()
            ))),
            _ => Ok(()),
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    args.check()?;
    let out = args.out();
    create_folder(&out).map_err(Failure::work)?;
    let mut records = record::read(&out).map_err(Failure::work)?;
    let drawn = draw(args, &out, &mut records)?;
    let page = page(args, &out, &records)?;
    let files = drawn.iter().flat_map(|record| record.files(&out));
    let files = files.chain([out.join(FIGURES_FILE)]).chain(page);
    if args.json {
        let json = serde_json::to_string_pretty(&drawn).map_err(Failure::work)?;
        println!("{json}");
    } else {
        files.for_each(|file| println!("{}", file.display()));
    }
    Ok(Verdict::Success)
}

/// Draws what is wanted and possible.
fn draw(args: &Args, out: &Path, records: &mut Vec<Record>) -> Result<Vec<Record>, Failure> {
    let studio = Studio::new(args, out);
    let mut drawn = Vec::new();
    let mut reasons = Vec::new();
    for kind in args.kinds() {
        let bar = spinner("drawing");
        let new = studio.draw(kind);
        bar.finish_and_clear();
        match new {
            Ok(new) => {
                eprintln!("{}: drawn", kind.name());
                drawn.extend(new.clone());
                record::replace(out, records, kind, new).map_err(Failure::work)?;
            }
            Err(Failure::Work(reason)) if args.only.is_empty() => {
                eprintln!("{}: left out: {reason}", kind.name());
                reasons.push(reason);
            }
            Err(failure) => return Err(failure),
        }
    }
    match drawn.is_empty() {
        true => Err(Failure::Work(format!(
            "nothing could be drawn: {}",
            reasons.first().map_or("", String::as_str)
        ))),
        false => Ok(drawn),
    }
}

/// Writes the page, and names the figures in `report.md`; a run without a report has neither.
fn page(args: &Args, out: &Path, records: &[Record]) -> Result<Option<PathBuf>, Failure> {
    let Some(folder) = &args.folder else {
        return Ok(None);
    };
    let report = match Report::read(folder) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{REPORT_HTML}: left out: {error}");
            return Ok(None);
        }
    };
    let model = &report.parity.model_sha256;
    let current = |record: &&Record| record.model_sha256.as_ref().is_none_or(|of| of == model);
    let current: Vec<Record> = records.iter().filter(current).cloned().collect();
    let shown = current
        .iter()
        .map(|record| Shown::read(out, record.clone()));
    let shown = shown
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::work)?;
    let path = args.out.as_ref().unwrap_or(folder).join(REPORT_HTML);
    write_whole(&path, html(&report, &shown).as_bytes()).map_err(Failure::work)?;
    let markdown = folder.join(REPORT_MARKDOWN);
    if let (None, Ok(text)) = (&args.out, std::fs::read_to_string(&markdown)) {
        let text = mention(&text, PLOTS, &current);
        write_whole(&markdown, text.as_bytes()).map_err(Failure::work)?;
    }
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Failure};
    use super::*;

    fn plot(folder: &Path, flags: &[&str]) -> Result<Verdict, Failure> {
        let folder = folder.to_str().unwrap();
        let words = ["onelook", "plot", folder, "--dataset", "synthetic"];
        Cli::try_parse_from(words.iter().chain(flags))
            .unwrap()
            .run()
    }

    const LINE: &str = r#"{"step":10,"loss":2,"learning_rate":0.1,"validation_accuracy":0.5,"validation_standard_error":0.1,"seconds":1,"images_per_second":2}"#;

    /// What is not there is left out, and an error when it is asked for.
    #[test]
    fn draws_what_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let refused = plot(&at.join("nowhere"), &[]).unwrap_err();
        assert!(matches!(refused, Failure::Usage(_)), "{refused}");
        let refused = plot(at, &["--only", "training"]).unwrap_err();
        assert!(refused.to_string().contains("metrics.jsonl"), "{refused}");
        std::fs::write(at.join("metrics.jsonl"), "").unwrap();
        let refused = plot(at, &["--only", "training"]).unwrap_err();
        assert!(
            refused.to_string().contains("no validation yet"),
            "{refused}"
        );
        std::fs::write(at.join("metrics.jsonl"), LINE).unwrap();
        // No model: the training curve and the alphabets are all there is.
        plot(at, &[]).unwrap();
        let records = record::read(&at.join(PLOTS)).unwrap();
        let kinds: Vec<Kind> = records.iter().map(|record| record.kind).collect();
        assert_eq!(kinds[..2], [Kind::Training, Kind::Alphabets]);
        let files = records
            .iter()
            .flat_map(|record| record.files(&at.join(PLOTS)));
        files.for_each(|file| assert!(file.exists(), "{}", file.display()));
        let refused = plot(at, &["--only", "tasks"]).unwrap_err();
        assert!(refused.to_string().contains("model.onelook"), "{refused}");
        let refused = plot(at, &["--only", "alphabets", "--alphabet", "Nowhere"]).unwrap_err();
        assert!(
            refused.to_string().contains("synthetic_evaluation_00"),
            "{refused}"
        );
        assert!(!at.join(REPORT_HTML).exists());
    }

    /// Without a run: what the drawings alone show.
    #[test]
    fn draws_drawings_without_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("sheets");
        let plot = |flags: &[&str]| {
            let words = ["onelook", "plot", "--dataset", "synthetic", "--out"];
            let words = [&words[..], &[out.to_str().unwrap()], flags].concat();
            Cli::try_parse_from(words).unwrap().run()
        };
        let refused = plot(&["--only", "accuracy"]).unwrap_err();
        assert!(refused.to_string().contains("about a run"), "{refused}");
        let refused = plot(&["--only", "alphabets", "--drawer", "21"]).unwrap_err();
        assert!(refused.to_string().contains("20 drawers"), "{refused}");
        plot(&["--drawer", "20"]).unwrap();
        let records = record::read(&out).unwrap();
        // Glyphs have alphabets of 20 characters: no 25-way task.
        let stems: Vec<&str> = records.iter().map(|record| record.png.as_str()).collect();
        assert_eq!(stems[0], "task-9way.png");
        assert!(stems[1].starts_with("alphabet-"), "{stems:?}");
        assert!(records[1].title.ends_with("by drawer 20"));
        assert!(records.iter().all(|record| record.model_sha256.is_none()));
        assert!(Cli::try_parse_from(["onelook", "plot"]).is_err());
    }
}
