//! Whether the kernels of a board's processor are in a firmware, and are what they were written as.
//!
//! In: an ELF file. Out: how many DSP or Helium instructions its kernels hold, or the first kernel that is not
//! there or holds others. A firmware with the portable kernels would compute the same bits, several
//! times slower, and nobody would notice.

use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol};

use super::{AN547, Board};
use crate::SetupError;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    /// `SMLAD`: two multiply-accumulates.
    smlad: usize,
    /// `SMLABB`, `SMLATT` and the like: one.
    smlaxy: usize,
    /// `SXTB16`.
    sxtb16: usize,
    /// `UXTB16`.
    uxtb16: usize,
    /// `UQSUB8`.
    uqsub8: usize,
    /// `USAT`.
    usat: usize,
    /// `VMLADAVA.S8`: sixteen multiply-accumulates; and `VMLADAV.S8`, which starts a sum.
    vmladava: usize,
    vmladav: usize,
    /// `LETP` and `LE`: a loop's end without a branch's cost.
    letp: usize,
    le: usize,
}

const NONE: Count = Count {
    smlad: 0,
    smlaxy: 0,
    sxtb16: 0,
    uxtb16: 0,
    uqsub8: 0,
    usat: 0,
    vmladava: 0,
    vmladav: 0,
    letp: 0,
    le: 0,
};

/// Parts of the symbols in `shared/src/arch/mve/`, and what stands in those functions.
const HELIUM: [(&str, Count); 3] = [
    (
        "onelook_mve_quads",
        Count {
            vmladava: 12,
            letp: 2,
            ..NONE
        },
    ),
    (
        "onelook_mve_short_quads",
        Count {
            vmladav: 12,
            ..NONE
        },
    ),
    ("onelook_mve_depthwise", Count { le: 1, ..NONE }),
];

/// Parts of the symbols in `shared/src/arch/armv7em/`, as both of Rust's manglings write them, and
/// what stands in those functions.
const DSP: [(&str, Count); 8] = [
    (
        "7armv7em10stationary8convolve",
        Count {
            smlad: 40,
            uxtb16: 10,
            usat: 4,
            ..NONE
        },
    ),
    ("7armv7em10stationary6expand", Count { sxtb16: 8, ..NONE }),
    (
        "7armv7em5image8convolve",
        Count {
            smlad: 20,
            uxtb16: 6,
            usat: 4,
            ..NONE
        },
    ),
    (
        "7armv7em3dot4dot4",
        Count {
            smlad: 8,
            sxtb16: 8,
            uxtb16: 2,
            ..NONE
        },
    ),
    (
        "7armv7em9depthwise8convolve",
        Count {
            smlaxy: 4,
            uxtb16: 2,
            usat: 4,
            ..NONE
        },
    ),
    (
        "7armv7em9depthwise11convolve3x3",
        Count {
            smlaxy: 36,
            uxtb16: 18,
            usat: 4,
            ..NONE
        },
    ),
    ("7armv7em8max_pool5raise", Count { uqsub8: 1, ..NONE }),
    (
        "7armv7em7l1_head8distance",
        Count {
            smlad: 2,
            sxtb16: 2,
            uxtb16: 2,
            uqsub8: 2,
            ..NONE
        },
    ),
];

/// Counts the instructions that make the kernels of `board` fast.
///
/// # Errors
/// The file cannot be read, or a kernel is missing or does not hold exactly its instructions.
pub fn kernels(path: &Path, board: Board) -> Result<usize, SetupError> {
    let bytes = std::fs::read(path).map_err(|e| SetupError::io("read", path, e))?;
    let refuse = |reason: String| SetupError::Missing {
        what: format!("{}: {reason}", path.display()),
        next: "compare shared/src/arch.rs and shared/build.rs with tools/src/firmware/kernels.rs"
            .into(),
    };
    let file = object::File::parse(&*bytes)
        .map_err(|error| refuse(format!("not an ELF file: {error}")))?;
    let expected = if board == AN547 { &HELIUM[..] } else { &DSP };
    let mut sum = 0;
    for &(name, expected) in expected {
        let code = code(&file, name).ok_or_else(|| refuse(format!("there is no kernel {name}")))?;
        let found = count(code);
        if found != expected {
            let reason = format!("{name} holds {found:?}, not {expected:?}");
            return Err(refuse(reason));
        }
        sum += found.total();
    }
    Ok(sum)
}

