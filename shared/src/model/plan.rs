//! The arena: where activations live while the encoder runs.
//!
//! A chain needs two activations at a time. Layer inputs and outputs sit at opposite ends of one
//! buffer and swap ends from layer to layer, so the buffer is as long as the largest such pair:
//! the lower bound for operators that do not work in place.

use crate::shape::Hwc;

/// Bytes of the arena for a chain that starts with `input` and goes through `outputs`.
pub fn arena_len(input: Hwc, outputs: impl Iterator<Item = Hwc>) -> usize {
    let mut before = input.len();
    let mut longest = before;
    for output in outputs {
        longest = longest.max(before.saturating_add(output.len()));
        before = output.len();
    }
    longest
}

/// One layer's two buffers in the arena: `(input, output)`.
///
/// `None` when the arena is too short, which a checked model rules out.
pub(crate) fn split(
    arena: &mut [u8],
    layer: usize,
    input: usize,
    output: usize,
) -> Option<(&[u8], &mut [u8])> {
    let len = arena.len();
    if layer.is_multiple_of(2) {
        let (low, high) = arena.split_at_mut_checked(len.checked_sub(output)?)?;
        Some((low.get(..input)?, high))
    } else {
        let (low, high) = arena.split_at_mut_checked(len.checked_sub(input)?)?;
        Some((high, low.get_mut(..output)?))
    }
}

/// Where the activation in front of `layer` lies: its first `len` bytes for an even layer, its last
/// for an odd one.
pub(crate) fn activation(arena: &mut [u8], layer: usize, len: usize) -> Option<&mut [u8]> {
    if layer.is_multiple_of(2) {
        arena.get_mut(..len)
    } else {
        let start = arena.len().checked_sub(len)?;
        arena.get_mut(start..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_neighbours_count() {
        let shapes = [Hwc::new(1, 1, 6), Hwc::new(1, 1, 7), Hwc::new(1, 1, 2)];
        assert_eq!(arena_len(Hwc::new(1, 1, 3), shapes.into_iter()), 13);
    }

    #[test]
    fn output_becomes_the_next_input() {
        let mut arena = [0_u8; 10];
        split(&mut arena, 0, 4, 6).unwrap().1.fill(1);
        let (input, output) = split(&mut arena, 1, 6, 4).unwrap();
        assert_eq!(input, [1; 6]);
        output.fill(2);
        assert_eq!(activation(&mut arena, 2, 4).unwrap(), [2; 4]);
    }

    #[test]
    fn short_arena_is_none() {
        assert!(split(&mut [0; 3], 0, 2, 4).is_none());
        assert!(split(&mut [0; 5], 1, 2, 4).is_none());
    }
}
