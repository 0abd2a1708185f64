//! How fast engines run a network on this computer.
//!
//! In: a [`Bundle`], an onnxruntime and some images. Out: a [`BenchReport`]. All engines take turns
//! in one process, round after round, so that whatever else the computer does meets each of them;
//! a figure is a median over rounds, a ratio the median of the ratios within each round.

pub mod contest;

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde::Serialize;

use crate::engine::EngineError;
use crate::export::{Bundle, ReadError};
use crate::float_net::FloatNetError;
use contest::{Contestant, Settings, contestants, rounds};

/// What an engine is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One image to its embedding.
    Encoder,
    /// A query and 20 supports, all new, to 20 logits. shared embeds each image once and compares
    /// embeddings; the pair graph that the other engines are given embeds both images of each pair.
    #[serde(rename = "20_way")]
    TwentyWay,
}

/// Which numbers an engine computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Numbers {
    /// The device's integers.
    Int8,
    /// 32-bit floating point.
    Fp32,
}

/// Everything that one run of the bench measured.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// The processor, as it names itself.
    pub cpu: String,
    /// The kernels that `shared` chose on it.
    pub kernels: &'static str,
    /// Tasks that ran at the same time.
    pub threads: usize,
    /// Multiply-accumulates of one embedding.
    pub macs: u64,
    /// Processes that wanted to run when the bench began, this one not among them; absent where
    /// the system does not say.
    pub load: Option<f64>,
    /// One for each task and engine.
    pub figures: Vec<Figure>,
}

/// How fast one engine did one task.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What.
    pub task: Task,
    /// In which numbers.
    pub numbers: Numbers,
    /// Who.
    pub engine: String,
    /// Its turns.
    pub rounds: usize,
    /// Runs of all turns together.
    pub runs: u64,
    /// Microseconds of one run in the fastest round: the least disturbed one.
    pub fastest_us: f64,
    /// Microseconds of one run: median over the rounds.
    pub median_us: f64,
    /// First and third quartile.
    pub quartiles_us: [f64; 2],
    /// How many times faster than this engine `shared` does the same in the same numbers: median
    /// over the rounds.
    pub shared_is_faster: f64,
}

/// Lets all engines run `bundle` on `images`, 21 of them.
///
/// # Errors
/// [`BenchError`] when an engine refuses.
pub fn bench(
    bundle: &Bundle,
    library: &std::path::Path,
    images: &[Vec<u8>],
    settings: Settings,
) -> Result<BenchReport, BenchError> {
    let load = load();
    let view = bundle.view().map_err(BenchError::model)?;
    let float = bundle.float_net()?;
    let engines = contest::Engines::new(bundle, &float, library)?;
    let contestants = contestants(&engines, images)?;
    let tasks: Vec<_> = contestants.chunk_by(|a, b| a.task == b.task).collect();
    let settings = Settings {
        duration: settings.duration / tasks.len().max(1) as u32,
        ..settings
    };
    let mut all = Vec::new();
    for contestants in tasks {
        all.extend(figures(contestants, &rounds(contestants, settings)?));
    }
    Ok(BenchReport {
        cpu: cpu(),
        kernels: shared::arch::name(),
        threads: settings.threads,
        macs: view.layers().map(|layer| layer.operator.macs()).sum(),
        load,
        figures: all,
    })
}

fn figures(contestants: &[Contestant<'_>], times: &[contest::Times]) -> Vec<Figure> {
    let all = contestants.iter().zip(times);
    let figure = |(contestant, times): (&Contestant<'_>, &contest::Times)| {
        // Each task's and each kind of number's first is shared.
        let mut same = all.clone().filter(|(other, _)| {
            (other.task, other.numbers) == (contestant.task, contestant.numbers)
        });
        let shared = same
            .next()
            .map_or(&times.seconds, |(_, times)| &times.seconds);
        let ratios = times.seconds.iter().zip(shared);
        let ratios: Vec<f64> = ratios.map(|(time, shared)| time / shared).collect();
        let us: Vec<f64> = times.seconds.iter().map(|time| time * 1e6).collect();
        Figure {
            task: contestant.task,
            numbers: contestant.numbers,
            engine: contestant.engine.clone(),
            rounds: times.seconds.len(),
            runs: times.runs,
            fastest_us: quantile(&us, 0.0),
            median_us: quantile(&us, 0.5),
            quartiles_us: [quantile(&us, 0.25), quantile(&us, 0.75)],
            shared_is_faster: quantile(&ratios, 0.5),
        }
    };
    all.clone().map(figure).collect()
}

/// The value below which `share` of the values lie; between two of them in proportion.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * sorted.len().saturating_sub(1) as f64;
    let at = |index: f64| sorted.get(index as usize).copied().unwrap_or(f64::NAN);
    at(place.floor()) + (at(place.ceil()) - at(place.floor())) * place.fract()
}

/// The processor's name as Linux has it; elsewhere the architecture's.
fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The load of the last minute, as Linux has it.
fn load() -> Option<f64> {
    let loads = std::fs::read_to_string("/proc/loadavg").ok()?;
    loads.split(' ').next()?.parse().ok()
}

impl BenchReport {
    /// The same for people.
    #[must_use]
    pub fn words(&self) -> String {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header([
            "task",
            "numbers",
            "engine",
            "median",
            "quartiles",
            "fastest",
            "runs per second",
            "shared is faster",
        ]);
        for figure in &self.figures {
            let [low, high] = figure.quartiles_us;
            table.add_row([
                match figure.task {
                    Task::Encoder => "encoder, one image".to_owned(),
                    Task::TwentyWay => "20-way".to_owned(),
                },
                match figure.numbers {
                    Numbers::Int8 => "int8".to_owned(),
                    Numbers::Fp32 => "fp32".to_owned(),
                },
                figure.engine.clone(),
                format!("{:.0} µs", figure.median_us),
                format!("{low:.0}–{high:.0} µs"),
                format!("{:.0} µs", figure.fastest_us),
                format!("{:.0}", 1e6 / figure.median_us),
                format!("{:.2} ×", figure.shared_is_faster),
            ]);
        }
        let load = self
            .load
            .map_or(String::new(), |load| format!(", load {load:.1}"));
        format!(
            "{}, kernels {}, {} thread{}{load}; {:.1} M multiply-accumulates an image\n\n{table}\n",
            self.cpu,
            self.kernels,
            self.threads,
            if self.threads == 1 { "" } else { "s" },
            self.macs as f64 / 1e6,
        )
    }
}

/// Why the bench ended early.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// An engine gave no answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The float network cannot be read back.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The float network lacks weights.
    #[error(transparent)]
    Float(#[from] FloatNetError),
    /// Images, the model or the threads.
    #[error("{0}")]
    Setup(String),
}

impl BenchError {
    fn model(error: impl std::fmt::Display) -> Self {
        Self::Setup(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_values() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&values, 0.5), 2.5);
        assert_eq!(quantile(&values, 0.0), 1.0);
        assert_eq!(quantile(&values, 1.0), 4.0);
        assert_eq!(quantile(&[7.0], 0.25), 7.0);
    }
}
