//! The arena: where activations and scratch live while the encoder runs.
//!
//! In: a chain of operators. Out: the length of one buffer for all of them, and each step's parts
//! of it. A step needs three things at a time: its input, its output, and what its kernel gathers
//! in between. Input and output sit at opposite ends and swap ends from step to step; the scratch
//! is what lies between them. So the buffer is as long as the largest such triple, and no plan for
//! operators that do not work in place can be shorter.
//!
//! ```text
//! even step    | input  | scratch  …  | output |
//! odd step     | output | scratch  …  |  input |
//! ```

use core::ops::Range;

use crate::ops::Operator;
use crate::shape::Hwc;

/// Bytes of the arena for a chain of operators on `input`; saturates instead of wrapping.
pub fn arena_len<'m>(input: Hwc, operators: impl Iterator<Item = Operator<'m>>) -> usize {
    operators.fold(input.len(), |longest, op| longest.max(op.arena_len()))
}

/// One step's parts of the arena.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The step's input.
    pub input: Range<usize>,
    /// Everything between input and output: at least the kernel's scratch.
    pub scratch: Range<usize>,
    /// The step's output.
    pub output: Range<usize>,
}

impl Placement {
    /// The parts of the step with this index in an arena of `arena_len` bytes.
    ///
    /// `None` when they do not fit, which a checked model rules out.
    #[must_use]
    pub fn new(index: usize, op: &Operator<'_>, arena_len: usize) -> Option<Self> {
        let (input, output) = (op.input().len(), op.output().len());
        let even = index.is_multiple_of(2);
        let (low, high) = if even {
            (input, output)
        } else {
            (output, input)
        };
        let high = arena_len.checked_sub(high)?;
        high.checked_sub(low.checked_add(op.scratch_len())?)?;
        let (low, scratch, high) = (0..low, low..high, high..arena_len);
        let (input, output) = if even { (low, high) } else { (high, low) };
        Some(Self {
            input,
            scratch,
            output,
        })
    }
}

/// The buffers of one step.
pub(crate) struct Buffers<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) scratch: &'a mut [u8],
    pub(crate) output: &'a mut [u8],
}

impl Placement {
    /// Cuts the arena into this step's buffers; `None` when it is shorter than it was planned.
    pub(crate) fn buffers<'a>(&self, arena: &'a mut [u8]) -> Option<Buffers<'a>> {
        let (below, high) = arena.split_at_mut_checked(self.scratch.end)?;
        let (low, scratch) = below.split_at_mut_checked(self.scratch.start)?;
        let (input, output) = if self.input.start <= self.output.start {
            (&*low, high)
        } else {
            (&*high, low)
        };
        Some(Buffers {
            input,
            scratch,
            output,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::filters::Bias;
    use crate::ops::linear::Linear;

    /// A linear layer from `n_in` to `weights / n_in` values.
    fn linear<'m>(n_in: usize, weight: &'m [i8], shift: &'m [u8]) -> Operator<'m> {
        const BIAS: [[u8; 4]; 8] = [[0; 4]; 8];
        let bias = Bias::new(BIAS.get(..shift.len()).unwrap());
        Operator::Linear(Linear::new(Hwc::new(1, 1, n_in), weight, bias, shift).unwrap())
    }

    #[test]
    fn longest_neighbours_count() {
        let ops = [
            linear(3, &[0; 18], &[0; 6]),
            linear(6, &[0; 42], &[0; 7]),
            linear(7, &[0; 14], &[0; 2]),
        ];
        assert_eq!(arena_len(Hwc::new(1, 1, 3), ops.into_iter()), 13);
    }

    #[test]
    fn output_becomes_the_next_input() {
        let mut arena = [0_u8; 10];
        let (first, second) = (linear(4, &[0; 16], &[0; 4]), linear(4, &[0; 8], &[0; 2]));
        let first = Placement::new(0, &first, 10).unwrap();
        first.buffers(&mut arena).unwrap().output.fill(7);
        let second = Placement::new(1, &second, 10).unwrap();
        assert_eq!(second.input, first.output);
        let buffers = second.buffers(&mut arena).unwrap();
        assert_eq!(buffers.input, [7; 4]);
        assert_eq!((buffers.scratch.len(), buffers.output.len()), (4, 2));
    }

    #[test]
    fn short_arena_is_none() {
        let op = linear(4, &[0; 8], &[0; 2]);
        assert!(Placement::new(0, &op, 5).is_none());
        assert!(Placement::new(1, &op, 5).is_none());
        let planned = Placement::new(0, &op, 6).unwrap();
        assert!(planned.buffers(&mut [0; 3]).is_none());
    }
}
