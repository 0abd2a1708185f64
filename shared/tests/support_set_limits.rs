//! The support set at its limits: full, worn, damaged, forged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

mod flash;
mod model;

use flash::{FlashError, Random};
use model::{Flash, Model, Op, apply, as_new, empty, enrol, layout, new_sample, remount};
use shared::link::{Settings, Target};
use shared::store::{Store, StoreError};
use shared::support_set::{MAX_EMBEDDING, MAX_SAMPLES, SupportSet, SupportSetError as Refused};

#[test]
fn sixty_four_samples_and_no_more() {
    let (mut flash, mut set) = empty(8);
    let mut model = Model::default();
    for n in 0..MAX_SAMPLES {
        let op = Op::Enrol {
            label: 10 + n,
            side: 3,
            seed: n as u64,
        };
        assert_eq!(apply(op, &mut set, &mut flash, &mut model), Ok(true));
    }
    assert_eq!((set.len(), set.classes()), (64, 64));
    let one = new_sample(0, 0, 2, 0);
    assert_eq!(
        set.enrol(&mut flash, &as_new(&one)),
        Err(Refused::TooManySamples)
    );
    // Every class its own, so there is no label to spare while one is renamed and taken back.
    for op in [
        Op::Rename(63, 99),
        Op::Undo,
        Op::ForgetAll,
        Op::Undo,
        Op::Rename(0, 73),
        Op::Undo,
        Op::ForgetSample(5),
        Op::Enrol {
            label: 2,
            side: 2,
            seed: 5,
        },
    ] {
        assert_eq!(apply(op, &mut set, &mut flash, &mut model), Ok(true));
        model.compare(&set, &mut flash).unwrap();
        model
            .compare(&remount(&mut flash, &set), &mut flash)
            .unwrap();
    }
}

fn fill(set: &mut SupportSet, flash: &mut Flash, model: &mut Model) {
    for seed in 0.. {
        let op = Op::Enrol {
            label: 2,
            side: 10,
            seed,
        };
        if !apply(op, set, flash, model).unwrap() {
            return;
        }
    }
}

#[test]
fn a_full_flash_takes_everything_but_samples() {
    let (mut flash, mut set) = empty(1);
    let mut model = Model::default();
    fill(&mut set, &mut flash, &mut model);
    let n = model.samples.len();
    assert!(n > 10, "{n}");
    let before = flash.bytes.clone();
    let more = new_sample(0, 2, 10, 0);
    let full = set.enrol(&mut flash, &as_new(&more));
    assert!(matches!(full, Err(Refused::Full { .. })), "{full:?}");
    assert_eq!(flash.bytes, before);
    assert!(set.flash_free() < 300);
    // A new model embeds every sample, as long as its embeddings are no longer; twice.
    let longest = set.samples().map(|s| s.embedding_len).max().unwrap();
    for round in 1..3 {
        for i in 0..n {
            let sample = set.samples().nth(i).unwrap();
            let new = vec![round; usize::from(sample.embedding_len)];
            set.set_embedding(&mut flash, sample.id, &new, [round; 16])
                .unwrap();
            let samples = model
                .samples
                .iter_mut()
                .chain(model.before.iter_mut().flatten());
            for kept in samples.filter(|s| s.id == sample.id) {
                kept.embedding.clone_from(&new);
                kept.fingerprint = [round; 16];
            }
        }
        assert_eq!(set.stale(&[round; 16]), 0);
        model
            .compare(&remount(&mut flash, &set), &mut flash)
            .unwrap();
    }
    assert!(longest > 20);
    for op in [
        Op::Rename(0, 9),
        Op::Undo,
        Op::Configure(1),
        Op::ForgetAll,
        Op::Undo,
        Op::ForgetSample(3),
        Op::ForgetSample(3),
        Op::Enrol {
            label: 0,
            side: 10,
            seed: 1,
        },
    ] {
        assert_eq!(
            apply(op, &mut set, &mut flash, &mut model),
            Ok(true),
            "{op:?}"
        );
        model
            .compare(&remount(&mut flash, &set), &mut flash)
            .unwrap();
    }
}

