//! The data flash of a board in QEMU, as a file that this computer can write as well.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use tools::firmware::{FLASH_LEN, FLASH_START};

/// What a board's flash holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashImage(Vec<u8>);

#[allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "only tests call this"
)]
impl FlashImage {
    /// The flash in `file`, the memory of a board that is switched off.
    #[must_use]
    pub fn read(file: &Path) -> Self {
        let mut file = File::open(file).unwrap();
        let mut image = Self(vec![0; FLASH_LEN]);
        file.seek(SeekFrom::Start(FLASH_START)).unwrap();
        file.read_exact(&mut image.0).unwrap();
        image
    }

    /// Changes the flash in `file`.
    pub fn change(file: &Path, change: impl FnOnce(&mut Self)) {
        let mut image = Self::read(file);
        change(&mut image);
        let mut file = File::options().write(true).open(file).unwrap();
        file.seek(SeekFrom::Start(FLASH_START)).unwrap();
        file.write_all(&image.0).unwrap();
    }
}

impl ErrorType for FlashImage {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for FlashImage {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for FlashImage {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        check_erase(self, from, to)?;
        self.0[from as usize..to as usize].fill(0xff);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        check_write(self, offset, bytes.len())?;
        for (old, new) in self.0[offset as usize..].iter_mut().zip(bytes) {
            *old &= new;
        }
        Ok(())
    }
}
