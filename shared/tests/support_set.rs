//! The support set: what each call does and refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

mod flash;
mod model;

use flash::Random;
use model::{Flash, empty, enrol, labels, layout, remount};
use shared::link::{Settings, Target};
use shared::store::StoreError;
use shared::support_set::{
    MAX_CAPTURE, MAX_EMBEDDING, NewSample, SupportSet, SupportSetError as Refused, capture_crc,
};

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
