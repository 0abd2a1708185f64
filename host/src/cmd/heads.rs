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
    /// The encoder and its recipe: micro or nano; batches are four 20-way episodes, the learning rate is 0.004.
    #[arg(long, default_value = "nano")]
    preset: String,
    /// TOML file with a configuration, taken as it is, but for --steps.
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
        let train = &config.train;
        let left_out = [
            ("drawings must be 2", train.drawings != 2),
            ("class_loss must be 0", train.class_loss > 0.0),
            ("average_decay must be 0", train.average_decay > 0.0),
            ("episode_loss must be above 0", train.episode_loss <= 0.0),
        ];
        if let Some((rule, _)) = left_out.iter().find(|(_, refused)| *refused) {
            return Err(Failure::Usage(format!(
                "train.{rule}: the heads are compared on episodes by two drawers and by their own losses alone"
            )));
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
    let (mut rows, mut ended) = (Vec::new(), Ok(Verdict::Success));
    for &contestant in contestants {
        let name = contestant.name();
        let reached = match session.run(contestant) {
            Ok(Some(reached)) => reached,
            Ok(None) => {
                eprintln!("stopped while {name} was training; the others are below");
                ended = Ok(Verdict::Interrupted);
                break;
            }
            // What the others have reached took long enough.
            Err(error) => {
                ended = Err(Failure::Work(format!(
                    "{name}: {error}; the others are above"
                )));
                break;
            }
        };
        let first = reached
            .accuracy
            .first()
            .map_or_else(String::new, |(_, a)| a.to_string());
        eprintln!("{name}: {first} on Lake's runs, {:.0} s", reached.seconds);
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
    ended
}
