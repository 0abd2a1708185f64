//! The matrix kernel: four output channels times three pixels, as often as there are channels.
//!
//! In: three columns of activations less 128, weights `[channel][taps]`, biases that make up for
//! the 128, shifts. Out: requantized activations.

use core::arch::naked_asm;

/// Output channels that one round of the kernel computes.
pub(super) const CHANNELS: usize = 4;

/// Columns, and so pixels, that the kernel takes.
pub(super) const COLUMNS: usize = 3;

/// What [`onelook_mve_quads`] reads, in the order in which it loads its registers.
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

/// Output channels, [`CHANNELS`] at a time, with biases for activations that lack 128.
#[derive(Clone, Copy)]
pub(super) struct Channels<'a> {
    /// Weights of each channel.
    pub(super) taps: usize,
    /// `[channel][taps]`.
    pub(super) weight: &'a [i8],
    /// One for each channel.
    pub(super) bias: &'a [i32],
    /// One for each channel.
    pub(super) shift: &'a [u8],
}

/// Multiplies `columns`, `[pixel][taps]`, with `channels` and writes to `out`, `[pixel][c_out]`,
/// from channel `first` on. `out` holds one to three pixels.
///
/// Does nothing when a length does not fit.
pub(super) fn quads(
    channels: Channels<'_>,
    columns: &[u8],
    out: &mut [u8],
    c_out: usize,
    first: usize,
) {
    let Channels {
        taps,
        weight,
        bias,
        shift,
    } = channels;
    let count = shift.len();
    let fits = count.is_multiple_of(CHANNELS)
        && count > 0
        && bias.len() == count
        && weight.len() == count.saturating_mul(taps)
        && columns.len() >= taps.saturating_mul(COLUMNS)
        && first.saturating_add(count) <= c_out
        && out.len() >= c_out;
    if !fits {
        return;
    }
    // A pixel that `out` does not hold is the one before it once more.
    let step = |pixel: usize| out.len() >= c_out.saturating_mul(pixel + 1);
    let (second, third) = (step(1), step(2));
    let column = columns.as_ptr();
    let next = |has: bool, len: usize| if has { len } else { 0 };
    let (x_1, x_2) = (next(second, taps), next(third, taps));
    let (out_1, out_2) = (next(second, c_out), next(third, c_out));
    let out = out.as_mut_ptr().wrapping_add(first);
    let call = Call {
        columns: [
            column,
            column.wrapping_add(x_1),
            column.wrapping_add(x_1 + x_2),
        ],
        bias: bias.as_ptr(),
        shift: shift.as_ptr(),
        out: [
            out,
            out.wrapping_add(out_1),
            out.wrapping_add(out_1 + out_2),
        ],
        quads: count / CHANNELS,
        weight: weight.as_ptr(),
        taps,
    };
    // SAFETY: 1: `count` channels of `taps` weights, `count` biases and `count` shifts, checked.
    // 2: `columns` holds three times `taps`, and none begins beyond the third. 3: each pointer has
    // `count` bytes of its pixel behind it, because `first + count <= c_out` and `out` holds the
    // pixel that it points to.
    unsafe { onelook_mve_quads(&raw const call) }
}

/// Instructions of one pass: two channels, each `1` apart from the other's neighbour, times three
/// columns. Leaves the sums in lanes `$high` and `$low` of q5, q6 and q7.
macro_rules! pass {
    ($loop_:literal, $end:literal, $high:literal, $low:literal) => {
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
            $end,
            "f\n",
            $loop_,
            ":\n",
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
            $loop_,
            "b\n",
            $end,
            ":\n",
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

/// Requantizes `$q`: four sums of one pixel. q0 is the bias, q1 the negative shift, q2 the lowest
/// bit of every lane that is shifted at all.
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
        pass!("3", "4", "2", "0"),
        "add r12, r12, r11",
        pass!("5", "6", "3", "1"),
        "add r12, r12, r11",
        "add r12, r12, r11, lsl #1",
        "add r0, sp, #12",
        "ldm r0, {{r1-r6}}",
        "vldrw.u32 q0, [r1], #16",
        "vldrb.u32 q1, [r2], #4",
        "vmov.i32 q2, #1",
        "vmin.u32 q2, q2, q1",
        "vneg.s32 q1, q1",
        requantize!("q5"),
        "vstrb.32 q5, [r3], #4",
        requantize!("q6"),
        "vstrb.32 q6, [r4], #4",
        requantize!("q7"),
        "vstrb.32 q7, [r5], #4",
        "subs r6, #1",
        "stm r0, {{r1-r6}}",
        "bne 2b",
        "add sp, #36",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}
