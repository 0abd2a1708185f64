//! Signatures: RFC 8032's examples, what a host signs, and that nothing else is taken.
//!
//! In: keys, messages, signatures, right ones and ones that somebody made up. Out: the same yes or no as
//! `ed25519-dalek`'s `verify_strict`, another composition of the same checks, and only one yes.
#![allow(
    clippy::unwrap_used,
    reason = "a test file is nothing but tests and what they call"
)]

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256, Sha512};
use shared::signature::PublicKey;

/// Public key, message and signature. The first three are the tests 1, 2 and SHA(abc) of RFC 8032, section
/// 7.1. The last is by OpenSSL 3: test 1's key and the SHA-256 of no bytes, as a model is signed.
const EXAMPLES: [[&str; 3]; 4] = [
    [
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
    [
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "48a96e8f6ca118b391bcec11dea165d4ecbcbb81f699bef153edee8a63e40468b688730c1ba7467bfb114b2c0a5a87b5f07b14597a2535d3f72c07b8ab1c3c07",
    ],
];

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Bytes that differ for each number and use.
fn made_up(number: u32, what: &str) -> [u8; 32] {
    Sha256::digest(format!("{what} {number}")).into()
}

fn ours(key: [u8; 32], message: &[u8], signature: &[u8]) -> bool {
    PublicKey::new(key).is_some_and(|key| key.has_signed(message, signature))
}

fn theirs(key: [u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(&key) else {
        return false;
    };
    let signature = Signature::from_slice(signature);
    signature.is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
}

/// What both say.
#[track_caller]
fn agreed(key: [u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let says = ours(key, message, signature);
    let theirs = theirs(key, message, signature);
    assert_eq!(says, theirs, "{key:02x?} {message:02x?} {signature:02x?}");
    says
}

#[test]
fn examples_of_others_are_right() {
    for [key, message, signature] in EXAMPLES {
        let key = bytes(key).try_into().unwrap();
        assert!(agreed(key, &bytes(message), &bytes(signature)));
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let [key, message, signature] = EXAMPLES[3].map(bytes);
    for at in 0..8 * (32 + 32 + 64) {
        let flip = |from: usize, part: &[u8]| {
            let mut part = part.to_vec();
            if let Some(byte) = (at / 8_usize)
                .checked_sub(from)
                .and_then(|i| part.get_mut(i))
            {
                *byte ^= 1 << (at % 8);
            }
            part
        };
        let key = flip(0, &key).try_into().unwrap();
        assert!(
            !agreed(key, &flip(32, &message), &flip(64, &signature)),
            "bit {at}"
        );
    }
}

/// Ten thousand signatures of a host, half of them with a bit that is wrong somewhere.
#[test]
fn what_a_host_signs_is_taken_and_nothing_else() {
    for number in 0..5_000 {
        let signing = SigningKey::from_bytes(&made_up(number, "secret"));
        let mut parts = [0; 128];
        parts[..32].copy_from_slice(signing.verifying_key().as_bytes());
        parts[32..64].copy_from_slice(&made_up(number, "model"));
        let signature = signing.sign(&parts[32..64]).to_bytes();
        parts[64..].copy_from_slice(&signature);
        let says = |parts: &[u8; 128]| {
            agreed(
                parts[..32].try_into().unwrap(),
                &parts[32..64],
                &parts[64..],
            )
        };
        assert!(says(&parts), "{number}");
        let [place, bit, ..] = made_up(number, "flip");
        parts[usize::from(place % 128)] ^= 1 << (bit % 8);
        assert!(!says(&parts), "{number}");
    }
}

#[test]
fn a_signature_has_64_bytes() {
    let [key, message, signature] = EXAMPLES[3].map(bytes);
    let key = key.try_into().unwrap();
    let longer = [&*signature, &[0]].concat();
    for wrong in [&[], &signature[..32], &signature[..63], &longer] {
        assert!(!agreed(key, &message, wrong), "{}", wrong.len());
    }
}

/// The group's order, 2^252 + 27742317777372353535851937790883648493.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// `s` and the group's order: another number that is the same in every equation.
fn above_the_order(s: [u8; 32]) -> [u8; 32] {
    let mut sum = [0; 32];
    let mut carry = 0;
    for ((out, a), b) in sum.iter_mut().zip(s).zip(ORDER) {
        carry += u16::from(a) + u16::from(b);
        *out = carry as u8;
        carry >>= 8;
    }
    sum
}

/// A signature as its maker likes it: a key `a B + torsion` and `R = r B + torsion`.
struct Forged {
    key: [u8; 32],
    signature: [u8; 64],
}

fn forged(a: Scalar, key_torsion: usize, r: Scalar, r_torsion: usize, message: &[u8]) -> Forged {
    let key = (B * a + EIGHT_TORSION[key_torsion]).compress().to_bytes();
    let big_r = (B * r + EIGHT_TORSION[r_torsion]).compress().to_bytes();
    let hash = Sha512::new()
        .chain_update(big_r)
        .chain_update(key)
        .chain_update(message)
        .finalize();
    let s = r + Scalar::from_bytes_mod_order_wide(&hash.into()) * a;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&big_r);
    signature[32..].copy_from_slice(s.as_bytes());
    Forged { key, signature }
}

/// Every way to put a point of small order into key and `R`, and to have nothing else there. Those that
/// are taken are of keys with a part of small order, whose owner made them so: `verify_strict` takes them too.
#[test]
fn points_of_small_order_are_refused() {
    let scalar = |number, what| Scalar::from_bytes_mod_order(made_up(number, what));
    let mut taken = 0;
    for number in 0..8 {
        let message = made_up(number, "model");
        for torsions in 0..64 {
            let (key_torsion, r_torsion) = (torsions / 8, torsions % 8);
            for case in 0..4 {
                let a = [scalar(number, "a"), Scalar::ZERO][case / 2];
                let r = [scalar(number, "r"), Scalar::ZERO][case % 2];
                let Forged { key, signature } = forged(a, key_torsion, r, r_torsion, &message);
                let says = agreed(key, &message, &signature);
                assert!(!says || case == 0, "{key:02x?} {signature:02x?}");
                // An honest key and an honest signature.
                assert!(says || case != 0 || torsions != 0);
                assert!(!says || key_torsion != 0 || r_torsion == 0);
                taken += u32::from(says);
                let mut again = signature;
                let s = signature[32..].try_into().unwrap();
                again[32..].copy_from_slice(&above_the_order(s));
                assert!(!agreed(key, &message, &again), "s above the order");
            }
        }
    }
    assert!((8..8 * 64).contains(&taken), "{taken}");
}

#[test]
fn keys_by_which_anybody_could_sign_are_none() {
    for point in EIGHT_TORSION {
        assert_eq!(PublicKey::new(point.compress().to_bytes()), None);
    }
    // 2^255 - 19 and what follows it: other bytes for 0, 1 and so on.
    for above in 0xed..=0xff {
        for last in [0x7f, 0xff] {
            let mut key = [0xff; 32];
            (key[0], key[31]) = (above, last);
            let message = made_up(above.into(), "model");
            let key_is_small = VerifyingKey::from_bytes(&key).is_ok_and(|key| key.is_weak());
            assert!(!key_is_small || PublicKey::new(key).is_none());
            assert!(!agreed(key, &message, &[0; 64]));
            // As `R`, under an honest key.
            let honest = EdwardsPoint::mul_base(&Scalar::from_bytes_mod_order(message));
            let signature = [key, [0; 32]].concat();
            assert!(!agreed(honest.compress().to_bytes(), &message, &signature));
        }
    }
    let points = (0..1000).filter(|&number| PublicKey::new(made_up(number, "key")).is_some());
    assert!((400..600).contains(&points.count()), "half of all bytes");
}
