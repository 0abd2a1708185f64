//! `onelook search`: many short trainings of one recipe with other numbers, the best of which train on.
//!
//! What is asked for is checked here, and what came of it is written here; the search itself is
//! [`crate::search`].

use std::path::PathBuf;

use super::args::DataArgs;
use super::budget::BudgetArgs;
use super::{Failure, Verdict, run_folder};
use crate::config::{CONFIG_FILE, Config, Split};
use crate::search::built_in;
use crate::search::journal::{JOURNAL, Journal};
use crate::search::space::Space;
use crate::search::study::{FORMAT, Settings};

/// Steps of the rungs where nobody says others.
const RUNGS: [usize; 3] = [200, 600, 1800];
const ETA: usize = 3;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Folder that holds the runs.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Name of the search. Where it has begun, the same command goes on with it; several may work on it at
    /// the same time.
    #[arg(long, default_value = "search")]
    name: String,
    /// Recipe and network to start from: micro, nano, koch or seed.
    #[arg(long, default_value = "nano")]
    preset: String,
    /// TOML file with a configuration to start from.
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    config: Option<PathBuf>,
    /// What may change: a TOML file, or one of the built-in spaces recipe and koch (the paper's ranges)
    /// [default: koch for training on pairs, else recipe].
    #[arg(long, value_name = "FILE|NAME")]
    space: Option<String>,
    /// Print the search space as TOML, to begin a file of your own with, and stop.
    #[arg(long)]
    print_space: bool,
    /// Trials to train, those that do not fit not counted; may be raised later [24].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    trials: Option<u32>,
    /// Optimizer steps after which trials are compared; the best ones train on to the next number, the last one is
    /// the whole length of a training [200,600,1800].
    #[arg(long, value_delimiter = ',', value_name = "STEPS,…")]
    rungs: Vec<usize>,
    /// Of so many trials one trains on [3].
    #[arg(long, value_parser = clap::value_parser!(u16).range(2..=100))]
    eta: Option<u16>,
    /// Seed of the proposals [1]; that of weights and batches is the configuration's.
    #[arg(long)]
    seed: Option<u64>,
    /// Threads of libtorch [one per core].
    #[arg(long)]
    threads: Option<usize>,
    /// Go on with a search that has begun, whatever it was started with.
    #[arg(long, conflicts_with_all = ["preset", "config", "space", "rungs", "eta", "seed", "threads"])]
    resume: bool,
    /// Print the trials as JSON on stdout.
    #[arg(long)]
    json: bool,
}

/// What is asked for, checked as far as it can be without drawings.
#[cfg_attr(
    not(feature = "train"),
    expect(dead_code, reason = "the build that trains does what is planned")
)]
struct Plan {
    folder: PathBuf,
    base: Config,
    /// Without the fingerprint of the drawings.
    settings: Settings,
}

impl Args {
    fn plan(&self) -> Result<Plan, Failure> {
        let folder = run_folder::named(&self.out, &self.name)?;
        if self.resume {
            return self.begun(folder);
        }
        if !folder.join(JOURNAL).exists() && run_folder::occupied(&folder) {
            let at = folder.display();
            return Err(Failure::Usage(format!(
                "{at} holds something else than a search; choose another --name"
            )));
        }
        let config = match &self.config {
            Some(path) => Config::read(path),
            None => Config::preset(&self.preset),
        };
        let mut base = config.map_err(Failure::usage)?;
        let rungs = self.rungs()?;
        base.import = None;
        base.train.steps = rungs.last().copied().unwrap_or(1);
        base.train.threads = self.threads.unwrap_or(base.train.threads);
        base.check().map_err(Failure::usage)?;
        BudgetArgs::default().check(&base)?;
        if base
            .pairs
            .as_ref()
            .is_some_and(|pairs| pairs.split != Split::HeldOut)
        {
            return Err(Failure::Usage(
                "pairs.split must be held_out: a search that sees evaluation alphabets spoils every figure over them".to_owned(),
            ));
        }
        let space = self.space(&base)?;
        let settings = Settings {
            format: FORMAT,
            seed: self.seed.unwrap_or(1),
            rungs,
            eta: self.eta.map_or(ETA, usize::from),
            base: base.hash(),
            data: Default::default(),
            space,
        };
        Ok(Plan {
            folder,
            base,
            settings,
        })
    }

