//! Endpoint 0 as a host sees it: whole transfers, packet by packet.
//!
//! In: requests. Out: what the host gets, or that it was refused.
#![allow(clippy::panic, reason = "helpers of tests")]

use super::*;

const SERIAL: [u8; 16] = *b"0123456789ABCDEF";

fn device() -> Control {
    Control::new("Onelook on a board", SERIAL)
}

fn request(kind: u8, request: u8, value: u16, index: u16, length: u16) -> [u8; 8] {
    let [v0, v1] = value.to_le_bytes();
    let [i0, i1] = index.to_le_bytes();
    let [l0, l1] = length.to_le_bytes();
    [kind, request, v0, v1, i0, i1, l0, l1]
}

/// Reads as a host does: until all that was asked for is there, or a packet is short. `None`: refused.
fn read(control: &mut Control, packet: [u8; 8]) -> Option<(Vec<u8>, usize)> {
    let asked = usize::from(u16::from_le_bytes([packet[6], packet[7]]));
    let (mut bytes, mut packets) = (Vec::new(), 0);
    let mut step = control.setup(packet);
    loop {
        let packet = match step {
            Step::Answer(packet) if packets == 0 => packet,
            Step::Send(packet) if packets > 0 => packet,
            Step::Stall => return None,
            other => panic!("{other:?} after {packets} packets"),
        };
        packets += 1;
        bytes.extend_from_slice(packet.bytes());
        if bytes.len() >= asked || packet.bytes().len() < PACKET {
            break;
        }
        step = control.sent();
    }
    assert_eq!(control.sent(), Step::Wait, "nothing goes behind the end");
    assert_eq!(control.received(&[]), Step::Wait);
    Some((bytes, packets))
}

/// A request without data; what the controller is told at its end. `None`: refused.
fn write(control: &mut Control, packet: [u8; 8]) -> Option<Step> {
    match control.setup(packet) {
        Step::Send(packet) => assert_eq!(packet.bytes(), []),
        Step::Stall => return None,
        other => panic!("{other:?}"),
    }
    Some(control.sent())
}

fn descriptor(control: &mut Control, which: u8, number: u8, length: u16) -> Option<Vec<u8>> {
    let value = u16::from_le_bytes([number, which]);
    read(control, request(0x80, 6, value, 0, length)).map(|(bytes, _)| bytes)
}

#[test]
fn a_host_finds_a_serial_port() {
    let mut control = device();
    // The order of Linux: a first look, the address, all of it.
    let (bytes, _) = read(&mut control, request(0x80, 6, 0x0100, 0, 64)).unwrap();
    assert_eq!(
        bytes,
        [
            0x12, 0x01, 0x00, 0x02, 0xef, 0x02, 0x01, 0x40, 0x09, 0x12, 0x01, 0x00, 0x00, 0x01,
            0x01, 0x02, 0x03, 0x01
        ]
    );
    let step = write(&mut control, request(0, 5, 7, 0, 0));
    assert_eq!(step, Some(Step::Address(7)));
    assert_eq!(descriptor(&mut control, 1, 0, 18).unwrap(), DEVICE);
    // High speed and BOS: the device has neither.
    assert_eq!(descriptor(&mut control, 6, 0, 10), None);
    assert_eq!(descriptor(&mut control, 15, 0, 5), None);
    assert_eq!(
        descriptor(&mut control, 2, 0, 9).unwrap(),
        [9, 2, 75, 0, 2, 1, 0, 0x80, 250]
    );
    let (bytes, packets) = read(&mut control, request(0x80, 6, 0x0200, 0, 75)).unwrap();
    assert_eq!((bytes.as_slice(), packets), (&CONFIGURATION[..], 2));
    assert_eq!(control.change(), None);
    assert_eq!(
        write(&mut control, request(0, 9, 1, 0, 0)),
        Some(Step::Wait)
    );
    assert_eq!(control.change(), Some(Change::Configured));
    assert!(control.is_configured());
}

