//! `onelook device enrol|forget|rename|undo`: what it knows.

use std::path::PathBuf;

use serde::Serialize;
use shared::link::{Enrolled, Target};

use super::{Common, Device};
use crate::cmd::{Failure, Verdict};
use crate::device::refusal::quality_name;
use crate::device::support::{Lesson, lessons_at};
use crate::device::words::remark;

#[derive(Debug, clap::Args)]
pub(super) struct EnrolArgs {
    /// The class. For a folder it is the name of each folder in it, or of each picture: A.png, A-2.png.
    #[arg(long, required_unless_present = "image")]
    label: Option<String>,
    /// A picture (PNG, JPEG, BMP or PGM) or a folder of pictures, in place of the camera.
    #[arg(long, value_name = "FILE|DIR")]
    image: Option<PathBuf>,
    /// Also when the picture's quality or its likeness to another class speaks against it.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct ForgetArgs {
    /// The class to forget.
    label: Option<String>,
    /// The number of the sample to forget.
    #[arg(long)]
    sample: Option<u32>,
    /// Forget everything.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RenameArgs {
    /// As it is called.
    from: String,
    /// As it shall be called; the name of another class joins the two.
    to: String,
}

/// What became of one picture.
#[derive(Serialize)]
struct Lore {
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<PathBuf>,
    /// The sample's number; absent when it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<&'static str>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

pub(super) fn enrol(common: &Common, args: &EnrolArgs) -> Result<Verdict, Failure> {
    let lessons = match &args.image {
        Some(path) => lessons_at(path, args.label.as_deref()).map_err(Failure::usage)?,
        None => return from_camera(common, args),
    };
    let mut device = common.connect()?;
    let max_pixels = device.ask(|client| client.info())?.max_capture;
    let mut all = Vec::new();
    let mut last_refusal = None;
    for Lesson { label, picture } in lessons {
        device.show(&picture, max_pixels)?;
        let shown = picture.display().to_string();
        let enrolled = match device.client.enrol(&label, args.force) {
            Ok(enrolled) => Ok(enrolled),
            Err(error) => match error.refusal() {
                // What is wrong with one picture is not wrong with the next.
                Some(refusal) if is_of_the_picture(refusal) => Err(refusal.clone()),
                _ => return Err(super::at(&device.address)(error)),
            },
        };
        match &enrolled {
            Ok(enrolled) => say(common, &label, &format!("{shown}: "), enrolled),
            Err(refusal) => {
                eprintln!("{shown}: {refusal}");
                last_refusal = Some(refusal.why());
            }
        }
        all.push(Lore {
            label,
            image: Some(picture),
            sample: enrolled.as_ref().ok().map(|enrolled| enrolled.sample),
            quality: enrolled
                .as_ref()
                .ok()
                .map(|enrolled| quality_name(enrolled.quality)),
            refused: enrolled.err().map(|refusal| refusal.why()),
        });
    }
    common.report(&all, "")?;
    let refused = all.iter().filter(|lore| lore.refused.is_some()).count();
    match last_refusal {
        None => Ok(Verdict::Success),
        Some(_) => Err(Failure::Work(format!(
            "{refused} of {} pictures were not enrolled, for the reasons above",
            all.len()
        ))),
    }
}

fn is_of_the_picture(refusal: &crate::device::refusal::Refusal) -> bool {
    refusal.can_be_forced() || matches!(refusal.fault, shared::link::Fault::Duplicate { .. })
}

fn from_camera(common: &Common, args: &EnrolArgs) -> Result<Verdict, Failure> {
    let label = args.label.clone().unwrap_or_default();
    let mut device = common.connect()?;
    device.ask(|client| client.capture())?;
    let enrolled = device.ask(|client| client.enrol(&label, args.force))?;
    say(common, &label, "", &enrolled);
    let lore = Lore {
        label,
        image: None,
        sample: Some(enrolled.sample),
        quality: Some(quality_name(enrolled.quality)),
        refused: None,
    };
    common.report(&[lore], "")?;
    Ok(Verdict::Success)
}

fn say(common: &Common, label: &str, before: &str, enrolled: &Enrolled) {
    if common.json {
        return;
    }
    println!(
        "{before}{label} is enrolled as sample {} ({} in all, classes: {}){}",
        enrolled.sample,
        enrolled.samples,
        enrolled.classes,
        remark(enrolled.quality)
    );
}

#[derive(Serialize)]
struct Changed {
    samples: u16,
}

/// Reports how many samples a change concerned.
fn changed(common: &Common, samples: u16, what: &str) -> Result<Verdict, Failure> {
    let unit = if samples == 1 { "sample" } else { "samples" };
    let words = format!("{what}: {samples} {unit}\n");
    common.report(&Changed { samples }, &words)?;
    Ok(Verdict::Success)
}

pub(super) fn forget(common: &Common, args: &ForgetArgs) -> Result<Verdict, Failure> {
    let target = match args {
        ForgetArgs {
            label: Some(label), ..
        } => Target::Class(label),
        ForgetArgs {
            sample: Some(sample),
            ..
        } => Target::Sample(*sample),
        _ => Target::All,
    };
    let mut device = common.connect()?;
    let samples = device.ask(|client| client.forget(target))?;
    changed(
        common,
        samples,
        "forgotten; `onelook device undo` takes it back",
    )
}

pub(super) fn rename(common: &Common, args: &RenameArgs) -> Result<Verdict, Failure> {
    let RenameArgs { from, to } = args;
    let mut device: Device = common.connect()?;
    let samples = device.ask(|client| client.rename(from, to))?;
    changed(common, samples, &format!("{from} is now {to}"))
}

pub(super) fn undo(common: &Common) -> Result<Verdict, Failure> {
    let mut device = common.connect()?;
    let samples = device.ask(|client| client.undo())?;
    changed(common, samples, "taken back")
}
