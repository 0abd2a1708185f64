//! A host and a device over a line that loses, doubles, damages and delays bytes.
//!
//! In: requests that change what the device remembers. Out: every one of them is answered in the end,
//! and is carried out once: the device's list is the host's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

mod desk;
mod flash;
mod line;

use desk::{Desk, mark, model};
use flash::Random;
use line::{End, Troubles};
use shared::link::{
    Command, Decoder, Fault, MAX_FRAME, PROTOCOL, Packet, Reply, Request, encode, parse,
};
use shared::session::Action;

/// Polls before a host asks again.
const PATIENCE: usize = 4000;
/// Times it asks before it gives up.
const ATTEMPTS: usize = 400;

/// A host's end with the device's at the other.
struct Wire {
    desk: Desk,
    host: End,
    device: End,
    decoder: Decoder,
    id: u16,
    now: u64,
    repeats: usize,
}

impl Wire {
    fn new(seed: u64, troubles: Troubles) -> Self {
        let (host, device) = line::new(seed, troubles);
        let mut wire = Self {
            desk: Desk::new(&model(1)),
            host,
            device,
            decoder: Decoder::new(),
            id: 100,
            now: 1 << 30,
            repeats: 0,
        };
        let protocol = PROTOCOL;
        wire.ask(Command::Hello { protocol }, |result| {
            result.map(|_| ()).unwrap()
        });
        wire
    }

    /// What a device's loop does in one turn.
    fn turn(&mut self) {
        let session = self.desk.session();
        while let Some(byte) = self.device.read() {
            session.receive(&[byte]);
        }
        let sent = self.device.send(session.outgoing());
        session.sent(sent);
        self.now += 100;
        assert_ne!(session.poll(self.now), Action::Capture);
    }

    fn ask<T>(
        &mut self,
        command: Command<'_>,
        answer: impl Fn(Result<Reply<'_>, Fault<'_>>) -> T,
    ) -> T {
        self.id = self.id.wrapping_add(1);
        let mut frame = [0; MAX_FRAME];
        let request = Request {
            id: self.id,
            command,
        };
        let frame = encode(&request, &mut frame).unwrap().to_vec();
        for _ in 0..ATTEMPTS {
            // A zero ends whatever was begun before.
            self.host.send(&[0]);
            self.host.send(&frame);
            for _ in 0..PATIENCE {
                self.turn();
                while let Some(byte) = self.host.read() {
                    let Some(Ok(frame)) = self.decoder.push(byte) else {
                        continue;
                    };
                    if let Ok(Packet::Reply { id, result }) = parse(frame)
                        && id == self.id
                    {
                        return answer(result);
                    }
                }
            }
            self.repeats += 1;
        }
        panic!("no answer to {command:?}");
    }

    fn show(&mut self, picture: &[u8]) {
        let side = picture.len().isqrt() as u16;
        for (index, bytes) in picture.chunks(200).enumerate() {
            let offset = index as u32 * 200;
            let command = Command::WriteCapture {
                h: side,
                w: side,
                offset,
                bytes,
            };
            self.ask(command, |result| assert!(result.is_ok(), "{result:?}"));
        }
    }

    fn labels(&mut self) -> Vec<String> {
        (0..)
            .map_while(|index| {
                self.ask(Command::List { index }, |result| match result {
                    Ok(Reply::Sample(sample)) => Some(sample.label.to_owned()),
                    _ => None,
                })
            })
            .collect()
    }
}

#[test]
fn every_request_is_answered_and_carried_out_once() {
    let rounds = std::env::var("ONELOOK_LINE").map_or(60, |n| n.parse().unwrap());
    let mut wire = Wire::new(3, Troubles::all(400));
    let mut random = Random::new(9);
    let mut expected: Vec<String> = vec![];
    for round in 0..rounds {
        match random.below(4) {
            0 | 1 if expected.len() < 40 => {
                wire.show(&mark(round, 0));
                let label = format!("mark {round}");
                let command = Command::Enrol {
                    label: &label,
                    force: true,
                };
                wire.ask(command, |result| assert!(result.is_ok(), "{result:?}"));
                expected.push(label);
            }
            2 if !expected.is_empty() => {
                let label = expected.remove(random.below(expected.len()));
                let target = shared::link::Target::Class(&label);
                wire.ask(Command::Forget { target }, |result| {
                    assert_eq!(result, Ok(Reply::Done { samples: 1 }));
                });
            }
            _ => assert_eq!(wire.labels(), expected),
        }
    }
    assert_eq!(wire.labels(), expected);
    let count = wire.host.count();
    println!(
        "{} bytes, {} spoiled, {} stalls, {} repeats",
        count.sent, count.spoiled, count.stalls, wire.repeats
    );
    assert!(wire.repeats > 0, "the line was too good");
}
