//! The support set: what each call does, refuses and survives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

mod flash;
mod model;

use flash::{FlashError, Random};
use model::{Model, Op, apply, as_new, new_sample};
use shared::link::{Settings, Target};
use shared::store::{Layout, Store, StoreError};
use shared::support_set::{
    MAX_CAPTURE, MAX_EMBEDDING, MAX_SAMPLES, NewSample, SupportSet, SupportSetError as Refused,
    capture_crc,
};

type Flash = flash::Flash<4, 4096, 1>;

const fn layout(sectors: u32) -> Layout {
    let bank_len = sectors * 4096;
    Layout { at: 0, bank_len }
}

fn empty(sectors: u32) -> (Flash, SupportSet) {
    let mut flash = Flash::blank(2 * 4096 * sectors as usize, 3);
    let (set, _) = SupportSet::mount(&mut flash, layout(sectors)).unwrap();
    (flash, set)
}

fn remount(flash: &mut Flash, set: &SupportSet) -> SupportSet {
    SupportSet::mount(flash, set.layout()).unwrap().0
}

fn enrol(set: &mut SupportSet, flash: &mut Flash, label: &str) -> u32 {
    let mut sample = new_sample(0, 0, 4, u64::from(set.epoch()) + set.len() as u64);
    label.clone_into(&mut sample.label);
    set.enrol(flash, &as_new(&sample)).unwrap()
}

fn labels(set: &SupportSet) -> Vec<&str> {
    set.samples().map(|s| set.label(s.class).unwrap()).collect()
}

#[test]
fn classes_are_numbered_by_their_oldest_samples() {
    let (mut flash, mut set) = empty(2);
    for label in ["b", "a", "b", "c"] {
        enrol(&mut set, &mut flash, label);
    }
    let classes = |set: &SupportSet| set.samples().map(|s| s.class).collect::<Vec<_>>();
    assert_eq!((set.classes(), classes(&set)), (3, vec![0, 1, 0, 2]));
    assert_eq!((set.class_of("c"), set.class_of("d")), (Some(2), None));
    assert_eq!(set.forget(&mut flash, Target::Sample(1)), Ok(1));
    assert_eq!(classes(&set), [0, 1, 2]);
    assert_eq!(labels(&set), ["a", "b", "c"]);
    assert_eq!(set.rename(&mut flash, "c", "a"), Ok(1));
    assert_eq!(labels(&set), ["a", "b", "a"]);
    assert_eq!((set.classes(), set.label(2)), (2, None));
    assert_eq!(labels(&remount(&mut flash, &set)), ["a", "b", "a"]);
}

#[test]
fn what_cannot_be_is_refused_and_nothing_written() {
    let (mut flash, mut set) = empty(2);
    enrol(&mut set, &mut flash, "a");
    let before = flash.bytes.clone();
    let good = NewSample {
        label: "b",
        h: 2,
        w: 3,
        capture: &[1; 6],
        embedding: &[2; 5],
        fingerprint: [0; 16],
    };
    let long = "x".repeat(33);
    for label in ["", &long] {
        let bad = NewSample { label, ..good };
        assert_eq!(set.enrol(&mut flash, &bad), Err(Refused::Label));
        assert_eq!(set.rename(&mut flash, "a", label), Err(Refused::Label));
    }
    let big = [0; MAX_CAPTURE + 1];
    for (h, w, capture) in [(0, 3, &[][..]), (2, 3, &[1; 5]), (1, 16385, &big)] {
        let bad = NewSample {
            h,
            w,
            capture,
            ..good
        };
        assert_eq!(set.enrol(&mut flash, &bad), Err(Refused::CaptureSize));
    }
    let embedding = &[0; MAX_EMBEDDING + 1];
    let bad = NewSample { embedding, ..good };
    assert_eq!(set.enrol(&mut flash, &bad), Err(Refused::EmbeddingSize));
    let bad = set.set_embedding(&mut flash, 1, embedding, [0; 16]);
    assert_eq!(bad, Err(Refused::EmbeddingSize));
    let bad = set.set_embedding(&mut flash, 9, &[], [0; 16]);
    assert_eq!(bad, Err(Refused::NoSuchSample));
    let bad = set.forget(&mut flash, Target::Sample(9));
    assert_eq!(bad, Err(Refused::NoSuchSample));
    for label in ["b", "", &long] {
        let bad = set.forget(&mut flash, Target::Class(label));
        assert_eq!(bad, Err(Refused::NoSuchClass));
        assert_eq!(
            set.rename(&mut flash, label, "c"),
            Err(Refused::NoSuchClass)
        );
    }
    assert_eq!(set.rename(&mut flash, "a", "a"), Ok(1));
    assert_eq!(
        set.read_capture(&mut flash, 9, 0, &mut []),
        Err(Refused::NoSuchSample)
    );
    assert_eq!(flash.bytes, before);
    set.undo(&mut flash).unwrap();
    assert_eq!(set.undo(&mut flash), Err(Refused::NothingToUndo));
    assert_eq!(set.forget(&mut flash, Target::All), Ok(0));
}

