//! Signs models for devices that take no others: Ed25519 (RFC 8032) over the SHA-256 of the file.
//!
//! In: a private key in a file, a model. Out: 64 bytes, which a device checks by the public key that was built
//! into its firmware; they were checked here by the same code.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer, SigningKey};
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use shared::signature::{PublicKey, SIGNATURE_LEN};

use crate::dataset::hex;
use crate::files::{WriteError, write_whole};

/// Stands before the private key, so that nobody builds it into a firmware as the public one.
const MARK: &str = "onelook-private-key";

/// A key could not be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// No private key is ever written over.
    #[error(
        "{0} is there already, and a key that is overwritten is lost\nnext: choose another name, or move it away"
    )]
    Exists(PathBuf),
    /// A file of the pair.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The private key's file.
    #[error("{path}: {source}\nnext: name the file that `onelook sign --new-key FILE` wrote")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another file.
    #[error(
        "{0} holds no private key\nnext: name the file that `onelook sign --new-key FILE` wrote, not its .pub file"
    )]
    NoKey(PathBuf),
    /// The operating system's random numbers.
    #[error("this computer gave no random numbers: {0}\nnext: make the key on another one")]
    Random(rand::rngs::SysError),
    /// A signature that is a little wrong may give the private key away.
    #[error(
        "this computer computed a wrong signature; it was not written\nnext: run it again, and let somebody look at the computer's memory"
    )]
    Wrong,
}

/// Who may send models.
#[derive(Debug)]
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    /// A new key.
    ///
    /// # Errors
    /// [`SigningError::Random`].
    pub fn generate() -> Result<Self, SigningError> {
        let mut seed = [0; 32];
        SysRng
            .try_fill_bytes(&mut seed)
            .map_err(SigningError::Random)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads what [`Self::write_pair`] wrote.
    ///
    /// # Errors
    /// [`SigningError::Read`], [`SigningError::NoKey`].
    pub fn read(path: &Path) -> Result<Self, SigningError> {
        let text = std::fs::read_to_string(path).map_err(|source| SigningError::Read {
            path: path.into(),
            source,
        })?;
        let digits = text.trim().strip_prefix(MARK).map(str::trim_start);
        let seed = digits.and_then(from_hex);
        let seed = seed.ok_or_else(|| SigningError::NoKey(path.into()))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Writes the private key to `path`, for its owner's eyes only, and the public one beside it. The path of
    /// the latter.
    ///
    /// # Errors
    /// [`SigningError::Exists`], [`SigningError::Write`].
    pub fn write_pair(&self, path: &Path) -> Result<PathBuf, SigningError> {
        let public = with_ending(path, "pub");
        if public.exists() {
            return Err(SigningError::Exists(public));
        }
        let text = format!("{MARK} {}\n", hex(self.0.as_bytes()));
        write_private(path, &text).map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => SigningError::Exists(path.into()),
            _ => WriteError {
                path: path.into(),
                source,
            }
            .into(),
        })?;
        write_whole(&public, format!("{}\n", self.public()).as_bytes())?;
        Ok(public)
    }

    /// The public key, as the firmware's build takes it.
    #[must_use]
    pub fn public(&self) -> String {
        hex(self.0.verifying_key().as_bytes())
    }

    /// The signature of a model file.
    ///
    /// # Errors
    /// [`SigningError::Wrong`].
    pub fn sign(&self, model: &[u8]) -> Result<[u8; SIGNATURE_LEN], SigningError> {
        let sha256 = Sha256::digest(model);
        let signature = self.0.sign(&sha256).to_bytes();
        let public = PublicKey::new(self.0.verifying_key().to_bytes());
        if public.is_some_and(|key| key.has_signed(&sha256, &signature)) {
            Ok(signature)
        } else {
            Err(SigningError::Wrong)
        }
    }
}

/// Where a model's signature is: beside it.
#[must_use]
pub fn signature_path(model: &Path) -> PathBuf {
    with_ending(model, "sig")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{ending}"));
    name.into()
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn from_hex(digits: &str) -> Option<[u8; 32]> {
    let whole = digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        let pair = digits.get(2 * at..2 * at + 2)?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    whole.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_signs_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = PrivateKey::generate().unwrap();
        let public = key.write_pair(&path).unwrap();
        assert_eq!(
            std::fs::read_to_string(public).unwrap().trim(),
            key.public()
        );
        let again = PrivateKey::read(&path).unwrap();
        assert_eq!(again.sign(b"model").unwrap(), key.sign(b"model").unwrap());
        assert_ne!(PrivateKey::generate().unwrap().public(), key.public());
    }

    #[test]
    fn a_private_key_is_its_owner_s_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = PrivateKey::generate().unwrap();
        let public = key.write_pair(&path).unwrap();
        #[cfg(unix)]
        {
            let mode = std::fs::metadata(&path).unwrap().permissions();
            let mode = std::os::unix::fs::PermissionsExt::mode(&mode);
            assert_eq!(mode & 0o777, 0o600);
        }
        let another = PrivateKey::generate().unwrap();
        for left in [&public, &path] {
            let error = another.write_pair(&path).unwrap_err().to_string();
            assert!(error.contains("is there already"), "{error}");
            assert_eq!(PrivateKey::read(&path).unwrap().public(), key.public());
            // First the public key stands in the way, then the private one alone.
            if left == &public {
                std::fs::remove_file(left).unwrap();
            }
        }
    }

    /// Test 1 of RFC 8032, and what OpenSSL 3 signs with its key.
    #[test]
    fn a_model_is_signed_as_others_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        std::fs::write(&path, format!("{MARK} {seed}")).unwrap();
        let key = PrivateKey::read(&path).unwrap();
        assert_eq!(key.public(), tools::firmware::EXAMPLE_KEY);
        let signature = "48a96e8f6ca118b391bcec11dea165d4ecbcbb81f699bef153edee8a63e40468b688730c1ba7467bfb114b2c0a5a87b5f07b14597a2535d3f72c07b8ab1c3c07";
        assert_eq!(hex(&key.sign(b"").unwrap()), signature);
    }

    #[test]
    fn what_is_no_private_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let digits = "0123456789abcdef".repeat(4);
        for text in [
            "",
            &digits,
            MARK,
            &format!("{MARK} {}", &digits[1..]),
            &format!("{MARK} +{}", &digits[1..]),
            &format!("{MARK} é{}", &digits[2..]),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = PrivateKey::read(&path).unwrap_err().to_string();
            assert!(error.contains("key holds no private key"), "{text}");
        }
    }
}
