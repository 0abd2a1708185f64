//! `onelook quiz`: a person takes the N-way one-shot test, beside the model on the same trials.
//!
//! In: a model, drawings, which trials; answers from a terminal, a pipe or a browser. Out: a record of all
//! answers, and the [`Report`](crate::quiz::report::Report). The dialogue is on stderr, the report on stdout.

mod sitting;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ValueEnum;
use rand::{SeedableRng, rngs::SysRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::args::{DataArgs, DatasetName, Drawings};
use super::model_file::ModelFile;
use super::{Failure, Verdict, spinner};
use crate::dataset::hex;
use crate::engine::shared::Shared;
use crate::evaluate::alphabets::Catalogue;
use crate::evaluate::evaluate_all;
use crate::files::create_folder;
use crate::quiz::Quiz;
use crate::quiz::pictures::Pictures;
use crate::quiz::questions::{Plan, Protocol, Questions};
use crate::quiz::record::{Header, Record, RecordError};
use crate::quiz::report::Contestant;
use crate::{shipped, trials};

/// Trials where nobody says how many: some minutes of a person's time.
const TRIALS: usize = 20;
/// Classes of a trial, as in Lake's runs.
const WAYS: usize = 20;
/// Name of a record where none is named.
const RECORD: &str = "runs/quiz";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Who is compared with you: a network that ships, a model.onelook, or a run's folder.
    #[arg(long, value_name = "NAME|model.onelook|RUN", default_value = shipped::DEFAULT)]
    model: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Which trials.
    #[arg(long, value_enum, default_value_t = Protocol::Lake20)]
    protocol: Protocol,
    /// Number of trials; at most 400 of Lake's.
    #[arg(long, value_name = "COUNT", default_value_t = TRIALS, value_parser = count)]
    trials: usize,
    /// Classes per trial, for within and mixed [default: 20].
    #[arg(long, alias = "ways", value_name = "N", value_parser = ways)]
    n_way: Option<usize>,
    /// Seed of the trials [default: another one each time].
    #[arg(long)]
    seed: Option<u64>,
    /// Do not tell after each answer what was right.
    #[arg(long)]
    hide_feedback: bool,
    /// File of the answers, each written before the next question [default: runs/quiz.jsonl, numbered when
    /// that is taken; with --resume the last that is not finished].
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Go on with a quiz that was interrupted; the record knows its trials.
    #[arg(long, conflicts_with_all = ["protocol", "trials", "n_way", "seed", "dataset"])]
    resume: bool,
    /// Serve a page for a browser, instead of asking in the terminal.
    #[arg(long)]
    web: bool,
    /// Where the page is served; port 0 takes a free one. Another address than this computer's own lets
    /// everybody in the network answer.
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8018",
        requires = "web"
    )]
    listen: SocketAddr,
    /// How a terminal shows drawings.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Pictures::Auto, conflicts_with = "web")]
    pictures: Pictures,
    /// Print the report as JSON on stdout.
    #[arg(long)]
    json: bool,
}

fn count(text: &str) -> Result<usize, String> {
    number(text, 1, 1_000)
}

fn ways(text: &str) -> Result<usize, String> {
    number(text, 2, 100)
}

fn number(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| (least..=most).contains(n));
    number.ok_or_else(|| format!("a number from {least} to {most}"))
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let model = ModelFile::read(&args.model)?;
    let quiz = match args.resume {
        true => resume(args, &model)?,
        false => begin(args, &model)?,
    };
    match args.web {
        true => sitting::in_browser(args, quiz),
        false => sitting::in_terminal(args, quiz),
    }
}

fn begin(args: &Args, model: &ModelFile) -> Result<Quiz, Failure> {
    if args.protocol == Protocol::Lake20 && args.n_way.is_some_and(|n_way| n_way != WAYS) {
        return Err(Failure::Usage(
            "--n-way needs --protocol within or mixed: Lake's runs are 20-way".to_owned(),
        ));
    }
    let path = match &args.record {
        Some(path) if path.exists() => {
            return Err(Failure::usage(RecordError::Exists { path: path.clone() }));
        }
        Some(path) => path.clone(),
        None => numbered().find(|path| !path.exists()).unwrap_or_default(),
    };
    let plan = Plan {
        protocol: args.protocol,
        n_way: args.n_way.unwrap_or(WAYS),
        trials: args.trials,
        seed: args.seed.unwrap_or_else(any_seed),
    };
    let questions = questions(plan, &args.data.open()?)?;
    let contestant = contestant(args, model, &questions)?;
    if let Some(folder) = path.parent() {
        create_folder(folder).map_err(Failure::work)?;
    }
    let header = Header::of(&questions, args.data.name());
    let record = Record::create(&path, header).map_err(failure)?;
    Ok(Quiz::new(questions, contestant, record))
}

