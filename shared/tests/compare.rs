//! The log beside that of the crate `sequential-storage`, on the same flash with the same cuts.
//!
//! In: keys and values to keep, cuts at random. Out: how many runs lost, staled or could not read
//! something that was acknowledged. A report: only what it says about our own log can fail.
//!
//! Both get the same flash, blank, and numbers from the same seeds; which call a cut hits depends on
//! how much each writes. The other crate is used as its documentation says: without a cache, a new
//! `MapStorage` after each restart, and with its repair, which its calls make by themselves. A run
//! ends at its first loss or error; another user might go on by erasing everything. With cuts that
//! leave a word as far as it was written, and a sector as it was or erased, both lose nothing. The
//! other three residues, of words and sectors, are harsher than what that crate is made for. Words
//! that it writes twice are counted, not refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

mod flash;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use embassy_futures::block_on;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use flash::{Cut, FlashError, RESIDUES, Random, Residue};
use sequential_storage::cache::{Cache, CacheImpl};
use sequential_storage::map::{MapConfig, MapStorage};
use shared::store::{Layout, Record, Step, Store, StoreError};

const SECTOR: usize = 256;
const SECTORS: usize = 8;
const KEYS: usize = 8;
const PUTS: u64 = 500;
type Flash = flash::Flash<4, SECTOR, 1>;

/// Something that keeps the newest value of each key. It is made anew after each restart.
trait Subject: Sized {
    const NAME: &'static str;
    fn start(flash: &mut Flash) -> Result<Self, String>;
    fn put(&mut self, flash: &mut Flash, key: u8, value: &[u8]) -> Result<(), String>;
    fn get(&mut self, flash: &mut Flash, key: u8) -> Result<Option<Vec<u8>>, String>;
}

/// Ours: the kind of a record is its key.
struct Log {
    store: Store,
    newest: [Option<Record>; KEYS],
}

impl Log {
    fn compact(&mut self, flash: &mut Flash) -> Result<(), StoreError<FlashError>> {
        let mut copies = self.newest;
        loop {
            let newest = &self.newest;
            let keep = |record: &Record| newest[usize::from(record.kind)] == Some(*record);
            match self.store.compact_step(flash, keep)? {
                Step::Moved { to, .. } => copies[usize::from(to.kind)] = Some(to),
                Step::Copied => break,
                Step::Working | Step::Lost => {}
            }
        }
        self.store.seal(flash)?;
        self.newest = copies;
        Ok(())
    }
}

impl Subject for Log {
    const NAME: &'static str = "shared::store";

    fn start(flash: &mut Flash) -> Result<Self, String> {
        let layout = Layout {
            at: 0,
            bank_len: (SECTORS * SECTOR / 2) as u32,
        };
        let mut newest = [None; KEYS];
        let visit = |_: &mut Flash, record: Record| {
            newest[usize::from(record.kind)] = Some(record);
            Ok(())
        };
        let (store, _) = Store::mount(flash, layout, visit).map_err(|e| format!("{e:?}"))?;
        Ok(Self { store, newest })
    }

    fn put(&mut self, flash: &mut Flash, key: u8, value: &[u8]) -> Result<(), String> {
        let mut record = self.store.append(flash, key, 1, &[value]);
        if matches!(record, Err(StoreError::Full { .. })) {
            self.compact(flash).map_err(|e| format!("{e:?}"))?;
            record = self.store.append(flash, key, 1, &[value]);
        }
        self.newest[usize::from(key)] = Some(record.map_err(|e| format!("{e:?}"))?);
        Ok(())
    }

    fn get(&mut self, flash: &mut Flash, key: u8) -> Result<Option<Vec<u8>>, String> {
        let Some(record) = self.newest[usize::from(key)] else {
            return Ok(None);
        };
        let mut value = vec![0; record.len as usize];
        record
            .read(flash, 0, &mut value)
            .map_err(|e| format!("{e:?}"))?;
        Ok(Some(value))
    }
}

/// The same flash for code that waits.
struct Waiting<'a>(&'a mut Flash);

impl embedded_storage::nor_flash::ErrorType for Waiting<'_> {
    type Error = FlashError;
}

impl embedded_storage_async::nor_flash::ReadNorFlash for Waiting<'_> {
    const READ_SIZE: usize = Flash::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.0.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl embedded_storage_async::nor_flash::NorFlash for Waiting<'_> {
    const WRITE_SIZE: usize = Flash::WRITE_SIZE;
    const ERASE_SIZE: usize = Flash::ERASE_SIZE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.0.erase(from, to)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.write(offset, bytes)
    }
}

struct Sequential;

fn map(flash: &mut Flash) -> MapStorage<u8, Waiting<'_>, impl CacheImpl<u8>> {
    let config = MapConfig::new(0..(SECTORS * SECTOR) as u32);
    MapStorage::new(Waiting(flash), config, Cache::new_uncached())
}

