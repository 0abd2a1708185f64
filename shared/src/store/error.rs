//! Why a log could not be read or written.

use core::fmt;

use super::FORMAT_VERSION;

/// Why a flash and a layout do not suit each other, or the log that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GeometryError {
    /// Words must be powers of two of at most 256 bytes; those to read at most as long as a unit.
    Words {
        /// Bytes of a word to write.
        write: u32,
        /// Bytes of a word to read.
        read: u32,
    },
    /// A bank must be a whole number of sectors, and a sector a whole number of units.
    Sectors {
        /// Bytes of a sector.
        sector: u32,
    },
    /// The banks do not lie inside the flash.
    Capacity {
        /// Bytes of the flash.
        capacity: usize,
    },
    /// The log was written with another unit or other banks.
    Written {
        /// Its unit in bytes.
        unit: u16,
        /// Bytes of its banks.
        bank_len: u32,
    },
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words { write, read } => write!(
                f,
                "the flash is written in words of {write} bytes and read in words of {read}"
            ),
            Self::Sectors { sector } => {
                write!(f, "the banks are not made of sectors of {sector} bytes")
            }
            Self::Capacity { capacity } => {
                write!(f, "the banks leave the flash of {capacity} bytes")
            }
            Self::Written { unit, bank_len } => write!(
                f,
                "the log there has banks of {bank_len} bytes in units of {unit}"
            ),
        }
    }
}

/// Why a log could not be read or written. `E` is the error of the flash driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError<E> {
    /// The driver reports this.
    Flash(E),
    /// The flash, the layout and the log do not suit each other. Nothing was written.
    Geometry(GeometryError),
    /// A later release wrote the log. Nothing was written.
    Format {
        /// The log's version.
        got: u16,
    },
    /// There is no room, and nothing was written.
    Full {
        /// Bytes of flash that the record takes.
        needed: u32,
        /// Bytes that there are.
        free: u32,
    },
    /// The flash does not hold what was written to it.
    NotWritten {
        /// Address of the first word that differs, rounded down to what is read at a time.
        at: u32,
    },
    /// The flash is not erased where it was erased.
    NotErased {
        /// Address of the first byte that is not `0xFF`.
        at: u32,
    },
    /// No compaction is at the point where this call makes sense.
    NotCopied,
}

impl<E: fmt::Debug> fmt::Display for StoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash reports {error:?}"),
            Self::Geometry(error) => error.fmt(f),
            Self::Format { got } => write!(
                f,
                "the log has format version {got}, this build reads version {FORMAT_VERSION}: it \
                 was left as it is"
            ),
            Self::Full { needed, free } => {
                write!(f, "{needed} bytes are needed, {free} are free")
            }
            Self::NotWritten { at } => {
                write!(f, "the flash does not hold what was written at {at:#x}")
            }
            Self::NotErased { at } => write!(f, "the flash is not erased at {at:#x}"),
            Self::NotCopied => f.write_str("no compaction is waiting for this"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for StoreError<E> {}
