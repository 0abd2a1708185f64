//! The bytes of every message are fixed: what was once on a wire means the same for ever.
//!
//! In: `tests/messages`, the golden frames beside it, `PROTOCOL.md`. Out: a failure when a byte has
//! moved, when a variant has no golden frame, or when the page names another number or example.
#![allow(clippy::expect_used, reason = "helpers of tests")]

mod messages;

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use shared::link::{
    Command, Decoder, FrameError, MAX_CHUNK, MAX_FRAME, MAX_PAYLOAD, PROTOCOL, Packet, Reply,
    Request, encode, parse, request_id,
};

const GOLDEN: &str = include_str!("messages/golden.txt");
const PAGE: &str = include_str!("../PROTOCOL.md");

fn frame(message: &impl Serialize) -> Vec<u8> {
    let mut buffer = [0xa5; MAX_FRAME];
    encode(message, &mut buffer).expect("it fits").to_vec()
}

/// The message in a frame, as bytes.
fn unframe(frame: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut decoder = Decoder::new();
    let mut rest = frame;
    let message = decoder.push_bytes(&mut rest).expect("a frame ends");
    assert!(rest.is_empty());
    message.map(<[u8]>::to_vec)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len() / 2)
        .map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).expect("hex"))
        .collect()
}

fn lines() -> Vec<String> {
    let requests = messages::requests().into_iter();
    let packets = messages::packets().into_iter();
    requests
        .map(|(name, request)| format!("{name} {}", hex(&frame(&request))))
        .chain(packets.map(|(name, packet)| format!("{name} {}", hex(&frame(&packet)))))
        .collect()
}

/// `ONELOOK_BLESS=1` appends what is new; a byte that was there once can only be changed by hand.
#[test]
fn every_message_has_its_golden_frame() {
    let lines = lines();
    if std::env::var_os("ONELOOK_BLESS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/golden.txt");
        let old = std::fs::read_to_string(&path).expect("it is there");
        let mut kept: Vec<&str> = old.lines().collect();
        let new = lines.iter().map(String::as_str);
        kept.extend(new.filter(|line| !old.lines().any(|old| old == *line)));
        std::fs::write(&path, kept.join("\n") + "\n").expect("it can be written");
        return;
    }
    let golden: Vec<&str> = GOLDEN.lines().collect();
    for line in &lines {
        assert!(golden.contains(&line.as_str()), "not golden: {line}");
    }
    assert_eq!(
        golden.len(),
        lines.len(),
        "a golden frame that nobody sends"
    );
}

#[test]
fn what_is_read_is_what_was_sent() {
    for (name, request) in messages::requests() {
        let message = unframe(&frame(&request)).expect("whole");
        assert_eq!(parse(&message), Ok(request), "{name}");
        assert_eq!(request_id(&message), Some(request.id), "{name}");
    }
    for (name, packet) in messages::packets() {
        let message = unframe(&frame(&packet)).expect("whole");
        assert_eq!(parse(&message), Ok(packet), "{name}");
    }
}

/// The numbers of variants run from 0 without a gap: none was forgotten, none removed.
#[test]
fn variants_are_numbered_without_gaps() {
    fn numbers<'a>(messages: impl Iterator<Item = &'a Vec<u8>>, at: usize, starts: &[u8]) -> usize {
        let mut seen: Vec<u8> = messages
            .filter(|bytes| bytes.starts_with(starts))
            .map(|bytes| bytes[at])
            .collect();
        seen.dedup();
        let expected: Vec<u8> = (0..).take(seen.len()).collect();
        assert_eq!(seen, expected);
        seen.len()
    }
    let requests: Vec<_> = messages::requests()
        .iter()
        .map(|(_, request)| unframe(&frame(request)).expect("whole"))
        .collect();
    let packets: Vec<_> = messages::packets()
        .iter()
        .map(|(_, packet)| unframe(&frame(packet)).expect("whole"))
        .collect();
    assert_eq!(numbers(requests.iter(), 1, &[]), 22);
    // Packet 0, number 300, then 0 for a reply and 1 for a fault.
    assert_eq!(numbers(packets.iter(), 4, &[0, 0xac, 2, 0]), 12);
    assert_eq!(numbers(packets.iter(), 4, &[0, 0xac, 2, 1]), 20);
    assert_eq!(numbers(packets.iter(), 1, &[1]), 4);
}

