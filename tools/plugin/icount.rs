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
//! Needs nothing but `rustc --crate-type cdylib`. QEMU's plugin interface is of version 1, so this
//! is for QEMU 6 to 8.

mod thumb;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::Write;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use thumb::{Access, decode};

/// A block of translated instructions; QEMU's.
#[repr(C)]
pub struct Tb(c_void);
/// An instruction that is being translated; QEMU's.
#[repr(C)]
pub struct Insn(c_void);
/// The start of what QEMU says about itself.
#[repr(C)]
pub struct Info {
    target_name: *const c_char,
}

type OnExec = extern "C" fn(c_uint, *mut c_void);
type OnMemory = extern "C" fn(c_uint, u32, u64, *mut c_void);

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, call: extern "C" fn(u64, *mut Tb));
    fn qemu_plugin_register_vcpu_tb_exec_cb(
        tb: *mut Tb,
        call: OnExec,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(tb: *const Tb) -> usize;
    fn qemu_plugin_tb_get_insn(tb: *const Tb, index: usize) -> *mut Insn;
    fn qemu_plugin_insn_vaddr(insn: *const Insn) -> u64;
    fn qemu_plugin_insn_size(insn: *const Insn) -> usize;
    fn qemu_plugin_insn_data(insn: *const Insn) -> *const u8;
    fn qemu_plugin_register_vcpu_insn_exec_inline(
        insn: *mut Insn,
        op: c_int,
        to: *mut u64,
        add: u64,
    );
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        insn: *mut Insn,
        call: OnExec,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_mem_cb(
        insn: *mut Insn,
        call: OnMemory,
        flags: c_int,
        rw: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_atexit_cb(
        id: u64,
        call: extern "C" fn(u64, *mut c_void),
        data: *mut c_void,
    );
    fn qemu_plugin_mem_is_store(info: u32) -> bool;
    fn _exit(code: c_int) -> !;
}

/// `QEMU_PLUGIN_CB_NO_REGS`.
const NO_REGISTERS: c_int = 0;
/// `QEMU_PLUGIN_INLINE_ADD_U64`.
const ADD: c_int = 0;
/// `QEMU_PLUGIN_MEM_W`.
const WRITES: c_int = 2;
/// What a process leaves that was killed by SIGKILL.
const KILLED: c_int = 137;

/// The version of the interface that this is written for.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

/// Counters of one vCPU: translated code adds to them.
struct Counters {
    instructions: AtomicU64,
    loads: AtomicU64,
    stores: AtomicU64,
    branches: AtomicU64,
    /// Cycles beyond one for each instruction, without branches.
    extra_cycles: AtomicU64,
}

static COUNTERS: Counters = Counters {
    instructions: AtomicU64::new(0),
    loads: AtomicU64::new(0),
    stores: AtomicU64::new(0),
    branches: AtomicU64::new(0),
    extra_cycles: AtomicU64::new(0),
};

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

/// The options, which the callbacks read, in a form that needs no lock.
static OPTIONS: std::sync::OnceLock<Options> = std::sync::OnceLock::new();
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

/// An open region: the counters at its start, and its parent's stack.
struct Region {
    index: u64,
    start: [u64; 5],
    parent_stack: (u64, u64),
}

fn counters() -> [u64; 5] {
    let Counters {
        instructions,
        loads,
        stores,
        branches,
        extra_cycles,
    } = &COUNTERS;
    [instructions, loads, stores, branches, extra_cycles].map(|counter| counter.load(Relaxed))
}

fn with_regions(act: impl FnOnce(&mut Regions)) {
    // A panic must not reach QEMU; after one, the counts are still right.
    act(&mut REGIONS.lock().unwrap_or_else(|broken| broken.into_inner()));
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
            start: counters(),
            parent_stack,
        });
    });
}

