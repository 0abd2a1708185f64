//! What a person touches and sees: nothing, on boards that are an emulator's.
//!
//! In: signals, which nobody sees. Out: no press of a button. A host presses and sees by the link instead.

use shared::session::{Press, Signal};

/// No button and no lamp.
#[derive(Debug)]
pub struct Panel(());

impl Panel {
    pub(super) const fn new() -> Self {
        Self(())
    }

    /// What was pressed since the last look.
    pub const fn look(&mut self, _now: u64) -> Option<Press> {
        None
    }

    /// Shows what came of a picture.
    pub const fn show(&mut self, _signal: Signal, _now: u64) {}
}
