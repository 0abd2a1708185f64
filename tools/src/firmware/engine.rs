//! What the engine takes of the flash: parsing, encoding and deciding, with every operator.
//!
//! In: a board and a choice of kernels. Out: bytes of code and constants by crate, without the vector
//! table and the start-up code, and whether any of it is floating point. What the compiler's run-time
//! library adds (`memcpy`, `memset`: every program has them) is said beside it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use object::{File, Object, ObjectSection, ObjectSymbol, SymbolKind};
use rustc_demangle::demangle;

use super::{Board, Program, audit, build_with};
use crate::{Progress, SetupError};

/// The engine with portable kernels, optimised for size, takes no more than this beside the run-time
/// library.
pub const LIMIT: u64 = 8 * 1024;

/// Which kernels the engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// Those in plain Rust.
    Portable,
    /// Those that the board's processor runs.
    Chosen,
}

/// What the compiler optimises for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The profile `small`.
    Size,
    /// The profile `release`: what ships.
    Speed,
}

/// What an engine weighs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weight {
    /// Bytes of code by crate.
    pub code: BTreeMap<String, u64>,
    /// Bytes of constants.
    pub constants: u64,
    /// Bytes of code that the compiler adds for copying and filling memory.
    pub run_time: u64,
    /// Instructions that compute in floating point, outside the run-time library.
    pub float_instructions: usize,
}

impl Weight {
    /// Code and constants, without the run-time library.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.code.values().sum::<u64>() + self.constants
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6} bytes:", self.total())?;
        for (name, bytes) in &self.code {
            write!(f, " {name} {bytes},")?;
        }
        let (constants, run_time) = (self.constants, self.run_time);
        write!(f, " constants {constants}; run-time library {run_time}")
    }
}

/// Builds the engine and weighs it. Its symbols have been audited, and it has linked: it holds no
/// allocator, no panic and no floating point in software.
///
/// # Errors
/// It cannot be built or read, or holds something forbidden.
pub fn weigh(
    board: Board,
    kernels: Kernels,
    goal: Goal,
    progress: &Progress,
) -> Result<Weight, SetupError> {
    let profile = match goal {
        Goal::Size => "small",
        Goal::Speed => "release",
    };
    let features = match kernels {
        Kernels::Portable => format!("{},portable", board.feature),
        Kernels::Chosen => board.feature.to_owned(),
    };
    let elf = build_with(board, Program::Engine, profile, &features, progress)?;
    audit(&elf)?;
    read(&elf)
}

fn read(path: &Path) -> Result<Weight, SetupError> {
    let bytes = std::fs::read(path).map_err(|e| SetupError::io("read", path, e))?;
    let refuse = |reason: String| SetupError::Archive {
        path: path.into(),
        reason,
        next: "build it again with `cargo xtask firmware engine`".into(),
    };
    let file = File::parse(&*bytes).map_err(|error| refuse(format!("not an ELF file: {error}")))?;
    let text = file.section_by_name(".text");
    let text = text.ok_or_else(|| refuse("has no section .text".into()))?;
    let code = text.data().unwrap_or_default();
    let literals = Literals::of(&file);
    let mut weight = Weight {
        constants: file.section_by_name(".rodata").map_or(0, |s| s.size()),
        ..Weight::default()
    };
    for symbol in file.symbols() {
        let (Ok(name), SymbolKind::Text) = (symbol.name(), symbol.kind()) else {
            continue;
        };
        if symbol.size() == 0 {
            continue;
        }
        match place(name) {
            Place::Outside => {}
            Place::RunTime => weight.run_time += symbol.size(),
            Place::Crate(name) => {
                *weight.code.entry(name.into()).or_default() += symbol.size();
                // The lowest bit says that it is a Thumb function.
                let start = symbol.address() & !1;
                let at = usize::try_from(start.wrapping_sub(text.address())).unwrap_or(usize::MAX);
                let body = code.get(at..).unwrap_or_default();
                let body = body.get(..symbol.size() as usize).unwrap_or_default();
                weight.float_instructions += float_instructions(body, start, &literals);
            }
        }
    }
    if weight.code.contains_key("shared") {
        Ok(weight)
    } else {
        Err(refuse("has no code of the crate `shared`".into()))
    }
}

/// Where a function comes from.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Of the engine.
    Crate(&'static str),
    /// Of the compiler's run-time library.
    RunTime,
    /// Start-up, the board, and what hides values from the optimiser.
    Outside,
}

