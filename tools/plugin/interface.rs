//! QEMU's plugin interface, as much of it as is needed, in its old and its new form.
//!
//! In: what QEMU calls. Out: blocks and instructions while they are translated, counters that
//! translated code adds to. Version 1 is that of QEMU 4.2 to 8; with `--cfg interface_3` this is
//! version 3, of QEMU 9.1 and later. They differ in where a counter lives and in how an instruction's
//! bytes are handed out.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;

/// The version that this is written for; QEMU reads it.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "QEMU gave it its name")]
pub static qemu_plugin_version: c_int = if cfg!(interface_3) { 3 } else { 1 };

/// The start of what QEMU says about itself.
#[repr(C)]
pub struct Info {
    /// The guest's processor family.
    pub target_name: *const c_char,
}

/// What is called before a block or an instruction is executed.
pub type OnExec = extern "C" fn(c_uint, *mut c_void);
/// What is called after an access to memory, with its address.
pub type OnMemory = extern "C" fn(c_uint, u32, u64, *mut c_void);
/// What is called with a block that is being translated.
pub type OnTranslate = extern "C" fn(u64, *mut c_void);
/// What is called when the guest has ended.
pub type OnExit = extern "C" fn(u64, *mut c_void);

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, call: OnTranslate);
    fn qemu_plugin_register_atexit_cb(id: u64, call: OnExit, data: *mut c_void);
    fn qemu_plugin_register_vcpu_tb_exec_cb(
        tb: *mut c_void,
        call: OnExec,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        insn: *mut c_void,
        call: OnExec,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_mem_cb(
        insn: *mut c_void,
        call: OnMemory,
        flags: c_int,
        rw: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(tb: *const c_void) -> usize;
    fn qemu_plugin_tb_get_insn(tb: *const c_void, index: usize) -> *mut c_void;
    fn qemu_plugin_insn_vaddr(insn: *const c_void) -> u64;
    fn qemu_plugin_insn_size(insn: *const c_void) -> usize;
    fn qemu_plugin_mem_is_store(info: u32) -> bool;
}

/// `QEMU_PLUGIN_CB_NO_REGS`.
const NO_REGISTERS: c_int = 0;
/// `QEMU_PLUGIN_INLINE_ADD_U64`.
const ADD: c_int = 0;
/// `QEMU_PLUGIN_MEM_W`.
const WRITES: c_int = 2;

/// Number of counters.
pub const COUNTERS: usize = 4;

/// A block of instructions, while it is translated.
pub struct Block(*mut c_void);

/// An instruction of such a block.
pub struct Insn(*mut c_void);

/// Asks QEMU for the calls that everything else starts from.
///
/// # Safety
/// `id` is the one that QEMU gave to `qemu_plugin_install`, which is being called.
pub unsafe fn register(id: u64, on_translate: OnTranslate, on_exit: OnExit) {
    // SAFETY: the obligation above; functions live as long as the process.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
        qemu_plugin_register_atexit_cb(id, on_exit, null_mut());
    }
}

/// Whether an access to memory is a store. QEMU 7.2 reports loads where stores were asked for.
///
/// # Safety
/// `info` is the one that QEMU gave to an [`OnMemory`] that is being called.
pub unsafe fn is_store(info: u32) -> bool {
    // SAFETY: the obligation above.
    unsafe { qemu_plugin_mem_is_store(info) }
}

impl Block {
    /// The block of an [`OnTranslate`].
    ///
    /// # Safety
    /// `tb` is the one that QEMU gave, and the block does not outlive that call.
    pub unsafe fn new(tb: *mut c_void) -> Self {
        Self(tb)
    }

    /// Its instructions in order.
    pub fn instructions(&self) -> impl Iterator<Item = Insn> {
        // SAFETY: `new` promises that the block is being translated, here and below.
        let count = unsafe { qemu_plugin_tb_n_insns(self.0) };
        (0..count).map(|index| Insn(unsafe { qemu_plugin_tb_get_insn(self.0, index) }))
    }

    /// Has `call` called before the block is executed. The data is a number, never a pointer.
    pub fn on_exec(&self, call: OnExec, data: u64) {
        // SAFETY: as above; functions live as long as the process.
        unsafe {
            qemu_plugin_register_vcpu_tb_exec_cb(self.0, call, NO_REGISTERS, data as *mut c_void);
        }
    }
}

impl Insn {
    /// Its address.
    pub fn address(&self) -> u64 {
        // SAFETY: only `Block::instructions` makes these, of a block that is being translated, here
        // and below.
        unsafe { qemu_plugin_insn_vaddr(self.0) }
    }

