//! `onelook sign`: a key pair, and with it signatures of models.

use std::path::{Path, PathBuf};

use shared::model::ModelView;

use super::{Failure, Verdict};
use crate::files::write_whole;
use crate::signing::{PrivateKey, SigningError, signature_path};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The model file: runs/<name>/model.onelook. Its signature becomes model.onelook.sig.
    #[arg(
        value_name = "model.onelook",
        required_unless_present = "new_key",
        requires = "key"
    )]
    model: Option<PathBuf>,
    /// The file with the private key.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Make a key pair instead: FILE, which nobody else may see, and FILE.pub for the firmware.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "key"])]
    new_key: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    match (&args.new_key, &args.model, &args.key) {
        (Some(path), ..) => new_key(path),
        (None, Some(model), Some(key)) => sign(model, key),
        _ => Err(Failure::Usage(
            "name a model and --key FILE, or --new-key FILE".into(),
        )),
    }?;
    Ok(Verdict::Success)
}

fn new_key(path: &Path) -> Result<(), Failure> {
    let key = PrivateKey::generate().map_err(failure)?;
    let public = key.write_pair(path).map_err(failure)?;
    println!(
        "private key: {} (keep it, and keep it secret)",
        path.display()
    );
    println!("public key: {}", public.display());
    println!(
        "next: build devices that take only models of yours with\nONELOOK_PUBLIC_KEY={} cargo xtask firmware build",
        key.public()
    );
    Ok(())
}

fn sign(path: &Path, key: &Path) -> Result<(), Failure> {
    let model = std::fs::read(path).map_err(|error| {
        Failure::Usage(format!("{}: {error}; name a model.onelook", path.display()))
    })?;
    ModelView::new_checked(&model)
        .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    let key = PrivateKey::read(key).map_err(failure)?;
    let signature = key.sign(&model).map_err(failure)?;
    let out = signature_path(path);
    write_whole(&out, &signature).map_err(Failure::work)?;
    println!("{}", out.display());
    eprintln!("for devices with the public key {}", key.public());
    Ok(())
}

fn failure(error: SigningError) -> Failure {
    match error {
        SigningError::Exists(_) | SigningError::Read { .. } | SigningError::NoKey(_) => {
            Failure::usage(error)
        }
        _ => Failure::work(error),
    }
}