fn resume(args: &Args, model: &ModelFile) -> Result<Quiz, Failure> {
    let path = match &args.record {
        Some(path) => path.clone(),
        None => unfinished()?,
    };
    let header = Record::header(&path).map_err(failure)?;
    let dataset = DatasetName::from_str(&header.data, false).map_err(|_| {
        Failure::usage(RecordError::Header {
            path: path.clone(),
            reason: format!("`data` is {:?}, not omniglot or synthetic", header.data),
        })
    })?;
    let questions = questions(header.plan, &args.data.of(dataset).open()?)?;
    let record = Record::resume(&path, &questions).map_err(failure)?;
    let contestant = contestant(args, model, &questions)?;
    let quiz = Quiz::new(questions, contestant, record);
    eprintln!(
        "{} of {} trials are answered",
        quiz.answered(),
        header.plan.trials
    );
    Ok(quiz)
}

/// A seed that nobody knows; the record keeps it.
fn any_seed() -> u64 {
    use rand::Rng;
    // 53 bits: also programs whose numbers are floats read it whole from the report.
    ChaCha8Rng::try_from_rng(&mut SysRng).map_or(0, |mut rng| rng.next_u64() >> 11)
}

/// `runs/quiz.jsonl`, `runs/quiz-2.jsonl`, …
fn numbered() -> impl Iterator<Item = PathBuf> {
    (1..).map(|n: usize| match n {
        1 => format!("{RECORD}.jsonl").into(),
        _ => format!("{RECORD}-{n}.jsonl").into(),
    })
}

/// The last record that is not finished: it has fewer lines than its trials and their heading.
fn unfinished() -> Result<PathBuf, Failure> {
    let is_unfinished = |path: &PathBuf| {
        let lines = std::fs::read(path).unwrap_or_default();
        let lines = lines.iter().filter(|&&byte| byte == b'\n').count();
        // A damaged one is named rather than passed over.
        Record::header(path).map_or(true, |header| lines <= header.plan.trials)
    };
    let there = numbered().take_while(|path| path.exists());
    there.filter(is_unfinished).last().ok_or_else(|| {
        Failure::Usage(format!(
            "no quiz called {RECORD}.jsonl is unfinished; begin one without --resume, or name its record with --record"
        ))
    })
}

fn questions(plan: Plan, drawings: &Drawings) -> Result<Questions, Failure> {
    let bar = spinner("reading the drawings");
    let evaluation = drawings.evaluation()?;
    let Plan {
        n_way,
        trials,
        seed,
        ..
    } = plan;
    let pool = match plan.protocol {
        Protocol::Lake20 => drawings.lake20()?,
        Protocol::Within => {
            trials::within_alphabet(&evaluation, n_way, 1, trials, seed).map_err(Failure::usage)?
        }
        Protocol::Mixed => {
            trials::mixed(&evaluation, n_way, 1, trials, seed).map_err(Failure::usage)?
        }
    };
    bar.finish_and_clear();
    Questions::choose(plan, &pool, &Catalogue::of(&evaluation)).map_err(Failure::usage)
}

/// What the model makes of the trials, as a device decides them.
fn contestant(
    args: &Args,
    model: &ModelFile,
    questions: &Questions,
) -> Result<Contestant, Failure> {
    let bar = spinner("the model takes the test");
    let engine = Shared::new(model.view()?);
    // Lake's runs ask for one support set often: each drawing is embedded once.
    let decided = evaluate_all(&[questions.set()], &engine).map_err(Failure::work)?;
    bar.finish_and_clear();
    let choices = decided
        .into_iter()
        .flat_map(|evaluation| evaluation.device.decisions);
    let name = args.model.file_stem().unwrap_or_default();
    Ok(Contestant {
        name: name.to_string_lossy().into_owned(),
        sha256: hex(&Sha256::digest(model.bytes())),
        choices: choices.collect(),
    })
}

fn failure(error: RecordError) -> Failure {
    match error {
        RecordError::Write { .. } => Failure::work(error),
        _ => Failure::usage(error),
    }
}
