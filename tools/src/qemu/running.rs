//! A firmware that runs in QEMU while something else is done.
//!
//! In: a [`Qemu`]. Out: its process, which is killed when it is let go. Killing is how the power fails: what
//! the program had stored by then is in the memory's file, and nothing else.

use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Qemu, QemuError, Serial};
use crate::process::{self, Captured, Collector};

/// How long QEMU may take until it listens.
const LISTEN: Duration = Duration::from_secs(20);

/// QEMU, running.
#[derive(Debug)]
pub struct Running {
    run: Qemu,
    child: Child,
    stdout: Option<Collector>,
    stderr: Option<Collector>,
}

impl Qemu {
    /// Starts the program and waits until its line takes a connection, where it has one, or it has ended.
    ///
    /// # Errors
    /// QEMU cannot be started.
    pub fn spawn(&self) -> Result<Running, QemuError> {
        let mut command = self.command();
        apart(&mut command);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|source| QemuError::Start {
            command: process::describe(&command),
            folder: self.folder.clone(),
            source,
        })?;
        let mut running = Running {
            run: self.clone(),
            stdout: child.stdout.take().map(Collector::start),
            stderr: child.stderr.take().map(Collector::start),
            child,
        };
        running.await_line();
        Ok(running)
    }

    /// The command line as a person would type it.
    #[must_use]
    pub fn describe(&self) -> String {
        process::describe(&self.command())
    }
}

/// Ctrl-C in a terminal is for the program that started QEMU, which then ends it.
fn apart(command: &mut Command) {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
}

impl Serial {
    /// Whether a connection is taken. QEMU takes the next one when this one is let go.
    fn listens(&self) -> bool {
        match self {
            #[cfg(unix)]
            Self::Unix(socket) => std::os::unix::net::UnixStream::connect(socket).is_ok(),
            #[cfg(not(unix))]
            Self::Unix(_) => true,
            // It is QEMU that connects.
            Self::To(_) => true,
            Self::Tcp(address) => std::net::TcpStream::connect(address).is_ok(),
        }
    }
}

impl Running {
    /// Whoever connects too late or too early is told so by the connection; this only makes it rare.
    fn await_line(&mut self) {
        let Some(serial) = self.run.serial.clone() else {
            return;
        };
        let start = Instant::now();
        while !serial.listens()
            && start.elapsed() < LISTEN
            && self.has_ended().is_ok_and(|ended| !ended)
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The number of QEMU's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    /// The system does not say.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// What the program and QEMU have said until now: standard output, standard error.
    #[must_use]
    pub fn said(&self) -> [String; 2] {
        let so_far = |stream: &Option<Collector>| stream.as_ref().map(Collector::so_far);
        [&self.stdout, &self.stderr].map(|stream| so_far(stream).unwrap_or_default())
    }

    /// Waits for its end, at most as long as [`Qemu::timeout`] says, and judges it as [`Qemu::run`] does.
    ///
    /// # Errors
    /// It failed, or did not end in time.
    pub fn finish(mut self) -> Result<super::Output, QemuError> {
        let status = process::wait(&mut self.child, self.run.limit);
        let status = status.map_err(|source| QemuError::Start {
            command: self.run.describe(),
            folder: self.run.folder.clone(),
            source,
        })?;
        let collected =
            |stream: Option<Collector>| stream.map(Collector::finish).unwrap_or_default();
        let captured = Captured {
            status,
            stdout: collected(self.stdout.take()),
            stderr: collected(self.stderr.take()),
        };
        self.run.judge(captured)
    }

    /// Takes its power away.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Neither can be helped: it has ended already, or the system keeps it.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_line_and_the_memory_are_where_they_were_wished() {
        let run = Qemu::new(Path::new("/elf"), "mps2-an386")
            .serial_unix(Path::new("/run/a,b"))
            .memory(Path::new("/nv.bin"), 16);
        let said = run.describe();
        for part in [
            "-M mps2-an386,memory-backend=nv ",
            "-object memory-backend-file,id=nv,size=16,mem-path=/nv.bin,share=on ",
            "-serial unix:/run/a,,b,server=on,wait=off ",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
        let tcp = run.serial_tcp(([127, 0, 0, 1], 4000).into()).describe();
        assert!(
            tcp.contains("-serial tcp:127.0.0.1:4000,server=on,wait=off"),
            "{tcp}"
        );
    }

    #[test]
    fn what_does_not_start_is_told() {
        let missing = Path::new("/no/such/program");
        let run = Qemu::new(missing, "mps2-an386").timeout(Duration::from_secs(60));
        if !process::on_path("qemu-system-arm") {
            assert!(matches!(run.spawn(), Err(QemuError::Start { .. })));
            return;
        }
        let running = run.spawn().unwrap();
        assert!(running.pid() > 0);
        let error = running.finish().unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }
}
