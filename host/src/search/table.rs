//! What came of a search: the trials in their order, for people and for programs; the best as a configuration.
//!
//! In: a [`Study`]. Out: [`Rows`] as a Markdown table, CSV or JSON, and the text of [`BEST`].

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde::Serialize;

use super::field::Value;
use super::study::{Failure, Score, Study, Trial};
use crate::config::Config;
use crate::plot::PlotError;

/// Name of the best configuration in a search's folder.
pub const BEST: &str = "best.toml";
/// Name of the table in a search's folder.
pub const TRIALS_CSV: &str = "trials.csv";
/// Parameters that have a column each; more of them share one.
const COLUMNS: usize = 8;

/// Every trial, the best first, then those that failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rows {
    /// What the accuracies are of.
    pub objective: &'static str,
    /// Optimizer steps of each rung.
    pub rungs: Vec<usize>,
    /// Fields, in the order of the values.
    pub fields: Vec<String>,
    /// The short names of the fields.
    #[serde(skip)]
    pub labels: Vec<String>,
    /// The trials.
    pub trials: Vec<Row>,
}

/// One trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// From 1; none for a trial that failed or is not there yet.
    pub rank: Option<usize>,
    /// Its number, from 0.
    pub trial: usize,
    /// The highest rung that it has come to, from 1; 0 for none.
    pub rung: usize,
    /// How good it is there.
    pub score: Option<Score>,
    /// How it ended.
    pub state: State,
    /// One for each field.
    pub values: Vec<Value>,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// At the last rung.
    Finished,
    /// Below: others were better.
    Stopped,
    /// It is not there yet.
    Unfinished,
    /// Its loss is no longer a number.
    Diverged(String),
    /// It was not trained.
    DoesNotFit(String),
}

/// What the accuracies are of.
const OBJECTIVE: &str = "20-way one-shot accuracy on held-out background alphabets";

impl Rows {
    /// In their order.
    #[must_use]
    pub fn of(study: &Study) -> Self {
        let ranking = study.ranking();
        let numbers = 0..study.trials.len();
        let unranked = numbers.filter(|number| !ranking.contains(number));
        let order: Vec<usize> = ranking.iter().copied().chain(unranked).collect();
        let n_rungs = study.settings.rungs.len();
        let row = |(place, trial): (usize, usize)| {
            let found = study.trials.get(trial)?;
            Some(Row {
                rank: (place < ranking.len()).then_some(place + 1),
                trial,
                rung: found.scores.len(),
                score: found.scores.last().copied(),
                state: state(found, n_rungs),
                values: found.values.clone(),
            })
        };
        let space = &study.settings.space;
        let fields = space
            .parameters
            .iter()
            .map(|parameter| parameter.field.clone());
        Self {
            objective: OBJECTIVE,
            rungs: study.settings.rungs.clone(),
            fields: fields.collect(),
            labels: space.labels().into_iter().map(str::to_owned).collect(),
            trials: order.into_iter().enumerate().filter_map(row).collect(),
        }
    }

    /// For people. Trials that were never trained are counted below it.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        let apart = self.labels.len() <= COLUMNS;
        let heads = ["rank", "trial", "steps", "accuracy"].map(str::to_owned);
        let parameters = match apart {
            true => self.labels.clone(),
            false => vec!["values".to_owned()],
        };
        table.set_header(heads.into_iter().chain(parameters));
        let (unfit, trained): (Vec<&Row>, Vec<&Row>) = self
            .trials
            .iter()
            .partition(|row| matches!(row.state, State::DoesNotFit(_)));
        for row in trained {
            let values: Vec<String> = match apart {
                true => row.values.iter().map(Value::to_string).collect(),
                false => {
                    let named = self.labels.iter().zip(&row.values);
                    let named = named.map(|(label, value)| format!("{label} {value}"));
                    vec![named.collect::<Vec<_>>().join(", ")]
                }
            };
            let rank = row
                .rank
                .map_or_else(|| "-".to_owned(), |rank| rank.to_string());
            let steps = row.score.map_or(0, |score| score.step).to_string();
            let first = [rank, row.trial.to_string(), steps, row.accuracy()];
            table.add_row(first.into_iter().chain(values));
        }
        let unfit = match unfit.len() {
            0 => String::new(),
            n => format!("\n\n{n} more proposals did not fit and were not trained."),
        };
        format!("{table}{unfit}")
    }

    /// For programs, a column for each field.
    ///
    /// # Errors
    /// [`PlotError::Data`].
    pub fn csv(&self) -> Result<String, PlotError> {
        let failed = |error: &dyn std::fmt::Display| PlotError::Data(error.to_string());
        let mut writer = csv::Writer::from_writer(Vec::new());
        let heads = [
            "rank",
            "trial",
            "state",
            "rung",
            "steps",
            "accuracy",
            "standard_error",
            "seconds",
        ];
        let heads = heads
            .into_iter()
            .chain(self.fields.iter().map(String::as_str));
        writer.write_record(heads).map_err(|error| failed(&error))?;
        for row in &self.trials {
            let of_score =
                |figure: fn(&Score) -> String| row.score.as_ref().map(figure).unwrap_or_default();
            let first = [
                row.rank.map(|rank| rank.to_string()).unwrap_or_default(),
                row.trial.to_string(),
                row.state.name().to_owned(),
                row.rung.to_string(),
                of_score(|score| score.step.to_string()),
                of_score(|score| score.accuracy.to_string()),
                of_score(|score| score.standard_error.to_string()),
                of_score(|score| score.seconds.to_string()),
            ];
            let values = row.values.iter().map(Value::to_string);
            writer
                .write_record(first.into_iter().chain(values))
                .map_err(|error| failed(&error))?;
        }
        let bytes = writer.into_inner().map_err(|error| failed(&error))?;
        String::from_utf8(bytes).map_err(|error| failed(&error))
    }
}

