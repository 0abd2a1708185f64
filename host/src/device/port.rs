//! Where a device is, and the byte stream to it.
//!
//! In: what the user gave with `--port`. Out: a stream whose `read` gives up after a short while, or an
//! error that tells what is wrong with the port itself.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serial2::SerialPort;

use super::simulator;

#[cfg(test)]
mod tests;

/// Speed of a serial line; USB ignores it.
const BAUD: u32 = 115_200;
/// How long a read waits for a first byte.
const READ: Duration = Duration::from_millis(50);
/// How long a write waits for room.
const WRITE: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(5);

/// Where a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A serial port: `/dev/ttyACM0`, `COM3`.
    Serial(PathBuf),
    /// A socket in the file system: `unix:/path`.
    Unix(PathBuf),
    /// A socket in the network: `tcp:host:port`.
    Tcp(String),
    /// The running simulator: `sim`.
    Simulator,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "sim" {
            return Ok(Self::Simulator);
        }
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        if let Some(host) = text.strip_prefix("tcp:") {
            let port = host
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse::<u16>().ok());
            return match port {
                Some(_) => Ok(Self::Tcp(host.into())),
                None => Err("a TCP port is written tcp:HOST:PORT".into()),
            };
        }
        if text.is_empty() || text == "unix:" {
            return Err(
                "a port is /dev/ttyACM0 (or COM3), unix:/path, tcp:HOST:PORT or sim".into(),
            );
        }
        Ok(Self::Serial(text.into()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial(path) => path.display().fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp:{host}"),
            Self::Simulator => f.write_str("sim"),
        }
    }
}

/// A port could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// It is not there.
    #[error("there is no port {port}\nnext: plug the device in with a data cable; {found}")]
    NotThere {
        /// The port.
        port: String,
        /// Ports that are there, in words.
        found: String,
    },
    /// This user may not open it.
    #[error("you may not open {port}\nnext: {next}")]
    Permission {
        /// The port.
        port: String,
        /// What to do.
        next: String,
    },
    /// Another program has it.
    #[error(
        "{port} is in use by another program\nnext: close it (a serial monitor, another onelook); `fuser -v {port}` names it"
    )]
    Busy {
        /// The port.
        port: String,
    },
    /// Nothing listens at a socket.
    #[error(
        "nothing listens at {port}\nnext: start the simulator with `onelook simulate`, or correct the address"
    )]
    NobodyListens {
        /// The port.
        port: String,
    },
    /// `sim`, and no simulator runs.
    #[error(
        "no simulator is running\nnext: start one with `onelook simulate` in another terminal, then run the same command again"
    )]
    NoSimulator,
    /// Sockets in the file system are not for this system.
    #[error("{port}: this system has no such sockets\nnext: use tcp:127.0.0.1:PORT")]
    NotHere {
        /// The port.
        port: String,
    },
    /// Anything else.
    #[error("cannot open {port}: {source}\nnext: look whether it is a serial port or a socket")]
    Other {
        /// The port.
        port: String,
        /// Why.
        source: io::Error,
    },
}

/// An open port.
#[derive(Debug)]
pub enum Port {
    /// A serial port.
    Serial(SerialPort, Claim),
    /// A socket in the file system.
    #[cfg(unix)]
    Unix(UnixStream),
    /// A socket in the network.
    Tcp(TcpStream),
}

/// Keeps other programs of this family off a serial port while it is open.
#[derive(Debug)]
pub struct Claim {
    #[cfg(unix)]
    _lock: std::fs::File,
}

impl Port {
    /// Opens the port.
    ///
    /// # Errors
    /// [`PortError`]: what is wrong, and what to do.
    pub fn open(address: &Address) -> Result<Self, PortError> {
        match address {
            Address::Simulator => {
                let simulator = simulator::running().ok_or(PortError::NoSimulator)?;
                let address: Address =
                    simulator.port.parse().map_err(|_| PortError::NoSimulator)?;
                match address {
                    Address::Simulator => Err(PortError::NoSimulator),
                    other => Self::open(&other),
                }
            }
            Address::Serial(path) => serial(path).map_err(|error| told_apart(address, error)),
            Address::Unix(path) => unix(path).map_err(|error| told_apart(address, error)),
            Address::Tcp(host) => tcp(host).map_err(|error| told_apart(address, error)),
        }
    }
}

