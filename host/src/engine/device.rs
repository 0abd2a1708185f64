//! The firmware in QEMU as an engine: it reads the model and the trials, embeds every image and
//! answers every logit itself.
//!
//! In: a model file and a [`TrialSet`]. Out: one logit for each trial, class and shot, as the device
//! printed it. Trials are dealt to as many simulators as there are processors, and to more runs
//! where a file would not fit the board's memory.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use indicatif::ProgressBar;
use rayon::prelude::*;
use tools::firmware::{self, Board, Program};
use tools::qemu::{self, Qemu, Running};
use tools::{Progress, SetupError};

use ::shared::episode_file::{EpisodeRepr, TrialRepr};
use ::shared::model::ModelView;

use super::{EngineError, Input};
use crate::evaluate::{EvaluateError, TrialLogits, check, network_inputs};
use crate::trials::{Trial, TrialSet};

/// What the board's buffers hold, less a little for headers: `firmware/src/board/mps2.rs`.
const TRIALS_BYTES: usize = (8 << 20) - 4096;
const EMBEDDINGS_BYTES: usize = 4 << 20;
/// Trials of one file, and images: `u16` counts them.
const MOST: usize = u16::MAX as usize;
/// How long a device may say nothing; one embedding takes a fraction of a second.
const SILENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

/// A firmware that answers trials, and the board it runs on.
#[derive(Debug, Clone)]
pub struct Device {
    elf: PathBuf,
    board: Board,
    name: String,
}

impl Device {
    /// The firmware that the board's variable names, or one that is built now; QEMU is installed
    /// when it is missing.
    ///
    /// # Errors
    /// [`SetupError`] with what to install.
    pub fn provide(board: Board, progress: &Progress) -> Result<Self, SetupError> {
        qemu::provide(progress)?;
        let named = std::env::var_os(board.variable()).map(PathBuf::from);
        let elf = match named.filter(|elf| elf.is_file()) {
            Some(elf) => elf,
            None => firmware::build(board, Program::Trials, progress)?,
        };
        Ok(Self {
            elf,
            board,
            name: format!("device ({} in QEMU)", board.name),
        })
    }

