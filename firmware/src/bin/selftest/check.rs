//! One run of an operator and what is wrong with it.
//!
//! In: what runs and what its reference makes. Out: the first difference, or that it wrote beside
//! its buffers.

use core::fmt;

use shared::shape::ShapeError;

use crate::problem::Random;

/// Memory for an operator's output and scratch.
pub(crate) struct Check<'b> {
    pub(crate) output: &'b mut [u8],
    pub(crate) scratch: &'b mut [u8],
}

/// What is wrong with a run.
pub(crate) enum Wrong {
    /// An output that is not the reference's.
    Output { at: usize, got: u8, expected: u8 },
    /// Something beside the output or the scratch was written.
    Outside,
    /// The operator does not take what its constructor took.
    Refused(ShapeError),
    /// The problem does not fit this program's memory.
    Memory,
}

impl From<ShapeError> for Wrong {
    fn from(error: ShapeError) -> Self {
        Self::Refused(error)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output { at, got, expected } => {
                write!(f, "output {at} is {got}, the reference's is {expected}")
            }
            Self::Outside => f.write_str("it wrote beside its buffers"),
            Self::Refused(error) => write!(f, "refused: {error}"),
            Self::Memory => f.write_str("too large for the memory here"),
        }
    }
}

/// What lies around a buffer.
const FENCE: u8 = 0xc3;
/// On either side.
const FENCE_LEN: usize = 32;

impl Check<'_> {
    /// Runs `fast` with output and scratch at any alignment, then the reference.
    pub(crate) fn run(
        &mut self,
        random: &mut Random,
        [output_len, scratch_len]: [usize; 2],
        fast: impl FnOnce(&mut [u8], &mut [u8]) -> Result<(), ShapeError>,
        reference: impl FnOnce(&mut [u8]) -> Result<(), ShapeError>,
    ) -> Result<(), Wrong> {
        let fenced_len = output_len + 2 * FENCE_LEN;
        let (fenced, expected) = self
            .output
            .split_at_mut_checked(fenced_len)
            .ok_or(Wrong::Memory)?;
        let expected = expected.get_mut(..output_len).ok_or(Wrong::Memory)?;
        let mut output = Fenced::new(fenced, random, output_len)?;
        let mut scratch = Fenced::new(self.scratch, random, scratch_len)?;
        fast(output.inside(), scratch.inside())?;
        reference(expected)?;
        if !output.is_whole() || !scratch.is_whole() {
            return Err(Wrong::Outside);
        }
        for (at, (&mut got, &mut expected)) in output.inside().iter_mut().zip(expected).enumerate()
        {
            if got != expected {
                return Err(Wrong::Output { at, got, expected });
            }
        }
        Ok(())
    }
}

/// A buffer with something on either side that nobody may write.
struct Fenced<'b> {
    before: &'b mut [u8],
    inside: &'b mut [u8],
    behind: &'b mut [u8],
}

impl<'b> Fenced<'b> {
    fn new(memory: &'b mut [u8], random: &mut Random, len: usize) -> Result<Self, Wrong> {
        let memory = memory.get_mut(..len + 2 * FENCE_LEN).ok_or(Wrong::Memory)?;
        memory.fill(FENCE);
        let start = FENCE_LEN - random.below(16);
        let (before, rest) = memory.split_at_mut_checked(start).ok_or(Wrong::Memory)?;
        let (inside, behind) = rest.split_at_mut_checked(len).ok_or(Wrong::Memory)?;
        Ok(Self {
            before,
            inside,
            behind,
        })
    }

    fn inside(&mut self) -> &mut [u8] {
        self.inside
    }

    fn is_whole(&self) -> bool {
        let mut fence = self.before.iter().chain(&*self.behind);
        fence.all(|&byte| byte == FENCE)
    }
}