    /// What was asked for when it began.
    fn begun(&self, folder: PathBuf) -> Result<Plan, Failure> {
        let nothing = || {
            let at = folder.display();
            Failure::Usage(format!(
                "{at} holds no search; start one without --resume, or name it with --name"
            ))
        };
        if !folder.join(JOURNAL).exists() {
            return Err(nothing());
        }
        let journal = Journal::open(&folder).map_err(Failure::work)?;
        let settings = journal.study().ok_or_else(nothing)?.settings.clone();
        let path = folder.join(CONFIG_FILE);
        let base = Config::read(&path).map_err(Failure::usage)?;
        if base.hash() != settings.base {
            let path = path.display();
            return Err(Failure::Usage(format!(
                "{path} is not the configuration that the search began with; put it back, or start another search with --name"
            )));
        }
        Ok(Plan {
            folder,
            base,
            settings,
        })
    }

    fn rungs(&self) -> Result<Vec<usize>, Failure> {
        let rungs = if self.rungs.is_empty() {
            RUNGS.to_vec()
        } else {
            self.rungs.clone()
        };
        let rising = rungs.iter().is_sorted_by(|a, b| a < b) && rungs.first() > Some(&0);
        match rising {
            true => Ok(rungs),
            false => Err(Failure::Usage(format!(
                "--rungs {rungs:?} must rise, from 1 or more"
            ))),
        }
    }

    fn space(&self, base: &Config) -> Result<Space, Failure> {
        let name = self
            .space
            .as_deref()
            .unwrap_or_else(|| built_in::default_name(base));
        let Some(space) = built_in::named(name, base) else {
            return Space::read(name.as_ref(), base).map_err(|error| {
                let names = built_in::NAMES.join(" and ");
                Failure::Usage(format!("--space {error}; the built-in ones are {names}"))
            });
        };
        space
            .check(base)
            .map_err(|error| Failure::Usage(format!("--space {name}: {error}")))?;
        Ok(space)
    }
}

/// Prints the space, where that is asked for; else what is to be done.
fn plan(args: &Args) -> Result<Option<Plan>, Failure> {
    let plan = args.plan()?;
    if args.print_space {
        print!("{}", plan.settings.space.to_toml());
        return Ok(None);
    }
    Ok(Some(plan))
}

#[cfg(not(feature = "train"))]
pub(super) fn run(args: Args) -> Result<Verdict, Failure> {
    if plan(&args)?.is_none() {
        return Ok(Verdict::Success);
    }
    args.data.find()?;
    super::launch::with_libtorch()
}

#[cfg(feature = "train")]
pub(super) use with_torch::run;

#[cfg(feature = "train")]
mod with_torch {
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{Args, BudgetArgs, Failure, Journal, Plan, Verdict, plan};
    use crate::config::Config;
    use crate::files::write_whole;
    use crate::plot::canvas::{png, svg};
    use crate::plot::search::SearchFigure;
    use crate::search::SearchError;
    use crate::search::study::Study;
    use crate::search::table::{BEST, Rows, TRIALS_CSV, best};
    use crate::search::worker::{Ended, Job, Stopped, Worker, enter};
    use crate::train::rung;

