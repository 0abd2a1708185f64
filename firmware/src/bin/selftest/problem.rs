//! Shapes and data at which kernels go wrong.
//!
//! In: a seed. Out: odd channels, windows up to 11×11 that are mostly padding or leave gaps, values
//! and weights at their limits, shifts that make ties or saturate, parameters at any address.

use core::fmt;

use shared::ops::filters::Bias;
use shared::quant::MAX_SHIFT;
use shared::shape::{Hwc, Window};

/// Knuth's linear congruential generator (MMIX). Its upper bits are good enough for test data.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed);
        // Neighbouring seeds begin alike.
        for _ in 0..4 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((u64::from(self.next()) * limit as u64) >> 32) as usize
    }

    /// A number in `-limit..limit`.
    pub(crate) fn within(&mut self, limit: i32) -> i32 {
        self.below(2 * limit as usize) as i32 - limit
    }

    /// Activations: any, few or only the largest.
    pub(crate) fn fill_activations(&mut self, bytes: &mut [u8]) {
        let kind = self.below(5);
        bytes.fill_with(|| match kind {
            0 => u8::MAX,
            1 => 255 * self.below(2) as u8,
            2 => self.below(4) as u8,
            _ => self.below(256) as u8,
        });
    }

    fn fill_weights(&mut self, weights: &mut [i8]) {
        let kind = self.below(5);
        weights.fill_with(|| match kind {
            0 => i8::MIN,
            1 => i8::MAX,
            2 => self.within(2) as i8,
            3 => self.within(64) as i8,
            _ => self.within(128) as i8,
        });
    }

    fn fill_biases(&mut self, biases: &mut [[u8; 4]]) {
        let limit = if self.below(2) == 0 { 32 } else { 1 << 22 };
        biases.fill_with(|| self.within(limit).to_le_bytes());
    }

    fn fill_shifts(&mut self, shifts: &mut [u8]) {
        let kind = self.below(3);
        shifts.fill_with(|| match kind {
            0 => self.below(usize::from(MAX_SHIFT) + 1) as u8,
            1 => self.below(3) as u8,
            _ => 6 + self.below(10) as u8,
        });
    }
}

/// A shape for every operator.
pub(crate) struct Problem {
    pub(crate) input: Hwc,
    pub(crate) window: Window,
    pub(crate) c_out: usize,
}

impl Problem {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let kernel = match random.below(3) {
            0 => 1 + random.below(11),
            1 => 1 + random.below(3),
            _ => 3,
        };
        // Kernels have code of their own for one channel and for multiples of four.
        let c = match random.below(8) {
            0 => 1,
            1..4 => 4 * (1 + random.below(12)),
            4 => 1 + random.below(70),
            _ => 1 + random.below(20),
        };
        let filters = if random.below(8) == 0 { 150 } else { 24 };
        Self {
            input: Hwc::new(1 + random.below(12), 1 + random.below(12), c),
            window: Window {
                kernel,
                stride: 1 + random.below(4),
                pad: random.below(kernel),
            },
            c_out: 1 + random.below(filters),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hwc { h, w, c } = self.input;
        let Window {
            kernel,
            stride,
            pad,
        } = self.window;
        let c_out = self.c_out;
        write!(
            f,
            "{h}x{w}x{c} kernel {kernel} stride {stride} pad {pad} c_out {c_out}"
        )
    }
}

/// What an operator's filters are made from.
pub(crate) struct Parameters<'m> {
    pub(crate) weight: &'m [i8],
    pub(crate) bias: Bias<'m>,
    pub(crate) shift: &'m [u8],
}

impl<'m> Parameters<'m> {
    /// `None` when `memory` is too small.
    pub(crate) fn draw(
        random: &mut Random,
        memory: &'m mut [u8],
        taps: usize,
        c_out: usize,
    ) -> Option<Self> {
        let (weight, memory) = take(random, memory, taps.checked_mul(c_out)?)?;
        let (bias, memory) = take(random, memory, 4 * c_out)?;
        let (shift, _) = take(random, memory, c_out)?;
        let weight: &mut [i8] = bytemuck::cast_slice_mut(weight);
        let (bias, _) = bias.as_chunks_mut();
        random.fill_weights(weight);
        random.fill_biases(bias);
        random.fill_shifts(shift);
        Some(Self {
            weight,
            bias: Bias::new(bias),
            shift,
        })
    }
}

/// The next `len` bytes of `memory` at any alignment, often that of words, and what is behind them.
pub(crate) fn take<'m>(
    random: &mut Random,
    memory: &'m mut [u8],
    len: usize,
) -> Option<(&'m mut [u8], &'m mut [u8])> {
    let start = random.below(16);
    let start = if random.below(2) == 0 {
        start & !3
    } else {
        start
    };
    memory.get_mut(start..)?.split_at_mut_checked(len)
}
