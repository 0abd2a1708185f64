//! Who may send models: the owner of the key that was built in, or anybody where none was.
//!
//! In: `ONELOOK_PUBLIC_KEY` at build time, which `build.rs` checks, and the feature `signed`. Out: what
//! `shared::session` asks before it takes a model.

use shared::session::IsSigned;

/// Checks a new model's signature.
#[cfg(feature = "signed")]
pub const IS_SIGNED: Option<IsSigned> = Some(is_signed);
/// Every model is taken.
#[cfg(not(feature = "signed"))]
pub const IS_SIGNED: Option<IsSigned> = None;

#[cfg(feature = "signed")]
fn is_signed(sha256: &[u8; 32], signature: &[u8]) -> bool {
    const KEY: [u8; 32] = *include_bytes!(concat!(env!("OUT_DIR"), "/public_key"));
    shared::signature::PublicKey::new(KEY).is_some_and(|key| key.has_signed(sha256, signature))
}
