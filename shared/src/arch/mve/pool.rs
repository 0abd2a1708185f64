//! The largest of neighbouring pixels, channel by channel.

use core::arch::asm;

/// Writes to `out` the largest of four pixels of `input`, which begin at `at`: 9 instructions for
/// 16 channels.
///
/// Does nothing when a pixel does not lie in `input`.
#[inline]
pub(super) fn maximum(input: &[u8], at: [usize; 4], out: &mut [u8]) {
    let len = out.len();
    if at
        .iter()
        .any(|&at| input.len() < len || at > input.len() - len)
    {
        return;
    }
    let [x_0, x_1, x_2, x_3] = at.map(|at| input.as_ptr().wrapping_add(at));
    // SAFETY: loads and stores are predicated: they end `len` bytes from where they start, which
    // for the input was just checked.
    unsafe {
        asm!(
            "wlstp.8 lr, {len}, 3f",
            "2:",
            "vldrb.u8 q0, [{x_0}], #16",
            "vldrb.u8 q1, [{x_1}], #16",
            "vmax.u8 q0, q0, q1",
            "vldrb.u8 q2, [{x_2}], #16",
            "vmax.u8 q0, q0, q2",
            "vldrb.u8 q1, [{x_3}], #16",
            "vmax.u8 q0, q0, q1",
            "vstrb.8 q0, [{out}], #16",
            "letp lr, 2b",
            "3:",
            len = in(reg) len,
            x_0 = inout(reg) x_0 => _,
            x_1 = inout(reg) x_1 => _,
            x_2 = inout(reg) x_2 => _,
            x_3 = inout(reg) x_3 => _,
            out = inout(reg) out.as_mut_ptr() => _,
            out("lr") _,
            out("d0") _,
            out("d1") _,
            out("d2") _,
            out("d3") _,
            out("d4") _,
            out("d5") _,
            options(nostack),
        );
    }
}
