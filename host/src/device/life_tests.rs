//! The client against the session that every board runs.

use shared::link::{CameraFault, Fault, Quality, Settings, Target};
use shared::model::ModelView;

use super::client::{Client, Pace};
use super::desk::{model, start};
use super::fake::End;
use super::images::Grey;
use crate::dataset::hex;

/// A stroke of ink on paper; `turn` leans it.
fn mark(turn: usize) -> Grey {
    let side = 48;
    let pixels = (0..side * side).map(|index| {
        let (y, x) = (index / side, index % side);
        let middle = 12 + y * turn / 4;
        let ink = (10..38).contains(&y) && (middle..middle + 4).contains(&x);
        if ink { 30 } else { 210 + (index % 5) as u8 }
    });
    Grey::new(side, side, pixels.collect()).unwrap()
}

fn connect(host: End) -> Client<'static, End> {
    Client::connect(host, Pace::default(), Box::new(|_| {})).unwrap()
}

#[test]
fn a_life_of_teaching_asking_and_changing() {
    let (host, device) = start(model(1));
    let mut client = connect(host);
    assert_eq!(client.greeting().board, "desk");
    let none = client.score().unwrap_err();
    assert_eq!(none.refusal().unwrap().fault, Fault::NoCapture);
    let camera = client.capture().unwrap_err();
    assert_eq!(
        camera.refusal().unwrap().fault,
        Fault::Camera(CameraFault::Absent)
    );
    for (turn, label) in [(0, "upright"), (2, "leaning")] {
        let shown = client.write_capture(&mark(turn)).unwrap();
        assert_eq!(shown.quality, Quality::Good);
        client.enrol(label, true).unwrap();
    }
    client.write_capture(&mark(2)).unwrap();
    let twin = client.teach("leaning").unwrap_err();
    let fault = twin.refusal().unwrap().fault;
    assert!(matches!(fault, Fault::Duplicate { .. }), "{twin}");
    let decision = client.score().unwrap();
    assert_eq!(decision.best.label, "leaning");
    assert!(decision.margin.unwrap() > 0.0, "{decision:?}");
    assert_eq!(client.read_logits().unwrap().len(), 2);
    let list = client.list().unwrap();
    assert_eq!(client.read_sample(list[0].sample, 48, 48).unwrap(), mark(0));
    assert_eq!(client.rename("upright", "I").unwrap(), 1);
    assert_eq!(client.undo().unwrap(), 1);
    assert_eq!(client.forget(Target::Class("leaning")).unwrap(), 1);
    let settings = Settings {
        far_ppm: 500,
        offset: 3,
    };
    assert_eq!(client.configure(settings).unwrap(), settings);
    assert!(client.bench().is_ok());
    drop(client);
    device.join().unwrap();
}

#[test]
fn a_new_model_is_in_use_after_a_restart_and_what_was_taught_stays() {
    let (host, device) = start(model(1));
    let mut client = connect(host);
    client.write_capture(&mark(0)).unwrap();
    client.enrol("A", true).unwrap();
    let before = client.greeting().model.clone();
    let new = model(2);
    client.send_model(&new, &mut |_, _| {}).unwrap();
    client.update_commit(None).unwrap();
    client.restart().unwrap();
    let fingerprint = hex(&ModelView::new_checked(&new).unwrap().fingerprint());
    // The first answers may still come from before the restart.
    for _ in 0..200 {
        client.hello().unwrap();
        if client.greeting().model.as_ref() == Some(&fingerprint) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(client.greeting().model, Some(fingerprint));
    assert_ne!(client.greeting().model, before);
    let mut info = client.info().unwrap();
    for _ in 0..200 {
        if info.stale == 0 {
            break;
        }
        client.listen(std::time::Duration::from_millis(10)).unwrap();
        info = client.info().unwrap();
    }
    assert_eq!((info.samples, info.stale), (1, 0));
    assert_eq!(client.list().unwrap()[0].label, "A");
    drop(client);
    device.join().unwrap();
}

#[test]
fn the_selftest_s_digest_is_the_one_that_is_computed_here() {
    let (host, device) = start(model(1));
    let mut client = connect(host);
    for seed in [1, 7] {
        let here = super::selftest::digest(&model(1), seed).unwrap();
        assert_eq!(client.selftest(seed).unwrap(), here);
    }
    assert_ne!(
        super::selftest::digest(&model(1), 1),
        super::selftest::digest(&model(1), 2)
    );
    drop(client);
    device.join().unwrap();
}