extern "C" fn on_stop(_: c_uint, _: *mut c_void) {
    with_regions(|regions| {
        let Some(Region {
            index,
            start,
            parent_stack,
        }) = regions.open.pop()
        else {
            return regions.say("error: a stop mark without a start mark");
        };
        let mut counts = counters();
        for (count, start) in counts.iter_mut().zip(start) {
            *count -= start;
        }
        let [instructions, loads, stores, branches, extra_cycles] = counts;
        let cycles = instructions + extra_cycles + 2 * branches;
        let (first, lowest) = (STACK_FIRST.load(Relaxed), STACK_LOWEST.load(Relaxed));
        let stack = first.saturating_sub(lowest);
        // What the region has used, its parent has used.
        let (parent_first, parent_lowest) = parent_stack;
        STACK_FIRST.store(parent_first, Relaxed);
        STACK_LOWEST.store(parent_lowest.min(lowest), Relaxed);
        let depth = regions.open.len();
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
        COUNTERS.branches.fetch_add(1, Relaxed);
    }
}

extern "C" fn on_access(_: c_uint, info: u32, address: u64, _: *mut c_void) {
    // SAFETY: `info` is the one that QEMU gave to this call. QEMU 7.2 reports loads as well.
    if !unsafe { qemu_plugin_mem_is_store(info) } {
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
            // SAFETY: it ends the process, which is what a power cut does: nothing is flushed.
            unsafe { _exit(KILLED) }
        }
    }
}

extern "C" fn on_translate(_: u64, tb: *mut Tb) {
    let Some(options) = OPTIONS.get() else { return };
    let accesses = options.stack.1 != 0 || options.nv.1 != 0;
    let (mut first, mut len) = (0, 0);
    // SAFETY: `tb` is a block that QEMU is translating; the instructions are of that block.
    for index in 0..unsafe { qemu_plugin_tb_n_insns(tb) } {
        // SAFETY: as above; QEMU keeps `size` bytes of the instruction while this call lasts.
        let (insn, address, bytes) = unsafe {
            let insn = qemu_plugin_tb_get_insn(tb, index);
            let (data, size) = (qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn));
            (
                insn,
                qemu_plugin_insn_vaddr(insn),
                std::slice::from_raw_parts(data, size),
            )
        };
        if index == 0 {
            first = address;
        }
        len = address + bytes.len() as u64 - first;
        instrument(options, accesses, insn, address, bytes);
    }
    let block = (first & u64::from(u32::MAX)) | len << 32;
    // SAFETY: as above; the data is a number, never used as a pointer.
    unsafe {
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, NO_REGISTERS, block as *mut c_void)
    };
}

/// Puts counting in front of an instruction.
fn instrument(options: &Options, accesses: bool, insn: *mut Insn, address: u64, bytes: &[u8]) {
    let decoded = decode(bytes);
    let add = |counter: &'static AtomicU64, value: u64| {
        // SAFETY: `insn` is being translated; the counter lives as long as the program, and there
        // is one vCPU, so nobody adds at the same time.
        unsafe { qemu_plugin_register_vcpu_insn_exec_inline(insn, ADD, counter.as_ptr(), value) };
    };
    // SAFETY: `insn` is being translated, and the callbacks take any data.
    unsafe {
        if address == options.start {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_start, NO_REGISTERS, null_mut());
        }
        if address == options.stop {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_stop, NO_REGISTERS, null_mut());
        }
        if accesses && matches!(decoded.access, Access::Store(_)) {
            qemu_plugin_register_vcpu_mem_cb(insn, on_access, NO_REGISTERS, WRITES, null_mut());
        }
    }
    add(&COUNTERS.instructions, 1);
    match decoded.access {
        Access::Load(_) => add(&COUNTERS.loads, 1),
        Access::Store(_) => add(&COUNTERS.stores, 1),
        Access::None => {}
    }
    if decoded.cycles > 1 {
        add(&COUNTERS.extra_cycles, u64::from(decoded.cycles - 1));
    }
}

extern "C" fn on_exit(_: u64, _: *mut c_void) {
    let [instructions, ..] = counters();
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
    // SAFETY: `id` is the one that QEMU gave; the callbacks live as long as the process.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
        qemu_plugin_register_atexit_cb(id, on_exit, null_mut());
    }
    0
}
