//! `report.html`: a run on one page that needs no other file.
//!
//! In: a [`Report`] and the figures of the same model. Out: HTML with its style, its figures and
//! its tables inside; and the section of `report.md` that names the figures.

use std::fmt::Write;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::PlotError;
use super::record::{Kind, Record};
use crate::calibration::CalibrationReport;
use crate::report::{CALIBRATION_NOTE, Network, Report, Training, thousands};
use crate::trials::Accuracy;
use crate::verify::{Verdict, VerifyReport};

/// Name of the page.
pub const REPORT_HTML: &str = "report.html";
/// Begins the section of `report.md`, which is its last.
const HEADING: &str = "## Plots";

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid #888; }
figure { margin: 2rem 0; }
figure svg, figure img { max-width: 100%; height: auto; }
figcaption, .note { color: #555; }
.good { color: #00694d; font-weight: bold; }
.bad { color: #a34700; font-weight: bold; }
";

/// A figure and what a page holds of it.
#[derive(Debug)]
pub struct Shown {
    record: Record,
    content: Markup,
}

impl Shown {
    /// Reads the files of a record.
    ///
    /// # Errors
    /// [`PlotError::File`] naming the one that is missing.
    pub fn read(folder: &Path, record: Record) -> Result<Self, PlotError> {
        let name = if record.kind.is_sheet() {
            &record.png
        } else {
            &record.svg
        };
        let path = folder.join(name);
        let bytes = std::fs::read(&path).map_err(|error| PlotError::File {
            path,
            message: format!("{error}; draw it again with `onelook plot`"),
        })?;
        let content = if record.kind.is_sheet() {
            let data = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes));
            html! { img src=(data) alt=(record.title); }
        } else {
            PreEscaped(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Self { record, content })
    }
}

/// The page.
#[must_use]
pub fn html(report: &Report, figures: &[Shown]) -> String {
    let of = |kinds: &[Kind]| {
        let shown = figures
            .iter()
            .filter(|shown| kinds.contains(&shown.record.kind));
        let shown: Vec<&Shown> = shown.collect();
        html! { @for shown in shown { (figure(shown)) } }
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (report.name) " – Onelook" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (report.name) }
                (network(&report.network))
                (origin(report))
                h2 { "Accuracy" }
                (accuracy(report))
                (of(&[Kind::Accuracy]))
                (unknown(report.calibration.as_ref(), report.network.device.is_none()))
                (of(&[Kind::Threshold]))
                h2 { "Parity" }
                (parity(&report.parity))
                h2 { "Training, tasks, mistakes, alphabets" }
                (of(&[Kind::Training, Kind::Tasks, Kind::Errors, Kind::Alphabets]))
                h2 { "Wall time" }
                ul { @for stage in &report.stages { li { (stage.name) ": " (format!("{:.1} s", stage.seconds)) } } }
                p.note { "Configuration " code { (report.config_hash) } ", onelook " (report.version) "." }
            }
        }
    };
    page.into_string()
}

fn figure(shown: &Shown) -> Markup {
    let Record {
        title,
        caption,
        data,
        ..
    } = &shown.record;
    html! {
        figure {
            (shown.content)
            figcaption { b { (title) ". " } (caption) " Numbers: " code { (data) } "." }
        }
    }
}

fn network(network: &Network) -> Markup {
    let mut rows = vec![
        ("parameters", thousands(network.parameters)),
        ("multiply-accumulates of one image", thousands(network.macs)),
    ];
    if let Some(device) = network.device {
        rows.extend([
            ("model file, bytes", thousands(device.model_bytes)),
            ("arena (activations), bytes", thousands(device.arena_bytes)),
            ("embedding, bytes", thousands(device.embedding_bytes)),
        ]);
    }
    html! {
        h2 { "Network " code { (network.preset) } }
        table { @for (name, value) in rows { tr { td { (name) } td { (value) } } } }
    }
}

