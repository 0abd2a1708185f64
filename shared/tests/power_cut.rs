//! The power goes: at every byte that is written, and during every erase.
//!
//! In: a script of calls on a support set in simulated flash. Out, after each cut: what was
//! acknowledged is there, what was cut off is there as a whole or not at all, and the set goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

mod flash;
mod model;

use std::time::Instant;

use embedded_storage::nor_flash::NorFlash;
use flash::{Cut, Flash, FlashError, RESIDUES, Random, Residue};
use model::{Model, Op, apply};
use shared::store::{Layout, StoreError};
use shared::support_set::{SupportSet, SupportSetError};

const LAYOUT: Layout = Layout {
    at: 256,
    bank_len: 6 * 256,
};
type Small = Flash<4, 256, 4>;

fn cut_off<T>(result: &Result<T, SupportSetError<FlashError>>) -> bool {
    let cut = SupportSetError::Store(StoreError::Flash(FlashError::PowerCut));
    matches!(result, Err(error) if *error == cut)
}

/// Calls in a mixture that fills the flash again and again.
fn random_op(random: &mut Random) -> Op {
    let (n, m) = (random.below(64), random.below(8));
    match random.below(32) {
        0..13 => Op::Enrol {
            label: m,
            side: 2 + u16::try_from(random.below(9)).unwrap(),
            seed: random.next(),
        },
        13..16 => Op::ForgetSample(n),
        16 => Op::ForgetClass(n),
        17 if n < 16 => Op::ForgetAll,
        17..20 => Op::Rename(n, m),
        20..23 => Op::Undo,
        23..26 => Op::SetEmbedding(n, random.next()),
        26..28 => Op::Configure(random.below(1_000_000) as u32),
        _ => Op::Maintain(1 + random.below(6)),
    }
}

/// Call number `i` of the script, if it is the turn of one that chance would hardly bring.
fn scripted(i: u32) -> Option<Op> {
    match i {
        90 | 150 => Some(Op::ForgetAll),
        91 | 151 => Some(Op::Undo),
        _ => None,
    }
}

/// One state in the script, and the call that comes next.
struct Scene {
    flash: Small,
    set: SupportSet,
    old: Model,
    op: Op,
    new: Model,
}

#[derive(Debug, Default)]
struct Tally {
    cuts: u64,
    absent: u64,
    present: u64,
    settled: u64,
}

impl Scene {
    fn cut(&self, cut: Cut, residue: Residue, tally: &mut Tally) {
        let mut flash = self.flash.clone();
        let mut set = self.set.clone();
        let mut model = self.old.clone();
        flash.cut(cut, residue);
        let result = apply(self.op, &mut set, &mut flash, &mut model);
        let at = format!("{:?} cut at {cut:?}, {residue:?}", self.op);
        assert!(cut_off(&result), "{at}: {result:?}");
        flash.revive();
        let (set, _) = SupportSet::mount(&mut flash, LAYOUT).expect(&at);
        let model = self.outcome(&set, &mut flash, tally, &at);
        carry_on(set, flash, model, tally.cuts, &at);
        tally.cuts += 1;
    }

    /// The old state or the new, and only where room was made for an enrolment the old one without
    /// anything to take back.
    fn outcome(&self, set: &SupportSet, flash: &mut Small, tally: &mut Tally, at: &str) -> Model {
        let absent = self.old.compare(set, flash);
        if absent.is_ok() {
            tally.absent += 1;
            return self.old.clone();
        }
        let present = self.new.compare(set, flash);
        if present.is_ok() {
            tally.present += 1;
            return self.new.clone();
        }
        let settled = self.old.settled();
        let allowed = matches!(self.op, Op::Enrol { .. }) && settled.compare(set, flash).is_ok();
        assert!(
            allowed,
            "{at}: neither old ({absent:?}) nor new ({present:?})"
        );
        tally.settled += 1;
        settled
    }
}

/// Two more calls and a restart: the set is as good as any.
fn carry_on(mut set: SupportSet, mut flash: Small, mut model: Model, n: u64, at: &str) {
    let enrol = Op::Enrol {
        label: 1,
        side: 2,
        seed: n,
    };
    let then = [Op::Undo, Op::ForgetSample(0), Op::Rename(0, 7)];
    for op in [enrol, then[usize::try_from(n % 3).unwrap()]] {
        apply(op, &mut set, &mut flash, &mut model).expect(at);
    }
    model.compare(&set, &mut flash).expect(at);
    let (set, _) = SupportSet::mount(&mut flash, LAYOUT).expect(at);
    model.compare(&set, &mut flash).expect(at);
}

