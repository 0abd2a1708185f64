//! Person beside model on the trials that were answered.
//!
//! In: questions, a model's decisions, a record. Out: a [`Report`], as JSON or as words. Trials that are
//! not answered count for neither.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde::{Deserialize, Serialize};

use super::questions::{Plan, Questions};
use super::record::Record;
use crate::trials::Accuracy;

/// What the JSON says that it is.
pub const FORMAT: &str = "onelook-quiz-report-1";

/// Who is compared with the person.
#[derive(Debug, Clone)]
pub struct Contestant {
    /// As it was named.
    pub name: String,
    /// SHA-256 of its file.
    pub sha256: String,
    /// The class that it takes in each trial.
    pub choices: Vec<usize>,
}

/// How often both were right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: String,
    /// Version of this program.
    pub version: String,
    /// As the model was named.
    pub model_name: String,
    /// SHA-256 of its file.
    pub model_sha256: String,
    /// `omniglot` or `synthetic`.
    pub data: String,
    /// What was asked.
    #[serde(flatten)]
    pub plan: Plan,
    /// The file of answers.
    pub record: PathBuf,
    /// Trials that were answered: all figures are about these.
    pub answered: usize,
    /// The person; absent when nothing was answered.
    pub person: Option<Accuracy>,
    /// The model, on the same trials.
    pub model: Option<Accuracy>,
    /// Who answers at random is right so often.
    pub chance: f64,
    /// Who was right where.
    pub both: Both,
    /// From question to answer.
    pub median_seconds: Option<f64>,
    /// By the query's alphabet, in order of their names.
    pub per_alphabet: Vec<AlphabetRow>,
    /// What the person got wrong.
    pub mistakes: Vec<Mistake>,
}

/// Trials by who was right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Both {
    /// Person and model.
    pub both_right: usize,
    /// The person alone.
    pub only_person: usize,
    /// The model alone.
    pub only_model: usize,
    /// Neither.
    pub both_wrong: usize,
    /// Probability that two who are right equally often differ by so much or more (exact test of McNemar).
    pub p_value: f64,
}

/// One alphabet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlphabetRow {
    /// Its name.
    pub alphabet: String,
    /// Answered trials.
    pub trials: usize,
    /// Of these, how often the person was right.
    pub person: usize,
    /// The model.
    pub model: usize,
}

/// A wrong answer; classes count from 1, as they were shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    /// Which trial, from 1.
    pub trial: usize,
    /// The query's alphabet.
    pub alphabet: String,
    /// The query's character.
    pub character: String,
    /// The one that it was taken for.
    pub taken_for: String,
    /// The right class.
    pub truth: usize,
    /// The person's.
    pub given: usize,
    /// The model's.
    pub model: usize,
}

impl Report {
    pub(super) fn of(questions: &Questions, contestant: &Contestant, record: &Record) -> Self {
        let mut both = Both::default();
        let mut seconds = Vec::new();
        let mut rows: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        let mut mistakes = Vec::new();
        let answers = record.answers().iter().zip(&contestant.choices);
        for (answer, &choice) in
            answers.filter_map(|(answer, choice)| Some((answer.as_ref()?, choice)))
        {
            let (person, model) = (answer.given == answer.truth, choice + 1 == answer.truth);
            both.count(person, model);
            seconds.push(answer.seconds);
            let row = rows.entry(&answer.alphabet).or_default();
            let counted = [1, usize::from(person), usize::from(model)];
            row.iter_mut()
                .zip(counted)
                .for_each(|(sum, one)| *sum += one);
            if !person {
                mistakes.push(Mistake {
                    trial: answer.trial,
                    alphabet: answer.alphabet.clone(),
                    character: answer.character.clone(),
                    taken_for: answer.taken_for.clone(),
                    truth: answer.truth,
                    given: answer.given,
                    model: choice + 1,
                });
            }
        }
        both.p_value = mcnemar(both.only_person, both.only_model);
        let answered = seconds.len();
        let accuracy = |correct| (answered > 0).then(|| Accuracy::of(correct, answered));
        let row = |(alphabet, [trials, person, model]): (&str, [usize; 3])| AlphabetRow {
            alphabet: alphabet.to_owned(),
            trials,
            person,
            model,
        };
        Self {
            format: FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model_name: contestant.name.clone(),
            model_sha256: contestant.sha256.clone(),
            data: record.data().to_owned(),
            plan: questions.plan(),
            record: record.path().into(),
            answered,
            person: accuracy(both.both_right + both.only_person),
            model: accuracy(both.both_right + both.only_model),
            chance: 1.0 / questions.n_way().max(1) as f64,
            both,
            median_seconds: median(seconds),
            per_alphabet: rows.into_iter().map(row).collect(),
            mistakes,
        }
    }

