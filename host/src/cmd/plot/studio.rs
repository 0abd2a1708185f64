//! What figures are drawn from: the run's files and the drawings, each read once and only when a
//! figure needs it.

use std::cell::OnceCell;
use std::path::Path;

use sha2::{Digest, Sha256};
use shared::model::ModelView;

use super::super::Failure;
use super::super::args::{Drawings, read_images};
use super::Args;
use crate::dataset::{Alphabet, Dataset, hex};
use crate::engine::float::Float;
use crate::engine::shared::Shared;
use crate::evaluate::alphabets::Catalogue;
use crate::evaluate::confusions::confusions;
use crate::evaluate::evaluate;
use crate::export::{Bundle, MODEL, MODEL_FLOAT};
use crate::float_net::FloatNet;
use crate::metrics::{self, METRICS_FILE};
use crate::plot::accuracy::{self, AccuracyFigure};
use crate::plot::alphabets::AlphabetSheet;
use crate::plot::errors::{Gallery, Row, SHOWN};
use crate::plot::record::{Folder, Kind, Numbers, Record};
use crate::plot::tasks::{self, Task, TaskSheet};
use crate::plot::threshold::{self, ThresholdFigure};
use crate::plot::training::{self, TrainingFigure};
use crate::plot::{PlotError, csv, json};
use crate::report::Report;

/// Alphabet sheets where none is asked for.
const ALPHABETS: usize = 3;

/// A run on its way onto paper.
pub(super) struct Studio<'a> {
    args: &'a Args,
    out: &'a Path,
    model: OnceCell<Result<Vec<u8>, Failure>>,
    drawings: OnceCell<Result<Drawings, Failure>>,
    evaluation: OnceCell<Result<Dataset, Failure>>,
}

/// What a cell holds, or the reason why it holds nothing.
fn get<T>(
    cell: &OnceCell<Result<T, Failure>>,
    make: impl FnOnce() -> Result<T, Failure>,
) -> Result<&T, Failure> {
    cell.get_or_init(make).as_ref().map_err(Clone::clone)
}

impl<'a> Studio<'a> {
    pub(super) fn new(args: &'a Args, out: &'a Path) -> Self {
        Self {
            args,
            out,
            model: OnceCell::new(),
            drawings: OnceCell::new(),
            evaluation: OnceCell::new(),
        }
    }

    /// The figures of one kind.
    pub(super) fn draw(&self, kind: Kind) -> Result<Vec<Record>, Failure> {
        match kind {
            Kind::Accuracy => self.accuracy(),
            Kind::Training => self.training(),
            Kind::Tasks => self.tasks(),
            Kind::Alphabets => self.alphabets(),
            Kind::Errors => self.errors(),
            Kind::Threshold => self.threshold(),
        }
    }

    fn run(&self) -> Result<&Path, Failure> {
        let none = || Failure::Usage("this figure is about a run; name its folder".to_owned());
        self.args.folder.as_deref().ok_or_else(none)
    }

    fn bytes(&self) -> Result<&[u8], Failure> {
        Ok(get(&self.model, || self.read(MODEL))?)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let path = self.run()?.join(name);
        std::fs::read(&path).map_err(|error| {
            let path = path.display();
            Failure::Work(format!(
                "cannot read {path}: {error}; the run is not finished, or no run"
            ))
        })
    }

    /// The network of a run that stays in floating point; `None` where there is a model for a device.
    fn float_net(&self) -> Result<Option<FloatNet>, Failure> {
        if self.run()?.join(MODEL).exists() {
            return Ok(None);
        }
        let bundle = Bundle::read(self.run()?).map_err(Failure::work)?;
        bundle.float_net().map(Some).map_err(Failure::work)
    }

