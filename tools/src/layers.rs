//! The layers, read from the source: which module imports which, and where `unsafe` is.
//!
//! In: the source tree. Out: how many arrows were looked at, or the first that is not in the list.
//! Whoever adds an arrow adds it here, and says in the same change why the picture is still simple.

use std::path::{Path, PathBuf};

use crate::{SetupError, repo};

/// Packages of this repository, and those that each may use: `tests → host → shared ← firmware`.
const PACKAGES: [(&str, &[&str]); 6] = [
    ("shared", &[]),
    ("tools", &[]),
    ("host", &["shared", "tools"]),
    ("tests", &["host", "shared", "tools"]),
    ("tests/fuzz", &["shared"]),
    ("firmware", &["shared"]),
];

/// Modules of `shared`, and those that each may import, apart from its own tests.
///
/// `ops` and `arch` are one layer of two rooms: an operator checks and calls the kernel that the
/// processor has, the kernel reads the operator. `net` is the only place where bytes meet kernels. A
/// `model` says what it wants to see of an `image`.
const SHARED: [(&str, &[&str]); 19] = [
    ("checksum", &[]),
    ("quant", &[]),
    ("shape", &[]),
    ("signature", &[]),
    ("usb", &[]),
    ("arch", &["ops", "quant", "shape"]),
    ("ops", &["arch", "quant", "shape"]),
    ("decide", &["ops", "quant", "shape"]),
    ("image", &["shape"]),
    (
        "model",
        &["checksum", "decide", "image", "ops", "quant", "shape"],
    ),
    ("net", &["model", "ops", "shape"]),
    ("episode_file", &["checksum", "shape"]),
    ("link", &["model"]),
    ("arducam", &["checksum", "link"]),
    ("capture", &["link", "shape"]),
    ("store", &["checksum"]),
    ("support_set", &["checksum", "link", "store"]),
    ("slots", &["checksum", "model"]),
    (
        "session",
        &[
            "capture",
            "checksum",
            "decide",
            "image",
            "link",
            "model",
            "net",
            "shape",
            "slots",
            "store",
            "support_set",
        ],
    ),
];

/// Where `unsafe` may be: kernels, registers, and the interface of an emulator.
const UNSAFE: [&str; 5] = [
    "shared/src/arch/",
    "firmware/src/board/",
    "firmware/src/board.rs",
    "tools/plugin/interface.rs",
    "tools/plugin/icount.rs",
];

/// Reads all source files of the repository.
///
/// # Errors
/// A file cannot be read, imports what it must not, or holds `unsafe` where it must not be.
pub fn check() -> Result<String, SetupError> {
    let root = repo::root();
    let (mut arrows, mut files) = (0, 0);
    for (package, allowed) in PACKAGES {
        let manifest = root.join(package).join("Cargo.toml");
        arrows += check_manifest(&read(&manifest)?, allowed)
            .map_err(|used| refuse(&manifest, &format!("{package} may not use {used}")))?;
    }
    for room in ["shared", "host", "tools", "tests", "firmware"] {
        for path in sources(&root.join(room))? {
            let text = read(&path)?;
            let name = path.strip_prefix(&root).unwrap_or(&path);
            let name = name.to_string_lossy().replace('\\', "/");
            files += 1;
            if !UNSAFE.iter().any(|place| name.starts_with(place)) && has_unsafe(&text) {
                let why =
                    "`unsafe` may not be here: shared/src/arch and firmware/src/board have it";
                return Err(refuse(&path, why));
            }
            let Some((module, allowed)) = module_of(&name) else {
                continue;
            };
            for used in imports(&text) {
                arrows += 1;
                if used != module && !allowed.contains(&used.as_str()) {
                    let why = format!("module `{module}` may not import `{used}`");
                    return Err(refuse(&path, &why));
                }
            }
        }
    }
    Ok(format!("{files} files, {arrows} arrows"))
}

fn refuse(path: &Path, why: &str) -> SetupError {
    SetupError::Missing {
        what: format!("{}: {why}", path.display()),
        next: "move the code to the layer that may, or change the list in tools/src/layers.rs"
            .into(),
    }
}

fn read(path: &Path) -> Result<String, SetupError> {
    std::fs::read_to_string(path).map_err(|e| SetupError::io("read", path, e))
}

