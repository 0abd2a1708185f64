//! Damaged frames: none is taken for a message that nobody sent, and none takes another with it.
//!
//! In: `ONELOOK_FRAMES`, how many (200,000 unless told), and `ONELOOK_SEED`. Out: a count for every kind
//! of damage, and a failure when a message came that was not sent whole, or one did not come that must.
//!
//! A CRC of 32 bits lets one in 2^32 pass. A failure of the first kind after thousands of millions of
//! frames would be that; this program counts it as a failure all the same.
#![allow(clippy::expect_used, reason = "helpers of tests")]

mod line;
mod messages;

use line::{Random, Troubles};
use shared::link::{Command, Decoder, MAX_CHUNK, MAX_FRAME, Packet, Reply, Request, encode, parse};

/// Damages the frame of that number.
type Damage = fn(&mut Campaign, usize) -> Vec<u8>;

const KINDS: [(&str, Damage); 12] = [
    ("one bit", |c, i| c.flip(i, 1)),
    ("2 to 8 bits", |c, i| {
        let bits = 2 + c.random.below(7);
        c.flip(i, bits)
    }),
    ("9 to 64 bits", |c, i| {
        let bits = 9 + c.random.below(56);
        c.flip(i, bits)
    }),
    ("a burst of noise", Campaign::burst),
    ("cut short", Campaign::truncate),
    ("head lost", Campaign::behead),
    ("bytes lost", Campaign::delete),
    ("bytes doubled", Campaign::duplicate),
    ("bytes inserted", Campaign::insert),
    ("zeros inserted or written", Campaign::zeros),
    ("two frames spliced", Campaign::splice),
    ("two bytes swapped", Campaign::swap),
];

/// Frames to damage, each with the message in it.
struct Campaign {
    frames: Vec<(Vec<u8>, Vec<u8>)>,
    random: Random,
}

impl Campaign {
    fn new(seed: u64) -> Self {
        let mut buffer = [0; MAX_FRAME];
        let mut frames = Vec::new();
        let mut add = |frame: &[u8]| {
            let mut decoder = Decoder::new();
            let message = decoder.push_bytes(&mut &*frame).expect("ends");
            frames.push((frame.to_vec(), message.expect("whole").to_vec()));
        };
        for (_, request) in messages::requests() {
            add(encode(&request, &mut buffer).expect("it fits"));
        }
        for (_, packet) in messages::packets() {
            add(encode(&packet, &mut buffer).expect("it fits"));
        }
        let mut random = Random::new(seed);
        for (offset, zeros) in (0..).zip([1, 2, 16, 256]) {
            let chunk: Vec<u8> = (0..MAX_CHUNK)
                .map(|_| random.next() as u8)
                .map(|byte| if random_zero(byte, zeros) { 0 } else { byte })
                .collect();
            let bytes = &chunk[..];
            let command = Command::UpdateWrite { offset, bytes };
            add(encode(&Request { id: 9, command }, &mut buffer).expect("it fits"));
            let result = Ok(Reply::Chunk {
                offset,
                total: 19_200,
                bytes,
            });
            add(encode(&Packet::Reply { id: 9, result }, &mut buffer).expect("it fits"));
        }
        Self { frames, random }
    }

    fn below(&mut self, n: usize) -> usize {
        self.random.below(u32::try_from(n).expect("small")) as usize
    }

    /// One of the frames; a large one once in 16 times, or the campaign would see little else.
    fn pick(&mut self) -> usize {
        let large = 8;
        let small = self.frames.len() - large;
        match self.below(16) {
            0 => small + self.below(large),
            _ => self.below(small),
        }
    }

    fn copy(&self, index: usize) -> Vec<u8> {
        self.frames[index].0.clone()
    }