#[test]
fn the_configuration_is_what_its_lengths_say() {
    let total = u16::from_le_bytes([CONFIGURATION[2], CONFIGURATION[3]]);
    assert_eq!(usize::from(total), CONFIGURATION.len());
    let (mut at, mut interfaces, mut endpoints) = (0, 0, Vec::new());
    let mut promised = 0;
    while at < CONFIGURATION.len() {
        let len = usize::from(CONFIGURATION[at]);
        let part = &CONFIGURATION[at..at + len];
        match part[1] {
            4 => {
                assert_eq!(part[2], interfaces, "interfaces are numbered in order");
                interfaces += 1;
                promised += usize::from(part[4]);
            }
            5 => endpoints.push((part[2], part[3], part[4])),
            _ => {}
        }
        at += len;
    }
    assert_eq!(at, CONFIGURATION.len());
    assert_eq!(interfaces, CONFIGURATION[4]);
    assert_eq!(promised, endpoints.len());
    // Interrupt, bulk out, bulk in.
    assert_eq!(endpoints, [(0x81, 3, 8), (0x02, 2, 64), (0x82, 2, 64)]);
}

#[test]
fn strings_are_utf_16() {
    let mut control = device();
    assert_eq!(descriptor(&mut control, 3, 0, 255).unwrap(), [4, 3, 9, 4]);
    let text = |bytes: Vec<u8>| {
        assert_eq!((usize::from(bytes[0]), bytes[1]), (bytes.len(), 3));
        let units = bytes[2..]
            .chunks(2)
            .map(|b| u16::from_le_bytes([b[0], b[1]]));
        String::from_utf16(&units.collect::<Vec<_>>()).unwrap()
    };
    let mut string = |number| descriptor(&mut control, 3, number, 255).map(text);
    assert_eq!(string(1).unwrap(), "Onelook");
    assert_eq!(string(2).unwrap(), "Onelook on a board");
    assert_eq!(string(3).unwrap(), "0123456789ABCDEF");
    assert_eq!(string(4), None);
}

#[test]
fn an_answer_of_whole_packets_ends_with_an_empty_one_where_more_was_asked_for() {
    // 31 letters are 64 bytes.
    let mut control = Control::new("a name of one and thirty letter", SERIAL);
    let (bytes, packets) = read(&mut control, request(0x80, 6, 0x0302, 0, 255)).unwrap();
    assert_eq!((bytes.len(), packets), (64, 2));
    let (bytes, packets) = read(&mut control, request(0x80, 6, 0x0302, 0, 64)).unwrap();
    assert_eq!((bytes.len(), packets), (64, 1));
}

#[test]
fn a_host_may_end_an_answer_early_or_begin_another() {
    let mut control = device();
    assert!(matches!(
        control.setup(request(0x80, 6, 0x0200, 0, 75)),
        Step::Answer(_)
    ));
    assert_eq!(control.received(&[]), Step::Wait);
    assert_eq!(control.sent(), Step::Wait);
    // An address that was not acknowledged does not count.
    control.setup(request(0, 5, 9, 0, 0));
    assert_eq!(descriptor(&mut control, 1, 0, 18).unwrap(), DEVICE);
    assert_eq!(control.sent(), Step::Wait);
}

#[test]
fn the_line_is_opened_set_and_closed() {
    let mut control = device();
    write(&mut control, request(0, 9, 1, 0, 0)).unwrap();
    control.change();
    let coding = [0x80, 0x25, 0, 0, 0, 0, 8];
    assert_eq!(control.setup(request(0x21, 0x20, 0, 0, 7)), Step::Receive);
    assert_eq!(control.received(&coding), Step::Send(empty()));
    assert_eq!(control.sent(), Step::Wait);
    let (bytes, _) = read(&mut control, request(0xa1, 0x21, 0, 0, 7)).unwrap();
    assert_eq!(bytes, coding);
    for (value, change) in [
        (3, Some(Change::Line { open: true })),
        (1, None),
        (0, Some(Change::Line { open: false })),
    ] {
        let step = write(&mut control, request(0x21, 0x22, value, 0, 0));
        assert_eq!((step, control.change()), (Some(Step::Wait), change));
    }
    assert_eq!(control.setup(request(0x21, 0x20, 0, 0, 7)), Step::Receive);
    assert_eq!(control.received(&coding[..6]), Step::Stall);
}