    /// Name for reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every trial's logits. `progress` counts trials.
    ///
    /// # Errors
    /// [`EvaluateError`] when a trial cannot be decided, or when the firmware refuses it, does not
    /// answer or answers something else.
    pub fn answer(
        &self,
        model: &ModelView<'_>,
        bytes: &[u8],
        set: &TrialSet,
        progress: &ProgressBar,
    ) -> Result<Vec<TrialLogits<i32>>, EvaluateError> {
        check(set)?;
        let input = model.input();
        let images = network_inputs(&set.images, Input::of(model))?;
        let most_images = (TRIALS_BYTES / 2 / input.len().max(1))
            .min(EMBEDDINGS_BYTES / (model.embedding_len() + 1))
            .clamp(1, MOST);
        let runs = deal(set, most_images, rayon::current_num_threads());
        let answers = runs.into_par_iter().map(|range| {
            let hand = Hand::of(set, range, &images);
            let episode = hand.file(input).map_err(|reason| self.refused(&reason))?;
            let said = self.run(bytes, &episode, progress)?;
            let logits = parse(&said, hand.trials.len(), [set.n_way(), set.k_shot()]);
            logits.map_err(|reason| self.refused(&reason))
        });
        let answers = answers.collect::<Result<Vec<_>, EngineError>>()?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// What the device prints about one file of trials.
    fn run(
        &self,
        model: &[u8],
        episode: &[u8],
        progress: &ProgressBar,
    ) -> Result<String, EngineError> {
        let folder = tempfile::tempdir().map_err(|error| self.refused(&error.to_string()))?;
        for (name, bytes) in [("model.onelook", model), ("trials.bin", episode)] {
            let written = std::fs::write(folder.path().join(name), bytes);
            written.map_err(|error| self.refused(&format!("{name}: {error}")))?;
        }
        let qemu = self.qemu(folder.path());
        let mut running = qemu
            .spawn()
            .map_err(|error| self.refused(&error.to_string()))?;
        self.attend(&mut running, progress)?;
        let output = running
            .finish()
            .map_err(|error| self.refused(&error.to_string()))?;
        Ok(output.stdout)
    }

    fn qemu(&self, folder: &Path) -> Qemu {
        Qemu::new(&self.elf, self.board.machine)
            .folder(folder)
            .timeout(SILENCE)
    }

    /// Waits for its end, or until it has said nothing new for [`SILENCE`].
    fn attend(&self, running: &mut Running, progress: &ProgressBar) -> Result<(), EngineError> {
        let (mut lines, mut silent) = (0, Duration::ZERO);
        loop {
            let ended = running.has_ended();
            let ended = ended.map_err(|error| self.refused(&error.to_string()))?;
            // The first line is the model's.
            let now = running.said()[0].lines().count().saturating_sub(1);
            progress.inc(now.saturating_sub(lines) as u64);
            silent = if now > lines {
                Duration::ZERO
            } else {
                silent + POLL
            };
            lines = now.max(lines);
            if ended || silent > SILENCE {
                // `finish` tells one from the other.
                return Ok(());
            }
            sleep(POLL);
        }
    }

    fn refused(&self, message: &str) -> EngineError {
        EngineError::Engine {
            engine: self.name.clone(),
            message: message.to_owned(),
        }
    }
}

/// Trials in a row for each run: as many runs as there are `workers`, more where one would not fit
/// the board or has more than `most_images` different images. A single trial may have more; the firmware then says so.
fn deal(set: &TrialSet, most_images: usize, workers: usize) -> Vec<Range<usize>> {
    let trial_bytes = 2 * (1 + set.n_way() * set.k_shot());
    let most = (TRIALS_BYTES / 2 / trial_bytes).clamp(1, MOST);
    let share = set.trials.len().div_ceil(workers.max(1)).clamp(1, most);
    let (mut runs, mut start) = (Vec::new(), 0);
    let mut seen = HashSet::new();
    for (index, trial) in set.trials.iter().enumerate() {
        let images = trial.support.iter().flatten().chain([&trial.query]);
        let more = images
            .clone()
            .filter(|image| !seen.contains(*image))
            .count();
        if index > start && (index - start >= share || seen.len() + more > most_images) {
            runs.push(start..index);
            start = index;
            seen.clear();
        }
        seen.extend(images.copied());
    }
    runs.push(start..set.trials.len());
    runs
}

/// The trials of one run, with the images that they use numbered anew.
struct Hand<'a> {
    images: Vec<&'a [u8]>,
    trials: Vec<(usize, Vec<usize>)>,
    ways: [usize; 2],
}

impl<'a> Hand<'a> {
    fn of(set: &TrialSet, range: Range<usize>, inputs: &'a [Vec<u8>]) -> Self {
        let (mut index, mut images) = (HashMap::new(), Vec::new());
        let mut number = |image: usize| {
            *index.entry(image).or_insert_with(|| {
                images.push(inputs.get(image).map_or(&[][..], Vec::as_slice));
                images.len() - 1
            })
        };
        let trials = set.trials.get(range).unwrap_or_default();
        let trials = trials.iter().map(|Trial { support, query, .. }| {
            let query = number(*query);
            let support = support.iter().flatten().map(|&shot| number(shot));
            (query, support.collect())
        });
        let trials = trials.collect();
        Self {
            images,
            trials,
            ways: [set.n_way(), set.k_shot()],
        }
    }

