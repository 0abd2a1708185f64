//! Dot products of one vector of activations: fully connected layers and the head.
//!
//! In: activations and weights where they lie. Out: exact sums.
//!
//! The instructions multiply signed bytes. A fully connected layer has no scratch for activations
//! less 128, so it takes them as `127 - x` and uses `Σ x * w = -(Σ (127 - x) * w + Σ -127 * w)`:
//! two products for one vector of weights, both into one sum.

use core::arch::asm;

/// Channels whose sums are computed at a time.
pub(super) const CHANNELS: usize = 4;

/// `Σ x * w` for up to four channels, whose weights lie one behind the other: 15 instructions for
/// 16 taps.
///
/// What belongs to no channel is that of the last one; all is 0 when there is none.
#[inline]
pub(super) fn dots(x: &[u8], weights: &[i8]) -> [i32; CHANNELS] {
    let Some(last) = weights.len().checked_sub(x.len()) else {
        return [0; CHANNELS];
    };
    let [w_0, w_1, w_2, w_3] = [0, 1, 2, 3].map(|channel| {
        let at = last.min(channel * x.len());
        weights.as_ptr().wrapping_add(at)
    });
    let mut sums = [0_i32; CHANNELS];
    let [sum_0, sum_1, sum_2, sum_3] = &mut sums;
    // SAFETY: the loads are predicated: each pointer is read for `x.len()` bytes, and the weights
    // are at least that long behind `last`, the largest of their offsets.
    unsafe {
        asm!(
            "vmov.i8 q2, #0x7f",
            "vmov.i8 q3, #0x81",
            "wlstp.8 lr, {len}, 3f",
            "2:",
            "vldrb.u8 q0, [{x}], #16",
            "veor q0, q0, q2",
            "vldrb.u8 q1, [{w_0}], #16",
            "vmladava.s8 r0, q1, q0",
            "vmladava.s8 r0, q1, q3",
            "vldrb.u8 q1, [{w_1}], #16",
            "vmladava.s8 r2, q1, q0",
            "vmladava.s8 r2, q1, q3",
            "vldrb.u8 q1, [{w_2}], #16",
            "vmladava.s8 r4, q1, q0",
            "vmladava.s8 r4, q1, q3",
            "vldrb.u8 q1, [{w_3}], #16",
            "vmladava.s8 r8, q1, q0",
            "vmladava.s8 r8, q1, q3",
            "letp lr, 2b",
            "3:",
            len = in(reg) x.len(),
            x = inout(reg) x.as_ptr() => _,
            w_0 = inout(reg) w_0 => _,
            w_1 = inout(reg) w_1 => _,
            w_2 = inout(reg) w_2 => _,
            w_3 = inout(reg) w_3 => _,
            inout("r0") *sum_0,
            inout("r2") *sum_1,
            inout("r4") *sum_2,
            inout("r8") *sum_3,
            out("lr") _,
            out("d0") _,
            out("d1") _,
            out("d2") _,
            out("d3") _,
            out("d4") _,
            out("d5") _,
            out("d6") _,
            out("d7") _,
            options(nostack, readonly),
        );
    }
    sums.map(i32::wrapping_neg)
}

/// `Σ |a - b| * w`: 8 instructions for 16 values.
///
/// `|a - b|` is unsigned, so 128 is taken from it and 128 times the sum of the weights added. The
/// three slices must have one length; 0 otherwise.
pub(super) fn weighted_distance(a: &[u8], b: &[u8], weight: &[i8]) -> i32 {
    if a.len() != b.len() || a.len() != weight.len() {
        return 0;
    }
    let (mut sum, mut weights) = (0_i32, 0_i32);
    // SAFETY: the loads are predicated, so they end where the slices do.
    unsafe {
        asm!(
            "vmov.i8 q3, #0x80",
            "wlstp.8 lr, {len}, 3f",
            "2:",
            "vldrb.u8 q0, [{a}], #16",
            "vldrb.u8 q1, [{b}], #16",
            "vabd.u8 q0, q0, q1",
            "vldrb.u8 q2, [{weight}], #16",
            "veor q0, q0, q3",
            "vmladava.s8 r0, q0, q2",
            "vaddva.s8 r2, q2",
            "letp lr, 2b",
            "3:",
            len = in(reg) a.len(),
            a = inout(reg) a.as_ptr() => _,
            b = inout(reg) b.as_ptr() => _,
            weight = inout(reg) weight.as_ptr() => _,
            inout("r0") sum,
            inout("r2") weights,
            out("lr") _,
            out("d0") _,
            out("d1") _,
            out("d2") _,
            out("d3") _,
            out("d4") _,
            out("d5") _,
            out("d6") _,
            out("d7") _,
            options(nostack, readonly),
        );
    }
    sum.wrapping_add(weights.wrapping_mul(128))
}
