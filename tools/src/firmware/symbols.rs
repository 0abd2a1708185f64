//! Where the functions and variables of a program are.
//!
//! In: an ELF file. Out: addresses by name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSymbol};

use crate::SetupError;

/// The addresses of a program's symbols.
#[derive(Debug, Clone)]
pub struct Symbols {
    path: PathBuf,
    addresses: HashMap<String, u64>,
}

impl Symbols {
    /// Reads the symbols of an ELF file.
    ///
    /// # Errors
    /// The file cannot be read or is not ELF.
    pub fn read(path: &Path) -> Result<Self, SetupError> {
        let bytes = std::fs::read(path).map_err(|e| SetupError::io("read", path, e))?;
        let file = object::File::parse(&*bytes).map_err(|error| SetupError::Archive {
            path: path.into(),
            reason: format!("not an ELF file: {error}"),
            next: "build it again with `cargo xtask firmware build`".into(),
        })?;
        let addresses = file.symbols().filter_map(|symbol| {
            let name = symbol.name().ok().filter(|name| !name.is_empty())?;
            Some((name.to_owned(), symbol.address()))
        });
        Ok(Self {
            path: path.into(),
            addresses: addresses.collect(),
        })
    }

    /// The address of one symbol; odd for a Thumb function.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn address(&self, name: &str) -> Result<u64, SetupError> {
        self.addresses
            .get(name)
            .copied()
            .ok_or_else(|| SetupError::Missing {
                what: format!("{} has no symbol `{name}`", self.path.display()),
                next: "build it again, without `strip`".into(),
            })
    }
}
