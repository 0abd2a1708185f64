//! A QEMU plugin: counts the instructions of an ARM guest between two marks.
//!
//! In: `name=value` arguments, addresses in hex with `0x`:
//!
//! | name                   | value                                                            |
//! |------------------------|------------------------------------------------------------------|
//! | `out`                  | the file that is written                                         |
//! | `start`, `stop`        | addresses of two functions that the guest calls around a region  |
//! | `stack_lo`, `stack_hi` | the guest's stack: how deep a region goes is found by its stores |
//! | `nv_lo`, `nv_hi`       | a window whose stores are counted                                |
//! | `cut`                  | QEMU dies at that store into the window, as at a power cut       |
//!
//! Out: one line per region when it ends, and one when the guest ends:
//!
//! ```text
//! region 0 depth 0 instructions 12 loads 1 stores 1 branches 2 cycles 18 stack 0
//! total instructions 123456 nv_stores 0
//! cut nv_store 17 address 0x21000044
//! ```
//!
//! Regions are numbered in the order in which they start, and may be nested (`depth`). A region's
//! `stack` counts from where the start mark stores its word. `branches` are the taken ones; `cycles`
//! is the model of `thumb.rs`, which is an estimate; everything else is exact.
//!
//! Needs nothing but `rustc --crate-type cdylib`; `interface.rs` says for which QEMU.

mod interface;
mod thumb;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use interface::{Block, COUNTERS, Info, Insn};
use thumb::{Access, decode};

unsafe extern "C" {
    /// Ends the process at once: nothing is flushed.
    safe fn _exit(code: c_int) -> !;
}

/// What a process leaves that was killed by SIGKILL.
const KILLED: c_int = 137;

/// Counters that translated code adds to.
const INSTRUCTIONS: usize = 0;
const LOADS: usize = 1;
const STORES: usize = 2;
/// Cycles beyond one for each instruction, without branches.
const EXTRA_CYCLES: usize = 3;

/// Branches that were taken.
static BRANCHES: AtomicU64 = AtomicU64::new(0);

/// Where the last block ended: the next one starts there, or a branch was taken.
static LAST_END: AtomicU64 = AtomicU64::new(0);

/// The innermost open region's first and lowest store on the stack; `UNSEEN` before there is one.
static STACK_FIRST: AtomicU64 = AtomicU64::new(UNSEEN);
static STACK_LOWEST: AtomicU64 = AtomicU64::new(UNSEEN);
const UNSEEN: u64 = u64::MAX;

static NV_STORES: AtomicU64 = AtomicU64::new(0);

/// What the command line asks for.
#[derive(Default)]
struct Options {
    start: u64,
    stop: u64,
    stack: (u64, u64),
    nv: (u64, u64),
    cut: u64,
}

static OPTIONS: OnceLock<Options> = OnceLock::new();
static REGIONS: Mutex<Regions> = Mutex::new(Regions {
    out: None,
    started: 0,
    open: Vec::new(),
});

struct Regions {
    out: Option<File>,
    started: u64,
    open: Vec<Region>,
}

/// An open region: the counts at its start, and its parent's stack.
struct Region {
    index: u64,
    totals: [u64; COUNTERS],
    branches: u64,
    parent_stack: (u64, u64),
}

fn with_regions(act: impl FnOnce(&mut Regions)) {
    // A panic must not reach QEMU; after one, the counts are still right.
    act(&mut REGIONS.lock().unwrap_or_else(PoisonError::into_inner));
}

impl Regions {
    fn say(&mut self, line: &str) {
        match &mut self.out {
            Some(file) => drop(writeln!(file, "{line}")),
            None => eprintln!("{line}"),
        }
    }
}

extern "C" fn on_start(_: c_uint, _: *mut c_void) {
    with_regions(|regions| {
        let parent_stack = (STACK_FIRST.load(Relaxed), STACK_LOWEST.load(Relaxed));
        STACK_FIRST.store(UNSEEN, Relaxed);
        STACK_LOWEST.store(UNSEEN, Relaxed);
        let index = regions.started;
        regions.started += 1;
        regions.open.push(Region {
            index,
            totals: interface::totals(),
            branches: BRANCHES.load(Relaxed),
            parent_stack,
        });
    });
}

extern "C" fn on_stop(_: c_uint, _: *mut c_void) {
    with_regions(|regions| {
        let Some(region) = regions.open.pop() else {
            return regions.say("error: a stop mark without a start mark");
        };
        let mut counts = interface::totals();
        for (count, start) in counts.iter_mut().zip(region.totals) {
            *count -= start;
        }
        let [instructions, loads, stores, extra_cycles] = counts;
        let branches = BRANCHES.load(Relaxed) - region.branches;
        let cycles = instructions + extra_cycles + 2 * branches;
        let (first, lowest) = (STACK_FIRST.load(Relaxed), STACK_LOWEST.load(Relaxed));
        let stack = first.saturating_sub(lowest);
        // What the region has used, its parent has used.
        let (parent_first, parent_lowest) = region.parent_stack;
        STACK_FIRST.store(parent_first, Relaxed);
        STACK_LOWEST.store(parent_lowest.min(lowest), Relaxed);
        let (index, depth) = (region.index, regions.open.len());
        regions.say(&format!(
            "region {index} depth {depth} instructions {instructions} loads {loads} stores {stores} \
             branches {branches} cycles {cycles} stack {stack}"
        ));
    });
}