#[test]
fn what_stands_behind_a_message_makes_it_another() {
    for (name, request) in messages::requests() {
        let mut message = unframe(&frame(&request)).expect("whole");
        message.push(0);
        let answer = parse::<Request<'_>>(&message);
        assert_eq!(answer, Err(FrameError::NotUnderstood), "{name}");
        assert_eq!(request_id(&message), Some(request.id));
    }
}

#[test]
fn a_command_of_a_later_version_still_has_its_number() {
    let message = [0xac, 0x02, 99, 1, 2, 3];
    let answer = parse::<Request<'_>>(&message);
    assert_eq!(answer, Err(FrameError::NotUnderstood));
    assert_eq!(request_id(&message), Some(300));
    assert_eq!(request_id(&[]), None);
    assert_eq!(request_id(&[0xff, 0xff, 0xff]), None);
}

/// Lengths around each boundary of COBS and at the limit, with and without zeros.
#[test]
fn every_length_up_to_the_limit_comes_back() {
    let mut buffer = [0; MAX_FRAME];
    for fill in [0_u8, 1, 255] {
        for len in (0..=MAX_PAYLOAD - 4).filter(|len| len % 254 > 240 || len % 17 == 0) {
            let data = vec![fill; len];
            let frame = encode(&&data[..], &mut buffer).expect("it fits");
            let (last, body) = frame.split_last().expect("not empty");
            assert!(*last == 0 && !body.contains(&0));
            let message = unframe(frame).expect("whole");
            assert_eq!(
                parse::<&[u8]>(&message),
                Ok(&data[..]),
                "{len} times {fill}"
            );
        }
    }
}

#[test]
fn the_largest_message_fits_its_frame_and_no_larger_one_is_sent() {
    let longest = vec![7_u8; MAX_PAYLOAD - 2];
    let mut buffer = [0; MAX_FRAME + 10];
    assert_eq!(
        encode(&&longest[..], &mut buffer).map(<[u8]>::len),
        Ok(MAX_FRAME)
    );
    let longer = vec![7_u8; MAX_PAYLOAD - 1];
    assert_eq!(encode(&&longer[..], &mut buffer), Err(FrameError::TooLong));
    let chunk = [0xff; MAX_CHUNK];
    let write = Command::WriteCapture {
        h: u16::MAX,
        w: u16::MAX,
        offset: u32::MAX,
        bytes: &chunk,
    };
    let request = Request {
        id: u16::MAX,
        command: write,
    };
    assert!(frame(&request).len() <= MAX_FRAME);
    let result = Ok(Reply::Chunk {
        offset: u32::MAX,
        total: u32::MAX,
        bytes: &chunk,
    });
    assert!(
        frame(&Packet::Reply {
            id: u16::MAX,
            result
        })
        .len()
            <= MAX_FRAME
    );
}

#[test]
fn a_buffer_that_is_too_short_is_an_error_at_every_length() {
    for (name, request) in messages::requests() {
        let whole = frame(&request);
        let mut buffer = [0; MAX_FRAME];
        for len in 0..whole.len() {
            let short = encode(&request, &mut buffer[..len]);
            assert_eq!(short, Err(FrameError::TooLong), "{name} in {len}");
        }
        assert_eq!(encode(&request, &mut buffer[..whole.len()]), Ok(&whole[..]));
    }
}

