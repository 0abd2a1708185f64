//! Data without a meaning, the same on every board.
//!
//! In: a seed. Out: bytes, weights and biases that depend on nothing else.

/// Knuth's linear congruential generator (MMIX). Its upper bits are good enough for test data.
pub(crate) struct Random(u64);

impl Random {
    /// A generator; every seed gives another sequence.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u16) -> u32 {
        // Scaled, not divided: no case is left for a panic.
        (self.next() >> 16) * u32::from(limit) >> 16
    }

    /// Fills with any bytes: activations.
    pub(crate) fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| (self.next() >> 24) as u8);
    }

    /// Fills with weights in `-63..=63`.
    pub(crate) fn fill_weights(&mut self, weights: &mut [i8]) {
        weights.fill_with(|| (self.below(127) as i32 - 63) as i8);
    }

    /// Fills with accumulators in `-2^23..2^23`.
    pub(crate) fn fill_accs(&mut self, accs: &mut [[u8; 4]]) {
        accs.fill_with(|| (self.next() as i32 >> 8).to_le_bytes());
    }

    /// Fills with biases in `-500..2000`.
    pub(crate) fn fill_biases(&mut self, biases: &mut [[u8; 4]]) {
        biases.fill_with(|| (self.below(2500) as i32 - 500).to_le_bytes());
    }
}
