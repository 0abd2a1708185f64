//! The test as a dialogue in a terminal.
//!
//! In: a [`Quiz`] and lines that a person types (or a file has). Out: pictures and questions on a
//! [`Screen`], answers in the record, and how it ended. Classes come first and the query last, so that it
//! stands beside the question also where a screen is low.

use std::io::{self, Write};
use std::time::Instant;

use super::pictures::{BLOCKS, DOTS, Grain, Pictures, kitty, sixel, tile};
use super::questions::Plan;
use super::{Quiz, QuizError};
use crate::dataset::Drawing;
use crate::plot::PlotError;
use crate::plot::canvas::{picture, png};
use crate::plot::tasks::TaskSheet;

/// Fewest columns that are drawn for: one picture and its gap.
const FEWEST_COLUMNS: usize = 20;
/// Columns of a picture of a class, and of the query.
const TILE: usize = 12;
const QUERY: usize = 16;
/// Columns of the half blocks' pictures, which have fewer pixels a character.
const BLOCK_TILE: usize = 18;
const BLOCK_QUERY: usize = 24;

/// What was heard while waiting for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A line.
    Line(String),
    /// There are no more lines.
    End,
    /// Ctrl-C.
    Interrupt,
}

/// How the dialogue ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All trials are answered.
    Done,
    /// The person stopped, or there were no more lines.
    Stopped,
    /// Ctrl-C.
    Interrupted,
}

/// Where it is shown, and how.
#[derive(Debug)]
pub struct Screen<W> {
    /// What is written to.
    pub out: W,
    /// Characters of a line.
    pub columns: usize,
    /// How drawings are shown; not [`Pictures::Auto`].
    pub pictures: Pictures,
    /// Whether an answer is told to be right or wrong.
    pub feedback: bool,
}

