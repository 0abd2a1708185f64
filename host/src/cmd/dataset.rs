//! `onelook dataset`: how much data there is, in pairs and in tasks.

use std::path::PathBuf;

use super::args::{DataArgs, Drawings, read_images};
use super::{Failure, Verdict};
use crate::census::Census;
use crate::dataset::Dataset;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Marks of your own instead of Omniglot: a folder with a folder of pictures for each class
    /// (DIR/class/*.png), or with folders of these (DIR/alphabet/class/*.png).
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "dataset"])]
    images: Option<PathBuf>,
    /// Classes of the tasks that are counted; several with commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [5, 20], value_parser = ways)]
    ways: Vec<usize>,
    /// Print the counts as JSON on stdout.
    #[arg(long)]
    json: bool,
}

fn ways(text: &str) -> Result<usize, String> {
    // More classes would have more tasks than a floating point number.
    let number = text.parse().ok().filter(|n| (2..=100).contains(n));
    number.ok_or_else(|| "a number from 2 to 100".to_owned())
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let parts = match &args.images {
        Some(folder) => vec![("images", read_images(folder)?)],
        None => halves(&args.data.open()?)?,
    };
    let counted = parts
        .iter()
        .map(|(name, data)| Census::of(name, data, &args.ways));
    let counted: Vec<Census> = counted.collect();
    if args.json {
        let json = serde_json::to_string_pretty(&counted).map_err(Failure::work)?;
        println!("{json}");
    } else {
        let pages: Vec<String> = counted.iter().map(Census::words).collect();
        println!("{}", pages.join("\n\n"));
    }
    Ok(Verdict::Success)
}

/// Both halves, whole: what trains and what chooses the checkpoint belong together here.
fn halves(drawings: &Drawings) -> Result<Vec<(&'static str, Dataset)>, Failure> {
    let split = drawings.background()?;
    let halves = [split.training(), split.validation()];
    let mut alphabets: Vec<_> = halves
        .iter()
        .flat_map(|half| half.alphabets.iter().cloned())
        .collect();
    alphabets.sort_by(|a, b| a.name.cmp(&b.name));
    let background = Dataset { alphabets };
    Ok(vec![
        ("background", background),
        ("evaluation", drawings.evaluation()?),
    ])
}
