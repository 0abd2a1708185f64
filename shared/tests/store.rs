//! The log alone: what it refuses, what it survives, and its bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

mod flash;

use flash::{Cut, FlashError, Random, Residue};
use shared::store::{GeometryError, Layout, Record, Scan, Step, Store, StoreError};

const LAYOUT: Layout = Layout {
    at: 256,
    bank_len: 1024,
};
const LEN: usize = 256 + 2048;
type Flash = flash::Flash<4, 256, 4>;
type Error = StoreError<FlashError>;

fn mount(flash: &mut Flash) -> Result<(Store, Scan, Vec<Record>), Error> {
    let mut records = Vec::new();
    let (store, scan) = Store::mount(flash, LAYOUT, |_, record| {
        records.push(record);
        Ok(())
    })?;
    Ok((store, scan, records))
}

fn compact(
    store: &mut Store,
    flash: &mut Flash,
    keep: impl Fn(&Record) -> bool,
) -> Result<(), Error> {
    while store.compact_step(flash, &keep)? != Step::Copied {}
    store.seal(flash)
}

/// A log with three records.
fn log() -> (Flash, Store, [Record; 3]) {
    let mut flash = Flash::new(LEN, 5);
    let (mut store, _, _) = mount(&mut flash).unwrap();
    compact(&mut store, &mut flash, |_| true).unwrap();
    let records =
        [(1, 1, "one"), (200, 9, "the second record"), (3, 1, "")].map(|(kind, version, text)| {
            let (a, b) = text.as_bytes().split_at(text.len() / 2);
            store.append(&mut flash, kind, version, &[a, b]).unwrap()
        });
    (flash, store, records)
}

fn text(flash: &mut Flash, record: &Record) -> String {
    let mut bytes = [0; 99];
    let n = record.read(flash, 0, &mut bytes).unwrap();
    String::from_utf8(bytes[..n].to_vec()).unwrap()
}

#[test]
fn flash_without_a_log_is_an_empty_log() {
    for mut flash in [Flash::new(LEN, 1), Flash::blank(LEN, 1)] {
        let before = flash.bytes.clone();
        let (mut store, scan, records) = mount(&mut flash).unwrap();
        assert_eq!((scan, records.len()), (Scan::default(), 0));
        assert_eq!((store.epoch(), store.room()), (0, 0));
        assert_eq!(flash.bytes, before, "a mount only reads");
        let full = store.append(&mut flash, 1, 1, &[b"x"]);
        assert_eq!(
            full,
            Err(StoreError::Full {
                needed: 32,
                free: 0
            })
        );
        compact(&mut store, &mut flash, |_| true).unwrap();
        assert_eq!((store.epoch(), store.room()), (1, 1024 - 32));
    }
}

#[test]
fn records_come_back_in_order() {
    let (mut flash, store, written) = log();
    let (again, scan, records) = mount(&mut flash).unwrap();
    assert_eq!(records, written);
    assert_eq!((scan.records, scan.damaged, scan.dirty), (3, 0, false));
    assert_eq!(again.room(), store.room());
    assert_eq!(text(&mut flash, &records[1]), "the second record");
    let mut cursor = again.cursor();
    for record in &records {
        assert_eq!(again.next(&mut flash, &mut cursor), Ok(Some(*record)));
    }
    assert_eq!(again.next(&mut flash, &mut cursor), Ok(None));
    let mut part = [0; 6];
    assert_eq!(records[1].read(&mut flash, 11, &mut part), Ok(6));
    assert_eq!(&part, b"record");
    assert_eq!(records[1].read(&mut flash, 16, &mut part), Ok(1));
    assert_eq!(records[1].read(&mut flash, 99, &mut part), Ok(0));
}

#[test]
fn a_full_log_says_so_before_it_writes() {
    let (mut flash, mut store, _) = log();
    let room = store.room();
    let payload = vec![7; room as usize - 15];
    let before = flash.bytes.clone();
    let full = store.append(&mut flash, 1, 1, &[&payload]);
    let needed = room + 16;
    assert_eq!(full, Err(StoreError::Full { needed, free: room }));
    assert_eq!(flash.bytes, before);
    store.append(&mut flash, 1, 1, &[&payload[1..]]).unwrap();
    assert_eq!((store.room(), mount(&mut flash).unwrap().2.len()), (0, 4));
}

