//! What on this computer may keep Onelook from working, and how to mend it.
//!
//! In: this computer, and a port when one is named. Out: a [`Finding`] for each [`Check`], under a code that
//! stays the same, so that it can be asked about and looked up. Nothing is installed or changed here.

mod checks;

use serde::Serialize;

use crate::device::Address;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Ok,
    /// Something is missing, which is installed when it is needed, or needed for some commands only.
    Warn,
    /// Something does not work.
    Fail,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    state: State,
    words: String,
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its code: never given to another check.
    pub code: &'static str,
    /// Its subject.
    pub title: &'static str,
    /// What needs it.
    pub needed_for: &'static str,
    /// How to mend it.
    pub fix: &'static str,
    run: fn(Option<&Address>) -> Found,
}

/// A check and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's code.
    pub code: &'static str,
    /// Its subject.
    pub title: &'static str,
    /// How it ended.
    pub state: State,
    /// What was found.
    pub found: String,
    /// How to mend it; absent when there is nothing to mend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<&'static str>,
}

/// All checks, in the order in which things are needed.
pub const CHECKS: [Check; 12] = [
    Check {
        code: "OL-D001",
        title: "Rust toolchain",
        needed_for: "everything that is built from source",
        fix: "install Rust with rustup (https://rustup.rs); the repository names the version",
        run: checks::rust,
    },
    Check {
        code: "OL-D002",
        title: "compiler for Cortex-M4 and M7",
        needed_for: "firmware for an386 and an500, `simulate`, `evaluate --engine device`",
        fix: "run `rustup target add thumbv7em-none-eabihf`, or `cargo xtask setup firmware`",
        run: checks::thumbv7em,
    },
    Check {
        code: "OL-D003",
        title: "compiler for Cortex-M33 and M55",
        needed_for: "firmware for an505 and an547",
        fix: "run `rustup target add thumbv8m.main-none-eabihf`, or `cargo xtask setup firmware`",
        run: checks::thumbv8m,
    },
    Check {
        code: "OL-D004",
        title: "libtorch",
        needed_for: "`train-export`, `search`, `heads`",
        fix: "nothing, it is installed at the first training; or run `cargo xtask setup libtorch`, or unset LIBTORCH when it names a wrong one",
        run: checks::libtorch,
    },
    Check {
        code: "OL-D005",
        title: "onnxruntime",
        needed_for: "`verify`, `bench`, `import`, `train-export`",
        fix: "nothing, it is installed when it is needed; or set ORT_DYLIB_PATH to its library",
        run: checks::onnxruntime,
    },
    Check {
        code: "OL-D006",
        title: "QEMU",
        needed_for: "`simulate`, `evaluate --engine device`, the firmware's tests",
        fix: "run `cargo xtask setup qemu`, or `sudo apt-get install qemu-system-arm`",
        run: checks::qemu,
    },
    Check {
        code: "OL-D007",
        title: "Omniglot",
        needed_for: "`train-export`, `evaluate`",
        fix: "run `onelook download`, or point ONELOOK_DATA at a folder that has it; without it: --dataset synthetic",
        run: checks::data,
    },
    Check {
        code: "OL-D008",
        title: "cache folder",
        needed_for: "everything that is downloaded or installed, `simulate`",
        fix: "set ONELOOK_CACHE to a folder that you can write to",
        run: checks::cache,
    },
    Check {
        code: "OL-D009",
        title: "free space",
        needed_for: "libtorch (2 GB while it is unpacked), the builds (5 GB)",
        fix: "free some space, or set ONELOOK_CACHE to a folder on a larger disk",
        run: checks::space,
    },
    Check {
        code: "OL-D010",
        title: "serial ports",
        needed_for: "a device on the desk",
        fix: "plug the device in with a data cable (many cables only charge); in a virtual machine or container, pass the USB device through; without a device: `onelook simulate`",
        run: checks::ports,
    },
    Check {
        code: "OL-D011",
        title: "permission for serial ports",
        needed_for: "a device on the desk",
        fix: "run `sudo usermod -aG dialout $USER` (Arch: uucp), then log out and in again; close serial monitors",
        run: checks::permission,
    },
    Check {
        code: "OL-D012",
        title: "device",
        needed_for: "`device …`",
        fix: "name its port with --port; if it does not answer: press its reset button, flash the firmware, look whether another program holds the port",
        run: checks::device,
    },
];

/// Runs all checks.
#[must_use]
pub fn examine(port: Option<&Address>) -> Vec<Finding> {
    let findings = CHECKS.iter().map(|check| {
        let Found { state, words } = (check.run)(port);
        Finding {
            code: check.code,
            title: check.title,
            state,
            found: words,
            fix: (state != State::Ok).then_some(check.fix),
        }
    });
    findings.collect()
}

/// The checks as a table in Markdown: what `docs/doctor.md` shows.
#[must_use]
pub fn table() -> String {
    let mut table =
        String::from("| code | what | needed for | how to mend it |\n|---|---|---|---|\n");
    for Check {
        code,
        title,
        needed_for,
        fix,
        ..
    } in &CHECKS
    {
        table += &format!("| {code} | {title} | {needed_for} | {fix} |\n");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_the_checks_that_there_are() {
        let path = tools::repo::root().join("docs/doctor.md");
        let page = std::fs::read_to_string(path).unwrap();
        assert!(
            page.contains(&table()),
            "put this into docs/doctor.md:\n{}",
            table()
        );
    }

    #[test]
    fn codes_are_in_order_and_each_is_there_once() {
        let codes: Vec<&str> = CHECKS.iter().map(|check| check.code).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
        assert!(codes.iter().all(|code| code.starts_with("OL-D0")));
    }

    #[test]
    fn a_port_that_is_not_there_fails_with_its_reason() {
        let port: Address = "/dev/no-such-port".parse().unwrap();
        let found = checks::device(Some(&port));
        assert_eq!(found.state, State::Fail);
        assert!(found.words.contains("/dev/no-such-port"), "{}", found.words);
    }
}
