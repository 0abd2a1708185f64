//! What must not be in a firmware: an allocator, floating point in software, a way to panic.
//!
//! In: an ELF file. Out: how many functions were looked at, or the first symbols that must not be
//! there. A panic cannot link at all (`firmware/README.md`); here it is said by name.

use std::path::Path;

use object::{Object, ObjectSymbol, SymbolKind};

use crate::SetupError;

/// Parts of symbol names, and what they mean.
const FORBIDDEN: [(&str, &str); 10] = [
    ("__rust_alloc", "an allocator"),
    ("__rust_realloc", "an allocator"),
    ("__rg_alloc", "an allocator"),
    ("malloc", "an allocator"),
    ("panicking", "a panic"),
    ("rust_begin_unwind", "a panic"),
    // Run-time ABI for ARM, section 4.1: `f` for 32 bits, `d` for 64.
    ("__aeabi_f", "floating point in software"),
    ("__aeabi_d", "floating point in software"),
    ("__aeabi_i2", "floating point in software"),
    ("__aeabi_ui2", "floating point in software"),
];

/// Counts the functions of a program that holds nothing forbidden.
///
/// # Errors
/// The file cannot be read, has no symbols, or holds something forbidden.
pub fn audit(path: &Path) -> Result<usize, SetupError> {
    let bytes = std::fs::read(path).map_err(|e| SetupError::io("read", path, e))?;
    let refuse = |reason: String, next: &str| SetupError::Archive {
        path: path.into(),
        reason,
        next: next.into(),
    };
    let file = object::File::parse(&*bytes).map_err(|error| {
        let reason = format!("not an ELF file: {error}");
        refuse(reason, "build it again with `cargo xtask firmware build`")
    })?;
    let names = file.symbols().filter_map(|symbol| {
        let function = matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown);
        symbol
            .name()
            .ok()
            .filter(|name| function && !name.is_empty())
    });
    let mut count = 0;
    for name in names {
        count += 1;
        let found = FORBIDDEN.iter().find(|(part, _)| is(name, part));
        if let Some((_, meaning)) = found {
            let reason = format!("holds {name}, which is {meaning}");
            return Err(refuse(
                reason,
                "find its caller with `arm-none-eabi-objdump -dC`",
            ));
        }
    }
    match count {
        0 => Err(refuse("has no symbols".into(), "build it without `strip`")),
        count => Ok(count),
    }
}

/// The ABI's names count from their start; the others stand anywhere in a mangled name.
fn is(name: &str, part: &str) -> bool {
    if part.starts_with("__aeabi_") {
        name.starts_with(part)
    } else {
        name.contains(part)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn compiled(code: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (source, out) = (folder.path().join("a.c"), folder.path().join("a.o"));
        std::fs::write(&source, code).unwrap();
        let mut command = std::process::Command::new("cc");
        let status = command.arg("-c").arg("-o").arg(&out).arg(&source).status();
        assert!(status.unwrap().success());
        (folder, out)
    }

    #[test]
    fn plain_code_passes() {
        let (_folder, out) = compiled("int __aeabi_uidiv(int a) { return a; }");
        assert!(audit(&out).unwrap() >= 1);
    }

    #[test]
    fn what_is_forbidden_is_named() {
        let cases = [
            (
                "void *malloc(unsigned long); void *f(void) { return malloc(3); }",
                "an allocator",
            ),
            ("void core_panicking_panic(void) {}", "a panic"),
            ("int __aeabi_fadd(int a) { return a; }", "floating point"),
        ];
        for (code, words) in cases {
            let (_folder, out) = compiled(code);
            let error = audit(&out).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
