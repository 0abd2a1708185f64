//! Files of the host by semihosting, for reading.
//!
//! In: a name, relative to the folder where the emulator runs. Out: the file's length and bytes. Every call
//! stops the processor until the host has answered.

use core::ffi::CStr;
use core::fmt;

use cortex_m_semihosting::{nr, syscall};

/// A file of the host, open for reading.
pub(super) struct HostFile {
    handle: usize,
}

impl HostFile {
    pub(super) fn open(name: &CStr) -> Result<Self, FileError> {
        let len = name.count_bytes();
        // SAFETY: SYS_OPEN reads the `len` bytes of the name and the NUL behind them.
        let handle = unsafe { syscall!(OPEN, name.as_ptr(), nr::open::R_BINARY, len) };
        match handle {
            usize::MAX => Err(FileError::Absent),
            handle => Ok(Self { handle }),
        }
    }

    pub(super) fn len(&self) -> Result<usize, FileError> {
        // SAFETY: SYS_FLEN takes a handle that SYS_OPEN gave and touches no memory.
        let len = unsafe { syscall!(FLEN, self.handle) };
        match len {
            usize::MAX => Err(FileError::Read),
            len => Ok(len),
        }
    }

    /// The next [`Self::read`] starts at `offset`.
    pub(super) fn seek(&self, offset: usize) -> Result<(), FileError> {
        // SAFETY: SYS_SEEK takes a handle that SYS_OPEN gave and touches no memory.
        let result = unsafe { syscall!(SEEK, self.handle, offset) };
        match result {
            0 => Ok(()),
            _ => Err(FileError::Read),
        }
    }

    /// Fills `target` or fails.
    pub(super) fn read(&self, target: &mut [u8]) -> Result<(), FileError> {
        // SAFETY: SYS_READ writes at most `target.len()` bytes to `target`, which is ours.
        let missing = unsafe { syscall!(READ, self.handle, target.as_mut_ptr(), target.len()) };
        match missing {
            0 => Ok(()),
            _ => Err(FileError::Read),
        }
    }
}

impl Drop for HostFile {
    fn drop(&mut self) {
        // SAFETY: SYS_CLOSE takes a handle that SYS_OPEN gave; nobody can use it afterwards.
        // Its result changes nothing: the bytes are read or the error is on its way.
        let _ = unsafe { syscall!(CLOSE, self.handle) };
    }
}

/// Why a file could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileError {
    /// The host does not have it.
    Absent,
    /// It does not fit its buffer.
    TooLarge {
        /// Bytes in the file.
        len: usize,
        /// Bytes in the buffer.
        limit: usize,
    },
    /// The host gave fewer bytes than the file has.
    Read,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => {
                f.write_str("absent: put it in the folder where the emulator was started")
            }
            Self::TooLarge { len, limit } => {
                write!(f, "too large: {len} bytes, this board has room for {limit}")
            }
            Self::Read => f.write_str("the host could not read it to its end"),
        }
    }
}