/// A flash, the set on it, and what must be there.
struct Life {
    flash: Small,
    set: SupportSet,
    model: Model,
    tally: Tally,
}

impl Life {
    fn new() -> Self {
        let mut flash = Small::new(256 + 12 * 256, 1);
        let (set, report) = SupportSet::mount(&mut flash, LAYOUT).unwrap();
        assert_eq!(report.samples, 0);
        Self {
            flash,
            set,
            model: Model::default(),
            tally: Tally::default(),
        }
    }

    /// As after a restart: positions from flash alone.
    fn restart(&mut self) {
        (self.set, _) = SupportSet::mount(&mut self.flash, LAYOUT).unwrap();
    }

    /// Makes a call, and returns whether it was acknowledged and how many bytes and erases it took.
    fn call(&mut self, op: Op) -> (bool, u64, u64) {
        let (written, erased) = (self.flash.written, self.flash.erased);
        let done = apply(op, &mut self.set, &mut self.flash, &mut self.model).unwrap();
        self.model.compare(&self.set, &mut self.flash).unwrap();
        let written = self.flash.written - written;
        assert!(done || written == 0, "{op:?} was refused, but wrote");
        (done, written, self.flash.erased - erased)
    }

    /// Makes a call; before that, on copies, cuts it at each byte and during each erase. Each byte
    /// with one residue in turn, each erase with all; with `ONELOOK_CUTS` set, each byte with all.
    fn call_and_cut(&mut self, op: Op) -> bool {
        let residues = match std::env::var_os("ONELOOK_CUTS") {
            Some(_) => RESIDUES.len(),
            None => 1,
        };
        let mut scene = Scene {
            flash: self.flash.clone(),
            set: self.set.clone(),
            old: self.model.clone(),
            op,
            new: Model::default(),
        };
        let (done, written, erased) = self.call(op);
        scene.new = self.model.clone();
        for byte in 0..written {
            let turn = usize::try_from(byte % 5).unwrap();
            for residue in RESIDUES.iter().cycle().skip(turn).take(residues) {
                scene.cut(Cut::Byte(byte), *residue, &mut self.tally);
            }
        }
        for erase in 0..erased {
            for residue in RESIDUES {
                scene.cut(Cut::Erase(erase), residue, &mut self.tally);
            }
        }
        done
    }
}

#[test]
fn a_cut_at_every_byte_and_during_every_erase() {
    let start = Instant::now();
    let mut life = Life::new();
    let (mut random, mut acknowledged, mut refused) = (Random::new(20), 0, 0);
    while acknowledged < 200 {
        let op = scripted(acknowledged).unwrap_or_else(|| random_op(&mut random));
        if acknowledged % 17 == 16 {
            life.restart();
        }
        let done = life.call_and_cut(op);
        acknowledged += u32::from(done);
        refused += u32::from(!done);
    }
    let (flash, tally, epoch) = (&life.flash, &life.tally, life.set.epoch());
    println!(
        "{acknowledged} calls acknowledged, {refused} refused, {} bytes, {} erases, epoch {epoch}: \
         {tally:?}, 0 losses, {:.1} s",
        flash.written,
        flash.erased,
        start.elapsed().as_secs_f64()
    );
    assert!(epoch > 20, "the script must compact often");
    assert!(tally.present > 100 && tally.absent > 10_000);
}

/// Where room must be made of what could be brought back: a cut may cost that, and nothing else.
#[test]
fn a_cut_while_the_last_change_is_given_up() {
    let mut life = Life::new();
    let mut seed = 0;
    while life
        .call(Op::Enrol {
            label: 1,
            side: 5,
            seed,
        })
        .0
    {
        seed += 1;
    }
    life.call(Op::ForgetAll);
    life.restart();
    let big = Op::Enrol {
        label: 2,
        side: 28,
        seed,
    };
    assert!(life.call_and_cut(big), "there is room");
    println!("{:?}", life.tally);
    assert!(life.tally.settled > 0 && life.tally.present > 0);
}

