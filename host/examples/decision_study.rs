//! How samples are pooled and what a near second class says: the measurements behind `docs/decision.md`.
//!
//! In: a `model.onelook`, and Omniglot's archives. Out: two tables, from the background alphabets that are
//! held out of training; no evaluation alphabet is read.
//!
//! ```sh
//! cargo run -p host --example decision_study -- runs/micro/model.onelook DATA
//! ```

use std::error::Error;
use std::path::PathBuf;

use host::dataset::{Background, Dataset, VALIDATION_ALPHABETS};
use host::evaluate::embedded::Embedded;
use host::omniglot::{self, Places};
use host::open_set::{OpenSet, Query, draw};
use rayon::prelude::*;
use shared::model::ModelView;

/// Queries of each kind in each cell.
const TRIALS: usize = 20_000;
/// Allowed false accepts, one in so many.
const ONE_IN: usize = 100;
const SEED: u64 = 0x7374_7564;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How a class's samples become its score.
#[derive(Clone, Copy)]
enum Pooling {
    Mean,
    Largest,
    HalfWay,
}

impl Pooling {
    const ALL: [Self; 3] = [Self::Mean, Self::Largest, Self::HalfWay];

    fn score(self, logits: &[i32]) -> f64 {
        let mean = logits.iter().map(|&l| f64::from(l)).sum::<f64>() / logits.len() as f64;
        let largest = logits.iter().copied().max().map_or(0.0, f64::from);
        match self {
            Self::Mean => mean,
            Self::Largest => largest,
            Self::HalfWay => f64::midpoint(mean, largest),
        }
    }
}

/// What a trial's query was like: one list of logits for each class, and which class is the right one.
struct Trial {
    logits: Vec<Vec<i32>>,
    answer: Option<usize>,
}

impl Trial {
    /// The nearest class, its score, and that of the second.
    fn nearest(&self, pooling: Pooling) -> (usize, f64, f64) {
        let scores = self.logits.iter().map(|shots| pooling.score(shots));
        let mut sorted: Vec<(usize, f64)> = scores.enumerate().collect();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
        let second = sorted.get(1).map_or(f64::MIN, |second| second.1);
        (sorted[0].0, sorted[0].1, second)
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(model), Some(data)) = (arguments.next(), arguments.next()) else {
        return Err("name a model.onelook and the folder with Omniglot's archives".into());
    };
    let bytes = std::fs::read(model)?;
    let view = ModelView::new_checked(&bytes)?;
    let source = Places::of_process(Some(data), PathBuf::new()).locate()?;
    let background = Background::new(omniglot::load_background(&source)?, &VALIDATION_ALPHABETS)?;
    let study = Study {
        view,
        data: background.validation(),
    };
    study.pooling()?;
    study.second_class()
}

struct Study<'a> {
    view: ModelView<'a>,
    data: &'a Dataset,
}

impl Study<'_> {
    fn trials(&self, ways: [usize; 2], query: Query) -> Result<Vec<Trial>> {
        let set: OpenSet = draw(self.data, ways, query, TRIALS, SEED)?;
        let embedded = Embedded::new(self.view, &set.images)?;
        let trials = set.trials.par_iter().map(|trial| {
            let logit = |&shot: &usize| embedded.logit(&set.images[trial.query], &set.images[shot]);
            let class = |shots: &Vec<usize>| shots.iter().map(logit).collect();
            let logits = trial
                .support
                .iter()
                .map(class)
                .collect::<std::result::Result<_, _>>()?;
            Ok(Trial {
                logits,
                answer: trial.answer,
            })
        });
        let trials: std::result::Result<_, host::engine::EngineError> = trials.collect();
        Ok(trials?)
    }

    /// With the threshold that gives one per cent for one sample of each class: what do several give? And
    /// how many known marks are accepted at an own threshold?
    fn pooling(&self) -> Result<()> {
        println!(
            "| samples | false accepts: mean | largest | half way | true accepts: mean | largest | half way |"
        );
        println!("|---|---:|---:|---:|---:|---:|---:|");
        for n_way in [5, 20] {
            let single = self.trials([n_way, 1], Query::SameAlphabet)?;
            for k_shot in [2, 3, 5] {
                let unknown = self.trials([n_way, k_shot], Query::SameAlphabet)?;
                let known = self.trials([n_way, k_shot], Query::Enrolled)?;
                let columns = Pooling::ALL.map(|pooling| {
                    let score = |trial: &Trial| trial.nearest(pooling).1;
                    let threshold = quantile(single.iter().map(score));
                    let own = quantile(unknown.iter().map(score));
                    let accepted = unknown.iter().filter(|t| score(t) > threshold).count();
                    let right = known.iter().filter(|trial| {
                        let (class, score, _) = trial.nearest(pooling);
                        trial.answer == Some(class) && score > own
                    });
                    [accepted, right.count()].map(percent)
                });
                let [false_accepts, true_accepts] = [0, 1].map(|row| {
                    columns
                        .map(|column| format!("{:.2} %", column[row]))
                        .join(" | ")
                });
                println!("| {n_way} × {k_shot} | {false_accepts} | {true_accepts} |");
            }
        }
        Ok(())
    }

    /// True accepts at one per cent false accepts, when the second class raises the threshold.
    fn second_class(&self) -> Result<()> {
        const DIVISORS: [f64; 4] = [f64::INFINITY, 16.0, 32.0 / 3.0, 8.0];
        println!("\n| classes | not raised | × log2(n)/16 | × log2(n)/10.7 | × log2(n)/8 |");
        println!("|---|---:|---:|---:|---:|");
        for n_way in [2, 5, 20, 32] {
            let unknown = self.trials([n_way, 1], Query::SameAlphabet)?;
            let known = self.trials([n_way, 1], Query::Enrolled)?;
            let cells = DIVISORS.map(|divisor| {
                let share = (n_way as f64).log2() / divisor;
                let decide = |trial: &Trial| {
                    let (class, best, second) = trial.nearest(Pooling::HalfWay);
                    (class, best - share * second)
                };
                let threshold = quantile(unknown.iter().map(|trial| decide(trial).1));
                let right = known.iter().filter(|trial| {
                    let (class, score) = decide(trial);
                    trial.answer == Some(class) && score > threshold
                });
                format!("{:.1} %", percent(right.count()))
            });
            println!("| {n_way} | {} |", cells.join(" | "));
        }
        Ok(())
    }
}

/// The score that one in [`ONE_IN`] is above.
fn quantile(scores: impl Iterator<Item = f64>) -> f64 {
    let mut scores: Vec<f64> = scores.collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    scores[scores.len() / ONE_IN]
}

fn percent(count: usize) -> f64 {
    100.0 * count as f64 / TRIALS as f64
}
