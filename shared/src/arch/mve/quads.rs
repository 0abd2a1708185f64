//! The matrix kernel: four output channels times three pixels, as often as there are channels.
//!
//! In: three columns of activations less 128; filters; biases that make up for the 128. Out:
//! requantized activations.

use core::arch::naked_asm;
use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::{null, null_mut};

use crate::ops::filters::Filters;

/// Output channels that one round of the kernel computes.
pub(super) const CHANNELS: usize = 4;

/// Columns, and so pixels, that the kernel takes.
pub(super) const COLUMNS: usize = 3;

/// Taps of one vector.
const VECTOR: usize = 16;

/// What the kernels read, in the order in which they load their registers.
#[repr(C)]
struct Call {
    columns: [*const u8; COLUMNS],
    bias: *const i32,
    shift: *const u8,
    out: [*mut u8; COLUMNS],
    quads: usize,
    weight: *const i8,
    taps: usize,
}

/// Some channels of a layer, their lengths checked, ready to be multiplied with columns.
pub(super) struct Quads<'a> {
    call: Call,
    /// The first channel.
    first: usize,
    /// Channels of a pixel.
    c_out: usize,
    parameters: PhantomData<(&'a Filters<'a>, &'a [i32])>,
}

impl<'a> Quads<'a> {
    /// The channels of `group`, with biases of their own.
    ///
    /// `None` when `group` is no whole number of quads, or is not in `filters`, or has not as many
    /// biases.
    pub(super) fn new(filters: &Filters<'a>, group: Range<usize>, bias: &'a [i32]) -> Option<Self> {
        let (count, taps) = (group.len(), filters.taps());
        if count == 0 || !count.is_multiple_of(CHANNELS) {
            return None;
        }
        let weight = filters.weight().get(group.start * taps..group.end * taps)?;
        let shift = filters.shift().get(group.clone())?;
        Some(Self {
            call: Call {
                columns: [null(); COLUMNS],
                bias: bias.get(..count)?.as_ptr(),
                shift: shift.as_ptr(),
                out: [null_mut(); COLUMNS],
                quads: count / CHANNELS,
                weight: weight.as_ptr(),
                taps,
            },
            first: group.start,
            c_out: filters.c_out(),
            parameters: PhantomData,
        })
    }

    /// Multiplies with `columns`, `[COLUMNS][taps]`, and writes these channels of `out`,
    /// `[pixel][c_out]`. When `out` holds fewer than three pixels, the last columns are theirs.
    ///
    /// Does nothing when a length does not fit.
    #[inline]
    pub(super) fn run(&mut self, columns: &[u8], out: &mut [u8]) {
        let (taps, c_out) = (self.call.taps, self.c_out);
        if columns.len() != COLUMNS * taps || out.len() < c_out {
            return;
        }
        let column = columns.as_ptr();
        self.call.columns = [0, 1, 2].map(|index| column.wrapping_add(index * taps));
        // A column without a pixel writes where a later one will write once more.
        let last = out.len() - c_out;
        let pixels = [
            last.saturating_sub(2 * c_out),
            last.saturating_sub(c_out),
            last,
        ];
        let start = out.as_mut_ptr().wrapping_add(self.first);
        self.call.out = pixels.map(|pixel| start.wrapping_add(pixel));
        // SAFETY: 1, 4: `new` took the pointers from slices of `count` channels that still are
        // borrowed. 2: `columns` holds three times `taps`. 3: `pixels` are at most
        // `out.len() - c_out`, and the channels end before `c_out`, because `filters` has them.
        // 5: just compared.
        unsafe {
            if taps <= VECTOR {
                onelook_mve_short_quads(&raw const self.call);
            } else {
                onelook_mve_quads(&raw const self.call);
            }
        }
    }
}

/// One pass of [`onelook_mve_quads`]: the channel at r12 and the next but one, times three columns.
/// Their sums go to the lanes `$low` and `$high` of q5, q6 and q7.
macro_rules! pass {
    ($again:literal, $done:literal, $low:literal, $high:literal) => {
        concat!(
            "mov r1, r12\n",
            "add r3, r12, r11, lsl #1\n",
            "ldm sp, {{r5, r7, r9}}\n",
            "movs r0, #0\n",
            "movs r2, #0\n",
            "movs r4, #0\n",
            "movs r6, #0\n",
            "mov r8, #0\n",
            "mov r10, #0\n",
            "wlstp.8 lr, r11, ",
            $done,
            "f\n",
            $again,
            ":\n",
            // Loads and products take turns: a processor with two ports runs them side by side.
            "vldrb.u8 q0, [r1], #16\n",
            "vldrb.u8 q2, [r5], #16\n",
            "vmladava.s8 r0, q0, q2\n",
            "vldrb.u8 q3, [r7], #16\n",
            "vmladava.s8 r4, q0, q3\n",
            "vldrb.u8 q4, [r9], #16\n",
            "vmladava.s8 r8, q0, q4\n",
            "vldrb.u8 q1, [r3], #16\n",
            "vmladava.s8 r2, q1, q2\n",
            "vmladava.s8 r6, q1, q3\n",
            "vmladava.s8 r10, q1, q4\n",
            "letp lr, ",
            $again,
            "b\n",
            $done,
            ":\n",
            sums!($low, $high),
        )
    };
}