/// `data` is the block's first address, and its length in the upper half.
extern "C" fn on_block(_: c_uint, data: *mut c_void) {
    let data = data as u64;
    let (start, len) = (data & u64::from(u32::MAX), data >> 32);
    if LAST_END.swap(start + len, Relaxed) != start {
        BRANCHES.fetch_add(1, Relaxed);
    }
}

extern "C" fn on_access(_: c_uint, info: u32, address: u64, _: *mut c_void) {
    // SAFETY: `info` is the one that QEMU gave to this call.
    if !unsafe { interface::is_store(info) } {
        return;
    }
    let Some(options) = OPTIONS.get() else { return };
    let within = |(low, high): (u64, u64)| (low..high).contains(&address);
    if within(options.stack) {
        if STACK_FIRST.load(Relaxed) == UNSEEN {
            STACK_FIRST.store(address, Relaxed);
        }
        STACK_LOWEST.fetch_min(address, Relaxed);
    }
    if within(options.nv) {
        let count = NV_STORES.fetch_add(1, Relaxed) + 1;
        if count == options.cut {
            with_regions(|regions| {
                regions.say(&format!("cut nv_store {count} address {address:#x}"))
            });
            _exit(KILLED)
        }
    }
}

extern "C" fn on_translate(_: u64, tb: *mut c_void) {
    let Some(options) = OPTIONS.get() else { return };
    // SAFETY: `tb` is the block that QEMU translates, and it is not kept.
    let block = unsafe { Block::new(tb) };
    let mut extent = None;
    for insn in block.instructions() {
        let (address, bytes) = (insn.address(), insn.bytes());
        let (first, _) = *extent.get_or_insert((address, 0));
        extent = Some((first, address + bytes.len() as u64 - first));
        instrument(options, &insn, address, &bytes);
    }
    if let Some((first, len)) = extent {
        block.on_exec(on_block, (first & u64::from(u32::MAX)) | len << 32);
    }
}

/// Puts counting in front of an instruction.
fn instrument(options: &Options, insn: &Insn, address: u64, bytes: &[u8]) {
    let decoded = decode(bytes);
    if address == options.start {
        insn.on_exec(on_start);
    }
    if address == options.stop {
        insn.on_exec(on_stop);
    }
    insn.count(INSTRUCTIONS, 1);
    match decoded.access {
        Access::Load(_) => insn.count(LOADS, 1),
        Access::Store(_) => {
            insn.count(STORES, 1);
            if options.stack.1 != 0 || options.nv.1 != 0 {
                insn.on_store(on_access);
            }
        }
        Access::None => {}
    }
    if decoded.cycles > 1 {
        insn.count(EXTRA_CYCLES, u64::from(decoded.cycles - 1));
    }
}

extern "C" fn on_exit(_: u64, _: *mut c_void) {
    let [instructions, ..] = interface::totals();
    let stores = NV_STORES.load(Relaxed);
    with_regions(|regions| {
        regions.say(&format!(
            "total instructions {instructions} nv_stores {stores}"
        ))
    });
}

/// Reads one `name=value`.
fn set(options: &mut Options, argument: &str) -> Result<(), String> {
    let (name, value) = argument.split_once('=').ok_or("not name=value")?;
    if name == "out" {
        let file = File::create(value).map_err(|error| error.to_string())?;
        with_regions(|regions| regions.out = Some(file));
        return Ok(());
    }
    let number = match value.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => value.parse(),
    };
    let number = number.map_err(|error| error.to_string())?;
    let field = match name {
        "start" => &mut options.start,
        "stop" => &mut options.stop,
        "stack_lo" => &mut options.stack.0,
        "stack_hi" => &mut options.stack.1,
        "nv_lo" => &mut options.nv.0,
        "nv_hi" => &mut options.nv.1,
        "cut" => &mut options.cut,
        _ => return Err("no such argument".into()),
    };
    *field = number;
    Ok(())
}

/// QEMU calls this once, before the guest starts.
///
/// # Safety
/// `info` and the `argc` strings of `argv` are valid for the call, as QEMU's interface promises.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    info: *const Info,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: see above.
    let target = unsafe { CStr::from_ptr((*info).target_name) };
    if target != c"arm" {
        eprintln!(
            "icount: this plugin decodes ARM, not {}",
            target.to_string_lossy()
        );
        return -1;
    }
    let mut options = Options::default();
    for index in 0..usize::try_from(argc).unwrap_or(0) {
        // SAFETY: see above.
        let argument = unsafe { CStr::from_ptr(*argv.add(index)) }.to_string_lossy();
        if let Err(reason) = set(&mut options, &argument) {
            eprintln!("icount: {argument}: {reason}");
            return -1;
        }
    }
    // The symbols of Thumb functions are odd, their addresses are not.
    options.start &= !1;
    options.stop &= !1;
    if OPTIONS.set(options).is_err() {
        return -1;
    }
    // SAFETY: `id` is the one that QEMU gave to this call.
    unsafe { interface::register(id, on_translate, on_exit) };
    0
}