/// What was forgotten last makes room, although it could be brought back until then.
#[test]
fn a_full_flash_that_is_forgotten_has_room() {
    let (mut flash, mut set) = empty(1);
    let mut model = Model::default();
    fill(&mut set, &mut flash, &mut model);
    apply(Op::ForgetAll, &mut set, &mut flash, &mut model).unwrap();
    assert!(set.flash_free() > 3000);
    let big = Op::Enrol {
        label: 1,
        side: 31,
        seed: 4,
    };
    assert_eq!(apply(big, &mut set, &mut flash, &mut model), Ok(true));
    model
        .compare(&remount(&mut flash, &set), &mut flash)
        .unwrap();
    assert_eq!(apply(Op::Undo, &mut set, &mut flash, &mut model), Ok(true));
    assert!(set.is_empty());
}

#[test]
fn maintenance_makes_room_ahead() {
    let (mut flash, mut set) = empty(4);
    let mut model = Model::default();
    let mut steps = 0;
    for seed in 0..200 {
        let op = Op::Enrol {
            label: 3,
            side: 20,
            seed,
        };
        let erased = flash.erased;
        assert_eq!(apply(op, &mut set, &mut flash, &mut model), Ok(true));
        assert!(
            flash.erased == erased || seed == 0,
            "no call waits for an erase"
        );
        apply(Op::ForgetSample(0), &mut set, &mut flash, &mut model).unwrap();
        while set.maintain(&mut flash).unwrap() {
            steps += 1;
        }
        model.compare(&set, &mut flash).unwrap();
    }
    assert!(set.epoch() > 4 && steps > 20, "{} {steps}", set.epoch());
    // Nothing to do: nothing done.
    let before = flash.bytes.clone();
    assert_eq!(set.maintain(&mut flash), Ok(false));
    assert_eq!(flash.bytes, before);
}

