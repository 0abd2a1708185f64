//! Convolution on AVX2: sixteen channels by four pixels at a time.
//!
//! In: a convolution, its input, the first of the rows to make. Out: those rows. The rows of the
//! input under some rows of the output are copied with their padding (a *band*), so that every
//! pixel is an inner one; the weights of sixteen channels are repacked (a [`Panel`]) and pass over
//! the whole band.

use core::mem::MaybeUninit;

use super::panel::{CHANNELS, Panel, STEP, Step};
use super::vector::{PIXELS, Requantize, sums};
use crate::ops::filters::Filters;
use crate::shape::{Hwc, Window};

/// Bytes for a panel and a band, on the stack: enough for every layer of Koch's network.
const WORKSPACE: usize = 80 << 10;

/// Most bytes of a band: it shares the first cache with a panel.
const BAND: usize = 24 << 10;

/// A convolution's numbers.
#[derive(Clone, Copy)]
pub(super) struct Convolution<'m> {
    pub(super) input: Hwc,
    pub(super) output: Hwc,
    pub(super) window: Window,
    pub(super) filters: Filters<'m>,
}

/// Keeps the workspace's vectors within cache lines.
#[repr(align(64))]
struct Workspace([MaybeUninit<u8>; WORKSPACE]);

impl Convolution<'_> {
    /// `false`, and nothing written, when a panel and the rows under one row of output are larger
    /// than the workspace.
    #[target_feature(enable = "avx2")]
    pub(super) fn run(&self, input: &[u8], first_row: usize, output: &mut [u8]) -> bool {
        let Window { kernel, stride, .. } = self.window;
        let (row_taps, row_len) = (kernel * self.input.c, self.row_len());
        let steps = Panel::steps(kernel, row_taps);
        let mut workspace = Workspace([const { MaybeUninit::uninit() }; WORKSPACE]);
        let out_row = (self.output.w * self.output.c).max(1);
        // Behind the last row, its last step may read three bytes of nothing.
        let band_len = |rows: usize| ((rows - 1) * stride + kernel) * row_len + STEP;
        let wanted = output.len() / out_row;
        let rows = (1..=wanted)
            .rev()
            .find(|&rows| band_len(rows) <= BAND)
            .unwrap_or(1);
        let (panel_len, band_len) = (steps * size_of::<Step>(), band_len(rows));
        let Some(bytes) = workspace.zeroed(panel_len + band_len) else {
            return false;
        };
        let (panel, band) = bytes.split_at_mut(panel_len);
        let mut panel = Panel::new(bytemuck::cast_slice_mut(panel), row_taps);
        let taps = self.filters.taps();
        for (index, out) in output.chunks_mut(rows * out_row).enumerate() {
            let first = (first_row + index * rows) * stride;
            for (row, padded) in band.chunks_exact_mut(row_len.max(1)).enumerate() {
                self.fill_row(padded, input, first + row);
            }
            let weights = self.filters.weight().chunks((taps * CHANNELS).max(1));
            for (index, weight) in weights.enumerate() {
                panel.pack(weight, taps);
                self.channels(band, &panel, index * CHANNELS, out);
            }
        }
        true
    }

    /// Bytes of a padded row of the input.
    const fn row_len(&self) -> usize {
        (self.input.w + 2 * self.window.pad) * self.input.c
    }

    /// A row of the padded input, counted from the first row of padding; its own padding is zeros
    /// already.
    fn fill_row(&self, padded: &mut [u8], input: &[u8], row: usize) {
        let (len, pad) = (self.input.w * self.input.c, self.window.pad * self.input.c);
        let row = row.checked_sub(self.window.pad);
        let row = row.and_then(|row| input.get(row * len..(row + 1) * len));
        if let Some(padded) = padded.get_mut(pad..pad + len) {
            match row {
                Some(row) => padded.copy_from_slice(row),
                None => padded.fill(0),
            }
        }
    }

    /// A panel's channels, from `channel` on, of a band's pixels.
    #[target_feature(enable = "avx2")]
    fn channels(&self, band: &[u8], panel: &Panel<'_>, channel: usize, output: &mut [u8]) {
        let requantize = Requantize::new(&self.filters, channel);
        let (c_out, row_len) = (self.output.c, self.row_len());
        let right = self.window.stride * self.input.c;
        let down = self.window.stride * row_len;
        let (mut x, mut at, mut row) = (0, 0, 0);
        for out in output.chunks_mut(PIXELS * c_out) {
            // A block that is not full computes its last pixel again.
            let mut offsets = [at; PIXELS];
            for (offset, _) in offsets.iter_mut().zip(out.chunks_exact(c_out)) {
                *offset = at;
                (x, at) = (x + 1, at + right);
                if x == self.output.w {
                    row += down;
                    (x, at) = (0, row);
                }
            }
            let values = requantize.values(sums(band, offsets, row_len, panel));
            for (out, values) in out.chunks_exact_mut(c_out).zip(&values) {
                let Some(out) = out.get_mut(channel..) else {
                    continue;
                };
                match out.first_chunk_mut() {
                    Some(out) => *out = *values,
                    None => out
                        .iter_mut()
                        .zip(values)
                        .for_each(|(out, value)| *out = *value),
                }
            }
        }
    }
}

impl Workspace {
    /// The first `len` bytes as zeros; `None` when there are not as many.
    #[expect(unsafe_code, reason = "zeroes what is used instead of everything")]
    fn zeroed(&mut self, len: usize) -> Option<&mut [u8]> {
        let bytes = self.0.get_mut(..len)?;
        bytes.fill(MaybeUninit::new(0));
        // SAFETY: every byte of the slice was written.
        Some(unsafe { bytes.assume_init_mut() })
    }
}
