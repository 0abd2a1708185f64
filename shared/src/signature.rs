//! Whether a model comes from who may send models: Ed25519 (RFC 8032), checked strictly.
//!
//! In: a public key, what was signed, a signature. Out: yes or no. The arithmetic is that of
//! `curve25519-dalek`. Its operations that take the same time for every number are used although nothing here
//! is secret: they index no table by what they compute, so no panic is left in the firmware.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest, Sha512};

/// Bytes of a public key.
pub const KEY_LEN: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_LEN: usize = 64;

/// The key by which signatures are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    bytes: [u8; KEY_LEN],
    point: EdwardsPoint,
}

impl PublicKey {
    /// `None`: the bytes are no key, or one of the few by which anybody could sign.
    #[must_use]
    pub fn new(bytes: [u8; KEY_LEN]) -> Option<Self> {
        let point = point(bytes)?;
        Some(Self { bytes, point })
    }

    /// Whether `signature` is one of `message` by the owner of this key.
    #[must_use]
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.check(message, signature) == Some(true)
    }

    /// `R = s B - k A`, with `k` the hash of all that must not be changed. `None`: one of the parts is not
    /// what it should be.
    fn check(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        let (r, s) = signature.split_first_chunk::<32>()?;
        // A number above the group's order would be a second signature of the same message.
        let s = Scalar::from_canonical_bytes(s.try_into().ok()?).into_option()?;
        point(*r)?;
        let hash = Sha512::new()
            .chain_update(r)
            .chain_update(self.bytes)
            .chain_update(message);
        let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        let expected = EdwardsPoint::mul_base(&s) - self.point * k;
        // Bytes, not points: then `r` has one form only.
        Some(expected.compress().as_bytes() == r)
    }
}

/// A point of the curve that is not of small order.
fn point(bytes: [u8; 32]) -> Option<EdwardsPoint> {
    let point = CompressedEdwardsY(bytes).decompress()?;
    (!point.is_small_order()).then_some(point)
}
