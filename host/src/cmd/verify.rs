//! `onelook verify`: are the logits of shared, tract and onnxruntime the same bits?

use indicatif::{ProgressBar, ProgressStyle};
use tools::Progress;

use super::args::SubjectArgs;
use super::{Failure, Verdict, spinner};
use crate::engine::graph::FloatGraphEncoder;
use crate::engine::onnxruntime::{Level, Onnxruntime};
use crate::engine::tract::Tract;
use crate::engine::{Engine, Graph};
use crate::export::Bundle;
use crate::trials::TrialSet;
use crate::verify::float::FloatCase;
use crate::verify::{self, VerifyReport};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    subject: SubjectArgs,
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let bundle = Bundle::read(&args.subject.folder).map_err(Failure::work)?;
    let lake20 = args.subject.data.open()?.lake20()?;
    let report = match bundle.stays_float() {
        true => compare_float(&bundle, &lake20)?,
        false => compare(&bundle, &lake20)?,
    };
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

/// A network that stays in floating point in all engines, libtorch with them where this program was built with
/// it; the pair graph itself on one pair of each trial.
pub(super) fn compare_float(bundle: &Bundle, set: &TrialSet) -> Result<VerifyReport, Failure> {
    let library = tools::onnxruntime::provide(&Progress::stderr()).map_err(Failure::work)?;
    let net = bundle.float_net().map_err(Failure::work)?;
    let bar = spinner("comparing engines");
    let case = FloatCase::new(&net, set).map_err(Failure::work)?;
    let mut report = case.report(bundle);
    let graphs = [Graph::FloatEncoder, Graph::FloatPair];
    let tract = Tract::of(bundle, &graphs).map_err(Failure::work)?;
    let onnxruntime = [Level::All, Level::Disabled]
        .map(|level| Onnxruntime::of(bundle, &library, level, &graphs).map_err(Failure::work));
    let [optimised, as_written] = onnxruntime;
    let (optimised, as_written) = (optimised?, as_written?);
    let engines: [&dyn Engine; 3] = [&tract, &optimised, &as_written];
    for engine in engines {
        let encoder = FloatGraphEncoder::new(engine, &net).map_err(Failure::work)?;
        report
            .float
            .push(case.compare(&encoder).map_err(Failure::work)?);
        let pairs = case.pair_graph(engine, &ProgressBar::hidden());
        report.float.push(pairs.map_err(Failure::work)?);
    }
    #[cfg(feature = "train")]
    {
        let libtorch = crate::train::Libtorch::new(&net).map_err(Failure::work)?;
        report
            .float
            .push(case.compare(&libtorch).map_err(Failure::work)?);
    }
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