/// All Rust files below a folder, without what was built.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, SetupError> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(|e| SetupError::io("read", folder, e))?;
    for entry in entries {
        let path = entry.map_err(|e| SetupError::io("read", folder, e))?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "target" {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Counts the packages of ours that a manifest names; the first that is not allowed is the error.
fn check_manifest(text: &str, allowed: &[&str]) -> Result<usize, String> {
    let mut count = 0;
    for line in text.lines() {
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        let depends = line.contains(".workspace = true") || line.contains("path = \"..");
        let ours = PACKAGES.iter().any(|(package, _)| *package == name);
        if depends && ours {
            count += 1;
            if !allowed.contains(&name) {
                return Err(name.to_owned());
            }
        }
    }
    Ok(count)
}

/// The module of `shared` that a file belongs to; tests may import what they like.
fn module_of(name: &str) -> Option<(&'static str, &'static [&'static str])> {
    let below = name.strip_prefix("shared/src/")?;
    let test = below.ends_with("tests.rs") || below.contains("/tests/");
    if test || below.ends_with("problem.rs") || below == "lib.rs" {
        return None;
    }
    let module = below.split(['/', '.']).next().unwrap_or_default();
    let listed = SHARED.iter().find(|(listed, _)| *listed == module);
    // A module that nobody put into the list may import nothing.
    Some(listed.copied().unwrap_or(("(not listed)", &[])))
}

/// The modules behind every `crate::` of a file's code, without its tests.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in code_lines(text) {
        for rest in line.split("crate::").skip(1) {
            let word: String = rest
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            // `use crate::{a, b}` would hide its arrows from this reader.
            found.push(if word.is_empty() { "{".into() } else { word });
        }
    }
    found
}

fn has_unsafe(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    all_lines(text).any(|line| line.split(|c| !is_word(c)).any(|word| word == "unsafe"))
}

/// Lines of code up to the module of tests, which ends a file here.
fn code_lines(text: &str) -> impl Iterator<Item = String> {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    all_lines(text.get(..end).unwrap_or(text))
}

/// Lines without what stands in comments and between quotation marks.
fn all_lines(text: &str) -> impl Iterator<Item = String> {
    let code = text.lines().map(str::trim_start);
    code.filter(|line| !line.starts_with("//")).map(|line| {
        let line = line.split(" //").next().unwrap_or(line);
        // Marks that open or close nothing: behind a backslash, or a character of their own.
        let line = line.replace(r#"\""#, "").replace(r#"'"'"#, "");
        line.split('"').step_by(2).collect::<Vec<_>>().join(" ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_layers() {
        let said = check().unwrap();
        let arrows: usize = said.split(' ').nth(2).unwrap().parse().unwrap();
        assert!(arrows > 50, "{said}");
    }

    #[test]
    fn imports_are_found_in_code_and_not_in_tests_or_comments() {
        let text = "//! [`crate::net`]\nuse crate::ops::Operator; // crate::image\n\
            fn f(x: &crate::shape::Hwc) {}\nuse crate::{a, b};\n#[cfg(test)]\nmod tests {\n\
            use crate::net::Encoder;\n}\n";
        assert_eq!(imports(text), ["ops", "shape", "{"]);
    }

    #[test]
    fn a_new_module_and_a_wrong_arrow_are_refused() {
        let (module, allowed) = module_of("shared/src/nowhere.rs").unwrap();
        assert!(allowed.is_empty() && module == "(not listed)");
        let (module, allowed) = module_of("shared/src/ops/conv2d.rs").unwrap();
        assert!(module == "ops" && !allowed.contains(&"model"));
        assert!(module_of("shared/src/model/view/tests.rs").is_none());
        assert_eq!(
            check_manifest("shared.workspace = true", &["shared"]),
            Ok(1)
        );
        let refused = check_manifest("host = { path = \"../host\" }", &["shared"]);
        assert_eq!(refused, Err("host".into()));
    }

    #[test]
    fn unsafe_is_a_word_of_code() {
        assert!(has_unsafe("let x = unsafe { f() };"));
        assert!(has_unsafe("#[unsafe(no_mangle)]"));
        for harmless in ["// unsafe", "#![deny(unsafe_code)]", "f(\"unsafe\")"] {
            assert!(!has_unsafe(harmless), "{harmless}");
        }
    }
}
