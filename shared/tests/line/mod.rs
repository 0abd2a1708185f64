//! A line between a host and a device that loses, doubles, damages and delays bytes.
//!
//! In: a seed and how often what goes wrong ([`Troubles`]). Out: two [`End`]s, which may be kept by two
//! owners of one thread, and the same troubles for the same seed and the same calls. Nothing blocks: an
//! end that has nothing to read gives `None`, an end whose peer does not read takes no more bytes.
//!
//! ```ignore
//! mod line;
//! let (mut host, mut device) = line::new(7, line::Troubles::none());
//! host.send(&[1, 2, 3]);
//! assert_eq!(device.read(), Some(1));
//! host.set_troubles(line::Troubles::all(1_000)); // from now on, in both directions
//! ```
#![allow(
    dead_code,
    reason = "each test program uses another part of this module"
)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Bytes that wait for a reader before the writer is refused.
const CAPACITY: usize = 4096;
/// Reads that give nothing in a stall, at most.
const MAX_STALL: u32 = 64;

/// How many bytes in a million meet with what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Troubles {
    /// They are lost.
    pub(crate) drop: u32,
    /// They come twice.
    pub(crate) duplicate: u32,
    /// Some of their bits change.
    pub(crate) corrupt: u32,
    /// A made-up byte comes before them.
    pub(crate) insert: u32,
    /// They come late: the next reads give nothing.
    pub(crate) stall: u32,
}

impl Troubles {
    /// A perfect line.
    pub(crate) const fn none() -> Self {
        Self::all(0)
    }

    /// Everything, each as often.
    pub(crate) const fn all(per_million: u32) -> Self {
        Self {
            drop: per_million,
            duplicate: per_million,
            corrupt: per_million,
            insert: per_million,
            stall: per_million,
        }
    }
}

/// What has gone wrong so far, in both directions together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Bytes that were taken from a writer.
    pub(crate) sent: u64,
    /// Bytes lost, doubled, changed or made up.
    pub(crate) spoiled: u64,
    /// Stalls.
    pub(crate) stalls: u64,
}

/// What waits in one direction.
#[derive(Debug, Default)]
struct Lane {
    bytes: VecDeque<u8>,
    /// Reads that still give nothing.
    stalled: u32,
}

#[derive(Debug)]
struct Wire {
    lanes: [Lane; 2],
    troubles: Troubles,
    unplugged: bool,
    count: Count,
    random: Random,
}

/// One end of a line.
#[derive(Debug)]
pub(crate) struct End {
    wire: Rc<RefCell<Wire>>,
    /// The lane it writes to; it reads from the other.
    lane: usize,
}

/// The host's end and the device's end of a new line.
pub(crate) fn new(seed: u64, troubles: Troubles) -> (End, End) {
    let wire = Rc::new(RefCell::new(Wire {
        lanes: Default::default(),
        troubles,
        unplugged: false,
        count: Count::default(),
        random: Random::new(seed),
    }));
    let end = |lane| End {
        wire: Rc::clone(&wire),
        lane,
    };
    (end(0), end(1))
}

impl End {
    /// The next byte, if one is there.
    pub(crate) fn read(&mut self) -> Option<u8> {
        let mut wire = self.wire.borrow_mut();
        let lane = &mut wire.lanes[1 - self.lane];
        match lane.stalled {
            0 => lane.bytes.pop_front(),
            _ => {
                lane.stalled -= 1;
                None
            }
        }
    }

    /// Sends a byte; `false` when the peer must read first. A byte that is taken may be lost.
    pub(crate) fn write(&mut self, byte: u8) -> bool {
        let mut wire = self.wire.borrow_mut();
        if wire.lanes[self.lane].bytes.len() >= CAPACITY {
            return false;
        }
        wire.carry(self.lane, byte);
        true
    }

    /// Sends bytes until the peer must read first; how many were taken.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> usize {
        bytes.iter().take_while(|&&byte| self.write(byte)).count()
    }

    /// All that is there, up to a stall.
    pub(crate) fn drain(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.read()).collect()
    }

    /// Other troubles from now on, in both directions.
    pub(crate) fn set_troubles(&self, troubles: Troubles) {
        self.wire.borrow_mut().troubles = troubles;
    }

    /// Without a plug all that is sent is lost, and so is all that was under way.
    pub(crate) fn set_unplugged(&self, unplugged: bool) {
        let mut wire = self.wire.borrow_mut();
        wire.unplugged = unplugged;
        wire.lanes = Default::default();
    }

    /// What has gone wrong so far.
    pub(crate) fn count(&self) -> Count {
        self.wire.borrow().count
    }
}

impl Wire {
    fn carry(&mut self, lane: usize, byte: u8) {
        let Troubles {
            drop,
            duplicate,
            corrupt,
            insert,
            stall,
        } = self.troubles;
        self.count.sent += 1;
        if self.unplugged || self.spoils(drop) {
            return;
        }
        if self.random.happens(stall) {
            self.count.stalls += 1;
            self.lanes[lane].stalled = 1 + self.random.below(MAX_STALL);
        }
        if self.spoils(insert) {
            let made_up = self.random.next() as u8;
            self.lanes[lane].bytes.push_back(made_up);
        }
        let flips = if self.spoils(corrupt) {
            1 + self.random.below(255) as u8
        } else {
            0
        };
        self.lanes[lane].bytes.push_back(byte ^ flips);
        if self.spoils(duplicate) {
            self.lanes[lane].bytes.push_back(byte ^ flips);
        }
    }

    fn spoils(&mut self, per_million: u32) -> bool {
        let happens = self.random.happens(per_million);
        self.count.spoiled += u64::from(happens);
        happens
    }
}

/// SplitMix64: the same numbers on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0; the bias is below n / 2^32.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        let product = (self.next() >> 32) * u64::from(n);
        (product >> 32) as u32
    }

    fn happens(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.below(1_000_000) < per_million
    }
}