fn state(trial: &Trial, n_rungs: usize) -> State {
    match &trial.failure {
        Some(Failure::DoesNotFit(why)) => State::DoesNotFit(why.clone()),
        Some(Failure::Diverged(why)) => State::Diverged(why.clone()),
        None if trial.scores.len() == n_rungs => State::Finished,
        None if trial.scores.is_empty() || trial.started.is_some() => State::Unfinished,
        None => State::Stopped,
    }
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Unfinished => "unfinished",
            Self::Diverged(_) => "diverged",
            Self::DoesNotFit(_) => "does_not_fit",
        }
    }
}

impl Row {
    fn accuracy(&self) -> String {
        match (&self.state, self.score) {
            (State::Diverged(_), _) => "diverged".to_owned(),
            (_, Some(score)) => percent(score),
            (_, None) => "-".to_owned(),
        }
    }
}

fn percent(
    Score {
        accuracy,
        standard_error,
        ..
    }: Score,
) -> String {
    format!("{:.2} % ± {:.2}", 100.0 * accuracy, 100.0 * standard_error)
}

/// The configuration of the best trial, for `onelook train-export --config`; `None` before any has a score.
#[must_use]
pub fn best(study: &Study, base: &Config) -> Option<String> {
    let trial = *study.ranking().first()?;
    let found = study.trials.get(trial)?;
    let (_, score) = found.standing()?;
    let config = study.settings.space.configured(base, &found.values).ok()?;
    Some(format!(
        "# Trial {trial}: {} after {} steps, {OBJECTIVE}.\n{}",
        percent(score),
        score.step,
        config.to_toml()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::study::{Event, tests::settings};

    fn study() -> Study {
        let mut study = Study::new(settings(&[10, 30], 2));
        for (trial, accuracy) in [(0, 0.25), (1, 0.5), (2, 0.0), (3, 0.0)] {
            let values = vec![Value::Real(0.25 * trial as f64)];
            study.follow(Event::Proposed { trial, values }).unwrap();
            let score = Score {
                step: 10,
                accuracy,
                standard_error: 0.0125,
                seconds: 2.0,
            };
            let event = match trial {
                2 => Event::Diverged {
                    trial,
                    rung: 0,
                    why: "step 3".into(),
                },
                3 => Event::DoesNotFit {
                    trial,
                    why: "too large".into(),
                },
                _ => Event::Scored {
                    trial,
                    rung: 0,
                    score,
                },
            };
            study.follow(event).unwrap();
        }
        study
    }

    #[test]
    fn the_best_comes_first_and_failures_last() {
        let table = Rows::of(&study()).markdown();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].contains("| dropout"), "{table}");
        assert!(
            lines[2].contains("50.00 % ± 1.25") && lines[2].contains("0.25"),
            "{table}"
        );
        assert!(lines[4].contains("diverged"), "{table}");
        assert!(
            lines
                .last()
                .unwrap()
                .starts_with("1 more proposals did not fit"),
            "{table}"
        );
        let csv = Rows::of(&study()).csv().unwrap();
        let mut lines = csv.lines();
        assert!(
            lines.next().unwrap().ends_with(",seconds,train.dropout"),
            "{csv}"
        );
        assert_eq!(lines.next(), Some("1,1,stopped,1,10,0.5,0.0125,2,0.25"));
        assert_eq!(lines.last(), Some(",3,does_not_fit,0,,,,,0.75"));
    }

    #[test]
    fn the_best_is_a_configuration() {
        let base = Config::preset("nano").unwrap();
        let text = best(&study(), &base).unwrap();
        assert!(
            text.starts_with("# Trial 1: 50.00 % ± 1.25 after 10 steps"),
            "{text}"
        );
        let config = Config::parse(&text).unwrap();
        assert!((config.train.dropout - 0.25).abs() < 1e-12);
        assert_eq!(best(&Study::new(settings(&[1], 2)), &base), None);
    }
}