    /// For people.
    #[must_use]
    pub fn words(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Plan {
            protocol,
            n_way,
            trials,
            seed,
        } = self.plan;
        let (Some(person), Some(model)) = (self.person, self.model) else {
            return writeln!(text, "No trial was answered.");
        };
        writeln!(
            text,
            "{n_way}-way one-shot, {}, {}; {} of {trials} trials answered (seed {seed}).\n",
            protocol.words(&self.data),
            self.data,
            self.answered,
        )?;
        writeln!(text, "{}\n", self.contest_table(person, model))?;
        let Both {
            both_right,
            only_person,
            only_model,
            both_wrong,
            p_value,
        } = self.both;
        writeln!(
            text,
            "Both right {both_right}, only you {only_person}, only the model {only_model}, both wrong {both_wrong}: {}.",
            significance(p_value),
        )?;
        if let Some(seconds) = self.median_seconds {
            writeln!(text, "Median time of an answer: {seconds:.1} s.")?;
        }
        if self.per_alphabet.len() > 1 {
            writeln!(text, "\n{}", self.alphabet_table())?;
        }
        Ok(())
    }

    fn contest_table(&self, person: Accuracy, model: Accuracy) -> Table {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header(["who", "right", "accuracy", "95 % interval"]);
        let model_name = format!("model {}", self.model_name);
        for (who, accuracy) in [("you", person), (&model_name, model)] {
            let [low, high] = accuracy.interval95.map(|bound| 100.0 * bound);
            table.add_row([
                who.to_owned(),
                format!("{} of {}", accuracy.correct, accuracy.trials),
                format!("{:.1} %", 100.0 * accuracy.mean),
                format!("{low:.1}–{high:.1} %"),
            ]);
        }
        let chance = format!("{:.1} %", 100.0 * self.chance);
        table.add_row(["chance", "", &chance, ""]);
        table
    }

    fn alphabet_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header(["alphabet", "trials", "you", "model"]);
        for row in &self.per_alphabet {
            let counts = [row.trials, row.person, row.model].map(|count| count.to_string());
            table.add_row([row.alphabet.clone()].into_iter().chain(counts));
        }
        table
    }
}

impl Both {
    const fn count(&mut self, person: bool, model: bool) {
        let place = match (person, model) {
            (true, true) => &mut self.both_right,
            (true, false) => &mut self.only_person,
            (false, true) => &mut self.only_model,
            (false, false) => &mut self.both_wrong,
        };
        *place += 1;
    }
}

/// What an exact test says, for who does not know it.
fn significance(p_value: f64) -> String {
    match p_value {
        p if p < 0.001 => "more than chance explains (p < 0.001)".to_owned(),
        p if p < 0.05 => format!("more than chance explains (p = {p:.3})"),
        p => format!("these trials do not tell you apart (p = {p:.2})"),
    }
}

/// Two-sided exact test of McNemar: heads or tails for every trial where one alone was right.
fn mcnemar(one: usize, other: usize) -> f64 {
    let n = one + other;
    let mut term = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    for k in 0..=one.min(other) {
        tail += term;
        term *= (n - k) as f64 / (k + 1) as f64;
    }
    (2.0 * tail).min(1.0)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    match values.len() % 2 {
        0 => Some(values[middle - 1].midpoint(upper)),
        _ => Some(upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(Vec::new()), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    /// By hand: 2 · (1 + 8) / 2⁸ for 1 against 7; nothing to tell without a difference.
    #[test]
    fn mcnemar_by_hand() {
        assert!((mcnemar(1, 7) - 18.0 / 256.0).abs() < 1e-12);
        assert!((mcnemar(7, 1) - mcnemar(1, 7)).abs() < 1e-12);
        assert!((mcnemar(0, 6) - 2.0 / 64.0).abs() < 1e-12);
        for n in [0, 3, 400] {
            assert!((mcnemar(n, n) - 1.0).abs() < 1e-12);
        }
    }
}