impl Count {
    fn total(&self) -> usize {
        let Self {
            smlad,
            smlaxy,
            sxtb16,
            uxtb16,
            uqsub8,
            usat,
            vmladava,
            vmladav,
            letp,
            le,
        } = self;
        smlad + smlaxy + sxtb16 + uxtb16 + uqsub8 + usat + vmladava + vmladav + letp + le
    }
}

/// The bytes of the function whose symbol contains `name`.
fn code<'d>(file: &object::File<'d>, name: &str) -> Option<&'d [u8]> {
    // Names carry their lengths, so none is the start of another.
    let symbol = file
        .symbols()
        .find(|symbol| symbol.name().is_ok_and(|text| text.contains(name)))?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    // The lowest bit says Thumb.
    let start = (symbol.address() & !1).checked_sub(section.address())?;
    let start = usize::try_from(start).ok()?;
    let len = usize::try_from(symbol.size()).ok()?;
    section.data().ok()?.get(start..)?.get(..len)
}

/// Counts by encoding (ARMv7-M, A7.7; ARMv8.1-M, C2.4).
fn count(code: &[u8]) -> Count {
    let mut halves = code
        .chunks_exact(2)
        .map(|half| u16::from_le_bytes([half[0], half[1]]));
    let mut found = NONE;
    while let Some(first) = halves.next() {
        if first < 0xe800 {
            continue;
        }
        let second = halves.next().unwrap_or(0);
        // Without an accumulator it is SMUAD or SMULxy.
        let accumulates = second >> 12 != 0xf;
        let extends = second & 0xf0c0 == 0xf080;
        match first & 0xfff0 {
            0xfb20 if accumulates && second & 0x00e0 == 0 => found.smlad += 1,
            0xfb10 if accumulates && second & 0x00c0 == 0 => found.smlaxy += 1,
            0xfa20 if first == 0xfa2f && extends => found.sxtb16 += 1,
            0xfa30 if first == 0xfa3f && extends => found.uxtb16 += 1,
            0xfac0 if second & 0xf0f0 == 0xf050 => found.uqsub8 += 1,
            0xf380 | 0xf3a0 if second & 0x8000 == 0 => found.usat += 1,
            _ => {}
        }
        let both = u32::from(first) << 16 | u32::from(second);
        let is = |mask: u32, value: u32| usize::from(both & mask == value);
        found.vmladava += is(0xfff1_1ff1, 0xeef0_0f20);
        found.vmladav += is(0xfff1_1ff1, 0xeef0_0f00);
        found.letp += is(0xffff_f001, 0xf01f_c001);
        found.le += is(0xffff_f001, 0xf00f_c001);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::AN386;

    fn counted(halves: &[u16]) -> Count {
        let code: Vec<u8> = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        count(&code)
    }

    /// Codes as LLVM's assembler writes them.
    #[test]
    fn instructions_are_told_apart() {
        let cases: [(&[u16], Count); 9] = [
            (&[0xfb2a, 0x0004], Count { smlad: 1, ..NONE }), // smlad r0, r10, r4, r0
            (&[0xfb2a, 0xf004], NONE),                       // smuad r0, r10, r4
            (&[0xfb17, 0x0004], Count { smlaxy: 1, ..NONE }), // smlabb r0, r7, r4, r0
            (&[0xfb17, 0x2234], Count { smlaxy: 1, ..NONE }), // smlatt r2, r7, r4, r2
            (&[0xfa2f, 0xfb9a], Count { sxtb16: 1, ..NONE }), // sxtb16 r11, r10, ror #8
            (&[0xfa3f, 0xfa88], Count { uxtb16: 1, ..NONE }), // uxtb16 r10, r8
            (&[0xfac4, 0xf755], Count { uqsub8: 1, ..NONE }), // uqsub8 r7, r4, r5
            (&[0xf380, 0x0008], Count { usat: 1, ..NONE }),  // usat r0, #8, r0
            (&[0x4770, 0x1a20, 0xfa3f], NONE),               // bx lr; subs; half of one
        ];
        for (halves, expected) in cases {
            assert_eq!(counted(halves), expected, "{halves:04x?}");
        }
    }

    #[test]
    fn a_program_without_kernels_is_refused() {
        let this = std::env::current_exe().unwrap();
        let error = kernels(&this, AN386).unwrap_err().to_string();
        assert!(
            error.contains("there is no kernel 7armv7em10stationary8convolve"),
            "{error}"
        );
    }
}
