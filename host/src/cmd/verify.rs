//! `onelook verify`: are the logits of shared, tract and onnxruntime the same bits?

use indicatif::{ProgressBar, ProgressStyle};
use tools::Progress;

use super::args::SubjectArgs;
use super::{Failure, Verdict};
use crate::engine::Engine;
use crate::engine::onnxruntime::{Level, Onnxruntime};
use crate::engine::tract::Tract;
use crate::export::Bundle;
use crate::trials::TrialSet;
use crate::verify::{self, VerifyReport};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    subject: SubjectArgs,
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let bundle = Bundle::read(&args.subject.folder).map_err(Failure::work)?;
    let report = compare(&bundle, &args.subject.data.open()?.lake20()?)?;
    if args.subject.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&report).map_err(Failure::work)?
        );
    } else {
        println!("{report}");
    }
    Ok(verdict(&report))
}

/// All engines on all pairs of the trials; installs onnxruntime when it is missing.
pub(super) fn compare(bundle: &Bundle, set: &TrialSet) -> Result<VerifyReport, Failure> {
    let library = tools::onnxruntime::provide(&Progress::stderr()).map_err(Failure::work)?;
    let tract = Tract::new(bundle).map_err(Failure::work)?;
    let onnxruntime = [Level::All, Level::Disabled]
        .map(|level| Onnxruntime::new(bundle, &library, level).map_err(Failure::work));
    let [optimised, as_written] = onnxruntime;
    let (optimised, as_written) = (optimised?, as_written?);
    let engines: [&dyn Engine; 3] = [&tract, &optimised, &as_written];
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("verifying {bar:30} {pos}/{len}  {msg}  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let report = verify::verify(bundle, set, &engines, &bar).map_err(Failure::work)?;
    bar.finish_and_clear();
    Ok(report)
}

/// The exit code that belongs to a report.
pub(super) fn verdict(report: &VerifyReport) -> Verdict {
    match report.verdict() {
        verify::Verdict::Equal => Verdict::Success,
        verify::Verdict::Different => Verdict::Mismatch,
    }
}
