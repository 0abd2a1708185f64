//! `onelook device export|import`: what is enrolled, as a folder of pictures.

use std::path::PathBuf;

use indicatif::ProgressBar;
use serde::Serialize;
use shared::link::Fault;

use super::{Common, at};
use crate::cmd::{Failure, Verdict};
use crate::device::support::{FILE, Lesson, SupportSet};
use crate::files::create_folder;

#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The folder to write: a PNG for each sample, and support-set.json.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// A folder that `device export` wrote.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Serialize)]
struct Exported {
    samples: usize,
    folder: PathBuf,
}

pub(super) fn export(common: &Common, args: &ExportArgs) -> Result<Verdict, Failure> {
    let folder = &args.folder;
    if folder.join(FILE).exists() {
        return Err(Failure::Usage(format!(
            "there is a support set in {} already\nnext: name another folder, or remove that one",
            folder.display()
        )));
    }
    let mut device = common.connect()?;
    let samples = device.ask(|client| client.list())?;
    create_folder(folder).map_err(Failure::work)?;
    let greeting = device.client.greeting();
    let mut set = SupportSet::new(&greeting.board, greeting.model.as_deref());
    let bar = ProgressBar::new(samples.len() as u64);
    for sample in &samples {
        let (number, h, w) = (sample.sample, sample.h, sample.w);
        let picture = device.ask(|client| client.read_sample(number, h, w))?;
        let file = set.add(&sample.label);
        picture
            .write_png(&folder.join(file))
            .map_err(Failure::work)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    set.write(folder).map_err(Failure::work)?;
    let words = format!("{} samples are in {}\n", samples.len(), folder.display());
    let exported = Exported {
        samples: samples.len(),
        folder: folder.clone(),
    };
    common.report(&exported, &words)?;
    Ok(Verdict::Success)
}

#[derive(Default, Serialize)]
struct Imported {
    /// Samples that are new.
    enrolled: usize,
    /// Samples that were there already.
    known: usize,
}

pub(super) fn import(common: &Common, args: &ImportArgs) -> Result<Verdict, Failure> {
    let set = SupportSet::read(&args.folder).map_err(Failure::usage)?;
    let lessons = set.lessons(&args.folder);
    let mut device = common.connect()?;
    let max_pixels = device.ask(|client| client.info())?.max_capture;
    let mut imported = Imported::default();
    let bar = ProgressBar::new(lessons.len() as u64);
    for Lesson { label, picture } in &lessons {
        device.show(picture, max_pixels)?;
        match device.client.teach(label) {
            Ok(_) => imported.enrolled += 1,
            Err(error) => match error.refusal().map(|refusal| refusal.fault) {
                // So that an import which was cut can be run again.
                Some(Fault::Duplicate { .. }) => imported.known += 1,
                _ => {
                    bar.finish_and_clear();
                    let done = imported.enrolled + imported.known;
                    eprintln!("{done} of {} samples are on the device", lessons.len());
                    return Err(at(&device.address)(error));
                }
            },
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let words = format!(
        "{} samples enrolled, {} were there already\n",
        imported.enrolled, imported.known
    );
    common.report(&imported, &words)?;
    Ok(Verdict::Success)
}
