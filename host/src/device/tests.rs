//! The client against a device on a bad line, and against things that are no device.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::Duration;

use shared::link::{Event, Fault, PROTOCOL, Settings};

use super::client::{Client, Pace};
use super::fake::{End, Mischief, line, start};
use super::images::Grey;
use super::{Address, DeviceError, Port};

/// As short as a busy computer allows.
const QUICK: Pace = Pace {
    first: Duration::from_millis(20),
    most: Duration::from_millis(60),
    patience: Duration::from_millis(400),
    work: Duration::from_millis(600),
};

/// For lines that lose much: what is asked often enough comes through.
const PATIENT: Pace = Pace {
    patience: Duration::from_secs(20),
    work: Duration::from_secs(20),
    ..QUICK
};

fn connect(host: End, pace: Pace) -> Result<Client<'static, End>, DeviceError> {
    Client::connect(host, pace, Box::new(|_| {}))
}

fn picture(seed: u8) -> Grey {
    let pixels = (0..60 * 50).map(|index: usize| (index * 7 % 256) as u8 ^ seed);
    Grey::new(60, 50, pixels.collect()).unwrap()
}

/// One of everything, over a line of that kind; nothing may be carried out twice or be lost.
fn everything(mischief: Mischief, seed: u64) {
    let (host, device) = start(mischief, seed);
    let mut client = connect(host, PATIENT).unwrap();
    assert_eq!(client.greeting().board, "fake");
    for (sample, label) in [(1, "A"), (2, "B"), (3, "ü")] {
        let shown = client.write_capture(&picture(sample)).unwrap();
        assert_eq!((shown.h, shown.w), (60, 50));
        let enrolled = client.enrol(label, false).unwrap();
        assert_eq!(enrolled.sample, u32::from(sample));
    }
    let twin = client.enrol("C", false).unwrap_err();
    let fault = twin.refusal().unwrap().fault;
    assert_eq!(fault, Fault::Duplicate { sample: 3 });
    let list = client.list().unwrap();
    let labels: Vec<&str> = list.iter().map(|sample| sample.label.as_str()).collect();
    assert_eq!(labels, ["A", "B", "ü"]);
    assert_eq!(client.read_sample(2, 60, 50).unwrap(), picture(2));
    let shot = client.capture().unwrap();
    assert_eq!(client.read_capture(shot).unwrap().pixels.len(), 2000);
    let settings = Settings {
        far_ppm: 5,
        offset: -3,
    };
    assert_eq!(client.configure(settings).unwrap(), settings);
    let model: Vec<u8> = (0..10_000_u32).map(|index| (index / 3) as u8).collect();
    client.send_model(&model, &mut |_, _| {}).unwrap();
    client.update_commit(None).unwrap();
    drop(client);
    let device = device.join().unwrap();
    assert_eq!(device.samples.len(), 3);
    assert_eq!(device.settings, Some(settings));
    assert!(device.committed && device.model == model);
}

#[test]
fn a_good_line() {
    everything(Mischief::default(), 1);
}

#[test]
fn a_line_that_loses_doubles_and_damages() {
    let mischief = Mischief {
        lost: 0.1,
        doubled: 0.1,
        damaged: 0.1,
        events: 0.2,
        busy: 0.1,
        ..Mischief::default()
    };
    for seed in 0..4 {
        everything(mischief, seed);
    }
}

#[test]
fn a_line_that_doubles_everything() {
    everything(
        Mischief {
            doubled: 1.0,
            ..Mischief::default()
        },
        5,
    );
}

#[test]
fn events_reach_the_callback() {
    let (host, device) = start(
        Mischief {
            events: 1.0,
            ..Mischief::default()
        },
        1,
    );
    let heard = Rc::new(RefCell::new(Vec::new()));
    let sink = Rc::clone(&heard);
    let on_event = move |event: Event<'_>| {
        if let Event::Log(line) = event {
            sink.borrow_mut().push(line.to_owned());
        }
    };
    let mut client = Client::connect(host, PATIENT, Box::new(on_event)).unwrap();
    client.info().unwrap();
    client.listen(Duration::from_millis(5)).unwrap();
    drop(client);
    device.join().unwrap();
    assert_eq!(*heard.borrow(), ["something happened"; 2]);
}

/// Something that is no device at the other end: it says `answer` to whatever comes.
fn connect_to(answer: impl Fn() -> Vec<u8> + Send + 'static) -> DeviceError {
    let (host, mut end) = line();
    let other = std::thread::spawn(move || {
        let mut buffer = [0; 512];
        loop {
            match end.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => end.write_all(&answer()).unwrap_or(()),
                Err(_) => {}
            }
        }
    });
    let error = connect(host, QUICK).err().unwrap();
    other.join().unwrap();
    error
}

#[test]
fn silence_is_told_from_another_device() {
    let silent = connect_to(Vec::new);
    assert!(matches!(silent, DeviceError::Silent { .. }), "{silent}");
    let modem = connect_to(|| b"AT\r\nERROR\r\n".to_vec());
    assert!(matches!(modem, DeviceError::NotOurs { .. }), "{modem}");
    assert!(modem.to_string().contains("ERROR"), "{modem}");
    // Frames, but none that is whole.
    let noise = connect_to(|| vec![3, 1, 2, 0, 9, 9, 0]);
    assert!(matches!(noise, DeviceError::NotOurs { .. }), "{noise}");
}

