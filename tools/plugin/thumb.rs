//! Thumb instructions in classes, and what they cost in a simple model of a Cortex-M4.
//!
//! In: the bytes of an instruction. Out: whether it loads or stores, and its cycles when no branch
//! is taken and memory answers at once.
//!
//! # The model
//!
//! After the Cortex-M4's technical reference manual, section 3.3, on the side of more cycles:
//!
//! | instruction                                            | cycles                      |
//! |--------------------------------------------------------|-----------------------------|
//! | a load of one register                                 | 2 (never pipelined)         |
//! | a store of one register                                | 1 (the buffer takes it)     |
//! | `LDRD`, `LDM`, `POP`, `VLDM`, `STRD`, `STM`, `PUSH` … of n words | 1 + n             |
//! | `SDIV`, `UDIV`                                         | 12 (2 to 12)                |
//! | all others, multiply and multiply-accumulate among them | 1                          |
//! | a taken branch, also by `POP` and `LDR` to `pc`        | 2 more (1 to 3)             |
//!
//! Taken branches are counted by whoever sees the program run.

/// What an instruction does to memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    None,
    /// It reads so many words, at least; a `pc`-relative read counts.
    Load(u32),
    /// It writes so many words, at least.
    Store(u32),
}

/// A decoded instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What it does to memory.
    pub access: Access,
    /// Cycles of the model, without what a taken branch costs more.
    pub cycles: u32,
}

/// Decodes two or four bytes, as they lie in memory.
#[must_use]
pub fn decode(bytes: &[u8]) -> Instruction {
    let (access, division) = match *bytes {
        [a, b] => (narrow(u16::from_le_bytes([a, b])), false),
        [a, b, c, d] => {
            let (first, second) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
            let division = first & 0xffd0 == 0xfb90 && second & 0x00f0 == 0x00f0;
            (wide(first, second), division)
        }
        _ => (Access::None, false),
    };
    let cycles = match access {
        Access::Store(1) => 1,
        Access::Load(words) | Access::Store(words) => 1 + words,
        Access::None if division => 12,
        Access::None => 1,
    };
    Instruction { access, cycles }
}

fn access(load: bool, words: u32) -> Access {
    if load {
        Access::Load(words)
    } else {
        Access::Store(words)
    }
}

/// The 16-bit encodings (ARMv7-M, A5.2).
fn narrow(code: u16) -> Access {
    let bit_11 = code & 0x0800 != 0;
    match code >> 12 {
        0b0100 if bit_11 => Access::Load(1),
        // STR, STRH, STRB, LDRSB, LDR, LDRH, LDRB, LDRSH with a register offset.
        0b0101 => access(code >> 9 & 7 >= 3, 1),
        0b0110..=0b1001 => access(bit_11, 1),
        0b1011 if code & 0x0600 == 0x0400 => access(bit_11, (code & 0x01ff).count_ones()),
        0b1100 => access(bit_11, (code & 0x00ff).count_ones()),
        _ => Access::None,
    }
}

/// The 32-bit encodings (ARMv7-M, A5.3; for vectors ARMv8.1-M).
fn wide(first: u16, second: u16) -> Access {
    let load = first & 0x0010 != 0;
    match first {
        // LDM, STM.
        _ if first & 0xfe40 == 0xe800 => access(load, second.count_ones()),
        // Exclusive accesses and table branches (P = W = 0), then LDRD and STRD.
        _ if first & 0xff60 == 0xe840 => access(load, 1),
        _ if first & 0xfe40 == 0xe840 => access(load, 2),
        // One register.
        _ if first & 0xfe00 == 0xf800 => access(load, 1),
        // Two core registers to or from floating point: no memory.
        _ if first & 0xffe0 == 0xec40 => Access::None,
        // Floating point: one register when P = 1 and W = 0, a list otherwise.
        _ if first & 0xfe00 == 0xec00 && second & 0x0e00 == 0x0a00 => {
            let one = first & 0x0120 == 0x0100;
            let double = second & 0x0100 != 0;
            match (one, double) {
                (true, false) => access(load, 1),
                (true, true) => access(load, 2),
                (false, _) => access(load, u32::from(second & 0x00ff)),
            }
        }
        // Vectors, also gathered, scattered and interleaved.
        _ if first & 0xee00 == 0xec00 => access(load, 1),
        _ => Access::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(first: u16, second: Option<u16>) -> (Access, u32) {
        let mut bytes = first.to_le_bytes().to_vec();
        bytes.extend(second.into_iter().flat_map(u16::to_le_bytes));
        let Instruction { access, cycles } = decode(&bytes);
        (access, cycles)
    }

    /// Codes as GNU's assembler writes them.
    #[test]
    fn narrow_instructions() {
        use Access::{Load, None as Nothing, Store};
        let cases = [
            (0x4618, Nothing, 1),  // mov r0, r3
            (0x4b01, Load(1), 2),  // ldr r3, [pc, #4]
            (0x5c42, Load(1), 2),  // ldrb r2, [r0, r1]
            (0x5442, Store(1), 1), // strb r2, [r0, r1]
            (0x5642, Load(1), 2),  // ldrsb r2, [r0, r1]
            (0x6001, Store(1), 1), // str r1, [r0]
            (0x7801, Load(1), 2),  // ldrb r1, [r0]
            (0x9800, Load(1), 2),  // ldr r0, [sp]
            (0xb5f0, Store(5), 6), // push {r4-r7, lr}
            (0xbdf0, Load(5), 6),  // pop {r4-r7, pc}
            (0xbf00, Nothing, 1),  // nop
            (0xb2c0, Nothing, 1),  // uxtb r0, r0
            (0xc80e, Load(3), 4),  // ldmia r0, {r1-r3}
            (0xd1fe, Nothing, 1),  // bne
        ];
        for (code, access, cycles) in cases {
            assert_eq!(of(code, None), (access, cycles), "{code:04x}");
        }
    }

    #[test]
    fn wide_instructions() {
        use Access::{Load, None as Nothing, Store};
        let cases = [
            (0xe92d, 0x4ff0, Store(9), 10), // push.w {r4-r11, lr}
            (0xe8b0, 0x000e, Load(3), 4),   // ldmia.w r0!, {r1-r3}
            (0xe9d0, 0x1200, Load(2), 3),   // ldrd r1, r2, [r0]
            (0xe9c0, 0x1200, Store(2), 3),  // strd r1, r2, [r0]
            (0xe8d0, 0xf001, Load(1), 2),   // tbb [r0, r1]
            (0xf850, 0x1b04, Load(1), 2),   // ldr r1, [r0], #4
            (0xf991, 0x2000, Load(1), 2),   // ldrsb.w r2, [r1]
            (0xf880, 0x1001, Store(1), 1),  // strb.w r1, [r0, #1]
            (0xfb20, 0x3001, Nothing, 1),   // smlad r0, r0, r1, r3
            (0xfbb0, 0xf0f1, Nothing, 12),  // udiv r0, r0, r1
            (0xed90, 0x0a00, Load(1), 2),   // vldr s0, [r0]
            (0xed2d, 0x8b04, Store(4), 5),  // vpush {d8, d9}
            (0xec51, 0x0b10, Nothing, 1),   // vmov r0, r1, d0
            (0xed90, 0x1e00, Load(1), 2),   // vldrb.u8 q0, [r0]
            (0xf3af, 0x8000, Nothing, 1),   // nop.w
            (0xf000, 0xf800, Nothing, 1),   // bl
        ];
        for (first, second, access, cycles) in cases {
            assert_eq!(of(first, Some(second)), (access, cycles), "{first:04x}");
        }
    }
}
