//! The loop of a search: ask the journal what to do, do it, write down what came of it.
//!
//! In: a search's folder, the configuration it starts from, a function that trains. Out: trials in the journal,
//! until there is nothing left to do or the user stops it. Any number of processes may run the loop on one folder.
//! What a worker does follows from the journal alone; one worker that is interrupted, or killed, and started again
//! makes the same trials with the same scores as one that is not.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::SearchError;
use super::journal::{Claim, Journal, claim, trial_folder};
use super::sampler::propose;
use super::study::{Event, Score, Settings, Step, Study};
use crate::config::{CONFIG_FILE, Config};
use crate::files::write_whole;

/// Trials where nobody says how many.
pub const TRIALS: usize = 24;
/// Proposals in a row that may not fit.
const MISFITS: usize = 200;
/// Time between two looks at what the others do.
const PAUSE: Duration = Duration::from_millis(200);

/// One trial on its way to a rung.
#[derive(Debug)]
pub struct Job<'a> {
    /// Its number.
    pub trial: usize,
    /// The rung.
    pub rung: usize,
    /// Optimizer steps until there.
    pub steps: usize,
    /// How to train it; `train.steps` is the length of the last rung.
    pub config: &'a Config,
    /// Its folder: training goes on from what is in it.
    pub folder: &'a Path,
}

/// How training up to a rung ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// There.
    Scored(Score),
    /// The loss is no longer a number, or libtorch refused.
    Failed(String),
    /// The user stopped it after so many steps; a checkpoint is written.
    Interrupted {
        /// Steps done.
        step: usize,
    },
}

/// How the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// There is nothing left to do.
    Finished,
    /// By the user.
    Interrupted,
}

/// A search and who works on it.
pub struct Worker<'a> {
    /// The search's folder.
    pub folder: &'a Path,
    /// The configuration that it starts from.
    pub base: &'a Config,
    /// Whether a configuration may be trained, apart from [`Config::check`]; why not.
    pub accepts: &'a dyn Fn(&Config) -> Result<(), String>,
    /// Becomes true when the user presses Ctrl-C.
    pub interrupted: &'a AtomicBool,
}

/// What the journal gave to do.
enum Task {
    Train {
        trial: usize,
        rung: usize,
        steps: usize,
        config: Box<Config>,
        claim: Claim,
    },
    Wait,
    Finish,
}

/// Begins a search in a folder, or joins the one that is there. `wanted` trials are made, or as many as
/// were wanted before, or [`TRIALS`].
///
/// # Errors
/// [`SearchError::Other`] when the folder holds a search with other settings.
pub fn enter(
    folder: &Path,
    base: &Config,
    settings: Settings,
    wanted: Option<usize>,
) -> Result<(), SearchError> {
    let mut journal = Journal::open(folder)?;
    let begun = match journal.study() {
        Some(study) => {
            let other = |what| SearchError::Other {
                folder: folder.into(),
                what,
            };
            difference(&study.settings, &settings).map_or(Ok(()), |what| Err(other(what)))?;
            study.wanted
        }
        None => {
            write_whole(&folder.join(CONFIG_FILE), base.to_toml().as_bytes())?;
            journal.begin(settings)?;
            0
        }
    };
    let trials = wanted.unwrap_or(if begun == 0 { TRIALS } else { begun });
    if trials != begun {
        journal.append(Event::Wanted { trials })?;
    }
    Ok(())
}

/// The first setting that differs.
fn difference(there: &Settings, wanted: &Settings) -> Option<String> {
    let said =
        |what: &str, there: String, wanted: String| Some(format!("{what} ({there}, not {wanted})"));
    if there.seed != wanted.seed {
        return said("--seed", there.seed.to_string(), wanted.seed.to_string());
    }
    if there.rungs != wanted.rungs {
        return said(
            "--rungs",
            format!("{:?}", there.rungs),
            format!("{:?}", wanted.rungs),
        );
    }
    if there.eta != wanted.eta {
        return said("--eta", there.eta.to_string(), wanted.eta.to_string());
    }
    if there.space != wanted.space {
        return Some("search space (--space)".to_owned());
    }
    if there.base != wanted.base {
        return Some("configuration (--preset, --config, --threads)".to_owned());
    }
    (there.data != wanted.data).then(|| "set of drawings (--data, --dataset)".to_owned())
}