fn serial(path: &Path) -> io::Result<Port> {
    let mut port = SerialPort::open(path, BAUD)?;
    port.set_read_timeout(READ)?;
    port.set_write_timeout(WRITE)?;
    let claim = claim(&port)?;
    // What a device said to nobody is not an answer.
    port.discard_input_buffer()?;
    // Many USB devices send only to a host that is ready.
    port.set_dtr(true).ok();
    Ok(Port::Serial(port, claim))
}

#[cfg(unix)]
fn claim(port: &SerialPort) -> io::Result<Claim> {
    use std::os::fd::AsFd;
    let lock = std::fs::File::from(port.as_fd().try_clone_to_owned()?);
    match lock.try_lock() {
        Ok(()) => Ok(Claim { _lock: lock }),
        Err(std::fs::TryLockError::WouldBlock) => Err(ErrorKind::ResourceBusy.into()),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(not(unix))]
fn claim(_port: &SerialPort) -> io::Result<Claim> {
    // Windows opens a serial port for one program only.
    Ok(Claim {})
}

#[cfg(unix)]
fn unix(path: &Path) -> io::Result<Port> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(READ))?;
    stream.set_write_timeout(Some(WRITE))?;
    Ok(Port::Unix(stream))
}

#[cfg(not(unix))]
fn unix(_path: &Path) -> io::Result<Port> {
    Err(ErrorKind::Unsupported.into())
}

fn tcp(host: &str) -> io::Result<Port> {
    let mut last = io::Error::from(ErrorKind::NotFound);
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(READ))?;
                stream.set_write_timeout(Some(WRITE))?;
                stream.set_nodelay(true)?;
                return Ok(Port::Tcp(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn told_apart(address: &Address, source: io::Error) -> PortError {
    let port = address.to_string();
    let socket = !matches!(address, Address::Serial(_));
    match source.kind() {
        ErrorKind::ConnectionRefused => PortError::NobodyListens { port },
        ErrorKind::NotFound if socket => PortError::NobodyListens { port },
        ErrorKind::NotFound => PortError::NotThere {
            port,
            found: ports_in_words(&available()),
        },
        ErrorKind::PermissionDenied => {
            let next = permission_fix(address);
            PortError::Permission { port, next }
        }
        ErrorKind::ResourceBusy => PortError::Busy { port },
        ErrorKind::Unsupported if socket => PortError::NotHere { port },
        _ => PortError::Other { port, source },
    }
}

/// The serial ports of this computer that a device may be at.
#[must_use]
pub fn available() -> Vec<PathBuf> {
    let mut ports = SerialPort::available_ports().unwrap_or_default();
    // Linux makes 32 of these whether or not there is a chip behind them.
    ports.retain(|port| !port.to_string_lossy().starts_with("/dev/ttyS"));
    ports.sort();
    ports
}

/// `/dev/ttyACM0, /dev/ttyUSB0`, in a sentence.
#[must_use]
pub fn ports_in_words(ports: &[PathBuf]) -> String {
    if ports.is_empty() {
        return "no serial port of a device is there now".into();
    }
    let names: Vec<String> = ports
        .iter()
        .map(|port| port.display().to_string())
        .collect();
    format!("serial ports that are there now: {}", names.join(", "))
}

fn permission_fix(address: &Address) -> String {
    let Address::Serial(path) = address else {
        return "start the simulator as the same user, or change the socket's permissions".into();
    };
    let group = owning_group(path).unwrap_or_else(|| "dialout".into());
    format!("`sudo usermod -aG {group} $USER`, then log out and in again")
}

/// The name of the group that owns a port, where there is such a thing.
#[must_use]
pub fn owning_group(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let gid = std::fs::metadata(path).ok()?.gid().to_string();
        let groups = std::fs::read_to_string("/etc/group").ok()?;
        let line = groups
            .lines()
            .find(|line| line.split(':').nth(2) == Some(&gid))?;
        let name = line.split(':').next()?;
        // Adding a user to root's own group would be a bad way in.
        (name != "root").then(|| name.to_owned())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Serial(port, _) => port.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Port {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Serial(port, _) => port.write(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(buffer),
            Self::Tcp(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            // Waits in the kernel without a limit; the answer tells as much.
            Self::Serial(..) => Ok(()),
            #[cfg(unix)]
            Self::Unix(stream) => stream.flush(),
            Self::Tcp(stream) => stream.flush(),
        }
    }
}
