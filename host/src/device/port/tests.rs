//! Addresses, and what tells broken ports apart.

use super::*;

#[test]
fn addresses_are_read_and_written() {
    for text in [
        "/dev/ttyACM0",
        "COM3",
        "unix:/run/x",
        "tcp:localhost:4000",
        "tcp:[::1]:4000",
        "sim",
    ] {
        let address: Address = text.parse().unwrap();
        assert_eq!(address.to_string(), text);
    }
    for wrong in ["", "unix:", "tcp:", "tcp:localhost", "tcp:localhost:high"] {
        assert!(wrong.parse::<Address>().is_err(), "{wrong}");
    }
}

fn error(port: &str) -> PortError {
    Port::open(&port.parse().unwrap()).unwrap_err()
}

#[test]
fn each_reason_is_told_apart() {
    assert!(matches!(
        error("/dev/no-such-port"),
        PortError::NotThere { .. }
    ));
    assert!(matches!(
        error("unix:/no/such/socket"),
        PortError::NobodyListens { .. }
    ));
    // Bound and let go: nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    assert!(matches!(
        error(&format!("tcp:127.0.0.1:{port}")),
        PortError::NobodyListens { .. }
    ));
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    assert!(
        matches!(error(&path), PortError::Other { .. }),
        "no serial port"
    );
    let serial = Address::Serial("/dev/ttyACM0".into());
    let denied = told_apart(&serial, ErrorKind::PermissionDenied.into());
    assert!(denied.to_string().contains("usermod"), "{denied}");
    let busy = told_apart(&serial, ErrorKind::ResourceBusy.into());
    assert!(busy.to_string().contains("fuser"), "{busy}");
}

/// A pseudo-terminal is a serial port without a device.
#[cfg(target_os = "linux")]
#[test]
fn a_serial_port_is_for_one_program() {
    use std::os::fd::{AsFd, AsRawFd};
    let (_controller, terminal) = SerialPort::pair().unwrap();
    let number = terminal.as_fd().as_raw_fd();
    let path = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
    let address = Address::Serial(path);
    let first = Port::open(&address).unwrap();
    let second = Port::open(&address).unwrap_err();
    assert!(matches!(second, PortError::Busy { .. }), "{second}");
    drop(first);
    Port::open(&address).unwrap();
}
