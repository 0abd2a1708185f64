//! Where the simulated device is: a small file that `onelook simulate` leaves while it runs.
//!
//! In: the folder of the simulator. Out: the port to connect to, when one is running.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tools::SetupError;
use tools::cache::Cache;

use crate::files::{WriteError, write_whole};

const FILE: &str = "simulator.json";
/// Longest path of a socket that every system takes (macOS: 104 bytes with the zero).
const LONGEST_SOCKET: usize = 100;

/// A simulator that runs, or did until it was killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulator {
    /// What `--port` takes.
    pub port: String,
    /// QEMU's process.
    pub pid: u32,
    /// The board.
    pub board: String,
    /// The file that is its flash.
    pub flash: PathBuf,
}

/// The folder in which the simulator works.
///
/// # Errors
/// There is no cache folder and none can be created.
pub fn folder() -> Result<PathBuf, SetupError> {
    Ok(Cache::open()?.path("simulator"))
}

/// A place for its socket: in `folder`, or, where that path is too long for one, among the temporary
/// files.
#[must_use]
pub fn socket(folder: &Path) -> PathBuf {
    let socket = folder.join("uart.sock");
    if socket.as_os_str().len() <= LONGEST_SOCKET {
        return socket;
    }
    let name = format!("onelook-{}.sock", std::process::id());
    std::env::temp_dir().join(name)
}

/// The simulator that runs now.
#[must_use]
pub fn running() -> Option<Simulator> {
    running_in(&folder().ok()?)
}

/// The simulator that runs in `folder` now.
#[must_use]
pub fn running_in(folder: &Path) -> Option<Simulator> {
    let text = std::fs::read(folder.join(FILE)).ok()?;
    let simulator: Simulator = serde_json::from_slice(&text).ok()?;
    simulator.is_alive().then_some(simulator)
}

impl Simulator {
    /// Whether its process is there and has its flash among its arguments: another process may have got
    /// its number since, and one that was killed has no arguments. Where it cannot be told, connecting will.
    fn is_alive(&self) -> bool {
        let processes = Path::new("/proc");
        if !processes.join("self").exists() {
            return true;
        }
        let arguments = std::fs::read(processes.join(self.pid.to_string()).join("cmdline"));
        let arguments = String::from_utf8_lossy(&arguments.unwrap_or_default()).into_owned();
        let flash = self.flash.file_name().unwrap_or_default().to_string_lossy();
        // QEMU writes a comma twice.
        arguments.contains(&flash.replace(',', ",,"))
    }

    /// Tells the others where it is.
    ///
    /// # Errors
    /// [`WriteError`] naming the file.
    pub fn publish(&self, folder: &Path) -> Result<(), WriteError> {
        let path = folder.join(FILE);
        let text = serde_json::to_vec_pretty(self).map_err(|error| WriteError {
            path: path.clone(),
            source: io::Error::other(error),
        })?;
        write_whole(&path, &text)
    }
}

/// Tells the others that it is gone.
pub fn withdraw(folder: &Path) {
    // A file that stays names a process that is gone, which `running` finds out.
    std::fs::remove_file(folder.join(FILE)).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_found_while_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(running_in(folder), None);
        let mut simulator = Simulator {
            port: "unix:/run/x".into(),
            pid: std::process::id(),
            board: "an386".into(),
            // What this process was started with.
            flash: std::env::current_exe().unwrap(),
        };
        simulator.publish(folder).unwrap();
        assert_eq!(running_in(folder).as_ref(), Some(&simulator));
        if Path::new("/proc/self").exists() {
            // No process has such a number; and a process that has it is another.
            for (pid, flash) in [
                (u32::MAX, simulator.flash.clone()),
                (simulator.pid, "nv.bin".into()),
            ] {
                (simulator.pid, simulator.flash) = (pid, flash);
                simulator.publish(folder).unwrap();
                assert_eq!(running_in(folder), None);
            }
        }
        withdraw(folder);
        assert_eq!(running_in(folder), None);
    }

    #[test]
    fn a_socket_s_path_is_short_enough() {
        assert!(socket(Path::new("/run/x")).starts_with("/run/x"));
        let long = PathBuf::from(format!("/{}", "x".repeat(120)));
        assert!(!socket(&long).starts_with(&long));
    }
}