#[test]
fn a_compaction_takes_appends_between_its_steps() {
    let (mut flash, mut store, _) = log();
    assert_eq!(store.seal(&mut flash), Err(StoreError::NotCopied));
    let mut moved = 0;
    for n in 0..7_u8 {
        let step = store.compact_step(&mut flash, |record| record.kind != 200);
        moved += u32::from(matches!(step, Ok(Step::Moved { .. })));
        store.append(&mut flash, 50 + n, 1, &[&[n]]).unwrap();
    }
    assert!(store.is_compacting() && moved > 0);
    // Not yet: there is more to copy.
    assert_eq!(
        store.append_copy(&mut flash, 9, 9, &[]),
        Err(StoreError::NotCopied)
    );
    compact(&mut store, &mut flash, |record| record.kind != 200).unwrap();
    let (_, _, records) = mount(&mut flash).unwrap();
    let kinds: Vec<u8> = records.iter().map(|r| r.kind).collect();
    assert_eq!(kinds, [1, 3, 50, 51, 52, 53, 54, 55, 56]);
    assert_eq!(store.epoch(), 2);
}

#[test]
fn a_later_format_is_left_alone() {
    let (mut flash, mut store, _) = log();
    compact(&mut store, &mut flash, |_| true).unwrap();
    // The newer bank's header, as a later release would write it.
    let base = 256 + 1024;
    let mut header = flash.bytes[base..base + 32].to_vec();
    header[4] = 2;
    header[16] = 0xAB;
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&header[..28]);
    header[28..].copy_from_slice(&crc.to_le_bytes());
    flash.bytes[base..base + 32].copy_from_slice(&header);
    let before = flash.bytes.clone();
    let error = mount(&mut flash).unwrap_err();
    assert_eq!(error, StoreError::Format { got: 2 });
    assert_eq!(
        error.to_string(),
        "the log has format version 2, this build reads version 1: it was left as it is"
    );
    assert_eq!(flash.bytes, before);
    Store::format(&mut flash, LAYOUT).unwrap();
    assert_eq!(mount(&mut flash).unwrap().0.epoch(), 0);
}

#[test]
fn other_banks_are_left_alone() {
    let (mut flash, _, _) = log();
    let before = flash.bytes.clone();
    let half = Layout {
        bank_len: 512,
        ..LAYOUT
    };
    let error = Store::mount(&mut flash, half, |_, _| Ok(())).unwrap_err();
    let written = GeometryError::Written {
        unit: 16,
        bank_len: 1024,
    };
    assert_eq!(error, StoreError::Geometry(written));
    assert_eq!(flash.bytes, before);
}

