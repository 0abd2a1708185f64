//! One layer alone: its data, its reference, and where the two differ.
//!
//! In: a layer and what runs it. Out: the digest of its output, and the first output that is not
//! the reference's.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc};
use shared::shape::ShapeError;

use crate::layers::Layer;
use crate::operator::{Buffer, Operator};
use crate::random::Random;

/// Memory for one layer at a time.
pub(crate) struct Check<'b> {
    /// For weights, biases and shifts.
    pub(crate) parameters: &'b mut [u8],
    /// For input, scratch and output.
    pub(crate) arena: &'b mut [u8],
    /// For what the reference makes.
    pub(crate) expected: &'b mut [u8],
}

/// How a layer went.
pub(crate) struct Outcome {
    pub(crate) macs: u64,
    /// Bytes of input, scratch and output.
    pub(crate) arena: usize,
    pub(crate) digest: u32,
    pub(crate) difference: Option<Difference>,
}

/// Outputs that are not the reference's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Difference {
    count: usize,
    /// Index and values of the first.
    first: usize,
    got: u8,
    expected: u8,
}

impl Check<'_> {
    /// Runs a layer with random data of its own: `fast`, then the reference.
    pub(crate) fn run(
        &mut self,
        layer: &Layer,
        seed: u64,
        fast: impl FnOnce(&Operator<'_>, &[u8], &mut [u8], &mut [u8]) -> Result<(), ShapeError>,
    ) -> Result<Outcome, ShapeError> {
        let mut random = Random::new(seed);
        let mut parameters = Buffer::new(self.parameters);
        let operator = Operator::draw(layer, &mut random, &mut parameters)?;
        let (input_len, output_len) = (layer.input.len(), layer.output()?.len());
        let mut arena = Buffer::new(self.arena);
        let (input, output) = (arena.take(input_len)?, arena.take(output_len)?);
        operator.fill_input(&mut random, input);
        // A value that is never written must not be right by chance.
        output.fill(0xa5);
        // Exactly as much as is asked for, and full of what must not matter.
        let scratch = arena.take(operator.scratch_len())?;
        random.fill_bytes(scratch);
        fast(&operator, input, output, scratch)?;
        let expected = Buffer::new(self.expected).take(output_len)?;
        operator.run_reference(input, expected)?;
        Ok(Outcome {
            macs: operator.macs(),
            arena: input_len
                .saturating_add(operator.scratch_len())
                .saturating_add(output_len),
            digest: digest(output),
            difference: Difference::between(output, expected),
        })
    }
}

impl Difference {
    /// `None` when all outputs are the same.
    pub(crate) fn between(output: &[u8], expected: &[u8]) -> Option<Self> {
        let pairs = output.iter().zip(expected).enumerate();
        let mut different = pairs.filter(|(_, (got, expected))| got != expected);
        let (first, (&got, &expected)) = different.next()?;
        Some(Self {
            count: different.count() + 1,
            first,
            got,
            expected,
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count,
            first,
            got,
            expected,
        } = self;
        write!(
            f,
            "{count} outputs differ; output {first} is {got}, the reference's is {expected}"
        )
    }
}

/// CRC-32 of an output.
pub(crate) fn digest(output: &[u8]) -> u32 {
    Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(output)
}