    /// Set by Ctrl-C, which ends the process when it is set already.
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);

    pub(in super::super) fn run(args: Args) -> Result<Verdict, Failure> {
        let Some(mut plan) = plan(&args)? else {
            return Ok(Verdict::Success);
        };
        // Never more than the background alphabets: nothing here can see the others.
        let background = args.data.open()?.background()?;
        plan.settings.data =
            [background.training(), background.validation()].map(|half| half.fingerprint());
        let Plan {
            folder,
            base,
            settings,
        } = plan;
        let wanted = args.trials.map(|trials| trials as usize);
        enter(&folder, &base, settings, wanted).map_err(refused)?;
        // Fails only when a handler is set already, and there is no other.
        let _ = ctrlc::set_handler(|| {
            if INTERRUPTED.swap(true, Ordering::Relaxed) {
                std::process::exit(Verdict::Interrupted.exit_code().into());
            }
        });
        eprintln!("search: {}", folder.display());
        let worker = Worker {
            folder: &folder,
            base: &base,
            accepts: &|config: &Config| {
                // A network for a device must be one that a device can run.
                let checked = BudgetArgs::default().check(config);
                checked.map_err(|failure| failure.to_string())
            },
            interrupted: &INTERRUPTED,
        };
        let stopped = worker.run(|job| {
            eprintln!(
                "trial {}: to step {} ({})",
                job.trial,
                job.steps,
                job.folder.display()
            );
            let ended =
                rung::train(job, &background, &INTERRUPTED).map_err(|error| error.to_string());
            ended.inspect(|ended| eprintln!("{}", said(job, ended)))
        });
        match stopped.map_err(refused)? {
            Stopped::Finished => report(&args, &folder, &base),
            Stopped::Interrupted => {
                let (out, name) = (args.out.display(), &args.name);
                eprintln!(
                    "stopped; go on with `onelook search --resume --out {out} --name {name}` and the same --data"
                );
                Ok(Verdict::Interrupted)
            }
        }
    }

    fn refused(error: SearchError) -> Failure {
        match error {
            SearchError::Other { .. } | SearchError::NothingFits { .. } => Failure::usage(error),
            _ => Failure::work(error),
        }
    }

    fn said(job: &Job<'_>, ended: &Ended) -> String {
        let trial = job.trial;
        match ended {
            Ended::Scored(score) => {
                let [mean, error] =
                    [score.accuracy, score.standard_error].map(|share| 100.0 * share);
                format!(
                    "trial {trial}: {mean:.2} % ± {error:.2} after {} steps",
                    score.step
                )
            }
            Ended::Failed(why) => format!("trial {trial} failed: {why}"),
            Ended::Interrupted { step } => format!("trial {trial}: stopped at step {step}"),
        }
    }

    /// Writes and prints what came of it.
    fn report(args: &Args, folder: &Path, base: &Config) -> Result<Verdict, Failure> {
        let journal = Journal::open(folder).map_err(Failure::work)?;
        let study: Option<Study> = journal.study().cloned();
        // The others need not wait for the figure.
        drop(journal);
        let Some(study) = study else {
            return Ok(Verdict::Success);
        };
        let rows = Rows::of(&study);
        let figure = SearchFigure { study: &study };
        let files = [
            (TRIALS_CSV, rows.csv().map_err(Failure::work)?.into_bytes()),
            (
                "trials.svg",
                svg(&figure).map_err(Failure::work)?.into_bytes(),
            ),
            ("trials.png", png(&figure).map_err(Failure::work)?),
        ];
        let best = best(&study, base).map(|best| (BEST, best.into_bytes()));
        let found = best.is_some();
        for (name, bytes) in files.into_iter().chain(best) {
            write_whole(&folder.join(name), &bytes).map_err(Failure::work)?;
        }
        if args.json {
            println!(
                "{}",
                serde_json::to_string_pretty(&rows).map_err(Failure::work)?
            );
        } else {
            println!("{}", rows.markdown());
        }
        if found {
            let best = folder.join(BEST);
            eprintln!("the best: onelook train-export --config {}", best.display());
        } else {
            eprintln!("no trial came to a rung; the table says why");
        }
        Ok(Verdict::Success)
    }
}