/// The dialogue cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    /// An answer cannot be kept.
    #[error(transparent)]
    Quiz(#[from] QuizError),
    /// The terminal is gone.
    #[error("cannot write to the terminal: {0}; what was answered is kept: go on with --resume")]
    Write(#[from] io::Error),
    /// A picture cannot be drawn.
    #[error("{0}; choose --pictures dots")]
    Draw(#[from] PlotError),
}

/// Asks until all is answered, or the person stops; `hear` waits for a line.
///
/// # Errors
/// [`TerminalError`]; what was answered before is in the record.
pub fn run<W: Write>(
    quiz: &mut Quiz,
    screen: &mut Screen<W>,
    mut hear: impl FnMut() -> Heard,
) -> Result<Ending, TerminalError> {
    screen.greet(quiz)?;
    while let Some(trial) = quiz.next() {
        screen.show(quiz, trial)?;
        let shown = Instant::now();
        let given = loop {
            screen.ask(quiz)?;
            match hear() {
                Heard::End => return Ok(Ending::Stopped),
                Heard::Interrupt => return Ok(Ending::Interrupted),
                Heard::Line(line) => match understood(&line, quiz.questions().n_way()) {
                    Ok(Said::Class(class)) => break class,
                    Ok(Said::Stop) => return Ok(Ending::Stopped),
                    Ok(Said::Help) => screen.help(quiz)?,
                    Ok(Said::Again) => screen.show(quiz, trial)?,
                    Err(words) => writeln!(screen.out, "{words}")?,
                },
            }
        };
        let judged = quiz.answer(trial, given, shown.elapsed().as_secs_f64())?;
        if screen.feedback {
            writeln!(screen.out, "{}", judged.words())?;
        }
    }
    Ok(Ending::Done)
}

enum Said {
    Class(usize),
    Help,
    Again,
    Stop,
}

/// What a line means, or what to type instead.
fn understood(line: &str, n_way: usize) -> Result<Said, String> {
    let word = line.trim();
    match word {
        "?" | "h" | "help" => return Ok(Said::Help),
        "q" | "quit" => return Ok(Said::Stop),
        "" | "r" => return Ok(Said::Again),
        _ => {}
    }
    let number = word.parse().ok().filter(|n| (1..=n_way).contains(n));
    number.map(|n: usize| Said::Class(n - 1)).ok_or_else(|| {
        format!("`{word}` is no answer: type a number from 1 to {n_way}, or ? for help")
    })
}

impl<W: Write> Screen<W> {
    fn greet(&mut self, quiz: &Quiz) -> io::Result<()> {
        let Plan { n_way, trials, .. } = quiz.questions().plan();
        let (task, record) = (quiz.task(), quiz.record().path().display());
        writeln!(
            self.out,
            "{trials} trials, {task}.\nWhich of the {n_way} is the same character as the query?\nAnswers go to {record}."
        )
    }

    fn help(&mut self, quiz: &Quiz) -> io::Result<()> {
        let n_way = quiz.questions().n_way();
        writeln!(
            self.out,
            "1 to {n_way}  your answer: the picture with that number shows the query's\n          \
             character, drawn by somebody else\n\
             r        show the trial again\n\
             q        stop and see how you did; --resume goes on later\n\
             ?        this help\n\
             An answer is final, and the time until it is measured."
        )
    }

    fn ask(&mut self, quiz: &Quiz) -> io::Result<()> {
        write!(
            self.out,
            "answer (1 to {}, ? for help): ",
            quiz.questions().n_way()
        )?;
        self.out.flush()
    }

    fn show(&mut self, quiz: &Quiz, trial: usize) -> Result<(), TerminalError> {
        let questions = quiz.questions();
        let title = format!("trial {} of {}", trial + 1, questions.plan().trials);
        let Some(query) = questions.query(trial) else {
            return Ok(());
        };
        let classes = questions.classes(trial);
        writeln!(self.out)?;
        match self.pictures {
            Pictures::Kitty => {
                let sheet = png(&TaskSheet::asking(title, query, &classes))?;
                writeln!(self.out, "{}", kitty(&sheet, self.columns.min(100)))?;
            }
            Pictures::Sixel => {
                let sheet = picture(&TaskSheet::asking(title, query, &classes), 1)?;
                writeln!(self.out, "{}", sixel(&sheet)?)?;
            }
            Pictures::Blocks => {
                self.sheet(&title, query, &classes, BLOCKS, [BLOCK_TILE, BLOCK_QUERY])?
            }
            Pictures::Dots | Pictures::Auto => {
                self.sheet(&title, query, &classes, DOTS, [TILE, QUERY])?
            }
        }
        Ok(())
    }

    fn sheet(
        &mut self,
        title: &str,
        query: &Drawing,
        classes: &[&Drawing],
        grain: Grain,
        [side, query_side]: [usize; 2],
    ) -> io::Result<()> {
        let columns = self.columns.max(FEWEST_COLUMNS);
        let across = ((columns + 1) / (side + 1)).max(1);
        for (row, classes) in classes.chunks(across).enumerate() {
            let first = row * across + 1;
            let numbers = (first..first + classes.len()).map(|number| format!("{number:<side$}"));
            writeln!(self.out, "{}", joined(numbers))?;
            let tiles: Vec<Vec<String>> = classes
                .iter()
                .map(|drawing| tile(drawing, grain, side))
                .collect();
            for line in 0..side / 2 {
                writeln!(
                    self.out,
                    "{}",
                    joined(tiles.iter().map(|tile| tile[line].clone()))
                )?;
            }
        }
        writeln!(self.out, "\n{title}, the query:")?;
        tile(query, grain, query_side)
            .iter()
            .try_for_each(|line| writeln!(self.out, "{}", line.trim_end_matches([' ', '\u{2800}'])))
    }
}

/// Side by side, without blanks at the end.
fn joined(parts: impl Iterator<Item = String>) -> String {
    let line = parts.collect::<Vec<_>>().join(" ");
    line.trim_end_matches([' ', '\u{2800}']).to_owned()
}
