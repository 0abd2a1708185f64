//! Who takes part in the bench, and the rounds.

use std::path::Path;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::{BenchError, Numbers, Task};
use crate::engine::float::Float;
use crate::engine::onnxruntime::{Level, Onnxruntime};
use crate::engine::shared::Shared;
use crate::engine::tract::Tract;
use crate::engine::{Embedder, Engine, EngineError, Graph, Score, real};
use crate::export::Bundle;
use crate::float_net::FloatNet;

/// Supports of the N-way task.
const N_WAY: usize = 20;

/// How long one engine's turn takes, if not one run takes longer: long enough for a clock, shorter
/// than what other processes get at a time, so that they leave most turns alone.
const TURN: Duration = Duration::from_millis(1);

/// Fewest rounds, however short the time.
const ROUNDS: usize = 5;

/// How long, and on how many threads.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Time for all rounds together.
    pub duration: Duration,
    /// Runs at the same time, each on one thread.
    pub threads: usize,
}

/// The engines, ready to run.
pub(super) struct Engines<'b> {
    shared: Shared<'b>,
    float: Float<'b>,
    tract: Tract<'b>,
    onnxruntime: Onnxruntime<'b>,
}

impl<'b> Engines<'b> {
    pub(super) fn new(
        bundle: &'b Bundle,
        float: &'b FloatNet,
        library: &Path,
    ) -> Result<Self, BenchError> {
        let graphs = [
            Graph::Encoder,
            Graph::FloatEncoder,
            Graph::Int8Pair,
            Graph::FloatPair,
        ];
        Ok(Self {
            shared: Shared::new(bundle.view().map_err(BenchError::model)?),
            float: Float::new(float)?,
            tract: Tract::of(bundle, &graphs)?,
            onnxruntime: Onnxruntime::of(bundle, library, Level::All, &graphs)?,
        })
    }
}

/// One engine at one task.
pub(super) struct Contestant<'e> {
    pub(super) task: Task,
    pub(super) numbers: Numbers,
    pub(super) engine: String,
    run: Box<dyn Fn() -> Result<(), EngineError> + Sync + 'e>,
}

/// Every task in both kinds of numbers, shared first.
pub(super) fn contestants<'e>(
    engines: &'e Engines<'e>,
    images: &'e [Vec<u8>],
) -> Result<Vec<Contestant<'e>>, BenchError> {
    let short = || BenchError::Setup(format!("the bench takes {} images", N_WAY + 1));
    let (query, supports) = images.split_first().ok_or_else(short)?;
    let supports = supports.get(..N_WAY).ok_or_else(short)?;
    let reals = move || supports.iter().map(|support| [real(query), real(support)]);
    let others: [&dyn Engine; 2] = [&engines.tract, &engines.onnxruntime];

    let mut all = Vec::new();
    for task in [Task::Encoder, Task::TwentyWay] {
        for numbers in [Numbers::Int8, Numbers::Fp32] {
            let mut add = |engine: &str, run| {
                all.push(Contestant {
                    task,
                    numbers,
                    engine: engine.to_owned(),
                    run,
                });
            };
            let own: Box<dyn Fn() -> _ + Sync> = match (task, numbers) {
                (Task::Encoder, Numbers::Int8) => embeds(&engines.shared, query),
                (Task::Encoder, Numbers::Fp32) => embeds(&engines.float, query),
                (Task::TwentyWay, Numbers::Int8) => decides(&engines.shared, query, supports),
                (Task::TwentyWay, Numbers::Fp32) => decides(&engines.float, query, supports),
            };
            add(engines.shared.name(), own);
            let graph = match (task, numbers) {
                (Task::Encoder, Numbers::Int8) => Graph::Encoder,
                (Task::Encoder, Numbers::Fp32) => Graph::FloatEncoder,
                (Task::TwentyWay, Numbers::Int8) => Graph::Int8Pair,
                (Task::TwentyWay, Numbers::Fp32) => Graph::FloatPair,
            };
            for engine in others {
                let inputs: Vec<Vec<Vec<f32>>> = match task {
                    Task::Encoder => vec![vec![real(query)]],
                    Task::TwentyWay => reals().map(Vec::from).collect(),
                };
                add(
                    engine.name(),
                    Box::new(move || {
                        inputs
                            .iter()
                            .try_for_each(|x| engine.run(graph, x).map(drop))
                    }),
                );
            }
        }
    }
    Ok(all)
}

type Run<'e> = Box<dyn Fn() -> Result<(), EngineError> + Sync + 'e>;

fn embeds<'e, E: Embedder>(engine: &'e E, image: &'e [u8]) -> Run<'e> {
    Box::new(move || engine.embed(image).map(drop))
}

fn decides<'e, E: Embedder>(engine: &'e E, query: &'e [u8], supports: &'e [Vec<u8>]) -> Run<'e> {
    Box::new(move || {
        let query = engine.embed(query)?;
        let logits = supports
            .iter()
            .map(|support| engine.logit(&query, &engine.embed(support)?));
        let logits = logits.collect::<Result<Vec<_>, _>>()?;
        std::hint::black_box(E::Logit::nearest(&logits));
        Ok(())
    })
}

/// What one contestant needed.
pub(super) struct Times {
    /// Seconds of one run, round by round.
    pub(super) seconds: Vec<f64>,
    /// Runs of all rounds together.
    pub(super) runs: u64,
}

/// Turns of a task's contestants, round after round, until the time is over.
pub(super) fn rounds(
    contestants: &[Contestant<'_>],
    settings: Settings,
) -> Result<Vec<Times>, BenchError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(settings.threads);
    let pool = pool.build().map_err(BenchError::model)?;
    let turn = |contestant: &Contestant<'_>, runs: u64| -> Result<f64, EngineError> {
        let start = Instant::now();
        if settings.threads == 1 {
            (0..runs).try_for_each(|_| (contestant.run)())?;
        } else {
            pool.install(|| {
                (0..runs)
                    .into_par_iter()
                    .try_for_each(|_| (contestant.run)())
            })?;
        }
        Ok(start.elapsed().as_secs_f64() / runs as f64)
    };

    // The first run warms up, the second says how many make a turn.
    let mut runs = Vec::new();
    for contestant in contestants {
        let warm = settings.threads as u64;
        turn(contestant, warm)?;
        let seconds = turn(contestant, warm)?;
        runs.push((TURN.as_secs_f64() / seconds).ceil().max(1.0) as u64);
    }
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); contestants.len()];
    let start = Instant::now();
    for round in 0.. {
        if round >= ROUNDS && start.elapsed() >= settings.duration {
            break;
        }
        for ((contestant, &runs), times) in contestants.iter().zip(&runs).zip(&mut times) {
            times.push(turn(contestant, runs)?);
        }
    }
    let times = times.into_iter().zip(runs).map(|(seconds, runs)| Times {
        runs: runs * seconds.len() as u64,
        seconds,
    });
    Ok(times.collect())
}
