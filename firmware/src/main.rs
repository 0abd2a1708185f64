//! Onelook on a microcontroller: answers N-way trials with the arithmetic of [`shared`].
//!
//! In: `model.onelook` and `trials.bin`, read through the board. Out: the model's fingerprint, one
//! line for each trial, and a verdict that the debugger or emulator turns into an exit status.
//!
//! ```text
//! model 00112233445566778899aabbccddeeff
//! trial 0 answer 3 logits -17012 -9921 -20133 4410 …
//! ```
//!
//! A trial has one logit per support, class by class; the answer is the class of the largest.
//! Reading order: this file, [`embeddings`], [`error`], [`firmware::board`].
#![no_std]
#![no_main]

mod embeddings;
mod error;

use core::ffi::CStr;
use core::fmt::Write;

use cortex_m_rt::entry;
use firmware::board::{self, Board, Memory};
use shared::decide::nearest;
use shared::episode_file::EpisodeView;
use shared::model::ModelView;

use embeddings::Embeddings;
use error::Error;

const MODEL_FILE: &CStr = c"model.onelook";
const TRIALS_FILE: &CStr = c"trials.bin";

#[entry]
fn main() -> ! {
    let verdict = match Board::take() {
        Some((mut board, memory)) => answer_trials(&mut board, memory).map_err(|error| {
            // When even this does not come through, the exit status still does.
            let _ = writeln!(board, "error {error}");
        }),
        None => Err(()),
    };
    board::exit(verdict)
}

/// Reads both files, then prints one line for each trial.
fn answer_trials(board: &mut Board, memory: Memory) -> Result<(), Error> {
    let file = board.read_file(MODEL_FILE, memory.model);
    let file = file.map_err(|error| Error::File(MODEL_FILE, error))?;
    let model = ModelView::new_checked(file).map_err(Error::Model)?;
    let file = board.read_file(TRIALS_FILE, memory.trials);
    let file = file.map_err(|error| Error::File(TRIALS_FILE, error))?;
    let episode = EpisodeView::new_checked(file).map_err(Error::Trials)?;
    let mut embeddings = Embeddings::new(model, episode, memory.arena, memory.embeddings)?;
    let (needed, limit) = (episode.n_way() * episode.k_shot(), memory.logits.len());
    let logits = memory.logits.get_mut(..needed);
    let logits = logits.ok_or(Error::Supports { needed, limit })?;

    let fingerprint = u128::from_be_bytes(model.fingerprint());
    writeln!(board, "model {fingerprint:032x}")?;
    for (index, trial) in episode.trials().enumerate() {
        embeddings.prepare(trial)?;
        let query = embeddings.get(trial.query())?;
        for (logit, support) in logits.iter_mut().zip(trial.supports()) {
            let support = embeddings.get(support)?;
            let decided = model.decider().logit(query, support);
            *logit = decided.map_err(Error::Shape)?;
        }
        let (support, _) = nearest(logits.iter().copied()).ok_or(Error::Bug)?;
        let class = support.checked_div(episode.k_shot()).ok_or(Error::Bug)?;
        write!(board, "trial {index} answer {class} logits")?;
        for logit in logits.iter() {
            write!(board, " {logit}")?;
        }
        writeln!(board)?;
    }
    #[cfg(feature = "measure-stack")]
    writeln!(board, "stack {}", board::stack_depth())?;
    Ok(())
}
