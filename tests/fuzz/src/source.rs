//! Takes numbers off the front of a target's bytes.

/// Bytes that never run out: behind the last one come zeros.
pub(crate) struct Source<'a> {
    bytes: &'a [u8],
}

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        for byte in &mut array {
            if let Some((&first, rest)) = self.bytes.split_first() {
                (*byte, self.bytes) = (first, rest);
            }
        }
        array
    }

    /// A number in `0..=max`, from one byte.
    pub(crate) fn up_to(&mut self, max: usize) -> usize {
        usize::from(self.byte()) % (max + 1)
    }

    /// All that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.bytes
    }
}

/// `len` values out of `bytes`, again and again but never twice the same row: what repeats is
/// changed by how often it has been used.
pub(crate) fn stretch(bytes: &[u8], len: usize) -> Vec<u8> {
    let n = bytes.len().max(1);
    let value = |i: usize| bytes.get(i % n).copied().unwrap_or(0);
    (0..len)
        .map(|i| value(i).wrapping_add((i / n) as u8))
        .collect()
}