#[test]
fn an_overlong_frame_is_skipped_to_its_zero() {
    let info = Request {
        id: 9,
        command: Command::Info,
    };
    for fill in [1_u8, 2, 0xff] {
        let mut decoder = Decoder::new();
        for _ in 0..5 * MAX_FRAME {
            assert_eq!(decoder.push(fill), None);
        }
        // 0xff counts 254 bytes, so the zero may come where none may be: overlong it is all the same.
        assert_eq!(decoder.push(0), Some(Err(FrameError::TooLong)));
        let frame = frame(&info);
        let mut rest = &frame[..];
        let message = decoder.push_bytes(&mut rest).expect("ends").expect("whole");
        assert_eq!(parse(message), Ok(info));
    }
}

/// The CRC of no bytes is 0.
#[test]
fn four_zeros_are_no_message() {
    let mut rest: &[u8] = &[1, 1, 1, 1, 1, 0];
    let frame = Decoder::new()
        .push_bytes(&mut rest)
        .map(|frame| frame.is_err());
    assert_eq!(frame, Some(true));
}

#[test]
fn zeros_between_frames_mean_nothing() {
    let mut decoder = Decoder::new();
    let info = Request {
        id: 9,
        command: Command::Info,
    };
    let line = [&[0, 0][..], &frame(&info), &[0, 0, 0], &frame(&info), &[0]].concat();
    let mut rest = &line[..];
    for _ in 0..2 {
        let message = decoder.push_bytes(&mut rest).expect("ends").expect("whole");
        assert_eq!(parse(message), Ok(info));
    }
    assert_eq!(decoder.push_bytes(&mut rest), None);
}

/// Every table of the page names every variant with its number.
#[test]
fn the_page_has_every_variant_with_its_number() {
    let section = |title: &str| {
        let start = PAGE.find(&format!("## {title}\n")).expect("a section");
        let text = &PAGE[start + 3..];
        &text[..text.find("\n## ").unwrap_or(text.len())]
    };
    let check = |title: &str, mut names: Vec<&'static str>| {
        names.dedup();
        let rows: Vec<&str> = section(title)
            .lines()
            .filter(|l| l.starts_with("| "))
            .collect();
        let rows: Vec<&&str> = rows.iter().filter(|row| row.contains("| `")).collect();
        assert_eq!(rows.len(), names.len(), "{title}");
        for (number, name) in names.iter().enumerate() {
            let start = format!("| {number} | `{name}`");
            assert!(rows[number].starts_with(&start), "{title}: no {start}");
        }
    };
    let commands = messages::commands();
    check(
        "Commands",
        commands.iter().map(messages::command_name).collect(),
    );
    let replies = messages::replies();
    check(
        "Replies",
        replies.iter().map(messages::reply_name).collect(),
    );
    let faults = messages::faults();
    check("Faults", faults.iter().map(messages::fault_name).collect());
    let events = messages::events();
    check("Events", events.iter().map(messages::event_name).collect());
    let version = format!("# The wire, version {PROTOCOL}\n");
    assert!(PAGE.starts_with(&version), "{version}");
}

/// The worked example: bytes as they stand there, and the messages that they are.
#[test]
fn the_worked_example_of_the_page_is_true() {
    let (_, example) = PAGE.split_once("```hex\n").expect("an example");
    let (example, _) = example.split_once("```").expect("its end");
    let frames: Vec<Vec<u8>> = example
        .lines()
        .map(|line| bytes(line.split_once("  ").map_or(line, |(hex, _)| hex)))
        .collect();
    let wire = frames.concat();
    let mut rest = &wire[..];
    let (mut host, mut device) = (Decoder::new(), Decoder::new());
    let hello = messages::commands()[0];
    let message = device.push_bytes(&mut rest).expect("ends").expect("whole");
    assert_eq!(
        parse(message),
        Ok(Request {
            id: 1,
            command: hello
        })
    );
    let answer = Packet::Reply {
        id: 1,
        result: Ok(messages::replies()[0]),
    };
    let message = host.push_bytes(&mut rest).expect("ends").expect("whole");
    assert_eq!(parse(message), Ok(answer));
    assert_eq!(frame(&answer), wire[wire.len() - frame(&answer).len()..]);
    assert!(rest.is_empty());
}
