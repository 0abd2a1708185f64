//! A person takes the N-way one-shot test, beside the model on the same trials.
//!
//! In: a data set's trials, what a model decides on them, answers as they are given. Out: a record that
//! nothing is lost from, and how often person and model were right. What is right is told nowhere before
//! a trial is answered.
//!
//! | module        | what it is                                            |
//! |---------------|-------------------------------------------------------|
//! | [`questions`] | the trials that are asked, and their names            |
//! | [`record`]    | the file of answers, which an interrupted quiz goes on from |
//! | [`report`]    | person beside model, on what was answered             |
//! | [`pictures`]  | drawings as characters of a terminal                  |
//! | [`terminal`]  | the test as a dialogue in a terminal                  |
//! | [`web`]       | the test on a page in a browser                       |
//! | `page.html`   | the page                                              |

pub mod pictures;
pub mod questions;
pub mod record;
pub mod report;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod web;

use questions::Questions;
use record::{Answer, Record, RecordError};
use report::{Contestant, Report};

/// A test that is being taken. Trials and classes count from 0 here, and from 1 where people see them.
#[derive(Debug)]
pub struct Quiz {
    questions: Questions,
    contestant: Contestant,
    record: Record,
}

/// What an answer was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// The right class.
    pub truth: usize,
    /// What the person took.
    pub given: usize,
    /// What the model takes.
    pub model: usize,
}

impl Judgement {
    /// In a sentence.
    #[must_use]
    pub fn words(self) -> String {
        let person = match self.given == self.truth {
            true => "Right".to_owned(),
            false => format!("Wrong: it is {}", self.truth + 1),
        };
        match self.model == self.truth {
            true => format!("{person}. The model is right."),
            false => format!("{person}. The model takes it for {}.", self.model + 1),
        }
    }
}

impl Quiz {
    /// A test whose record is that of these questions.
    #[must_use]
    pub const fn new(questions: Questions, contestant: Contestant, record: Record) -> Self {
        Self {
            questions,
            contestant,
            record,
        }
    }

    /// What is asked.
    #[must_use]
    pub const fn questions(&self) -> &Questions {
        &self.questions
    }

    /// What kind of trials these are, in words.
    #[must_use]
    pub fn task(&self) -> String {
        let plan = self.questions.plan();
        let words = plan.protocol.words(self.record.data());
        format!("{}-way one-shot, {words}", plan.n_way)
    }

    /// The file of answers.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// How many trials are answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.record.answers().iter().flatten().count()
    }

    /// The first trial that is not answered.
    #[must_use]
    pub fn next(&self) -> Option<usize> {
        self.record.answers().iter().position(Option::is_none)
    }

    /// Keeps an answer, which is on disk when this returns.
    ///
    /// # Errors
    /// [`QuizError`]; then the trial is not answered.
    pub fn answer(
        &mut self,
        trial: usize,
        given: usize,
        seconds: f64,
    ) -> Result<Judgement, QuizError> {
        let asked = self.questions.set().trials.get(trial);
        let truth = asked.ok_or(QuizError::Trial { trial })?.answer;
        let n_way = self.questions.n_way();
        if given >= n_way {
            return Err(QuizError::Class { n_way });
        }
        let name = |class| self.questions.character(trial, class).to_owned();
        let answer = Answer {
            trial: trial + 1,
            given: given + 1,
            truth: truth + 1,
            seconds,
            alphabet: self.questions.alphabet(trial).to_owned(),
            character: name(truth),
            taken_for: name(given),
        };
        self.record.keep(answer)?;
        let model = self.contestant.choices.get(trial).copied();
        Ok(Judgement {
            truth,
            given,
            model: model.unwrap_or_default(),
        })
    }

    /// Person beside model, on what was answered.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::of(&self.questions, &self.contestant, &self.record)
    }
}

/// Why an answer is not kept.
#[derive(Debug, thiserror::Error)]
pub enum QuizError {
    /// There is no such trial.
    #[error("there is no trial {}", trial + 1)]
    Trial {
        /// Which, from 0.
        trial: usize,
    },
    /// There is no such class.
    #[error("an answer is a number from 1 to {n_way}")]
    Class {
        /// Classes there are.
        n_way: usize,
    },
    /// The file of answers.
    #[error(transparent)]
    Record(#[from] RecordError),
}