/// Moves the sums of two channels into lanes of q5, q6 and q7.
macro_rules! sums {
    ($low:literal, $high:literal) => {
        concat!(
            "vmov q5[",
            $high,
            "], q5[",
            $low,
            "], r0, r2\n",
            "vmov q6[",
            $high,
            "], q6[",
            $low,
            "], r4, r6\n",
            "vmov q7[",
            $high,
            "], q7[",
            $low,
            "], r8, r10\n",
        )
    };
}

/// Requantizes and stores q5, q6 and q7, and branches back to `2` while there are channels.
///
/// With t = sum + bias and r = shift, half to even is `(t + half - 1 + ((t >> r) & 1)) >> r`;
/// `vrshl` adds the half, and what is left is to take 1 away where `t >> r` is even. Where r is 0
/// there is no half, so nothing must be taken away either: q2 is `min(r, 1)`.
macro_rules! requantize_and_repeat {
    () => {
        concat!(
            "add r0, sp, #12\n",
            "ldm r0, {{r1-r6}}\n",
            "vldrw.u32 q0, [r1], #16\n",
            "vldrb.u32 q1, [r2], #4\n",
            "vmov.i32 q2, #1\n",
            "vmin.u32 q2, q2, q1\n",
            "vneg.s32 q1, q1\n",
            requantize!("q5"),
            "vstrb.32 q5, [r3], #4\n",
            requantize!("q6"),
            "vstrb.32 q6, [r4], #4\n",
            requantize!("q7"),
            "vstrb.32 q7, [r5], #4\n",
            "subs r6, #1\n",
            "stm r0, {{r1-r6}}\n",
            "bne 2b\n",
        )
    };
}

/// Requantizes the sums in `$q`. q0: bias; q1: less the shift; q2: 1 where anything is shifted.
macro_rules! requantize {
    ($q:literal) => {
        concat!(
            "vadd.i32 ",
            $q,
            ", ",
            $q,
            ", q0\n",
            "vshl.s32 q3, ",
            $q,
            ", q1\n",
            "vbic q3, q2, q3\n",
            "vsub.i32 ",
            $q,
            ", ",
            $q,
            ", q3\n",
            "vrshl.s32 ",
            $q,
            ", ",
            $q,
            ", q1\n",
            "vqmovunb.s32 ",
            $q,
            ", ",
            $q,
            "\n",
            "vqmovnb.u16 ",
            $q,
            ", ",
            $q,
            "\n",
        )
    };
}

/// Any number of taps. For each four channels: 24 instructions for 16 taps, and 63.
///
/// r12: weights of the next channel; r11: taps; even registers: sums; odd registers: pointers; the
/// stack: columns, and what stands behind them in [`Call`].
///
/// # Safety
/// 1. `weight` points to `4 * quads * taps` weights, `bias` and `shift` to `4 * quads` each.
/// 2. Each of `columns` points to `taps` activations.
/// 3. Each of `out` points to `4 * quads` bytes that may be written; two may be the same.
/// 4. `quads` is at least 1.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn onelook_mve_quads(call: *const Call) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "ldm r0, {{r1-r11}}",
        "push {{r1-r9}}",
        "mov r12, r10",
        "2:",
        pass!("3", "4", "0", "2"),
        "add r12, r12, r11",
        pass!("5", "6", "1", "3"),
        "add r12, r12, r11",
        "add r12, r12, r11, lsl #1",
        requantize_and_repeat!(),
        "add sp, #36",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}

/// At most 16 taps: no loop over taps. For each four channels: 67 instructions.
///
/// Registers as in [`onelook_mve_quads`]; P0: the taps that there are.
///
/// # Safety
/// 1 to 4 as for [`onelook_mve_quads`].
/// 5. `taps` is at most 16.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn onelook_mve_short_quads(call: *const Call) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "ldm r0, {{r1-r11}}",
        "push {{r1-r9}}",
        "mov r12, r10",
        "vctp.8 r11",
        "2:",
        "ldm sp, {{r5, r7, r9}}",
        "add r1, r12, r11, lsl #1",
        "add r3, r12, r11",
        // Lanes without a tap are loaded as 0, so the products need no predicate.
        "vpstttt",
        "vldrbt.u8 q0, [r12]",
        "vldrbt.u8 q2, [r5]",
        "vldrbt.u8 q3, [r7]",
        "vldrbt.u8 q4, [r9]",
        "vmladav.s8 r0, q0, q2",
        "vmladav.s8 r4, q0, q3",
        "vmladav.s8 r8, q0, q4",
        "add r12, r1, r11",
        "vpsttt",
        "vldrbt.u8 q1, [r1]",
        "vldrbt.u8 q0, [r3]",
        "vldrbt.u8 q5, [r12]",
        "vmladav.s8 r2, q1, q2",
        "vmladav.s8 r6, q1, q3",
        "vmladav.s8 r10, q1, q4",
        "add r12, r12, r11",
        "vmov q1, q5",
        sums!("0", "2"),
        "vmladav.s8 r0, q0, q2",
        "vmladav.s8 r4, q0, q3",
        "vmladav.s8 r8, q0, q4",
        "vmladav.s8 r2, q1, q2",
        "vmladav.s8 r6, q1, q3",
        "vmladav.s8 r10, q1, q4",
        sums!("1", "3"),
        requantize_and_repeat!(),
        "add sp, #36",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}
