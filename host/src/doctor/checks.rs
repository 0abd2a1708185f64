//! What each check looks at.
//!
//! In: this computer. Out: what was found, in words. A check never installs and never fails itself: what it
//! cannot find out is what it found.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tools::cache::Cache;
use tools::{SetupError, firmware, libtorch, onnxruntime, process, qemu};

use super::{Found, State};
use crate::device::{Address, Client, Pace, Port, PortError, port, simulator};
use crate::omniglot::Places;

/// Below this nothing can be installed or built.
const LEAST_MB: u64 = 300;
/// What libtorch needs while it is unpacked, and a build with it.
const ENOUGH_MB: u64 = 7000;

fn found(state: State, words: impl Into<String>) -> Found {
    let words = words.into();
    Found { state, words }
}

/// The first line of an error: its next step is the check's fix.
fn first_line(error: impl std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().into()
}

pub(super) fn rust(_: Option<&Address>) -> Found {
    let mut command = Command::new("rustc");
    command.arg("-V").current_dir(tools::repo::root());
    match process::capture(&mut command, Duration::from_secs(60)) {
        Ok(said) if said.status.is_some_and(|status| status.success()) => {
            found(State::Ok, said.stdout.trim())
        }
        Ok(said) => found(
            State::Warn,
            format!("rustc: {}", process::tail(&said.stderr, 1)),
        ),
        Err(error) => found(State::Warn, format!("rustc cannot be run: {error}")),
    }
}

pub(super) fn thumbv7em(_: Option<&Address>) -> Found {
    compiler(firmware::AN386.target)
}

pub(super) fn thumbv8m(_: Option<&Address>) -> Found {
    compiler(firmware::AN547.target)
}

fn compiler(target: &str) -> Found {
    match firmware::installed(target) {
        Some(words) => found(State::Ok, words),
        None => found(State::Warn, format!("none for {target} yet")),
    }
}

pub(super) fn libtorch(_: Option<&Address>) -> Found {
    installed(libtorch::installed())
}

pub(super) fn onnxruntime(_: Option<&Address>) -> Found {
    installed(onnxruntime::installed())
}

fn installed(place: Result<Option<PathBuf>, SetupError>) -> Found {
    match place {
        Ok(Some(place)) => found(State::Ok, place.display().to_string()),
        Ok(None) => found(State::Warn, "not installed yet"),
        // What the user has set is wrong: nothing else is tried then.
        Err(error) => found(State::Fail, first_line(error)),
    }
}

pub(super) fn qemu(_: Option<&Address>) -> Found {
    match qemu::installed() {
        Some(version) => found(State::Ok, version),
        None => found(State::Warn, "there is no qemu-system-arm on the PATH"),
    }
}

pub(super) fn data(_: Option<&Address>) -> Found {
    let cache = match Cache::open() {
        Ok(cache) => cache,
        Err(error) => return found(State::Warn, first_line(error)),
    };
    let places = Places::of_process(None, cache.path("omniglot"));
    let named = places.variable.is_some();
    match places.locate() {
        Ok(source) => found(State::Ok, source.folder().display().to_string()),
        Err(error) if named => found(State::Fail, first_line(error)),
        Err(_) => found(State::Warn, "not downloaded yet"),
    }
}

pub(super) fn cache(_: Option<&Address>) -> Found {
    let written = Cache::open().and_then(|cache| {
        let folder = cache.path("");
        let shown = folder.display().to_string();
        tempfile::NamedTempFile::new_in(&folder)
            .map(|_| shown.clone())
            .map_err(|source| SetupError::Io {
                action: "write to",
                path: folder.clone(),
                source,
                next: String::new(),
            })
    });
    match written {
        Ok(folder) => found(State::Ok, folder),
        Err(error) => found(State::Fail, first_line(error)),
    }
}

pub(super) fn space(_: Option<&Address>) -> Found {
    match Cache::open().and_then(|cache| cache.free_mb()) {
        Ok(free @ 0..LEAST_MB) => found(State::Fail, format!("{free} MB")),
        Ok(free @ LEAST_MB..ENOUGH_MB) => found(State::Warn, format!("{free} MB")),
        Ok(free) => found(State::Ok, format!("{free} MB")),
        Err(error) => found(State::Warn, first_line(error)),
    }
}

pub(super) fn ports(_: Option<&Address>) -> Found {
    let ports = port::available();
    let state = if ports.is_empty() {
        State::Warn
    } else {
        State::Ok
    };
    found(state, port::ports_in_words(&ports))
}

pub(super) fn permission(_: Option<&Address>) -> Found {
    let (mut opened, mut denied, mut others) = (0, Vec::new(), Vec::new());
    for path in port::available() {
        match Port::open(&Address::Serial(path.clone())) {
            Ok(_) => opened += 1,
            Err(PortError::Permission { port, .. }) => {
                let group = port::owning_group(&path).unwrap_or_else(|| "another user".into());
                denied.push(format!("{port} belongs to {group}"));
            }
            Err(error) => others.push(first_line(error)),
        }
    }
    if !denied.is_empty() {
        return found(State::Fail, denied.join("; "));
    }
    if !others.is_empty() {
        return found(State::Warn, others.join("; "));
    }
    match opened {
        0 => found(State::Ok, "there is no port to try"),
        count => found(State::Ok, format!("{count} can be opened")),
    }
}

/// Asks the device at the port that was named, or the simulator that runs.
pub(super) fn device(port: Option<&Address>) -> Found {
    let running = simulator::running().map(|_| Address::Simulator);
    let Some(address) = port.or(running.as_ref()) else {
        return found(
            State::Ok,
            "no port was named, and no simulator runs: not asked",
        );
    };
    let stream = match Port::open(address) {
        Ok(stream) => stream,
        Err(error) => return found(State::Fail, first_line(error)),
    };
    let pace = Pace {
        patience: Duration::from_secs(4),
        ..Pace::default()
    };
    match Client::connect(stream, pace, Box::new(|_| {})) {
        Ok(client) => {
            let greeting = client.greeting();
            let words = format!(
                "{address}: {}, firmware {}",
                greeting.board, greeting.firmware
            );
            match greeting.model {
                Some(_) => found(State::Ok, words),
                None => found(
                    State::Warn,
                    format!("{words}; it has no model: `onelook device update-model FILE`"),
                ),
            }
        }
        Err(error) => found(State::Fail, format!("{address}: {}", first_line(error))),
    }
}