    /// A stretch of a frame, not empty, its zero included; short more often than long.
    fn stretch(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len);
        let longest = match self.below(2) {
            0 => (len - start).min(8),
            _ => len - start,
        };
        start..start + 1 + self.below(longest)
    }

    fn flip(&mut self, index: usize, bits: u32) -> Vec<u8> {
        let mut frame = self.copy(index);
        for _ in 0..bits {
            let bit = self.below(frame.len() * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        frame
    }

    fn burst(&mut self, index: usize) -> Vec<u8> {
        let mut frame = self.copy(index);
        for at in self.stretch(frame.len()) {
            frame[at] = self.random.next() as u8;
        }
        frame
    }

    fn truncate(&mut self, index: usize) -> Vec<u8> {
        let mut frame = self.copy(index);
        frame.truncate(self.below(frame.len()));
        frame
    }

    fn behead(&mut self, index: usize) -> Vec<u8> {
        let mut frame = self.copy(index);
        frame.drain(..1 + self.below(frame.len()));
        frame
    }

    fn delete(&mut self, index: usize) -> Vec<u8> {
        let mut frame = self.copy(index);
        frame.drain(self.stretch(frame.len()));
        frame
    }

    fn duplicate(&mut self, index: usize) -> Vec<u8> {
        let mut frame = self.copy(index);
        let stretch = self.stretch(frame.len());
        let again = frame[stretch.clone()].to_vec();
        frame.splice(stretch.end..stretch.end, again);
        frame
    }

    fn insert(&mut self, index: usize) -> Vec<u8> {
        let mut frame = self.copy(index);
        for _ in 0..1 + self.below(8) {
            let at = self.below(frame.len() + 1);
            frame.insert(at, self.random.next() as u8);
        }
        frame
    }

    fn zeros(&mut self, index: usize) -> Vec<u8> {
        let mut frame = self.copy(index);
        for _ in 0..1 + self.below(4) {
            let at = self.below(frame.len());
            match self.below(2) {
                0 => frame.insert(at, 0),
                _ => frame[at] = 0,
            }
        }
        frame
    }

    fn splice(&mut self, index: usize) -> Vec<u8> {
        let mut frame = self.copy(index);
        let other = self.pick();
        let mut other = self.copy(other);
        frame.truncate(self.below(frame.len()));
        other.drain(..self.below(other.len()));
        frame.append(&mut other);
        frame
    }

    fn swap(&mut self, index: usize) -> Vec<u8> {
        let mut frame = self.copy(index);
        let (a, b) = (self.below(frame.len()), self.below(frame.len()));
        frame.swap(a, b);
        frame
    }
}

/// Whether a byte becomes a zero: one in `zeros` does.
fn random_zero(byte: u8, zeros: u32) -> bool {
    u32::from(byte.reverse_bits()) * zeros < 256
}

/// What came of the frames of one kind of damage.
#[derive(Default)]
struct Tally {
    damaged: u64,
    refused: u64,
    /// Nothing is left of it but empty frames.
    silent: u64,
    /// The frame came as it was sent: what was added stands before or behind it.
    intact: u64,
    /// A message that nobody sent.
    different: u64,
}

impl Tally {
    /// Feeds one damaged frame and what follows it.
    ///
    /// The first frame behind the damage comes when the damage ended with a zero; the second always
    /// does, and so does the first when a zero is sent before it.
    fn judge(&mut self, campaign: &mut Campaign, kind: usize) {
        let index = campaign.pick();
        let damaged = KINDS[kind].1(campaign, index);
        if damaged == campaign.frames[index].0 {
            return;
        }
        self.damaged += 1;
        let (first, second) = (campaign.pick(), campaign.pick());
        let zero: &[u8] = if campaign.below(2) == 0 { &[0] } else { &[] };
        let frames = &campaign.frames;
        let line = [&damaged[..], zero, &frames[first].0, &frames[second].0].concat();
        let (mut decoder, mut rest) = (Decoder::new(), &line[..]);
        let (mut came, mut refused) = (Vec::new(), 0);
        while let Some(frame) = decoder.push_bytes(&mut rest) {
            match frame {
                Ok(message) => came.push(message.to_vec()),
                Err(_) => refused += 1,
            }
        }
        let sent = [first, second].map(|index| &frames[index].1);
        let ended = zero == [0] || damaged.last().is_none_or(|&last| last == 0);
        let behind = if ended { &sent[..] } else { &sent[1..] };
        let before = came.len().checked_sub(behind.len());
        let (before, came) = came.split_at(before.expect("what was behind came"));
        assert!(came.iter().eq(behind.iter().copied()), "{damaged:02x?}");
        let intact = |message: &&Vec<u8>| {
            *message == &frames[index].1 || is_whole_in(campaign, message, &damaged)
        };
        let different = before.iter().filter(|message| !intact(message));
        let different = different.inspect(|message| println!("{message:02x?} of {index}"));
        let different = different.count() as u64;
        self.different += different;
        match (different, before.is_empty(), refused) {
            (1.., ..) => {}
            (0, false, _) => self.intact += 1,
            (0, true, 0) => self.silent += 1,
            (0, true, _) => self.refused += 1,
        }
    }
}

/// Splicing may leave another frame whole, from a zero to a zero: then it was sent.
fn is_whole_in(campaign: &Campaign, message: &[u8], damaged: &[u8]) -> bool {
    let mut frames = campaign.frames.iter();
    let frame = frames.find(|(_, sent)| sent == message);
    frame.is_some_and(|(frame, _)| damaged.windows(frame.len()).any(|w| w == frame))
}

fn variable(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.map_or(default, |value| {
        value.replace('_', "").parse().expect("a number")
    })
}

#[test]
fn no_damaged_frame_is_taken_for_another_message() {
    let frames = variable("ONELOOK_FRAMES", 200_000);
    let seed = variable("ONELOOK_SEED", 1);
    let mut campaign = Campaign::new(seed);
    let mut all = Tally::default();
    println!("| damage | frames | refused | nothing left | came as sent | another message |");
    for (kind, (name, _)) in KINDS.iter().enumerate() {
        let mut tally = Tally::default();
        while tally.damaged < frames.div_ceil(KINDS.len() as u64) {
            tally.judge(&mut campaign, kind);
        }
        println!("{}", row(name, &tally));
        all.damaged += tally.damaged;
        all.refused += tally.refused;
        all.silent += tally.silent;
        all.intact += tally.intact;
        all.different += tally.different;
    }
    println!("{}", row("all", &all));
    assert_eq!(all.different, 0, "messages that nobody sent");
}

fn row(name: &str, tally: &Tally) -> String {
    format!(
        "| {name} | {} | {} | {} | {} | {} |",
        tally.damaged, tally.refused, tally.silent, tally.intact, tally.different
    )
}

/// Noise alone: bytes that were never a frame.
#[test]
fn noise_is_no_message() {
    let mut random = Random::new(variable("ONELOOK_SEED", 1));
    let mut decoder = Decoder::new();
    let mut refused = 0_u64;
    for _ in 0..variable("ONELOOK_FRAMES", 200_000) * 20 {
        match decoder.push(random.next() as u8) {
            Some(Ok(message)) => panic!("{message:02x?}"),
            Some(Err(_)) => refused += 1,
            None => {}
        }
    }
    println!("{refused} frames of noise refused");
}

/// The rule of `PROTOCOL.md`: ask again, with a zero before it, until the answer comes.
#[test]
fn a_host_that_asks_again_is_answered_over_any_line() {
    let (mut host, mut device) = line::new(3, Troubles::all(2_000));
    let (mut from_host, mut from_device) = (Decoder::new(), Decoder::new());
    let mut buffer = [0; MAX_FRAME];
    for id in 0..2000 {
        let request = Request {
            id,
            command: Command::Info,
        };
        let mut answered = false;
        for _ in 0..100 {
            host.write(0);
            host.send(encode(&request, &mut buffer).expect("it fits"));
            for _ in 0..200 {
                let Some(byte) = device.read() else { continue };
                let Some(Ok(message)) = from_host.push(byte) else {
                    continue;
                };
                let Ok(Request { id, .. }) = parse(message) else {
                    continue;
                };
                let reply = Packet::Reply {
                    id,
                    result: Ok(Reply::Done { samples: id }),
                };
                device.send(encode(&reply, &mut buffer).expect("it fits"));
            }
            for _ in 0..200 {
                let Some(byte) = host.read() else { continue };
                let Some(Ok(message)) = from_device.push(byte) else {
                    continue;
                };
                let result = Ok(Reply::Done { samples: id });
                answered |= parse(message) == Ok(Packet::Reply { id, result });
            }
            if answered {
                break;
            }
        }
        assert!(answered, "request {id}");
    }
    let count = host.count();
    assert!(count.spoiled > 100 && count.stalls > 50, "{count:?}");
}

/// The same seed gives the same line; another seed another one; without troubles nothing changes.
#[test]
fn a_line_is_what_its_seed_says() {
    let through = |seed, troubles| {
        let (mut host, mut device) = line::new(seed, troubles);
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(host.send(&bytes), bytes.len());
        let mut came = Vec::new();
        for _ in 0..10_000 {
            came.extend(device.read());
        }
        came
    };
    let bad = Troubles::all(20_000);
    assert_eq!(through(1, bad), through(1, bad));
    assert_ne!(through(1, bad), through(2, bad));
    let perfect: Vec<u8> = (0..=255).collect();
    assert_eq!(through(1, Troubles::none()), perfect);
    let (mut host, mut device) = line::new(1, Troubles::none());
    let taken = host.send(&[7; 100_000]);
    assert!(
        taken < 100_000 && !host.write(7),
        "nobody reads, yet all is taken"
    );
    assert_eq!(device.drain().len(), taken);
    host.set_unplugged(true);
    assert!(host.write(7) && device.read().is_none());
}
