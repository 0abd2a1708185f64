//! The depthwise kernel: sixteen neighbouring channels of one output pixel, as often as there are
//! channels.
//!
//! In: the window's part of the input and of the weights, both `[h][w][c]`; biases; shifts. Out:
//! requantized activations. Every channel has its own weights, so nothing is summed across lanes:
//! products of 16 bits are added to 32, even channels apart from odd ones as `VMULL` takes them.

use core::arch::naked_asm;
use core::ops::Range;

use crate::ops::depthwise_conv2d::DepthwiseConv2d;

/// Channels that one round of the kernel computes.
pub(super) const CHANNELS: usize = 16;

/// What the kernel reads, in the order in which it loads its registers.
#[repr(C)]
struct Call {
    x: *const u8,
    weight: *const i8,
    bias: *const i32,
    shift: *const u8,
    out: *mut u8,
    blocks: usize,
    rows: usize,
    columns: usize,
    c: usize,
    /// From the end of a row under the window to the start of the next one.
    x_gap: usize,
    weight_gap: usize,
}

/// Some channels of a layer, in whole rounds.
pub(super) struct Blocks<'a> {
    /// The first channel.
    first: usize,
    bias: &'a [i32],
    shift: &'a [u8],
    /// Channels of a pixel.
    c: usize,
    /// Values in a row of the input and in one of the weights.
    x_row: usize,
    weight_row: usize,
}

/// The part of a window that lies on the input.
pub(super) struct Part<'a> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// From its first pixel on.
    pub(super) x: &'a [u8],
    /// From that pixel's weights on.
    pub(super) weight: &'a [i8],
}

impl<'a> Blocks<'a> {
    /// The channels of `group`.
    ///
    /// `None` when `group` is no whole number of rounds, or is not in `op`, or has not as many
    /// biases.
    pub(super) fn new(
        op: &DepthwiseConv2d<'a>,
        group: Range<usize>,
        bias: &'a [i32],
    ) -> Option<Self> {
        let count = group.len();
        if count == 0 || !count.is_multiple_of(CHANNELS) {
            return None;
        }
        let c = op.input().c;
        Some(Self {
            first: group.start,
            bias: bias.get(..count)?,
            shift: op.kernel_filters().shift().get(group)?,
            c,
            x_row: op.input().w * c,
            weight_row: op.window().kernel * c,
        })
    }

    /// Computes these channels of one pixel; `out` holds all its channels.
    ///
    /// Does nothing when a length does not fit.
    #[inline]
    pub(super) fn run(&self, part: Part<'_>, out: &mut [u8]) {
        let Part {
            rows,
            columns,
            x,
            weight,
        } = part;
        let Self { first, c, .. } = *self;
        let count = self.shift.len();
        if rows == 0 || columns == 0 || self.bias.len() != count {
            return;
        }
        // What the last pixel of a row needs.
        let row = (columns - 1) * c + first + count;
        if out.len() < first + count
            || x.len() < (rows - 1) * self.x_row + row
            || weight.len() < (rows - 1) * self.weight_row + row
        {
            return;
        }
        let call = Call {
            x: x.as_ptr().wrapping_add(first),
            weight: weight.as_ptr().wrapping_add(first),
            bias: self.bias.as_ptr(),
            shift: self.shift.as_ptr(),
            out: out.as_mut_ptr().wrapping_add(first),
            blocks: count / CHANNELS,
            rows,
            columns,
            c,
            x_gap: self.x_row.wrapping_sub(columns * c),
            weight_gap: self.weight_row.wrapping_sub(columns * c),
        };
        // SAFETY: 1: the last pixel of the last row ends before `x` and `weight` do, and all others
        // lie before it. 2: `count` biases and shifts, and `out` was checked. 3: rows and columns
        // were checked; `new` left no fewer than 16 channels.
        unsafe { onelook_mve_depthwise(&raw const call) }
    }
}

/// Requantizes eight channels, the even ones in `$even`, the odd ones in `$odd`, and stores them.
/// The matrix kernel says how the rounding works.
macro_rules! requantize {
    ($even:literal, $odd:literal) => {
        concat!(
            "vldrb.u16 q4, [r4], #8\n",
            "vmovlb.u16 q5, q4\n",
            round!($even),
            "vmovlt.u16 q5, q4\n",
            round!($odd),
            "vqmovunb.s32 ",
            $even,
            ", ",
            $even,
            "\n",
            "vqmovunt.s32 ",
            $even,
            ", ",
            $odd,
            "\n",
            "vqmovnb.u16 ",
            $even,
            ", ",
            $even,
            "\n",
            "vstrb.16 ",
            $even,
            ", [r5], #8\n",
        )
    };
}

/// Shifts `$q` right by q5.
macro_rules! round {
    ($q:literal) => {
        concat!(
            "vmov.i32 q6, #1\n",
            "vmin.u32 q6, q6, q5\n",
            "vneg.s32 q5, q5\n",
            "vshl.s32 q7, ",
            $q,
            ", q5\n",
            "vbic q6, q6, q7\n",
            "vsub.i32 ",
            $q,
            ", ",
            $q,
            ", q6\n",
            "vrshl.s32 ",
            $q,
            ", ",
            $q,
            ", q5\n",
        )
    };
}

/// For each sixteen channels: 15 instructions for a tap, 5 for a row, and 55.
///
/// # Safety
/// 1. `x` and `weight` point to `rows` rows of `columns` pixels of `c` channels, of which
///    `16 * blocks` may be read; from the end of a row to the start of the next one it is `x_gap` and
///    `weight_gap` values.
/// 2. `bias` points to `16 * blocks` biases, `shift` to as many shifts, `out` to as many bytes that
///    may be written.
/// 3. `blocks`, `rows` and `columns` are at least 1.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn onelook_mve_depthwise(call: *const Call) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "ldm r0, {{r1-r11}}",
        "push {{r6}}",
        "2:",
        "mov r0, r1",
        "mov r6, r2",
        // Even channels to q0 and q2, odd ones to q1 and q3: products come in that order.
        "vld20.32 {{q0, q1}}, [r3]",
        "vld21.32 {{q0, q1}}, [r3]!",
        "vld20.32 {{q2, q3}}, [r3]",
        "vld21.32 {{q2, q3}}, [r3]!",
        "mov r12, r7",
        "3:",
        "dls lr, r8",
        "4:",
        "vldrb.u16 q4, [r0]",
        "vldrb.s16 q5, [r6]",
        "vmullb.s16 q6, q4, q5",
        "vadd.i32 q0, q0, q6",
        "vmullt.s16 q6, q4, q5",
        "vadd.i32 q1, q1, q6",
        "vldrb.u16 q4, [r0, #8]",
        "vldrb.s16 q5, [r6, #8]",
        "vmullb.s16 q6, q4, q5",
        "vadd.i32 q2, q2, q6",
        "vmullt.s16 q6, q4, q5",
        "vadd.i32 q3, q3, q6",
        "add r0, r0, r9",
        "add r6, r6, r9",
        "le lr, 4b",
        "add r0, r0, r10",
        "add r6, r6, r11",
        "subs r12, #1",
        "bne 3b",
        requantize!("q0", "q1"),
        requantize!("q2", "q3"),
        "adds r1, #16",
        "adds r2, #16",
        "ldr r6, [sp]",
        "subs r6, #1",
        "str r6, [sp]",
        "bne 2b",
        "add sp, #4",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}
