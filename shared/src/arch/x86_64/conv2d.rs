//! Convolution on AVX2: eight channels in the lanes of a vector, eight pixels in eight vectors.

use super::panel::{CHANNELS, Panel, STEP, Step};
use super::vector::{PIXELS, Requantize, sums};
use crate::ops::filters::Filters;
use crate::shape::{Hwc, Window};

/// Bytes for the rows of the input under some rows of the output, padding included.
const BAND: usize = 24 << 10;

/// A convolution's numbers.
#[derive(Clone, Copy)]
pub(super) struct Convolution<'m> {
    pub(super) input: Hwc,
    pub(super) output: Hwc,
    pub(super) window: Window,
    pub(super) filters: Filters<'m>,
}

impl Convolution<'_> {
    /// Bytes of a padded row of the input.
    fn padded_row(&self) -> usize {
        (self.input.w + 2 * self.window.pad) * self.input.c
    }

    /// `false`, and nothing written, when the rows under one row of the output are too long for
    /// this kernel.
    #[target_feature(enable = "avx2")]
    pub(super) fn run(&self, input: &[u8], output: &mut [u8], scratch: &mut [u8]) -> bool {
        let (window, row_taps) = (self.window, self.window.kernel * self.input.c);
        let mut bytes = [0_u8; BAND];
        let steps = Panel::steps(window.kernel, row_taps);
        let panel_len = steps * size_of::<Step>();
        let (panel, band) = match scratch.get_mut(..panel_len) {
            Some(panel) => (panel, &mut bytes[..]),
            None => match bytes.split_at_mut_checked(panel_len) {
                Some((panel, band)) => (panel, band),
                None => return false,
            },
        };
        let mut panel = Panel::new(panel.as_chunks_mut().0, row_taps);
        // The last step of the last row may read three bytes too many, into zeros.
        let row_len = self.padded_row().max(1);
        let rows = band.len().saturating_sub(STEP) / row_len;
        let Some(spare) = rows.checked_sub(window.kernel) else {
            return false;
        };
        let out_row = self.output.w * self.output.c;
        let out_rows = spare / window.stride + 1;
        let taps = self.filters.taps();
        let weights = self.filters.weight().chunks((taps * CHANNELS).max(1));
        let bands = output.chunks_mut((out_rows * out_row).max(1));
        for (index, out) in bands.enumerate() {
            let first = index * out_rows * window.stride;
            for (row, padded) in band.chunks_exact_mut(row_len).enumerate() {
                self.fill_row(padded, input, first + row);
            }
            for (index, weight) in weights.clone().enumerate() {
                panel.pack(weight, taps, true);
                let requantize = Requantize::new(&self.filters, index * CHANNELS);
                self.panel(band, &panel, &requantize, index * CHANNELS, out);
            }
        }
        true
    }

    /// A row of the padded input, `row` counted from the first row of padding.
    fn fill_row(&self, padded: &mut [u8], input: &[u8], row: usize) {
        let len = self.input.w * self.input.c;
        let row = row.checked_sub(self.window.pad).filter(|&row| row < self.input.h);
        let row = row.and_then(|row| input.get(row * len..(row + 1) * len));
        let pad = self.window.pad * self.input.c;
        match (row, padded.get_mut(pad..pad + len)) {
            (Some(row), Some(inside)) => inside.copy_from_slice(row),
            (None, Some(inside)) => inside.fill(0),
            _ => {}
        }
    }

    /// One panel's channels of a band's pixels.
    #[target_feature(enable = "avx2")]
    fn panel(
        &self,
        band: &[u8],
        panel: &Panel<'_>,
        requantize: &Requantize,
        channel: usize,
        output: &mut [u8],
    ) {
        let c_out = self.output.c;
        let step = self.window.stride * self.input.c;
        let down = self.window.stride * self.padded_row();
        let (mut x, mut at, mut row) = (0, 0, 0);
        let channels = (c_out - channel).min(CHANNELS);
        for out in output.chunks_mut(PIXELS * c_out) {
            let mut offsets = [at; PIXELS];
            for (offset, _) in offsets.iter_mut().zip(out.chunks_exact(c_out)) {
                *offset = at;
                (x, at) = (x + 1, at + step);
                if x == self.output.w {
                    row += down;
                    (x, at) = (0, row);
                }
            }
            let acc = sums(band, offsets, self.padded_row(), panel);
            let values = requantize.values(acc);
            for (out, values) in out.chunks_exact_mut(c_out).zip(values) {
                let out = &mut out[channel..];
                match out.first_chunk_mut::<8>() {
                    Some(out) if channels == 8 => *out = values,
                    _ => out[..channels].copy_from_slice(&values[..channels]),
                }
            }
        }
    }
}
