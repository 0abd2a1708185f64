//! `onelook heads`: what a head is worth, over the same encoder and with the same training.
//!
//! In: a configuration and who takes part. Out: a table of what each reaches, or JSON.

use std::path::PathBuf;

use super::args::DataArgs;
use super::{Failure, Verdict};
use crate::config::Config;
use crate::heads::Contestant;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// The encoder and its training, with episodes: micro or nano.
    #[arg(long, default_value = "nano")]
    preset: String,
    /// TOML file with a configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    config: Option<PathBuf>,
    /// Optimizer steps of each.
    #[arg(long, default_value_t = 3000)]
    steps: usize,
    /// Who takes part; several with commas [default: everybody].
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Contestant>,
    /// Print what was reached as JSON on stdout.
    #[arg(long)]
    json: bool,
}

/// Learning rate of all contestants: the recipe's own is too high for LSTMs.
const LEARNING_RATE: f64 = 4e-3;

impl Args {
    fn config(&self) -> Result<Config, Failure> {
        let config = match &self.config {
            Some(path) => Config::read(path),
            None => Config::preset(&self.preset),
        };
        let mut config = config.map_err(Failure::usage)?;
        if config.pairs.is_some() || !config.train.teachers.is_empty() {
            return Err(Failure::Usage(
                "heads are compared on episodes and without teachers: remove [pairs] and train.teachers, or take --preset nano".to_owned(),
            ));
        }
        if self.config.is_none() {
            // Four episodes as the ones that are asked at the end.
            let train = &mut config.train;
            (train.episodes, train.n_way, train.learning_rate) = (4, 20, LEARNING_RATE);
        }
        config.train.steps = self.steps;
        config.check().map_err(Failure::usage)?;
        match self.steps {
            0 => Err(Failure::Usage("--steps must be at least 1".to_owned())),
            _ => Ok(config),
        }
    }
}

#[cfg(not(feature = "train"))]
pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    args.config()?;
    args.data.find()?;
    super::launch::with_libtorch()
}

#[cfg(feature = "train")]
pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::evaluate::standard_trials;
    use crate::heads::table;
    use crate::train::heads::HeadsSession;

    /// Set by Ctrl-C.
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);

    let config = args.config()?;
    let drawings = args.data.open()?;
    let background = drawings.background()?;
    let mut trials = vec![drawings.lake20()?];
    // 20 and 5 ways, within an alphabet and mixed.
    trials.extend(
        standard_trials(&drawings.evaluation()?)?
            .into_iter()
            .take(4),
    );
    // Fails only when a handler is set already, and there is no other.
    let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
    let session = HeadsSession {
        config: &config,
        background: &background,
        trials: &trials,
        device: tch::Device::Cpu,
        interrupted: &INTERRUPTED,
    };
    let contestants = if args.only.is_empty() {
        &Contestant::ALL[..]
    } else {
        &args.only
    };
    let (mut rows, mut verdict) = (Vec::new(), Verdict::Success);
    for &contestant in contestants {
        let Some(reached) = session.run(contestant).map_err(Failure::work)? else {
            eprintln!(
                "stopped while {} was training; the others are below",
                contestant.name()
            );
            verdict = Verdict::Interrupted;
            break;
        };
        let first = reached
            .accuracy
            .first()
            .map_or_else(String::new, |(_, a)| a.to_string());
        eprintln!(
            "{}: {first} on Lake's runs, {:.0} s",
            contestant.name(),
            reached.seconds
        );
        rows.push(reached);
    }
    if args.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&rows).map_err(Failure::work)?
        );
    } else {
        println!("{}", table(&rows));
    }
    Ok(verdict)
}