fn empty() -> Packet {
    match device().setup(request(0, 5, 1, 0, 0)) {
        Step::Send(packet) => packet,
        other => panic!("{other:?}"),
    }
}

#[test]
fn endpoints_begin_anew_when_the_host_says_so() {
    let mut control = device();
    // Before it is configured a device has no endpoints.
    assert_eq!(write(&mut control, request(2, 1, 0, 0x82, 0)), None);
    write(&mut control, request(0, 9, 1, 0, 0)).unwrap();
    for endpoint in [0x02, 0x82, 0x81] {
        let wire = u16::from(endpoint);
        assert!(write(&mut control, request(2, 1, 0, wire, 0)).is_some());
        assert_eq!(control.change(), Some(Change::Restarted(endpoint)));
    }
    assert_eq!(write(&mut control, request(2, 1, 0, 0x83, 0)), None);
    assert_eq!(
        read(&mut control, request(0x80, 8, 0, 0, 1)),
        Some((vec![1], 1))
    );
    control.reset();
    assert_eq!(control.change(), Some(Change::Deconfigured));
    assert_eq!(
        read(&mut control, request(0x80, 8, 0, 0, 1)),
        Some((vec![0], 1))
    );
}

#[test]
fn what_is_not_known_is_refused_and_nothing_ever_panics() {
    let mut control = device();
    for packet in [
        request(0, 5, 128, 0, 0),
        request(0, 9, 2, 0, 0),
        request(0x21, 0x20, 0, 0, 8),
        request(0xc0, 1, 0, 0, 8),
        request(0x80, 6, 0x0201, 0, 8),
    ] {
        assert_eq!(control.setup(packet), Step::Stall, "{packet:?}");
    }
    // Interpreted, the whole takes a quarter of an hour.
    let step = if cfg!(miri) { 37 } else { 1 };
    for kind in (0..=255).step_by(step) {
        for number in (0..64).step_by(step) {
            for value in [0, 1, 0x0100, 0x0200, 0x0301, 0xffff] {
                for length in [0, 1, 7, 64, 0xffff] {
                    control.setup(request(kind, number, value, 0, length));
                    control.sent();
                    control.received(&[0; 7]);
                    control.sent();
                }
            }
        }
    }
}

#[test]
fn bytes_become_packets() {
    let mut out = Outbox::new();
    assert_eq!(out.take(), None);
    assert!(out.push(1) && out.push(2));
    assert_eq!(out.take(), Some(&[1, 2][..]));
    assert_eq!(out.take(), None);
    for byte in 0..64 {
        assert!(out.push(byte));
    }
    assert!(!out.push(64));
    assert_eq!(out.take().unwrap().len(), 64);
    assert!(!out.is_empty());
    // Nothing follows: the host must be told that this was all.
    assert_eq!(out.take(), Some(&[][..]));
    assert_eq!(out.take(), None);
    for byte in 0..64 {
        out.push(byte);
    }
    out.take();
    assert!(out.push(9));
    assert_eq!(out.take(), Some(&[9][..]));
    assert_eq!(out.take(), None);
    out.push(1);
    out.clear();
    assert_eq!(out.take(), None);
}

#[test]
fn packets_become_bytes() {
    let mut came = Inbox::new();
    assert!(came.is_empty());
    assert_eq!(came.take(), None);
    came.put(&[1, 2]);
    assert!(!came.is_empty());
    assert_eq!(
        [came.take(), came.take(), came.take()],
        [Some(1), Some(2), None]
    );
    assert!(came.is_empty());
    // A packet without bytes, and one of more than there can be.
    came.put(&[]);
    assert!(came.is_empty());
    came.put(&[7; 70]);
    let bytes: Vec<u8> = std::iter::from_fn(|| came.take()).collect();
    assert_eq!(bytes, [7; PACKET]);
    came.put(&[3]);
    came.clear();
    assert_eq!(came.take(), None);
}

#[test]
fn a_serial_number_has_sixteen_digits() {
    assert_eq!(&serial(0), b"0000000000000000");
    assert_eq!(&serial(0x0123_4567_89ab_cdef), b"0123456789ABCDEF");
    assert_eq!(&serial(u64::MAX), b"FFFFFFFFFFFFFFFF");
}
