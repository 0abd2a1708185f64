//! `onelook train-export`: from drawings to a model that every engine agrees on.
//!
//! Train → fold → quantize → export → measure → verify. The first half is here, the second is
//! [`export::finish`].

use std::path::PathBuf;

use clap::ValueEnum;

use super::args::DataArgs;
use super::budget::BudgetArgs;
use super::run_folder::RunArgs;
use super::{Failure, Verdict};
use crate::config::{CONFIG_FILE, Config};
use crate::report::REPORT_JSON;

/// Training time of `--quick`.
const QUICK_MINUTES: f64 = 4.0;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    budget: BudgetArgs,
    /// A network and its training recipe: micro (the one that ships), nano (for small memories), koch (the
    /// paper's) or seed (a blog post's variation of it); the last two stay in floating point.
    #[arg(long, default_value = "micro")]
    preset: String,
    /// TOML file with a configuration; the other flags win over it.
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    config: Option<PathBuf>,
    /// Train for about 4 minutes: enough to see everything work.
    #[arg(long, conflicts_with_all = ["minutes", "steps"])]
    quick: bool,
    /// Time for training in minutes, validation included [30].
    #[arg(long, conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Optimizer steps, instead of a time.
    #[arg(long)]
    steps: Option<usize>,
    /// Seed of weights and of every random draw [1].
    #[arg(long)]
    seed: Option<u64>,
    /// Threads of libtorch [one per core].
    #[arg(long)]
    threads: Option<usize>,
    /// Where to compute.
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    device: DeviceName,
    /// Go on with an interrupted run, with the configuration it was started with.
    #[arg(long, conflicts_with_all = ["config", "quick", "minutes", "steps", "seed", "threads"])]
    resume: bool,
    /// With --resume: train no further, and export the best network so far.
    #[arg(long, requires = "resume")]
    finish: bool,
    /// Print the report as JSON on stdout.
    #[arg(long)]
    json: bool,
}

/// Where libtorch computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DeviceName {
    /// The processor.
    Cpu,
    /// The first CUDA device; needs a libtorch with CUDA, named by LIBTORCH.
    Cuda,
}

impl Args {
    /// Defaults, then the file, then the flags.
    fn config(&self) -> Result<Config, Failure> {
        let config = match &self.config {
            Some(path) => Config::read(path),
            None => Config::preset(&self.preset),
        };
        let mut config = config.map_err(Failure::usage)?;
        // The layers of an imported network may be trained here; the weights are then ours.
        config.import = None;
        let train = &mut config.train;
        if self.quick {
            (train.minutes, train.steps) = (QUICK_MINUTES, 0);
        }
        if let Some(minutes) = self.minutes {
            (train.minutes, train.steps) = (minutes, 0);
        }
        train.steps = self.steps.unwrap_or(train.steps);
        train.seed = self.seed.unwrap_or(train.seed);
        train.threads = self.threads.unwrap_or(train.threads);
        config.check().map_err(Failure::usage)?;
        Ok(config)
    }

    fn default_name(&self) -> String {
        let base = self
            .config
            .as_ref()
            .and_then(|path| path.file_stem()?.to_str());
        let base = base.unwrap_or(&self.preset);
        if self.quick {
            format!("{base}-quick")
        } else {
            base.to_owned()
        }
    }
}

/// The folder and the configuration of the run. Nothing is written yet, so that whatever can be
/// refused is refused before minutes of building or training.
fn plan(args: &Args) -> Result<(PathBuf, Config), Failure> {
    if args.resume {
        let folder = args
            .run
            .unfinished(&args.default_name(), [CONFIG_FILE, REPORT_JSON])?;
        let config = Config::read(&folder.join(CONFIG_FILE)).map_err(Failure::usage)?;
        args.budget.check(&config)?;
        return Ok((folder, config));
    }
    let config = args.config()?;
    args.budget.check(&config)?;
    Ok((args.run.unoccupied(&args.default_name())?, config))
}

