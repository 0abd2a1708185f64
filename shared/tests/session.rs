//! The device's life on a desktop: enrol, recognise, forget, undo, power off, update, and what a host
//! is told when something is wrong.
//!
//! In: a session on a simulated flash, a small model, pictures. Out: the answers to a host that speaks
//! frames.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

mod desk;
mod flash;

use desk::{Desk, empty, mark, model};
use sha2::{Digest, Sha256};
use shared::link::{
    CameraFault, Command, Event, Fault, MAX_LABEL, PROTOCOL, Packet, Quality, Reply, Settings,
    Target, UpdateFault, parse,
};
use shared::model::ModelView;
use shared::session::{Action, Press, Signal, selftest};

/// Labels and ids, in order of enrolment.
fn list(desk: &mut Desk) -> Vec<(u32, String)> {
    (0..)
        .map_while(|index| {
            desk.ask(Command::List { index }, |result| match result {
                Ok(Reply::Sample(sample)) => Some((sample.sample, sample.label.to_owned())),
                Err(Fault::NoSuchSample) => None,
                other => panic!("{other:?}"),
            })
        })
        .collect()
}

fn labels(desk: &mut Desk) -> Vec<String> {
    list(desk).into_iter().map(|(_, label)| label).collect()
}

/// `(known, best label)`.
fn score(desk: &mut Desk, picture: &[u8]) -> (bool, String) {
    desk.show(picture);
    desk.ask(Command::Score, |result| match result {
        Ok(Reply::Scored(verdict)) => (verdict.known, verdict.best.label.to_owned()),
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_mark_is_known_from_one_look_and_another_is_not() {
    let mut desk = Desk::new(&model(1));
    assert_eq!(desk.fault(Command::Score), "NoCapture");
    desk.show(&mark(1, 0));
    assert_eq!(desk.fault(Command::Score), "NothingEnrolled");
    desk.enrol("one", &mark(1, 0));
    desk.enrol("two", &mark(2, 0));
    assert_eq!(score(&mut desk, &mark(1, 1)), (true, "one".into()));
    assert_eq!(score(&mut desk, &mark(2, 1)), (true, "two".into()));
    assert!(!score(&mut desk, &mark(3, 1)).0);
    let never = Settings {
        far_ppm: 0,
        offset: 0,
    };
    desk.ask(Command::Configure { settings: never }, |result| {
        assert_eq!(result, Ok(Reply::Settings(never)));
    });
    assert!(score(&mut desk, &mark(3, 1)).0);
}

#[test]
fn what_was_taught_outlives_the_power() {
    let mut desk = Desk::new(&model(1));
    for (label, seed) in [("one", 1), ("two", 2), ("three", 3)] {
        desk.enrol(label, &mark(seed, 0));
    }
    let before = list(&mut desk);
    desk.power_off();
    assert_eq!(list(&mut desk), before);
    assert_eq!(score(&mut desk, &mark(2, 1)), (true, "two".into()));
}

#[test]
fn forgetting_renaming_and_undoing() {
    let mut desk = Desk::new(&model(1));
    desk.enrol("one", &mark(1, 0));
    desk.enrol("two", &mark(2, 0));
    let target = Target::Class("one");
    desk.done(Command::Forget { target }, 1);
    assert_eq!(labels(&mut desk), ["two"]);
    desk.power_off();
    desk.done(Command::Undo, 1);
    let mut all = labels(&mut desk);
    all.sort();
    assert_eq!(all, ["one", "two"]);
    desk.done(
        Command::Rename {
            from: "two",
            to: "deux",
        },
        1,
    );
    assert_eq!(score(&mut desk, &mark(2, 1)), (true, "deux".into()));
    let from = "two";
    assert_eq!(desk.fault(Command::Rename { from, to: "x" }), "NoSuchClass");
    assert_eq!(
        desk.fault(Command::Forget {
            target: Target::Sample(99)
        }),
        "NoSuchSample"
    );
    desk.done(
        Command::Forget {
            target: Target::All,
        },
        2,
    );
    assert_eq!(labels(&mut desk), [""; 0]);
}

#[test]
fn an_enrolment_is_refused_with_its_reason() {
    let mut desk = Desk::new(&model(1));
    let long = "x".repeat(MAX_LABEL + 1);
    let enrol = |label| Command::Enrol {
        label,
        force: false,
    };
    assert_eq!(desk.fault(enrol("one")), "NoCapture");
    desk.show(&empty());
    assert_eq!(
        desk.fault(enrol("one")),
        format!("Quality({:?})", Quality::Empty)
    );
    desk.enrol("one", &mark(1, 0));
    desk.show(&mark(1, 0));
    assert_eq!(desk.fault(enrol("one")), "Duplicate { sample: 1 }");
    assert_eq!(desk.fault(enrol("")), "Label");
    assert_eq!(desk.fault(enrol(&long)), "Label");
    // Another drawing of it under another name.
    desk.show(&mark(1, 1));
    assert!(desk.fault(enrol("other")).starts_with("LooksLike"));
    desk.ask(
        Command::Enrol {
            label: "other",
            force: true,
        },
        |result| {
            assert!(matches!(result, Ok(Reply::Enrolled(_))), "{result:?}");
        },
    );
}

#[test]
fn the_camera_is_to_blame_for_its_faults() {
    let mut desk = Desk::new(&model(1));
    let fault = |fault| format!("Camera({fault:?})");
    desk.camera = Err(CameraFault::Absent);
    assert_eq!(desk.fault(Command::Capture), fault(CameraFault::Absent));
    desk.camera = Ok(vec![0; desk::PIXELS]);
    assert_eq!(desk.fault(Command::Capture), fault(CameraFault::Black));
    desk.camera = Ok(mark(1, 0));
    desk.ask(Command::Capture, |result| {
        assert!(matches!(result, Ok(Reply::Captured(_))), "{result:?}");
    });
    desk.camera = Err(CameraFault::Frozen);
    assert_eq!(desk.fault(Command::Capture), fault(CameraFault::Frozen));
    desk.camera = Ok(vec![]);
    assert_eq!(
        desk.fault(Command::Capture),
        fault(CameraFault::WrongFormat)
    );
    assert_eq!(desk.fault(Command::Score), "NoCapture");
}

#[test]
fn a_request_that_comes_again_is_not_carried_out_again() {
    let mut desk = Desk::new(&model(1));
    desk.show(&mark(1, 0));
    let enrol = Command::Enrol {
        label: "one",
        force: false,
    };
    let first = desk.ask_as(7, enrol).unwrap();
    assert_eq!(desk.ask_as(7, enrol).unwrap(), first);
    assert_eq!(labels(&mut desk), ["one"]);
}

#[test]
fn another_version_is_told_so() {
    let mut desk = Desk::new(&model(1));
    let protocol = PROTOCOL + 1;
    assert_eq!(
        desk.fault(Command::Hello { protocol }),
        format!("Protocol {{ speaks: {PROTOCOL} }}")
    );
}

#[test]
fn the_button_teaches_and_asks() {
    let mut desk = Desk::new(&model(1));
    desk.camera = Ok(mark(1, 0));
    desk.session().press(Press::Long);
    desk.work();
    assert_eq!(labels(&mut desk), ["mark 01"]);
    desk.camera = Ok(mark(1, 1));
    desk.session().press(Press::Short);
    let events = desk.work();
    let seen = events.iter().any(|frame| {
        let packet = parse::<Packet<'_>>(frame).unwrap();
        matches!(packet, Packet::Event(Event::Seen(verdict)) if verdict.known && verdict.best.label == "mark 01")
    });
    assert!(seen, "{events:?}");
}

#[test]
fn a_lamp_is_told_once_what_came_of_a_picture() {
    let mut desk = Desk::new(&model(1));
    let pressed = |desk: &mut Desk, camera, press| {
        desk.camera = camera;
        desk.session().press(press);
        desk.work();
        let signal = desk.session().signal();
        assert_eq!(desk.session().signal(), None);
        signal
    };
    let refused = Some(Signal::Refused);
    // Nothing to compare with; no mark; no camera.
    let seen = pressed(&mut desk, Ok(mark(1, 0)), Press::Short);
    assert_eq!(seen, refused);
    assert_eq!(pressed(&mut desk, Ok(empty()), Press::Long), refused);
    let absent = Err(CameraFault::Absent);
    assert_eq!(pressed(&mut desk, absent, Press::Short), refused);
    let learnt = pressed(&mut desk, Ok(mark(1, 0)), Press::Long);
    assert_eq!(learnt, Some(Signal::Learnt));
    let seen = pressed(&mut desk, Ok(mark(1, 1)), Press::Short);
    assert_eq!(seen, Some(Signal::Known));
    // What a host asks for is shown as well.
    assert!(score(&mut desk, &mark(1, 1)).0);
    assert_eq!(desk.session().signal(), Some(Signal::Known));
    let seen = pressed(&mut desk, Ok(mark(3, 1)), Press::Short);
    assert_eq!(seen, Some(Signal::Unknown));
}

/// The host's part of an update.
fn update(desk: &mut Desk, file: &[u8], until: usize) -> usize {
    let (len, sha256) = (file.len() as u32, Sha256::digest(file).into());
    let mut next = desk.ask(Command::UpdateBegin { len, sha256 }, written);
    let began = next;
    while next < until.min(file.len()) {
        let end = file.len().min(next + 64);
        let bytes = &file[next..end];
        let offset = next as u32;
        next = desk.ask(Command::UpdateWrite { offset, bytes }, written);
    }
    began
}

fn written(result: Result<Reply<'_>, Fault<'_>>) -> usize {
    match result {
        Ok(Reply::Written { next }) => next as usize,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_model_keeps_what_was_taught() {
    let (old, new) = (model(1), model(2));
    let mut desk = Desk::new(&old);
    desk.enrol("one", &mark(1, 0));
    desk.enrol("two", &mark(2, 0));
    update(&mut desk, &new, 200);
    // Cut in the middle: the old model is in use, and the update goes on where it was.
    desk.power_off();
    assert_eq!(
        desk.model_in_use(),
        ModelView::new_checked(&old).unwrap().fingerprint()
    );
    assert_eq!(
        desk.fault(Command::UpdateCommit { signature: None }),
        format!("Update({:?})", UpdateFault::NotBegun)
    );
    update(&mut desk, &new, new.len());
    desk.done(Command::UpdateCommit { signature: None }, 2);
    desk.power_off();
    assert_eq!(
        desk.model_in_use(),
        ModelView::new_checked(&new).unwrap().fingerprint()
    );
    assert_eq!(score(&mut desk, &mark(2, 1)), (true, "two".into()));
    assert_eq!(labels(&mut desk), ["one", "two"]);
    desk.ask(Command::Info, |result| match result {
        Ok(Reply::Info(info)) => assert_eq!((info.samples, info.stale), (2, 0)),
        other => panic!("{other:?}"),
    });
}

/// A device with three marks whose samples wait for an embedding by a new model; the first is under way.
fn embedding_again() -> Desk {
    let mut desk = Desk::new(&model(1));
    for seed in 1..=3 {
        desk.enrol(&format!("mark {seed}"), &mark(seed, 0));
    }
    update(&mut desk, &model(2), usize::MAX);
    desk.done(Command::UpdateCommit { signature: None }, 3);
    desk.restart();
    desk.step();
    desk
}

/// Each mark's own picture has the logit of a picture against itself: its embedding is right.
#[track_caller]
fn assert_embedded(desk: &mut Desk, marks: &[u32]) {
    desk.work();
    for &seed in marks {
        desk.show(&mark(seed, 0));
        desk.ask(Command::Score, |result| match result {
            Ok(Reply::Scored(verdict)) => assert_eq!(verdict.best.logit, desk::BIAS),
            other => panic!("{other:?}"),
        });
    }
}

#[test]
fn a_selftest_does_not_get_into_an_embedding() {
    let mut desk = embedding_again();
    desk.send(1, Command::Selftest { seed: 1 });
    assert_embedded(&mut desk, &[1, 2, 3]);
}

#[test]
fn a_sample_may_be_forgotten_while_it_is_embedded_again() {
    let mut desk = embedding_again();
    let target = Target::Class("mark 1");
    desk.send(1, Command::Forget { target });
    assert_embedded(&mut desk, &[2, 3]);
    assert_eq!(labels(&mut desk), ["mark 2", "mark 3"]);
}

/// What a person teaches is what the camera saw, whatever a host sends meanwhile.
#[test]
fn a_host_waits_for_a_person() {
    let mut desk = Desk::new(&model(1));
    desk.camera = Ok(mark(1, 0));
    desk.session().press(Press::Long);
    assert_eq!(desk.step(), Action::Capture);
    desk.capture();
    desk.step();
    let other = mark(2, 0);
    let bytes = &other[..700];
    let write = Command::WriteCapture {
        h: 40,
        w: 40,
        offset: 0,
        bytes,
    };
    let busy = |frame: Vec<u8>| {
        let result = parse::<Packet<'_>>(&frame);
        matches!(
            result,
            Ok(Packet::Reply {
                result: Err(Fault::Busy),
                ..
            })
        )
    };
    assert!(busy(desk.ask_as(200, write).unwrap()));
    desk.work();
    let picture = desk.ask(
        Command::ReadSample {
            sample: 1,
            offset: 0,
        },
        |result| match result {
            Ok(Reply::Chunk { bytes, .. }) => bytes.to_vec(),
            other => panic!("{other:?}"),
        },
    );
    assert!(mark(1, 0).starts_with(&picture));
    // The same request, when there is time for it.
    assert!(!busy(desk.ask_as(200, write).unwrap()));
}

#[test]
fn a_bad_model_is_not_taken() {
    let mut desk = Desk::new(&model(1));
    let mut damaged = model(2);
    damaged[100] ^= 1;
    update(&mut desk, &damaged, usize::MAX);
    let commit = Command::UpdateCommit { signature: None };
    assert_eq!(
        desk.fault(commit),
        format!("Update({:?})", UpdateFault::Model)
    );
    // The bytes that come are not those that were announced.
    let good = model(2);
    let (len, sha256) = (good.len() as u32, [1; 32]);
    desk.ask(Command::UpdateBegin { len, sha256 }, written);
    for (index, bytes) in good.chunks(64).enumerate() {
        let offset = index as u32 * 64;
        desk.ask(Command::UpdateWrite { offset, bytes }, written);
    }
    assert_eq!(
        desk.fault(commit),
        format!("Update({:?})", UpdateFault::Digest)
    );
    let len = 1 << 30;
    let begun = desk.fault(Command::UpdateBegin { len, sha256 });
    assert!(begun.starts_with("Update(TooLarge"), "{begun}");
}

#[test]
fn a_device_that_asks_for_signatures_takes_no_other_model() {
    let mut desk = Desk::new(&model(1));
    // Stands in for a public key: what it signs with is the digest itself, backwards.
    desk.is_signed = Some(|sha256, signature| sha256.iter().rev().eq(signature));
    desk.power_off();
    let new = model(2);
    update(&mut desk, &new, usize::MAX);
    let refused = format!("Update({:?})", UpdateFault::Signature);
    let commit = |signature| Command::UpdateCommit { signature };
    assert_eq!(desk.fault(commit(None)), refused);
    assert_eq!(desk.fault(commit(Some(&[1; 32]))), refused);
    let mut signature = Sha256::digest(&new);
    signature.reverse();
    desk.done(commit(Some(&signature)), 0);
}

#[test]
fn the_host_computes_the_same_selftest() {
    let file = model(1);
    let mut desk = Desk::new(&file);
    let view = ModelView::new_checked(&file).unwrap();
    let (mut arena, mut a, mut b) = (vec![0; 64 << 10], [0; 1024], [0; 1024]);
    for seed in [0, 1, 0xdead_beef] {
        let digest = selftest::digest(&view, seed, &mut arena, &mut a, &mut b).unwrap();
        desk.ask(Command::Selftest { seed }, |result| {
            assert_eq!(result, Ok(Reply::Selftest { digest }));
        });
    }
}

#[test]
fn a_capture_and_its_sample_come_back_as_they_were() {
    let mut desk = Desk::new(&model(1));
    let picture = mark(5, 0);
    desk.enrol("five", &picture);
    let sample = list(&mut desk)[0].0;
    for of_sample in [false, true] {
        let mut whole = vec![];
        loop {
            let offset = whole.len() as u32;
            let command = if of_sample {
                Command::ReadSample { sample, offset }
            } else {
                Command::ReadCapture { offset }
            };
            let total = desk.ask(command, |result| match result {
                Ok(Reply::Chunk { bytes, total, .. }) => {
                    whole.extend_from_slice(bytes);
                    total as usize
                }
                other => panic!("{other:?}"),
            });
            if whole.len() >= total {
                break;
            }
        }
        assert_eq!(whole, picture);
    }
}