fn origin(report: &Report) -> Markup {
    html! {
        @if let Some(Training { steps, seconds, images_per_second, best_step, validation_accuracy, training_alphabets, validation_alphabets, .. }) = &report.training {
            p {
                "Trained " (steps) " steps in " (format!("{seconds:.0}")) " s ("
                (format!("{images_per_second:.0}")) " images/s) on " (training_alphabets)
                " background alphabets; " (validation_alphabets) " others chose step " (best_step)
                " (" (format!("{:.1}", 100.0 * validation_accuracy)) " % there)."
            }
        }
        @if let Some(import) = &report.import {
            p { "Imported from " code { (import.file) } " (" (import.producer) ")." }
        }
    }
}

fn accuracy(report: &Report) -> Markup {
    html! {
        table {
            thead { tr {
                th { "protocol" } th { "engine" } th { "trials" } th { "accuracy" }
                th { "95 % interval" } th { "ties" }
            } }
            tbody { @for row in &report.accuracy { tr {
                @let Accuracy { trials, mean, standard_error, interval95: [low, high], .. } = row.accuracy;
                td { (row.protocol) }
                td { (row.engine) }
                td { (thousands(trials)) }
                td { (format!("{:.2} % ± {:.2}", 100.0 * mean, 100.0 * standard_error)) }
                td { (format!("{:.1}–{:.1}", 100.0 * low, 100.0 * high)) }
                td { @match row.ties { Some(ties) => (ties), None => "–" } }
            } } }
        }
        p.note {
            "Evaluation alphabets. Mean ± standard error; 95 % interval after Wilson. "
            "Within alphabet: all classes are characters of one alphabet, support set and query are by "
            "different drawers; Lake's runs are 400 fixed trials of this kind. Mixed alphabets is the "
            "easier task. Shared is the device's integer arithmetic, float the network before "
            "quantization."
        }
    }
}

fn unknown(calibration: Option<&CalibrationReport>, stays_float: bool) -> Markup {
    html! {
        h2 { "Unknown marks" }
        @if stays_float {
            p { "Not measured: the network stays in floating point." }
        } @else if let Some(CalibrationReport { far_ppm, rows, .. }) = calibration {
            table {
                thead { tr {
                    th { "classes" }
                    @for &ppm in far_ppm { th { (f64::from(ppm) / 1e4) " % false accepts" } }
                } }
                tbody { @for row in rows { tr {
                    td { (row.classes) }
                    @for (threshold, &reached) in row.thresholds.iter().zip(&row.reached_permille) {
                        td { (threshold) " (" (format!("{:.1}", f64::from(reached) / 10.0)) " %)" }
                    }
                } } }
            }
            p.note { (CALIBRATION_NOTE) }
        } @else {
            p { "Not calibrated: the threshold is a probability of one half." }
        }
    }
}

fn parity(parity: &VerifyReport) -> Markup {
    let equal = parity.verdict() == Verdict::Equal;
    html! {
        p {
            @if !equal { span.bad { "Engines disagree" } }
            @else if parity.engines.is_empty() { span.good { "Equal, within the tolerance" } }
            @else { span.good { "Equal, bit for bit" } }
            ": " (thousands(parity.pairs)) " pairs of images, against the device's own code."
        }
        @if parity.engines.is_empty() {
            ul { @for report in &parity.float { li { (report) } } }
        } @else { table {
            thead { tr {
                th { "engine" } th { "differing logits" } th { "differing embeddings" }
                th { "differing decisions" } th { "seconds" }
            } }
            tbody { @for engine in &parity.engines { tr {
                td { (engine.engine) } td { (engine.differing_logits) }
                td { (engine.differing_embeddings) } td { (engine.differing_decisions) }
                td { (format!("{:.1}", engine.seconds)) }
            } } }
        } }
        p.note { "Model " code { (parity.model_sha256) } }
    }
}

/// `report.md` with a section that names the figures, in the place of an older one. `folder` is where
/// they lie, as seen from the report.
#[must_use]
pub fn mention(markdown: &str, folder: &str, records: &[Record]) -> String {
    let before = match markdown.find(HEADING) {
        Some(at) => &markdown[..at],
        None => markdown,
    };
    let mut page = format!(
        "{}\n\n{HEADING}\n\nAll on one page: {REPORT_HTML}.\n\n",
        before.trim_end()
    );
    for Record {
        title, png, data, ..
    } in records
    {
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "- [{title}]({folder}/{png}) ([numbers]({folder}/{data}))"
        );
    }
    page
}
