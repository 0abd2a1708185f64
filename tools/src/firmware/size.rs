//! How much flash and RAM a program takes.
//!
//! In: an ELF file. Out: bytes in flash (code, constants, start values) and in RAM (variables;
//! the stack is not in the file).

use std::path::Path;

use object::{Object, ObjectSection, SectionFlags, SectionKind, elf};

use crate::SetupError;

/// Bytes that a program takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Code and constants.
    pub text: u64,
    /// Variables with a start value: they take flash and RAM.
    pub data: u64,
    /// Variables that start at zero, or uninitialised.
    pub bss: u64,
}

impl Size {
    /// Bytes in flash.
    #[must_use]
    pub fn flash(&self) -> u64 {
        self.text + self.data
    }

    /// Bytes in RAM, without the stack.
    #[must_use]
    pub fn ram(&self) -> u64 {
        self.data + self.bss
    }
}

/// Adds up the sections of an ELF file.
///
/// # Errors
/// The file cannot be read or is not ELF.
pub fn size(path: &Path) -> Result<Size, SetupError> {
    let bytes = std::fs::read(path).map_err(|e| SetupError::io("read", path, e))?;
    let file = object::File::parse(&*bytes).map_err(|error| SetupError::Archive {
        path: path.into(),
        reason: format!("not an ELF file: {error}"),
        next: "build it again with `cargo xtask firmware build`".into(),
    })?;
    let mut sum = Size::default();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else {
            continue;
        };
        if !sh_flags.contains(elf::SHF_ALLOC) {
            continue;
        }
        let kind = match section.kind() {
            SectionKind::UninitializedData | SectionKind::UninitializedTls => &mut sum.bss,
            _ if sh_flags.contains(elf::SHF_WRITE) => &mut sum.data,
            _ => &mut sum.text,
        };
        *kind += section.size();
    }
    Ok(sum)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_section_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (source, out) = (folder.path().join("a.c"), folder.path().join("a.o"));
        let code = "const char constant[1000] = {1}; char start[300] = {1}; char zero[70]; int f(void) { return 3; }";
        std::fs::write(&source, code).unwrap();
        let mut command = std::process::Command::new("cc");
        let status = command
            .arg("-c")
            .arg("-o")
            .arg(&out)
            .arg(&source)
            .status()
            .unwrap();
        assert!(status.success());
        let size = size(&out).unwrap();
        assert_eq!((size.data, size.bss), (300, 70));
        assert!(size.text > 1000 && size.text < 1400, "{size:?}");
        assert_eq!((size.flash(), size.ram()), (size.text + 300, 370));
    }

    #[test]
    fn a_text_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, "not a program").unwrap();
        assert!(size(&path).unwrap_err().to_string().contains("program"));
    }
}
