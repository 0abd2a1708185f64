//! `onelook device capture|score|bench`: what the device sees, and what it makes of it.

use std::path::PathBuf;

use serde::Serialize;
use shared::link::Quality;

use super::{Common, Device};
use crate::cmd::{Failure, Verdict};
use crate::device::answers::{Decision, Picture, Ranked};
use crate::device::refusal::quality_words;
use crate::device::support::pictures_at;
use crate::files::create_folder;

#[derive(Debug, clap::Args)]
pub(super) struct CaptureArgs {
    /// The PNG file to write.
    #[arg(long, value_name = "FILE", default_value = "capture.png")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct ScoreArgs {
    /// A picture (PNG or PGM), or a folder of them, in place of the camera.
    #[arg(long, value_name = "FILE|DIR")]
    image: Option<PathBuf>,
    /// How many pictures the camera takes.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "image")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

#[derive(Debug, clap::Args)]
pub(super) struct BenchArgs {
    /// A picture in place of the camera.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// How many times.
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    count: u32,
}

#[derive(Serialize)]
struct Captured {
    #[serde(flatten)]
    picture: Picture,
    file: PathBuf,
}

pub(super) fn capture(common: &Common, args: &CaptureArgs) -> Result<Verdict, Failure> {
    let mut device = common.connect()?;
    let picture = device.ask(|client| client.capture())?;
    let grey = device.ask(|client| client.read_capture(picture))?;
    if let Some(folder) = args
        .out
        .parent()
        .filter(|path| !path.as_os_str().is_empty())
    {
        create_folder(folder).map_err(Failure::work)?;
    }
    grey.write_png(&args.out).map_err(Failure::work)?;
    let words = format!(
        "{}×{} pixels in {}{}\n",
        picture.h,
        picture.w,
        args.out.display(),
        remark(picture.quality)
    );
    let file = args.out.clone();
    common.report(&Captured { picture, file }, &words)?;
    Ok(Verdict::Success)
}

/// What speaks against a picture, behind what is said about it.
pub(super) fn remark(quality: Quality) -> String {
    match (quality, quality_words(quality)) {
        (Quality::Good, _) => String::new(),
        (_, (why, next)) => format!("; {why}: {next}"),
    }
}

#[derive(Serialize)]
struct Scored {
    /// The picture's file; absent for the camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<PathBuf>,
    #[serde(flatten)]
    decision: Decision,
}

pub(super) fn score(common: &Common, args: &ScoreArgs) -> Result<Verdict, Failure> {
    let pictures: Vec<Option<PathBuf>> = match &args.image {
        Some(path) => {
            let pictures = pictures_at(path).map_err(Failure::usage)?;
            pictures.into_iter().map(Some).collect()
        }
        None => (0..args.count).map(|_| None).collect(),
    };
    let mut device = common.connect()?;
    let max_pixels = device.ask(|client| client.info())?.max_capture;
    let mut all = Vec::new();
    for image in pictures {
        look(&mut device, image.as_ref(), max_pixels)?;
        let decision = device.ask(|client| client.score())?;
        if !common.json {
            let name = image.as_ref().map(|path| format!("{}: ", path.display()));
            println!("{}{}", name.unwrap_or_default(), words(&decision));
        }
        all.push(Scored { image, decision });
    }
    common.report(&all, "")?;
    Ok(Verdict::Success)
}

/// Puts a picture into the device's buffer, its own or one from a file.
fn look(device: &mut Device, image: Option<&PathBuf>, max_pixels: u32) -> Result<(), Failure> {
    match image {
        Some(path) => device.show(path, max_pixels),
        None => device.ask(|client| client.capture()).map(drop),
    }
}

/// A decision in a line.
pub(super) fn words(decision: &Decision) -> String {
    let Decision {
        known,
        best,
        second,
        margin,
        threshold_probability,
        quality,
        ..
    } = decision;
    let Ranked {
        label, probability, ..
    } = best;
    let next = match (second, margin) {
        (Some(second), Some(margin)) => {
            let Ranked {
                label, probability, ..
            } = second;
            format!(
                ", then {label} ({}; margin {margin:.2})",
                percent(*probability)
            )
        }
        _ => String::new(),
    };
    let threshold = percent(*threshold_probability);
    let probability = percent(*probability);
    let verdict = if *known {
        format!("{label} ({probability}; threshold {threshold}){next}")
    } else {
        format!(
            "unknown: the nearest is {label} with {probability}, below the threshold of {threshold}{next}"
        )
    };
    format!("{verdict}{}", remark(*quality))
}

/// In percent, with the digits that tell two probabilities near 0 or 1 apart.
fn percent(probability: f32) -> String {
    let percent = 100.0 * probability;
    if (0.1..99.9).contains(&percent) {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.4} %")
    }
}

#[derive(Serialize)]
struct Times {
    board: String,
    /// One for each embedding.
    microseconds: Vec<u32>,
    median_microseconds: u32,
}

pub(super) fn bench(common: &Common, args: &BenchArgs) -> Result<Verdict, Failure> {
    let mut device = common.connect()?;
    let max_pixels = device.ask(|client| client.info())?.max_capture;
    look(&mut device, args.image.as_ref(), max_pixels)?;
    let mut microseconds = Vec::new();
    for _ in 0..args.count {
        microseconds.push(device.ask(|client| client.bench())?);
    }
    let mut sorted = microseconds.clone();
    sorted.sort_unstable();
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
    let range = (
        sorted.first().copied().unwrap_or(0),
        sorted.last().copied().unwrap_or(0),
    );
    let board = device.client.greeting().board.clone();
    let words = format!(
        "{board}: one embedding takes {:.2} ms (median of {}; {:.2} to {:.2} ms)\n",
        millis(median),
        sorted.len(),
        millis(range.0),
        millis(range.1)
    );
    let times = Times {
        board,
        microseconds,
        median_microseconds: median,
    };
    common.report(&times, &words)?;
    Ok(Verdict::Success)
}

fn millis(microseconds: u32) -> f64 {
    f64::from(microseconds) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(known: bool, quality: Quality) -> Decision {
        let ranked = |label: &str, probability| Ranked {
            label: label.into(),
            logit: 0,
            probability,
        };
        Decision {
            known,
            best: ranked("A", 0.975),
            second: Some(ranked("B", 0.0001)),
            margin: Some(4.25),
            threshold: 0,
            threshold_probability: 0.61,
            logit_exponent: 0,
            quality,
        }
    }

    #[test]
    fn a_verdict_says_why() {
        let known = words(&decision(true, Quality::Good));
        assert_eq!(
            known,
            "A (97.5 %; threshold 61.0 %), then B (0.0100 %; margin 4.25)"
        );
        let unknown = words(&decision(false, Quality::Faint));
        assert!(
            unknown.starts_with("unknown: the nearest is A with 97.5 %, below"),
            "{unknown}"
        );
        assert!(unknown.contains("darker"), "{unknown}");
    }
}