impl Worker<'_> {
    /// Works until nothing is left to do.
    ///
    /// # Errors
    /// [`SearchError`]; what was done until then is in the journal.
    pub fn run(
        &self,
        mut train: impl FnMut(&Job<'_>) -> Result<Ended, String>,
    ) -> Result<Stopped, SearchError> {
        loop {
            if self.interrupted.load(Ordering::Relaxed) {
                return Ok(Stopped::Interrupted);
            }
            let (trial, rung, steps, config, claim) = match self.next()? {
                Task::Finish => return Ok(Stopped::Finished),
                Task::Wait => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
                Task::Train {
                    trial,
                    rung,
                    steps,
                    config,
                    claim,
                } => (trial, rung, steps, config, claim),
            };
            let job = Job {
                trial,
                rung,
                steps,
                config: &config,
                folder: &claim.folder,
            };
            let ended = train(&job).map_err(|message| SearchError::Training { trial, message })?;
            let event = match ended {
                Ended::Scored(score) => Event::Scored { trial, rung, score },
                Ended::Failed(why) => Event::Diverged { trial, rung, why },
                Ended::Interrupted { .. } => return Ok(Stopped::Interrupted),
            };
            // The claim is let go of behind this: nobody finds the trial neither trained nor scored.
            Journal::open(self.folder)?.append(event)?;
        }
    }

    /// Decides under the journal's lock what to do, and claims it.
    fn next(&self) -> Result<Task, SearchError> {
        let mut journal = Journal::open(self.folder)?;
        loop {
            let study = journal
                .study()
                .ok_or_else(|| SearchError::file(self.folder, "holds no search"))?;
            let (trial, rung) = match study.next(|trial| self.is_trained(trial)) {
                Step::Finish => return Ok(Task::Finish),
                Step::Wait => return Ok(Task::Wait),
                Step::Propose => {
                    let proposed = proposal(study)?;
                    journal.append(proposed)?;
                    continue;
                }
                Step::Train { trial, rung } => (trial, rung),
            };
            let steps = study.settings.rungs.get(rung).copied().unwrap_or(1);
            let values = study
                .trials
                .get(trial)
                .map_or(&[][..], |trial| &trial.values);
            let configured = study.settings.space.configured(self.base, values);
            let accepted = configured.map_err(|misfit| misfit.0).and_then(|config| {
                (self.accepts)(&config)?;
                Ok(config)
            });
            let config = match accepted {
                Ok(config) => config,
                Err(why) => {
                    journal.append(Event::DoesNotFit { trial, why })?;
                    continue;
                }
            };
            // Nobody else can have it: who claims a trial holds the journal.
            let Some(claim) = claim(self.folder, trial)? else {
                return Ok(Task::Wait);
            };
            write_whole(&claim.folder.join(CONFIG_FILE), config.to_toml().as_bytes())?;
            journal.append(Event::Started { trial, rung })?;
            let config = Box::new(config);
            return Ok(Task::Train {
                trial,
                rung,
                steps,
                config,
                claim,
            });
        }
    }

    /// Whether some worker has claimed it.
    fn is_trained(&self, trial: usize) -> bool {
        // What cannot be claimed for another reason is reported by the one who must have it.
        trial_folder(self.folder, trial).exists()
            && claim(self.folder, trial).is_ok_and(|claim| claim.is_none())
    }
}

/// Values for the next trial.
fn proposal(study: &Study) -> Result<Event, SearchError> {
    let misfits = study.trials.iter().rev().take_while(|trial| !trial.fits());
    let tried = misfits.count();
    if tried >= MISFITS {
        let last = study.trials.last().and_then(|trial| trial.failure.clone());
        let why = match last {
            Some(super::study::Failure::DoesNotFit(why)) => why,
            _ => String::new(),
        };
        return Err(SearchError::NothingFits { tried, why });
    }
    let trial = study.trials.len();
    let Settings { space, seed, .. } = &study.settings;
    let values = propose(space, *seed, trial, &study.known());
    Ok(Event::Proposed { trial, values })
}

#[cfg(test)]
mod tests;