#[cfg(not(feature = "train"))]
pub(super) fn run(args: Args) -> Result<Verdict, Failure> {
    plan(&args)?;
    args.data.find()?;
    super::launch::with_libtorch()
}

#[cfg(feature = "train")]
pub(super) use with_torch::run;

#[cfg(feature = "train")]
mod with_torch {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::export::{self, Job, Origin};
    use super::{Args, CONFIG_FILE, DeviceName, Failure, Verdict, plan};
    use crate::checkpoint::{self, CHECKPOINT};
    use crate::engine::Input;
    use crate::files::{create_folder, write_whole};
    use crate::report::Training;
    use crate::train::run::RESUME_FILE;
    use crate::train::{Outcome, Session};

    /// Set by Ctrl-C, which ends the process when it is set already.
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);

    pub(in super::super) fn run(args: Args) -> Result<Verdict, Failure> {
        let (folder, config) = plan(&args)?;
        let device = device(args.device)?;
        let drawings = args.data.open()?;
        let background = drawings.background_for(&config)?;
        if !args.resume {
            create_folder(&folder).map_err(Failure::work)?;
            let toml = config.to_toml();
            write_whole(&folder.join(CONFIG_FILE), toml.as_bytes()).map_err(Failure::work)?;
        }
        // Fails only when a handler is set already, and there is no other.
        let _ = ctrlc::set_handler(|| {
            if INTERRUPTED.swap(true, Ordering::Relaxed) {
                std::process::exit(Verdict::Interrupted.exit_code().into());
            }
        });
        eprintln!("run: {} (seed {})", folder.display(), config.train.seed);
        let session = Session {
            config: &config,
            background: &background,
            folder: &folder,
            device,
            interrupted: &INTERRUPTED,
            stop_at: None,
        };
        let outcome = match args.finish {
            true => session.best_so_far().map(Outcome::Finished),
            false => session.run(args.resume),
        };
        let trained = match outcome.map_err(Failure::work)? {
            Outcome::Finished(trained) => trained,
            Outcome::Interrupted { step } => {
                let go_on = args.run.resume_flags(&folder);
                eprintln!("stopped at step {step}; go on with the same --data and {go_on}");
                return Ok(Verdict::Interrupted);
            }
        };
        // From here on there is nothing to save: Ctrl-C ends the process, --resume goes on here.
        INTERRUPTED.store(true, Ordering::Relaxed);
        checkpoint::write(&folder.join(CHECKPOINT), &trained.net, &config)
            .map_err(Failure::work)?;
        let training = Training {
            steps: trained.progress.step,
            seconds: trained.progress.seconds,
            images_per_second: trained.progress.images_per_second,
            precision: trained.precision,
            best_step: trained.progress.best_step,
            validation_accuracy: trained.progress.best_accuracy,
            training_alphabets: background.training().alphabets.len(),
            validation_alphabets: background.validation().alphabets.len(),
            data: background.training().fingerprint(),
        };
        let job = Job {
            folder: &folder,
            net: &trained.net,
            config: &config,
            held_out: background.validation(),
            json: args.json,
        };
        let calibration = export::calibration(&background, Input::of_spec(&trained.net.spec))?;
        let verdict = job.finish(&drawings, &calibration, Origin::Trained(training))?;
        // The run is complete: nothing is left to go on with.
        std::fs::remove_file(folder.join(RESUME_FILE)).map_err(Failure::work)?;
        Ok(verdict)
    }

    fn device(name: DeviceName) -> Result<tch::Device, Failure> {
        match name {
            DeviceName::Cpu => Ok(tch::Device::Cpu),
            DeviceName::Cuda if tch::Cuda::is_available() => Ok(tch::Device::Cuda(0)),
            DeviceName::Cuda => Err(Failure::Usage(
                "no CUDA device here; use --device cpu, or name a libtorch with CUDA by LIBTORCH"
                    .to_owned(),
            )),
        }
    }
}
