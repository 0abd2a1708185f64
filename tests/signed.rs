//! A device in QEMU that takes models of one sender only, and that sender's command line.
//!
//! In: the device's ELF with the key of RFC 8032's first example, named by `ONELOOK_SIGNED_DEVICE_AN386`, and
//! models, signed rightly, wrongly and not at all. Out: which of them it uses, and that it forgets nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

use std::path::Path;

use host::signing::PrivateKey;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tests::life::{Host, Life};
use tests::taught::{State, check_answers, enrol, model, models, settle_after_cut};
use tests::{refused, run_onelook as onelook};
use tools::firmware::AN386;

/// The private key of RFC 8032's first example.
const PRIVATE: &str =
    "onelook-private-key 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
/// The order of the group, which makes another signature of one when it is added to its second half.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn owner(folder: &Path) -> PrivateKey {
    let path = folder.join("owner");
    std::fs::write(&path, PRIVATE).unwrap();
    PrivateKey::read(&path).unwrap()
}

fn above_the_order(signature: &[u8; 64]) -> [u8; 64] {
    let mut sum = *signature;
    let mut carry = 0;
    for (byte, order) in sum[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        *byte = carry as u8;
        carry >>= 8;
    }
    sum
}

/// What somebody could try who has no key but has seen signatures.
fn forgeries(right: &[u8; 64], of_another: &[u8; 64]) -> Vec<Vec<u8>> {
    let mut one = [0; 64];
    // The neutral point, and a sum of nothing.
    one[0] = 1;
    let mut all = vec![
        vec![],
        right[..63].to_vec(),
        [right.as_slice(), &[0]].concat(),
        vec![0; 64],
        one.to_vec(),
        vec![0xff; 64],
        of_another.to_vec(),
        above_the_order(right).to_vec(),
    ];
    for at in [0, 31, 32, 63] {
        let mut flipped = *right;
        flipped[at] ^= 1;
        all.push(flipped.to_vec());
    }
    all
}

fn assert_refused(host: &mut Host, signature: Option<&[u8]>) {
    let error = host.update_commit(signature).unwrap_err().to_string();
    assert!(error.contains("not signed"), "{error}: {signature:02x?}");
}

#[test]
fn what_is_not_signed_is_not_taken() {
    let life = Life::signed(AN386, &model(1));
    let owner = owner(life.folder());
    let right = owner.sign(&model(2)).unwrap();
    let (running, mut host) = life.start();
    host.send_model(&model(2), &mut |_, _| ()).unwrap();
    assert_refused(&mut host, None);
    for forged in forgeries(&right, &owner.sign(&model(3)).unwrap()) {
        assert_refused(&mut host, Some(&forged));
    }
    running.kill();
    let (_running, mut host) = life.start();
    assert_eq!(host.greeting().model, Some(models()[0].0.clone()));
    host.send_model(&model(2), &mut |_, _| ()).unwrap();
    host.update_commit(Some(&right)).unwrap();
}

/// As its owner would: without a signature, with one by another key, with the right one.
#[test]
fn the_owner_updates_a_device_and_it_forgets_nothing() {
    let life = Life::signed(AN386, &model(1));
    let (_running, mut host) = life.start();
    let taught = (1..=3).map(|class| {
        let label = format!("mark {class}");
        (enrol(&mut host, &label, class), label, class)
    });
    let mut state = State {
        samples: taught.collect(),
        model: 1,
    };
    drop(host);

    let desk = tempfile::tempdir().unwrap();
    let at = desk.path();
    std::fs::write(at.join("new.onelook"), model(2)).unwrap();
    owner(at);
    let port = format!("unix:{}", life.socket().display());
    let sign = |arguments: &[&str]| refused(&onelook(at, &[&["sign"], arguments].concat()), 0, &[]);
    let update = |code, words: &[&str]| {
        let arguments = ["device", "update-model", "new.onelook", "--port", &port];
        refused(&onelook(at, &arguments), code, words);
    };
    let next = ["not signed", "onelook sign MODEL --key FILE"];
    update(1, &next);
    sign(&["--new-key", "other"]);
    sign(&["new.onelook", "--key", "other"]);
    update(1, &next);
    sign(&["new.onelook", "--key", "owner"]);
    update(0, &["the model is on the device"]);

    let port = host::device::Port::open(&port.parse().unwrap()).unwrap();
    let mut host = Host::connect(port, host::device::Pace::default(), Box::new(|_| ())).unwrap();
    state.model = 2;
    state = settle_after_cut(&mut host, state, None, &models());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..3 {
        check_answers(&mut host, &state, &mut rng);
    }
}