    /// `trials.bin`, or what is too large for it.
    fn file(&self, input: ::shared::shape::Hwc) -> Result<Vec<u8>, String> {
        let narrow = |number: usize| {
            u16::try_from(number).map_err(|_| format!("{number} is too large for a trials file"))
        };
        let supports = self.trials.iter().map(|(_, supports)| {
            let numbers = supports.iter().map(|&shot| narrow(shot));
            numbers.collect::<Result<Vec<u16>, String>>()
        });
        let supports = supports.collect::<Result<Vec<_>, String>>()?;
        let trials = self
            .trials
            .iter()
            .zip(&supports)
            .map(|((query, _), supports)| {
                let query = narrow(*query)?;
                Ok(TrialRepr { query, supports })
            });
        let trials = trials.collect::<Result<Vec<_>, String>>()?;
        let repr = EpisodeRepr {
            image: input,
            images: &self.images.concat(),
            n_way: narrow(self.ways[0])?,
            k_shot: narrow(self.ways[1])?,
            trials: &trials,
        };
        let len = repr.buffer_len().map_err(|error| error.to_string())?;
        let mut bytes = vec![0; len];
        repr.emit(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }
}

/// The logits in the device's lines: `trial 0 answer 3 logits -17012 -9921 …`.
fn parse(said: &str, trials: usize, ways: [usize; 2]) -> Result<Vec<TrialLogits<i32>>, String> {
    let [n_way, k_shot] = ways;
    let parsed = said.lines().skip(1).enumerate().map(|(index, line)| {
        let odd = || format!("it said `{line}` where trial {index} was expected");
        let (head, logits) = line.split_once(" logits ").ok_or_else(odd)?;
        let logits = logits.split(' ').map(str::parse::<i32>);
        let logits: Vec<i32> = logits.collect::<Result<_, _>>().map_err(|_| odd())?;
        let right = head.starts_with(&format!("trial {index} answer "));
        if !right || logits.len() != n_way * k_shot {
            return Err(odd());
        }
        Ok(logits.chunks(k_shot.max(1)).map(<[i32]>::to_vec).collect())
    });
    let parsed: Vec<TrialLogits<i32>> = parsed.collect::<Result<_, String>>()?;
    if parsed.len() == trials {
        return Ok(parsed);
    }
    Err(format!("it answered {} of {trials} trials", parsed.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyphs;
    use crate::trials::within_alphabet;
    use ::shared::episode_file::EpisodeView;
    use ::shared::shape::Hwc;

    #[test]
    fn trials_are_dealt_without_loss() {
        let data = glyphs::synthetic(3, "evaluation", 2, 5);
        let set = within_alphabet(&data, 5, 2, 40, 7).unwrap();
        for (most_images, workers) in [(1000, 3), (20, 1), (1, 1)] {
            let runs = deal(&set, most_images, workers);
            let all: Vec<usize> = runs.iter().cloned().flatten().collect();
            assert_eq!(all, (0..40).collect::<Vec<_>>());
            assert!(runs.len() >= workers, "{runs:?}");
        }
        assert_eq!(deal(&set, 1, 1).len(), 40);
    }

    #[test]
    fn a_run_s_file_holds_what_its_trials_use() {
        let data = glyphs::synthetic(3, "evaluation", 2, 5);
        let set = within_alphabet(&data, 5, 2, 40, 7).unwrap();
        let input = Hwc::new(8, 8, 1);
        let seen = Input {
            shape: input,
            framing: shared::image::Framing::Picture,
        };
        let inputs = network_inputs(&set.images, seen).unwrap();
        let bytes = Hand::of(&set, 30..40, &inputs).file(input).unwrap();
        let view = EpisodeView::new_checked(&bytes).unwrap();
        assert_eq!(
            (view.n_way(), view.k_shot(), view.trials().count()),
            (5, 2, 10)
        );
        for (trial, expected) in view.trials().zip(&set.trials[30..]) {
            assert_eq!(view.image(trial.query()).unwrap(), inputs[expected.query]);
            let shots = expected.support.iter().flatten();
            for (got, &expected) in trial.supports().zip(shots) {
                assert_eq!(view.image(got).unwrap(), inputs[expected]);
            }
        }
    }

    #[test]
    fn lines_that_are_no_answer_are_named() {
        let said = "model 00\ntrial 0 answer 1 logits -3 4\ntrial 1 answer 0 logits 7 -8\n";
        let logits = parse(said, 2, [2, 1]).unwrap();
        assert_eq!(logits, [[[-3], [4]], [[7], [-8]]]);
        assert_eq!(
            parse(said, 1, [1, 2]).unwrap_err(),
            "it answered 2 of 1 trials"
        );
        for line in [
            "trial 0 answer 1 logits -3",
            "trial 1 answer 1 logits 1 2",
            "error x",
        ] {
            let error = parse(&format!("model 00\n{line}\n"), 1, [2, 1]).unwrap_err();
            assert!(error.contains(line), "{error}");
        }
    }
}