#[derive(Debug, Default)]
struct Campaign {
    acknowledged: u64,
    cuts: u64,
    torn_writes: u64,
    torn_erases: u64,
    absent: u64,
    present: u64,
    settled: u64,
    bytes: u64,
    erases: u64,
    most_samples: usize,
}

/// Random calls with random cuts on one flash, from new to well used.
fn campaign<const WRITE: usize, const ERASE: usize, const READ: usize>(
    seed: u64,
    layout: Layout,
    acknowledged: u64,
    total: &mut Campaign,
) where
    Flash<WRITE, ERASE, READ>: NorFlash<Error = FlashError>,
{
    let mut random = Random::new(seed);
    let len = (layout.at + 2 * layout.bank_len) as usize;
    let mut flash = Flash::<WRITE, ERASE, READ>::new(len, seed);
    let (mut set, _) = SupportSet::mount(&mut flash, layout).unwrap();
    let mut model = Model::default();
    let goal = total.acknowledged + acknowledged;
    while total.acknowledged < goal {
        let op = random_op(&mut random);
        if random.below(3) > 0 {
            let residue = RESIDUES[random.below(5)];
            let cut = if random.below(3) == 0 {
                Cut::Erase(random.below(4) as u64)
            } else {
                Cut::Byte(random.below(300) as u64)
            };
            flash.cut(cut, residue);
        }
        let old = model.clone();
        let before = flash.written;
        let result = apply(op, &mut set, &mut flash, &mut model);
        if !cut_off(&result) {
            // Refused or maintained is not written.
            let wrote = result.unwrap() && !matches!(op, Op::Maintain(_)) && flash.written > before;
            total.acknowledged += u64::from(wrote);
            total.most_samples = total.most_samples.max(model.samples.len());
            continue;
        }
        total.cuts += 1;
        let torn_erase = flash.erased_torn();
        total.torn_erases += u64::from(torn_erase);
        total.torn_writes += u64::from(!torn_erase);
        flash.revive();
        (set, _) = SupportSet::mount(&mut flash, layout).unwrap();
        model = outcome(op, old, &set, &mut flash, total, seed);
    }
    total.bytes += flash.written;
    total.erases += flash.erased;
}

/// As [`Scene::outcome`], where what the call would have done is not known yet.
fn outcome<F: NorFlash<Error = FlashError>>(
    op: Op,
    old: Model,
    set: &SupportSet,
    flash: &mut F,
    total: &mut Campaign,
    seed: u64,
) -> Model {
    if old.compare(set, flash).is_ok() {
        total.absent += 1;
        return old;
    }
    let new = old.clone().after(op, set);
    let compared = new.compare(set, flash);
    if compared.is_ok() {
        total.present += 1;
        return new;
    }
    let settled = old.settled();
    let allowed = matches!(op, Op::Enrol { .. }) && settled.compare(set, flash).is_ok();
    assert!(allowed, "seed {seed}, {op:?}: {compared:?}");
    total.settled += 1;
    settled
}

/// `ONELOOK_CUTS` says how many acknowledged writes; 20,000 if it does not.
#[test]
fn random_cuts_lose_nothing() {
    let wanted = std::env::var("ONELOOK_CUTS").map_or(20_000, |n| n.parse().unwrap());
    let start = Instant::now();
    let mut total = Campaign::default();
    let mut seed = 0;
    while total.acknowledged < wanted {
        seed += 1;
        let n = 2000.min(wanted - total.acknowledged);
        let layout = |at, bank_len| Layout { at, bank_len };
        match seed % 6 {
            0 => campaign::<4, 256, 4>(seed, layout(256, 7 * 256), n, &mut total),
            1 => campaign::<1, 4096, 1>(seed, layout(0, 4096), n, &mut total),
            2 => campaign::<8, 512, 8>(seed, layout(512, 2048), n, &mut total),
            3 => campaign::<16, 1024, 1>(seed, layout(0, 3072), n, &mut total),
            4 => campaign::<32, 512, 4>(seed, layout(1024, 4096), n, &mut total),
            _ => campaign::<256, 4096, 1>(seed, layout(0, 8192), n, &mut total),
        }
    }
    println!(
        "{seed} flashes, {total:?}, 0 losses, {:.1} s",
        start.elapsed().as_secs_f64()
    );
}