fn place(symbol: &str) -> Place {
    const START_UP: [&str; 7] = [
        "Reset",
        "main",
        "HardFault",
        "_HardFault",
        "DefaultHandler_",
        "DefaultPreInit",
        "__pre_init",
    ];
    let name = format!("{:#}", demangle(symbol));
    // `<shared::model::Layers as core::iter::Iterator>::next` is of `shared`.
    let path = name.trim_start_matches(['<', '&']);
    match path.split("::").next().unwrap_or_default() {
        "core" if path.contains("black_box") => Place::Outside,
        "onelook_engine" if path.contains("__cortex_m_rt_main") => Place::Outside,
        "firmware" | "cortex_m" | "cortex_m_rt" | "cortex_m_semihosting" => Place::Outside,
        other if START_UP.contains(&other) => Place::Outside,
        "onelook_engine" => Place::Crate("engine"),
        "shared" => Place::Crate("shared"),
        "core" => Place::Crate("core"),
        "crc" => Place::Crate("crc"),
        "compiler_builtins" | "memcpy" | "memmove" | "memset" | "memcmp" => Place::RunTime,
        name if name.starts_with("__aeabi_") => Place::RunTime,
        // Whatever else there is takes flash as well.
        _ => Place::Crate("other"),
    }
}

/// Where code is interrupted by constants: ARM's mapping symbols `$t` and `$d`, by address.
struct Literals(BTreeMap<u64, bool>);

impl Literals {
    fn of(file: &File<'_>) -> Self {
        let marks = file.symbols().filter_map(|symbol| {
            let name = symbol.name().ok()?;
            let literal = name.starts_with("$d");
            (literal || name.starts_with("$t")).then_some((symbol.address(), literal))
        });
        Self(marks.collect())
    }

    fn contain(&self, address: u64) -> bool {
        let before = self.0.range(..=address).next_back();
        before.is_some_and(|(_, &literal)| literal)
    }
}

/// Arithmetic of coprocessors 10 and 11, the floating-point unit, in Thumb code at `address`. Moves do
/// not count: Helium's integer vectors are in the same registers.
fn float_instructions(code: &[u8], address: u64, literals: &Literals) -> usize {
    let halves: Vec<u16> = code
        .as_chunks::<2>()
        .0
        .iter()
        .map(|&half| u16::from_le_bytes(half))
        .collect();
    let (mut count, mut at) = (0, 0);
    while let Some(&first) = halves.get(at) {
        // ARMv7-M architecture manual, A5.1: five bits tell a 32-bit instruction.
        let wide = first >> 11 >= 0b11101;
        if literals.contain(address + 2 * at as u64) {
            at += 1;
            continue;
        }
        if wide {
            let second = halves.get(at + 1).copied().unwrap_or(0);
            // A5.3.18 and A6.4: 111x1110 in the first half; 101 in bits 11 to 9 and 0 in bit 4 of the
            // second.
            let arithmetic = (first >> 8) & 0b1110_1111 == 0b1110_1110;
            count += usize::from(arithmetic && second & 0b1110_0001_0000 == 0b1010_0000_0000);
        }
        at += if wide { 2 } else { 1 };
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_belong_to_their_crates() {
        for (symbol, expected) in [
            (
                "_ZN6shared5model4plan9arena_len17h3f9adccf5a14dacaE",
                Place::Crate("shared"),
            ),
            (
                "_ZN88_$LT$shared..model..record..Layers$u20$as$u20$core..iter..traits..iterator..Iterator$GT$4next17h0565d62ca2c0abc1E",
                Place::Crate("shared"),
            ),
            (
                "_ZN4core3str8converts9from_utf817h0565d62ca2c0abc1E",
                Place::Crate("core"),
            ),
            (
                "_ZN14onelook_engine6engine17h6c518e704d97c035E",
                Place::Crate("engine"),
            ),
            (
                "_ZN14onelook_engine18__cortex_m_rt_main17h34b11402f5140530E",
                Place::Outside,
            ),
            (
                "_ZN8firmware5board4mps24exit17h5648a03cb9759cd2E",
                Place::Outside,
            ),
            ("Reset", Place::Outside),
            ("__aeabi_memcpy4", Place::RunTime),
        ] {
            assert_eq!(place(symbol), expected, "{symbol}");
        }
    }

    #[test]
    fn float_instructions_are_found_and_constants_are_not() {
        // vadd.f32 s0, s0, s1; movs r0, #0; bx lr; and the vadd again as a constant.
        let code = [
            0x30, 0xee, 0x20, 0x0a, 0x00, 0x20, 0x70, 0x47, 0x30, 0xee, 0x20, 0x0a,
        ];
        let literals = Literals([(0x100, false), (0x108, true)].into());
        assert_eq!(float_instructions(&code, 0x100, &literals), 1);
        // push.w {r4-r7, r9, r11, lr}; vpush {d8}; vmov r0, s0: none computes.
        let code = [
            0x2d, 0xe9, 0xf0, 0x4a, 0x2d, 0xed, 0x02, 0x8b, 0x10, 0xee, 0x10, 0x0a,
        ];
        assert_eq!(float_instructions(&code, 0x100, &literals), 0);
    }
}