#[test]
fn records_of_a_later_release_are_kept() {
    let (mut flash, mut set) = empty(1);
    enrol(&mut set, &mut flash, "a");
    let (mut store, _) = Store::mount(&mut flash, layout(1), |_, _| Ok(())).unwrap();
    store
        .append(&mut flash, 99, 1, &[b"from the future"])
        .unwrap();
    store
        .append(&mut flash, 1, 2, &[b"another kind of sample"])
        .unwrap();
    let (mut set, report) = SupportSet::mount(&mut flash, layout(1)).unwrap();
    assert_eq!((report.samples, report.unknown, report.damaged), (1, 2, 0));
    let settings = Settings {
        far_ppm: 1,
        offset: 2,
    };
    while set.epoch() < 4 {
        set.configure(&mut flash, settings).unwrap();
    }
    let mut found = Vec::new();
    Store::mount(&mut flash, layout(1), |flash, record| {
        if (record.kind, record.version) == (99, 1) || record.version == 2 {
            let mut bytes = vec![0; record.len as usize];
            record.read(flash, 0, &mut bytes)?;
            found.push(bytes);
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(found, [&b"from the future"[..], b"another kind of sample"]);
}

#[test]
fn flash_that_fails_is_read_on() {
    let (mut flash, mut set) = empty(1);
    let mut model = Model::default();
    let small = Op::Enrol {
        label: 1,
        side: 4,
        seed: 4,
    };
    apply(small, &mut set, &mut flash, &mut model).unwrap();
    // The other bank cannot be erased, and there is a bad word in this one.
    flash.unerasable = Some((4096, true));
    flash.stuck = Some((300, 0xFF));
    for _ in 0..5 {
        let failed = apply(small, &mut set, &mut flash, &mut model);
        assert!(matches!(failed, Err(Refused::Store(_))), "{failed:?}");
        model.compare(&set, &mut flash).unwrap();
        model
            .compare(&remount(&mut flash, &set), &mut flash)
            .unwrap();
    }
    let worn = Err(Refused::Store(StoreError::Flash(FlashError::Worn)));
    assert_eq!(set.maintain(&mut flash), worn);
    flash.unerasable = None;
    assert_eq!(apply(small, &mut set, &mut flash, &mut model), Ok(true));
    model
        .compare(&remount(&mut flash, &set), &mut flash)
        .unwrap();
}

#[test]
fn damage_costs_one_sample() {
    let (mut flash, mut set) = empty(1);
    let mut model = Model::default();
    for seed in 0..4 {
        let op = Op::Enrol {
            label: 1,
            side: 4,
            seed,
        };
        apply(op, &mut set, &mut flash, &mut model).unwrap();
    }
    let found = flash
        .bytes
        .windows(20)
        .position(|w| w == model.samples[1].capture);
    flash.bytes[found.unwrap() + 7] ^= 1;
    model.samples.remove(1);
    let (set, report) = SupportSet::mount(&mut flash, layout(1)).unwrap();
    assert_eq!((report.samples, report.damaged, set.damaged()), (3, 1, 1));
    model.compare(&set, &mut flash).unwrap();
}

/// Whatever bytes there are: an answer, and no panic; and the set that is found can be used.
#[test]
fn any_bytes_can_be_mounted() {
    let (mut flash, mut set) = empty(1);
    let mut model = Model::default();
    let mut random = Random::new(8);
    for seed in 0..6 {
        let op = Op::Enrol {
            label: random.below(4),
            side: 3,
            seed,
        };
        apply(op, &mut set, &mut flash, &mut model).unwrap();
    }
    apply(Op::Rename(0, 3), &mut set, &mut flash, &mut model).unwrap();
    while set.epoch() < 2 {
        set.configure(
            &mut flash,
            Settings {
                far_ppm: 1,
                offset: 1,
            },
        )
        .unwrap();
    }
    apply(Op::ForgetSample(2), &mut set, &mut flash, &mut model).unwrap();
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    for _ in 0..5_000 {
        let mut flash = flash.clone();
        forge(&mut flash.bytes[4096..], &mut random, &crc);
        let Ok((mut set, _)) = SupportSet::mount(&mut flash, layout(1)) else {
            continue;
        };
        assert!(set.samples().all(|s| set.label(s.class).is_some()));
        let ids: Vec<u32> = set.samples().map(|s| s.id).collect();
        for id in ids {
            set.read_embedding(&mut flash, id, &mut [0; MAX_EMBEDDING])
                .unwrap();
        }
        _ = set.undo(&mut flash);
        _ = set.forget(&mut flash, Target::All);
        while matches!(set.maintain(&mut flash), Ok(true)) {}
    }
}

/// Changes bytes of payloads and mends their checksums, so that only what they mean is wrong.
fn forge(bank: &mut [u8], random: &mut Random, crc: &crc::Crc<u32>) {
    let epoch: [u8; 4] = bank[8..12].try_into().unwrap();
    let mut at = 32;
    loop {
        let len = u32::from_le_bytes(bank[at..at + 4].try_into().unwrap()) as usize;
        if len > 2000 {
            return;
        }
        for _ in 0..random.below(3).min(len) {
            bank[at + 16 + random.below(len)] = random.bytes(1)[0];
        }
        if random.below(20) == 0 {
            bank[at + 4] = 1 + random.bytes(1)[0] % 8;
        }
        let payload = crc.checksum(&bank[at + 16..at + 16 + len]);
        bank[at + 8..at + 12].copy_from_slice(&payload.to_le_bytes());
        let head = [&bank[at..at + 12], &epoch].concat();
        bank[at + 12..at + 16].copy_from_slice(&crc.checksum(&head).to_le_bytes());
        at += (16 + len).next_multiple_of(16);
    }
}