#[test]
fn a_layout_must_suit_the_flash() {
    let refused = |at, bank_len| {
        let mut flash = Flash::new(LEN, 1);
        let layout = Layout { at, bank_len };
        match Store::mount(&mut flash, layout, |_, _| Ok(())) {
            Err(StoreError::Geometry(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let sectors = GeometryError::Sectors { sector: 256 };
    assert_eq!(refused(100, 1024), sectors);
    assert_eq!(refused(256, 1000), sectors);
    assert_eq!(refused(256, 0), sectors);
    let capacity = GeometryError::Capacity { capacity: LEN };
    assert_eq!(refused(512, 1024), capacity);
    assert_eq!(refused(u32::MAX - 255, 0x8000_0000), capacity);
    let mut flash = flash::Flash::<512, 1024, 1>::new(4096, 1);
    let layout = Layout {
        at: 0,
        bank_len: 1024,
    };
    let error = Store::mount(&mut flash, layout, |_, _| Ok(())).unwrap_err();
    let words = GeometryError::Words {
        write: 512,
        read: 1,
    };
    assert_eq!(error, StoreError::Geometry(words));
}

#[test]
fn a_word_that_does_not_take_its_value_is_found() {
    let (mut flash, mut store, written) = log();
    let at = 256 + 1024 - store.room();
    flash.stuck = Some((at as usize + 17, 0x80));
    let stuck = store.append(&mut flash, 4, 1, &[b"a record that is not kept"]);
    assert_eq!(stuck, Err(StoreError::NotWritten { at }));
    assert_eq!(store.room(), 0);
    // What was there can be read, and the other bank takes over.
    assert_eq!(text(&mut flash, &written[0]), "one");
    let (again, scan, records) = mount(&mut flash).unwrap();
    assert!(scan.dirty && again.room() == 0 && records == written);
    compact(&mut store, &mut flash, |_| true).unwrap();
    store
        .append(&mut flash, 4, 1, &[b"a record that is kept"])
        .unwrap();
    assert_eq!(mount(&mut flash).unwrap().2.len(), 4);
}

#[test]
fn a_sector_that_is_not_erased_is_found() {
    for (reported, error) in [
        (true, StoreError::Flash(FlashError::Worn)),
        (
            false,
            StoreError::NotErased {
                at: 256 + 1024 + 512,
            },
        ),
    ] {
        let (mut flash, mut store, written) = log();
        let at = 256 + 1024 + 512;
        flash.bytes[at] = 0;
        flash.unerasable = Some((at, reported));
        assert_eq!(compact(&mut store, &mut flash, |_| true), Err(error));
        assert!(!store.is_compacting());
        // The old bank is the log, and takes what it has room for.
        store.append(&mut flash, 4, 1, &[b"more"]).unwrap();
        let (_, _, records) = mount(&mut flash).unwrap();
        assert_eq!(records[..3], written);
        assert_eq!(records.len(), 4);
    }
}

#[test]
fn damage_in_the_midst_costs_one_record() {
    // In the head of the first record, in the payload of the second.
    for (at, left) in [(256 + 32 + 2, [1, 2]), (256 + 64 + 20, [0, 2])] {
        let (mut flash, _, written) = log();
        flash.bytes[at] ^= 0x10;
        let (mut store, scan, records) = mount(&mut flash).unwrap();
        assert_eq!(records, left.map(|i| written[i]));
        assert_eq!((scan.records, scan.damaged, scan.dirty), (2, 1, false));
        store.append(&mut flash, 4, 1, &[b"more"]).unwrap();
        compact(&mut store, &mut flash, |_| true).unwrap();
        let (_, scan, records) = mount(&mut flash).unwrap();
        assert_eq!((records.len(), scan.damaged), (3, 0));
    }
}

#[test]
fn damage_since_the_mount_is_not_copied() {
    let (mut flash, mut store, _) = log();
    flash.bytes[256 + 64 + 20] ^= 0x10;
    let mut lost = 0;
    loop {
        match store.compact_step(&mut flash, |_| true).unwrap() {
            Step::Lost => lost += 1,
            Step::Copied => break,
            _ => {}
        }
    }
    store.seal(&mut flash).unwrap();
    assert_eq!((lost, mount(&mut flash).unwrap().2.len()), (1, 2));
}

#[test]
fn a_torn_record_is_not_written_behind() {
    let (mut flash, mut store, written) = log();
    flash.cut(Cut::Byte(30), Residue::Noise);
    let cut = store.append(&mut flash, 4, 1, &[&[1; 40]]);
    assert_eq!(cut, Err(StoreError::Flash(FlashError::PowerCut)));
    flash.revive();
    let (store, scan, records) = mount(&mut flash).unwrap();
    assert_eq!((scan.damaged, scan.dirty, store.room()), (0, true, 0));
    assert_eq!(records, written);
}

/// Whatever bytes there are: an answer, and no panic.
#[test]
fn any_bytes_can_be_mounted() {
    let (flash, _, _) = log();
    let mut random = Random::new(77);
    for _ in 0..20_000 {
        let mut flash = flash.clone();
        for _ in 0..=random.below(4) {
            // Mostly where there is something.
            let most = if random.below(4) == 0 { 2048 } else { 160 };
            let at = 256 + random.below(most);
            flash.bytes[at] = random.bytes(1)[0];
        }
        if let Ok((store, scan, records)) = mount(&mut flash) {
            assert_eq!(scan.records as usize, records.len());
            assert!(store.room() <= store.capacity());
            let mut cursor = store.cursor();
            let mut n = 0;
            while store.next(&mut flash, &mut cursor).unwrap().is_some() {
                n += 1;
            }
            assert_eq!(n, records.len());
        }
    }
}