#[test]
fn the_largest_sample_comes_back() {
    let (mut flash, mut set) = empty(16);
    let mut random = Random::new(1);
    let (capture, embedding) = (random.bytes(MAX_CAPTURE), random.bytes(MAX_EMBEDDING));
    let sample = NewSample {
        label: "日本日本日本日本日本ab",
        h: 128,
        w: 128,
        capture: &capture,
        embedding: &embedding,
        fingerprint: [7; 16],
    };
    let id = set.enrol(&mut flash, &sample).unwrap();
    let set = remount(&mut flash, &set);
    assert_eq!(set.label(0), Some(sample.label));
    let mut got = Vec::new();
    let mut piece = [0; 896];
    loop {
        let n = set.read_capture(&mut flash, id, got.len() as u32, &mut piece);
        match n.unwrap() {
            0 => break,
            n => got.extend_from_slice(&piece[..n]),
        }
    }
    assert!(got == capture);
    let mut got = [0; MAX_EMBEDDING];
    assert_eq!(
        set.read_embedding(&mut flash, id, &mut got),
        Ok(MAX_EMBEDDING)
    );
    assert!(got[..] == embedding);
    assert_eq!(set.find_capture(capture_crc(&capture)), Some(id));
    assert_eq!(set.find_capture(1), None);
    assert_eq!((set.stale(&[7; 16]), set.stale(&[8; 16])), (0, 1));
}

/// Each kind of change is taken back: at once, after a restart, and after a compaction.
#[test]
fn the_last_change_can_be_taken_back() {
    let changes: [fn(&mut SupportSet, &mut Flash); 5] = [
        |set, flash| _ = enrol(set, flash, "d"),
        |set, flash| _ = set.forget(flash, Target::Sample(2)).unwrap(),
        |set, flash| _ = set.forget(flash, Target::Class("a")).unwrap(),
        |set, flash| _ = set.forget(flash, Target::All).unwrap(),
        |set, flash| _ = set.rename(flash, "a", "b").unwrap(),
    ];
    let settings = Settings {
        far_ppm: 9,
        offset: -1,
    };
    for change in changes {
        for way in 0..3 {
            let (mut flash, mut set) = empty(1);
            for label in ["a", "b", "a", "c"] {
                enrol(&mut set, &mut flash, label);
            }
            change(&mut set, &mut flash);
            let changed: Vec<String> = labels(&set).into_iter().map(str::to_owned).collect();
            assert_ne!(changed, ["a", "b", "a", "c"]);
            let epoch = set.epoch();
            while way == 2 && set.epoch() < epoch + 2 {
                // Nothing that can be taken back.
                set.configure(&mut flash, settings).unwrap();
            }
            if way > 0 {
                set = remount(&mut flash, &set);
            }
            assert_eq!(labels(&set), changed);
            set.undo(&mut flash).unwrap();
            assert_eq!(labels(&set), ["a", "b", "a", "c"]);
            let mut set = remount(&mut flash, &set);
            assert_eq!(labels(&set), ["a", "b", "a", "c"]);
            assert_eq!(set.undo(&mut flash), Err(Refused::NothingToUndo));
        }
    }
}

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

#[test]
fn only_this_format_is_mounted() {
    let (mut flash, mut set) = empty(1);
    enrol(&mut set, &mut flash, "a");
    flash.bytes[4] = 2;
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&flash.bytes[..28]);
    flash.bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    let error = SupportSet::mount(&mut flash, layout(1)).unwrap_err();
    assert_eq!(error, StoreError::Format { got: 2 });
    SupportSet::format(&mut flash, layout(1)).unwrap();
    let (set, report) = SupportSet::mount(&mut flash, layout(1)).unwrap();
    assert_eq!((set.epoch(), report.samples), (0, 0));
}

/// The bank of `STORE.md`, byte for byte: written so, and read so.
#[test]
fn worked_example_of_the_specification() {
    let page = include_str!("../STORE.md");
    let block = page.split("```hex").nth(1).unwrap();
    let rows = block.split("```").next().unwrap().lines();
    let bytes: Vec<u8> = rows
        .filter(|line| !line.is_empty())
        .flat_map(|line| {
            let hex: String = line.chars().skip(6).take(47).collect();
            let bytes = hex
                .split_whitespace()
                .map(|b| u8::from_str_radix(b, 16).unwrap());
            bytes.collect::<Vec<_>>()
        })
        .collect();
    let (mut flash, mut set) = empty(1);
    let sample = NewSample {
        label: "ζ",
        h: 2,
        w: 3,
        capture: &[0, 255, 0, 255, 128, 255],
        embedding: &[7, 20, 50, 80],
        fingerprint: core::array::from_fn(|i| i as u8),
    };
    assert_eq!(set.enrol(&mut flash, &sample), Ok(1));
    assert_eq!(set.rename(&mut flash, "ζ", "zeta"), Ok(1));
    assert_eq!(set.undo(&mut flash), Ok(1));
    assert_eq!(flash.bytes[..bytes.len()], bytes);
    let (mut flash, _) = empty(1);
    flash.bytes[..bytes.len()].copy_from_slice(&bytes);
    let (set, report) = SupportSet::mount(&mut flash, layout(1)).unwrap();
    assert_eq!((report.samples, report.damaged, set.epoch()), (1, 0, 1));
    assert_eq!(labels(&set), ["ζ"]);
    let mut got = [0; 8];
    assert_eq!(set.read_capture(&mut flash, 1, 2, &mut got), Ok(4));
    assert_eq!(got[..4], sample.capture[2..]);
    assert_eq!(set.read_embedding(&mut flash, 1, &mut got), Ok(4));
    assert_eq!(got[..4], *sample.embedding);
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