    fn model(&self) -> Result<ModelView<'_>, Failure> {
        let path = self.run()?.join(MODEL);
        ModelView::new_checked(self.bytes()?).map_err(|error| {
            Failure::Work(format!(
                "{}: {error}; `onelook export RUN` writes it again",
                path.display()
            ))
        })
    }

    /// The folder for figures about the model.
    fn folder(&self) -> Result<Folder<'_>, Failure> {
        Ok(Folder {
            path: self.out,
            model_sha256: Some(hex(&Sha256::digest(self.bytes()?))),
        })
    }

    /// The folder for figures that no model has a part in.
    fn modelless(&self) -> Folder<'_> {
        Folder {
            path: self.out,
            model_sha256: None,
        }
    }

    fn drawings(&self) -> Result<&Drawings, Failure> {
        get(&self.drawings, || self.args.data.open())
    }

    fn evaluation(&self) -> Result<&Dataset, Failure> {
        get(&self.evaluation, || match &self.args.images {
            Some(folder) => read_images(folder),
            None => self.drawings()?.evaluation(),
        })
    }

    fn accuracy(&self) -> Result<Vec<Record>, Failure> {
        let background = self.drawings()?.background()?;
        let Args { trials, seed, .. } = *self.args;
        let data = [self.evaluation()?, background.training()];
        let (figures, folder) = match self.float_net()? {
            Some(net) => {
                let float = Float::new(&net).map_err(Failure::work)?;
                let folder = Folder {
                    path: self.out,
                    model_sha256: Some(hex(&Sha256::digest(self.read(MODEL_FLOAT)?))),
                };
                (accuracy::measure(&float, data, trials, seed), folder)
            }
            None => {
                let shared = Shared::new(self.model()?);
                (
                    accuracy::measure(&shared, data, trials, seed),
                    self.folder()?,
                )
            }
        };
        let figures = figures.map_err(Failure::work)?;
        let trained_here = Report::read(self.run()?).is_ok_and(|report| report.import.is_none());
        let draw = |(protocol, rows): &(accuracy::Protocol, Vec<accuracy::Row>)| {
            let figure = AccuracyFigure {
                protocol: *protocol,
                rows,
                trials,
                trained_here,
            };
            let caption = match protocol {
                accuracy::Protocol::Within => {
                    "All classes are characters of one alphabet, support set and query by different drawers. More classes leave fewer alphabets that have so many (column alphabets)."
                }
                accuracy::Protocol::Mixed => {
                    "Classes are drawn from all alphabets at once, support set and query by different drawers: easier than within alphabet."
                }
            };
            folder.write(
                Kind::Accuracy,
                protocol.stem(),
                &figure,
                &Numbers::Csv(csv(rows)?),
                caption.to_owned(),
            )
        };
        let records = figures.iter().map(draw).collect::<Result<_, PlotError>>();
        records.map_err(Failure::work)
    }

    fn training(&self) -> Result<Vec<Record>, Failure> {
        let path = self.run()?.join(METRICS_FILE);
        let metrics = metrics::read(&path).map_err(Failure::work)?;
        if metrics.is_empty() {
            let path = path.display();
            return Err(Failure::Work(format!(
                "{path} holds no validation yet; wait for the first"
            )));
        }
        let rows = training::rows(&metrics);
        let figure = TrainingFigure { rows: &rows };
        let caption = "Held-out background alphabets choose the step that is kept; no evaluation alphabet is looked at.";
        let folder = self.modelless();
        let numbers = Numbers::Csv(csv(&rows).map_err(Failure::work)?);
        let record = folder.write(
            Kind::Training,
            "training",
            &figure,
            &numbers,
            caption.to_owned(),
        );
        Ok(vec![record.map_err(Failure::work)?])
    }

    /// Sheets of all sizes that some alphabet is large enough for.
    fn tasks(&self) -> Result<Vec<Record>, Failure> {
        let (model, folder) = match self.args.folder {
            Some(_) => (Some(self.model()?), self.folder()?),
            None => (None, self.modelless()),
        };
        let caption = match model {
            Some(_) => {
                "Characters of one evaluation alphabet by one drawer, the query by another. Below each: the network's probability that it is the query's character."
            }
            None => "Characters of one alphabet by one drawer, the query by another.",
        };
        let mut records = Vec::new();
        for n_way in tasks::N_WAYS {
            let mut task = match Task::draw(self.evaluation()?, n_way, self.args.seed) {
                Err(PlotError::Trials(_)) => {
                    eprintln!("tasks: {n_way}-way left out: no alphabet has {n_way} characters");
                    continue;
                }
                task => task.map_err(Failure::work)?,
            };
            if let Some(model) = model {
                task.ask(model).map_err(Failure::work)?;
            }
            let numbers = Numbers::Json(json(&task).map_err(Failure::work)?);
            let stem = format!("task-{n_way}way");
            let record = folder.write(
                Kind::Tasks,
                &stem,
                &TaskSheet::of(&task),
                &numbers,
                caption.to_owned(),
            );
            records.push(record.map_err(Failure::work)?);
        }
        match records.is_empty() {
            true => Err(Failure::Work(
                "no alphabet is large enough for a task".to_owned(),
            )),
            false => Ok(records),
        }
    }

    fn alphabets(&self) -> Result<Vec<Record>, Failure> {
        let evaluation = self.evaluation()?;
        if self.args.alphabet.is_empty() {
            let step = evaluation.alphabets.len().div_ceil(ALPHABETS).max(1);
            let chosen = evaluation.alphabets.iter().step_by(step);
            return chosen.map(|alphabet| self.alphabet(alphabet)).collect();
        }
        let background = match self.args.images {
            Some(_) => None,
            None => Some(self.drawings()?.background()?),
        };
        let background = background.as_ref();
        let halves = background.map(|background| [background.training(), background.validation()]);
        let halves = [evaluation].into_iter().chain(halves.into_iter().flatten());
        let all: Vec<&Alphabet> = halves.flat_map(|half| &half.alphabets).collect();
        let named = self.args.alphabet.iter().map(|name| {
            let found = all.iter().find(|alphabet| &alphabet.name == name);
            self.alphabet(found.ok_or_else(|| unheard_of(name, &all))?)
        });
        named.collect()
    }

    /// The sheet of one alphabet.
    fn alphabet(&self, alphabet: &Alphabet) -> Result<Record, Failure> {
        let (drawer, drawers) = (self.args.drawer, alphabet.n_drawers());
        if drawer > drawers {
            let name = &alphabet.name;
            return Err(Failure::Usage(format!(
                "--drawer {drawer}: {name} has {drawers} drawers; name one of 1 to {drawers}"
            )));
        }
        let sheet = AlphabetSheet {
            alphabet,
            drawer: drawer - 1,
        };
        let numbers = Numbers::Csv(csv(&sheet.rows()).map_err(Failure::work)?);
        let plain = |c: char| match c.is_alphanumeric() || c == '-' {
            true => c,
            false => '_',
        };
        let name: String = alphabet.name.chars().map(plain).collect();
        let (stem, caption) = (format!("alphabet-{name}"), format!("By drawer {drawer}."));
        let folder = self.modelless();
        let record = folder.write(Kind::Alphabets, &stem, &sheet, &numbers, caption);
        record.map_err(Failure::work)
    }

    fn errors(&self) -> Result<Vec<Record>, Failure> {
        let (model, folder) = (self.model()?, self.folder()?);
        let set = self.drawings()?.lake20()?;
        let evaluation = evaluate(&set, &Shared::new(model)).map_err(Failure::work)?;
        let outcome = &evaluation.device;
        let catalogue = Catalogue::of(self.evaluation()?);
        let confusions = confusions(&set, &evaluation.engine, outcome, &catalogue, SHOWN);
        let gallery = Gallery {
            set: &set,
            wrong: outcome.accuracy.trials - outcome.accuracy.correct,
            confusions: &confusions,
        };
        let rows: Vec<Row<'_>> = confusions.iter().map(Row::from).collect();
        let numbers = Numbers::Csv(csv(&rows).map_err(Failure::work)?);
        let caption = "Query, support of the right class, support of the chosen class. The margin is the logit of the right class less that of the chosen one.";
        let record = folder.write(
            Kind::Errors,
            "errors",
            &gallery,
            &numbers,
            caption.to_owned(),
        );
        Ok(vec![record.map_err(Failure::work)?])
    }

    fn threshold(&self) -> Result<Vec<Record>, Failure> {
        let (model, folder) = (self.model()?, self.folder()?);
        let Args { trials, seed, .. } = *self.args;
        let rows =
            threshold::measure(model, self.evaluation()?, trials, seed).map_err(Failure::work)?;
        let figure = ThresholdFigure { rows: &rows };
        let numbers = Numbers::Csv(csv(&rows).map_err(Failure::work)?);
        let caption =
            "Evaluation alphabets; the shipped threshold comes from held-out background alphabets.";
        let record = folder.write(
            Kind::Threshold,
            "threshold",
            &figure,
            &numbers,
            caption.to_owned(),
        );
        Ok(vec![record.map_err(Failure::work)?])
    }
}

fn unheard_of(name: &str, all: &[&Alphabet]) -> Failure {
    let names: Vec<&str> = all.iter().map(|alphabet| alphabet.name.as_str()).collect();
    Failure::Usage(format!(
        "--alphabet {name}: there is none of that name; there are {}",
        names.join(", ")
    ))
}