impl Subject for Sequential {
    const NAME: &'static str = "sequential-storage";

    fn start(_: &mut Flash) -> Result<Self, String> {
        Ok(Self)
    }

    fn put(&mut self, flash: &mut Flash, key: u8, value: &[u8]) -> Result<(), String> {
        let mut buffer = [0; 128];
        let mut map = map(flash);
        let stored = block_on(map.store_item(&mut buffer, &key, &value));
        stored.map_err(|e| format!("{e:?}"))
    }

    fn get(&mut self, flash: &mut Flash, key: u8) -> Result<Option<Vec<u8>>, String> {
        let mut buffer = [0; 128];
        let mut map = map(flash);
        let value: Result<Option<&[u8]>, _> = block_on(map.fetch_item(&mut buffer, &key));
        value
            .map(|value| value.map(<[u8]>::to_vec))
            .map_err(|e| format!("{e:?}"))
    }
}

#[derive(Debug, Default)]
struct Tally {
    runs: u64,
    acknowledged: u64,
    cuts: u64,
    torn_erases: u64,
    /// Runs that end with a value that was acknowledged and is gone, or an older one in its place.
    lost: u64,
    /// Runs that end with an error although the power is there.
    failed: u64,
    /// Which errors.
    errors: BTreeSet<String>,
    /// Runs that end in a panic.
    panicked: u64,
    twice: u64,
}

enum End {
    Done,
    Lost,
    Failed(String),
}

fn run<S: Subject>(seed: u64, residues: &[Residue], tally: &mut Tally) -> End {
    let mut random = Random::new(seed);
    let mut flash = Flash::blank(SECTORS * SECTOR, seed);
    flash.lenient = S::NAME == Sequential::NAME;
    let mut values: [Option<Vec<u8>>; KEYS] = Default::default();
    let mut subject = match S::start(&mut flash) {
        Ok(subject) => subject,
        Err(error) => return End::Failed(error),
    };
    for _ in 0..PUTS {
        let key = random.below(KEYS);
        let value_len = 8 + random.below(40);
        let value = random.bytes(value_len);
        let cut = match random.below(6) {
            0 | 1 => Cut::Byte(random.below(200) as u64),
            2 | 3 => Cut::Erase(0),
            _ => Cut::Never,
        };
        flash.cut(cut, residues[random.below(residues.len())]);
        let put = subject.put(&mut flash, key as u8, &value);
        if flash.is_dead() {
            tally.cuts += 1;
            tally.torn_erases += u64::from(flash.erased_torn());
            flash.revive();
            subject = match S::start(&mut flash) {
                Ok(subject) => subject,
                Err(error) => return End::Failed(error),
            };
            match subject.get(&mut flash, key as u8) {
                Err(error) => return End::Failed(error),
                Ok(got) if got.as_ref() == Some(&value) => values[key] = got,
                Ok(got) if got == values[key] => {}
                Ok(_) => return End::Lost,
            }
        } else if let Err(error) = put {
            return End::Failed(error);
        } else {
            tally.acknowledged += 1;
            values[key] = Some(value);
        }
        flash.cut(Cut::Never, Residue::Clean);
        for (key, value) in values.iter().enumerate() {
            match subject.get(&mut flash, key as u8) {
                Err(error) => return End::Failed(error),
                Ok(got) if got != *value => return End::Lost,
                Ok(_) => {}
            }
        }
    }
    tally.twice += flash.twice;
    End::Done
}

fn compare<S: Subject>(name: &str, residues: &[Residue], runs: u64) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..runs {
        tally.runs += 1;
        let end = catch_unwind(AssertUnwindSafe(|| run::<S>(seed, residues, &mut tally)));
        match end {
            Ok(End::Done) => {}
            Ok(End::Lost) => tally.lost += 1,
            Ok(End::Failed(error)) => {
                tally.failed += 1;
                tally.errors.insert(error);
            }
            Err(_) => tally.panicked += 1,
        }
    }
    println!("{:<19} {name:<12} {tally:?}", S::NAME);
    tally
}

/// `cargo test -p shared --test compare -- --ignored --nocapture`
#[test]
#[ignore = "a report"]
fn both_logs_with_the_same_cuts() {
    let regimes: [(&str, &[Residue]); 5] = [
        ("clean", &[Residue::Clean]),
        ("clean or old", &[Residue::Clean, Residue::Old]),
        ("zeros", &[Residue::Zeros]),
        ("noise", &[Residue::Noise]),
        ("all five", &RESIDUES),
    ];
    for (name, residues) in regimes {
        let ours = compare::<Log>(name, residues, 200);
        assert_eq!(
            (ours.lost, ours.failed, ours.panicked),
            (0, 0, 0),
            "{ours:?}"
        );
        compare::<Sequential>(name, residues, 200);
    }
}
