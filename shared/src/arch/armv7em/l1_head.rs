//! The head: four differences at a time.
//!
//! In: two embeddings and the head's weights, of one length, at any alignment. Out: the logit.
//! Of `a - b` and `b - a`, each clamped at 0, one is `|a - b|` and the other 0.

use core::arch::naked_asm;

use super::dsp;
use crate::ops::l1_head::L1Head;

/// `bias + Σ |a - b| * weight`.
pub(crate) fn l1_head(op: &L1Head<'_>, a: &[u8], b: &[u8]) -> i32 {
    let len = op.weight.len().min(a.len()).min(b.len());
    let whole = len & !3;
    let mut acc = op.bias;
    if whole != 0 {
        // SAFETY: the three slices are not shorter than `whole`, a multiple of 4 and not 0.
        acc = unsafe { distance(a.as_ptr(), b.as_ptr(), op.weight.as_ptr(), whole, acc) };
    }
    let terms = a.iter().zip(b).zip(op.weight).skip(whole);
    let terms = terms.map(|((&a, &b), &weight)| i32::from(a.abs_diff(b)) * i32::from(weight));
    terms.fold(acc, i32::wrapping_add)
}

/// `acc + Σ |a - b| * weight` over `len` values.
///
/// # Safety
/// 1. `a`, `b` and `weight` have `len` values, a multiple of 4 and not 0.
#[unsafe(naked)]
unsafe extern "C" fn distance(
    a: *const u8,
    b: *const u8,
    weight: *const i8,
    len: usize,
    acc: i32,
) -> i32 {
    naked_asm!(
        dsp!(),
        "ldr r12, [sp]",
        "push {{r4-r7}}",
        "add r3, r0, r3",
        "2:",
        "ldr r4, [r0], #4",
        "ldr r5, [r1], #4",
        "ldr r6, [r2], #4",
        "uqsub8 r7, r4, r5",
        "uqsub8 r5, r5, r4",
        "orr r5, r5, r7",
        "sxtb16 r4, r6",
        "uxtb16 r7, r5",
        "sxtb16 r6, r6, ror #8",
        "uxtb16 r5, r5, ror #8",
        "smlad r12, r4, r7, r12",
        "smlad r12, r5, r6, r12",
        "cmp r0, r3",
        "bne 2b",
        "pop {{r4-r7}}",
        "mov r0, r12",
        "bx lr",
    )
}