    fn len(&self) -> usize {
        // SAFETY: as above.
        unsafe { qemu_plugin_insn_size(self.0) }
    }

    /// Has `call` called before it is executed.
    pub fn on_exec(&self, call: OnExec) {
        // SAFETY: as above; functions live as long as the process.
        unsafe { qemu_plugin_register_vcpu_insn_exec_cb(self.0, call, NO_REGISTERS, null_mut()) };
    }

    /// Has `call` called when it stores.
    pub fn on_store(&self, call: OnMemory) {
        // SAFETY: as above.
        unsafe {
            qemu_plugin_register_vcpu_mem_cb(self.0, call, NO_REGISTERS, WRITES, null_mut());
        }
    }
}

pub use versioned::totals;

#[cfg(not(interface_3))]
mod versioned {
    //! Counters are ours, an instruction's bytes are lent.

    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    unsafe extern "C" {
        fn qemu_plugin_insn_data(insn: *const c_void) -> *const u8;
        fn qemu_plugin_register_vcpu_insn_exec_inline(
            insn: *mut c_void,
            op: c_int,
            to: *mut u64,
            add: u64,
        );
    }

    static TOTALS: [AtomicU64; COUNTERS] = [const { AtomicU64::new(0) }; COUNTERS];

    impl Insn {
        /// Its bytes.
        pub fn bytes(&self) -> Vec<u8> {
            // SAFETY: QEMU lends so many bytes while the instruction is translated, which it is.
            unsafe { std::slice::from_raw_parts(qemu_plugin_insn_data(self.0), self.len()) }.into()
        }

        /// Adds to a counter whenever it is executed.
        pub fn count(&self, counter: usize, add: u64) {
            let to = TOTALS[counter].as_ptr();
            // SAFETY: the instruction is translated; the counter is static, and the one vCPU is the
            // only one that adds to it.
            unsafe { qemu_plugin_register_vcpu_insn_exec_inline(self.0, ADD, to, add) };
        }
    }

    /// What the counters have come to.
    pub fn totals() -> [u64; COUNTERS] {
        TOTALS.each_ref().map(|total| total.load(Relaxed))
    }
}

#[cfg(interface_3)]
mod versioned {
    //! Counters are QEMU's, in a scoreboard for each vCPU; an instruction's bytes are copied.

    use std::sync::OnceLock;

    use super::*;

    /// `qemu_plugin_u64`: one counter in a scoreboard.
    #[repr(C)]
    struct Entry {
        score: *mut c_void,
        offset: usize,
    }

    unsafe extern "C" {
        fn qemu_plugin_insn_data(insn: *const c_void, to: *mut u8, len: usize) -> usize;
        fn qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
            insn: *mut c_void,
            op: c_int,
            to: Entry,
            add: u64,
        );
        fn qemu_plugin_scoreboard_new(len: usize) -> *mut c_void;
        fn qemu_plugin_scoreboard_find(score: *mut c_void, vcpu: c_uint) -> *mut u64;
    }

    /// The scoreboard's address: a pointer cannot be shared, this one may.
    static SCORE: OnceLock<usize> = OnceLock::new();

    fn score() -> *mut c_void {
        // SAFETY: called while QEMU translates or executes, when a scoreboard may be made.
        let new = || unsafe { qemu_plugin_scoreboard_new(size_of::<[u64; COUNTERS]>()) } as usize;
        *SCORE.get_or_init(new) as *mut c_void
    }

    impl Insn {
        /// Its bytes.
        pub fn bytes(&self) -> Vec<u8> {
            let mut bytes = vec![0; self.len()];
            // SAFETY: the instruction is translated, and so many bytes may be written.
            let len = unsafe { qemu_plugin_insn_data(self.0, bytes.as_mut_ptr(), bytes.len()) };
            bytes.truncate(len);
            bytes
        }

        /// Adds to a counter whenever it is executed.
        pub fn count(&self, counter: usize, add: u64) {
            let to = Entry {
                score: score(),
                offset: counter * size_of::<u64>(),
            };
            // SAFETY: the instruction is translated; the counter lies in the scoreboard.
            unsafe { qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(self.0, ADD, to, add) };
        }
    }

    /// What the counters of the one vCPU have come to.
    pub fn totals() -> [u64; COUNTERS] {
        // SAFETY: the scoreboard has an entry of this length for the first vCPU, and that vCPU is
        // the one that makes this call, or it has ended.
        unsafe {
            qemu_plugin_scoreboard_find(score(), 0)
                .cast::<[u64; COUNTERS]>()
                .read()
        }
    }
}
