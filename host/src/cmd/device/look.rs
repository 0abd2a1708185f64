//! `onelook device capture|score|bench`: what the device sees, and what it makes of it.

use std::path::PathBuf;

use serde::Serialize;

use super::{Common, Device};
use crate::cmd::{Failure, Verdict};
use crate::device::answers::{Decision, Picture};
use crate::device::support::pictures_at;
use crate::device::words::{decision_words, remark};
use crate::files::create_folder;

#[derive(Debug, clap::Args)]
pub(super) struct CaptureArgs {
    /// The PNG file to write.
    #[arg(long, value_name = "FILE", default_value = "capture.png")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct ScoreArgs {
    /// A picture (PNG, JPEG, BMP or PGM), or a folder of them, in place of the camera.
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
            println!("{}{}", name.unwrap_or_default(), decision_words(&decision));
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
