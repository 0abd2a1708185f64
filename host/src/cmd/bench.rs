//! `onelook bench`: how fast shared, tract and onnxruntime run a network on this computer.

use std::path::PathBuf;
use std::time::Duration;

use tools::Progress;

use super::{Failure, Verdict, spinner};
use crate::bench::bench;
use crate::bench::contest::Settings;
use crate::config::Config;
use crate::engine::{Input, network_input};
use crate::export::Bundle;
use crate::glyphs;
use crate::quantize::exact::{FloatOnly, float_only};
use crate::quantize::quantize;
use crate::untrained::untrained;

/// Seed of the drawings and of an untrained network's weights.
const SEED: u64 = 1;

/// A query and 20 supports.
const IMAGES: usize = 21;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    subject: Subject,
    /// How long all engines together are measured; no fewer than 5 rounds of each task.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Runs at the same time, each on one thread.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=512))]
    threads: u16,
    /// Print the figures as JSON on stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Subject {
    /// Folder of a finished run.
    #[arg(value_name = "RUN")]
    folder: Option<PathBuf>,
    /// A preset's network with random weights. They are larger than trained ones, which costs
    /// shared some of its speed.
    #[arg(long)]
    preset: Option<String>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds".to_owned())?;
    if (0.0..=86_400.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("0 to 86400 seconds".to_owned())
    }
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let bundle = args.subject.bundle()?;
    let input = Input::of(&bundle.view().map_err(Failure::work)?);
    let library = tools::onnxruntime::provide(&Progress::stderr()).map_err(Failure::work)?;
    let settings = Settings {
        duration: Duration::from_secs_f64(args.seconds),
        threads: args.threads.into(),
    };
    let bar = spinner("running all engines in turns");
    let report = bench(&bundle, &library, &images(input)?, settings).map_err(Failure::work)?;
    bar.finish_and_clear();
    if args.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&report).map_err(Failure::work)?
        );
    } else {
        print!("{}", report.words());
    }
    Ok(Verdict::Success)
}

impl Subject {
    fn bundle(&self) -> Result<Bundle, Failure> {
        if let Some(folder) = &self.folder {
            return Bundle::read(folder).map_err(Failure::work);
        }
        let config = Config::preset(self.preset.as_deref().unwrap_or_default());
        let spec = config.and_then(|config| config.network());
        let spec = spec.map_err(Failure::usage)?;
        let refused = float_only(&spec).map_err(Failure::usage)?;
        if !refused.is_empty() {
            let lines: Vec<String> = refused.iter().map(FloatOnly::to_string).collect();
            return Err(Failure::Usage(lines.join("\n")));
        }
        let float = untrained(&spec, SEED).map_err(Failure::work)?;
        let (quantized, _) =
            quantize(&float, &images(Input::of_spec(&spec))?).map_err(Failure::work)?;
        Bundle::new(&float, &quantized, "untrained", "").map_err(Failure::work)
    }
}

/// Drawings of as many generated glyphs.
fn images(input: Input) -> Result<Vec<Vec<u8>>, Failure> {
    let glyphs = glyphs::load(SEED);
    let drawings = glyphs.evaluation.characters();
    let drawings = drawings.flat_map(|character| character.drawings.first());
    let images = drawings
        .take(IMAGES)
        .map(|drawing| network_input(drawing, input));
    images.collect::<Result<_, _>>().map_err(Failure::work)
}