#[test]
fn another_version_is_told_apart() {
    let speak = |protocol| {
        let (host, device) = start(
            Mischief {
                protocol: Some(protocol),
                ..Mischief::default()
            },
            1,
        );
        let error = connect(host, QUICK).err().unwrap();
        device.join().unwrap();
        error
    };
    assert!(matches!(speak(PROTOCOL - 1), DeviceError::TooOld { .. }));
    assert!(matches!(speak(PROTOCOL + 1), DeviceError::TooNew { .. }));
}

#[test]
fn a_lost_link_is_told_from_a_device_that_hangs() {
    let (host, device) = start(
        Mischief {
            cut_after: Some(1),
            ..Mischief::default()
        },
        1,
    );
    let mut client = connect(host, QUICK).unwrap();
    let cut = client.info().unwrap_err();
    assert!(matches!(cut, DeviceError::LinkLost { .. }), "{cut}");
    device.join().unwrap();

    // Answers the first request and none after it, but is there.
    let (host, mut end) = line();
    let other = std::thread::spawn(move || {
        let hello = super::fake::framed(&hello_reply());
        let mut buffer = [0; 512];
        let mut answered = false;
        loop {
            match end.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) if !answered => {
                    answered = true;
                    end.write_all(&hello).unwrap();
                }
                _ => {}
            }
        }
    });
    let mut client = connect(host, QUICK).unwrap();
    let hung = client.info().unwrap_err();
    assert!(
        matches!(hung, DeviceError::NoAnswer { tries: 2.., .. }),
        "{hung}"
    );
    assert!(hung.to_string().contains("tell its state"), "{hung}");
    drop(client);
    other.join().unwrap();
}

fn hello_reply() -> shared::link::Packet<'static> {
    use shared::link::{Hello, Packet, Reply};
    let hello = Hello {
        protocol: PROTOCOL,
        board: "x",
        firmware: "y",
        model: [0; 16],
    };
    // The number of the client's first request.
    let id = (std::process::id() as u16).wrapping_add(1);
    Packet::Reply {
        id,
        result: Ok(Reply::Hello(hello)),
    }
}

#[test]
fn a_device_that_is_always_busy_is_given_up() {
    let (host, device) = start(
        Mischief {
            busy: 1.0,
            ..Mischief::default()
        },
        1,
    );
    let error = connect(host, QUICK).err().unwrap();
    assert!(matches!(error, DeviceError::NoAnswer { .. }), "{error}");
    device.join().unwrap();
}

#[test]
fn a_model_goes_on_where_it_stopped() {
    let model: Vec<u8> = (0..5000_u32).map(|index| index as u8).collect();
    let (host, device) = start(Mischief::default(), 1);
    let mut client = connect(host, QUICK).unwrap();
    // What was there when the first transfer was cut.
    client.send_model(&model, &mut |_, _| {}).unwrap();
    let mut seen = Vec::new();
    client
        .send_model(&model, &mut |done, of| seen.push((done, of)))
        .unwrap();
    assert_eq!(seen, [(5000, 5000)], "nothing is sent again");
    client.update_commit(None).unwrap();
    drop(client);
    assert!(device.join().unwrap().committed);
}

#[test]
fn a_device_that_leads_astray_is_given_up() {
    let (host, device) = start(
        Mischief {
            astray: true,
            ..Mischief::default()
        },
        1,
    );
    let mut client = connect(host, QUICK).unwrap();
    let error = client.send_model(&[0; 5000], &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, DeviceError::Astray { .. }), "{error}");
    drop(client);
    device.join().unwrap();
}

#[test]
fn an_unknown_request_is_refused_with_the_next_step() {
    let (host, device) = start(Mischief::default(), 1);
    let mut client = connect(host, QUICK).unwrap();
    let error = client.undo().unwrap_err().to_string();
    assert!(
        error.contains("take back") && error.contains("next: flash"),
        "{error}"
    );
    assert!(matches!(
        client.enrol(&"x".repeat(2000), false),
        Err(DeviceError::TooLong { .. })
    ));
    drop(client);
    device.join().unwrap();
}

/// The real thing under the client: sockets.
#[test]
fn over_tcp() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: Address = format!("tcp:{}", server.local_addr().unwrap())
        .parse()
        .unwrap();
    let (mut host, device) = start(Mischief::default(), 1);
    let bridge = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(2)))
            .unwrap();
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => host.write_all(&buffer[..count]).unwrap(),
                Err(_) => {}
            }
            if let Ok(count) = host.read(&mut buffer) {
                stream.write_all(&buffer[..count]).unwrap();
            }
        }
    });
    let port = Port::open(&address).unwrap();
    let mut client = Client::connect(port, PATIENT, Box::new(|_| {})).unwrap();
    client.write_capture(&picture(1)).unwrap();
    assert_eq!(client.enrol("A", false).unwrap().sample, 1);
    drop(client);
    bridge.join().unwrap();
    device.join().unwrap();
}
