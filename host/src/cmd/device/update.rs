//! `onelook device update-model|selftest`: another model, and whether the device computes with it what
//! this computer does.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use shared::signature::SIGNATURE_LEN;

use super::{Common, Device};
use crate::cmd::model_file::ModelFile;
use crate::cmd::{Failure, Verdict};
use crate::device::selftest::digest;
use crate::shipped::{SHIPPED, Shipped};
use crate::signing::signature_path;

/// How long a device may take to start again.
const START: Duration = Duration::from_secs(60);
/// How long it may embed one sample by the new model.
const EMBED: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(super) struct UpdateArgs {
    /// The model: runs/<name>/model.onelook, or micro or nano, which ship.
    #[arg(value_name = "NAME|model.onelook", required_unless_present = "abort")]
    model: Option<PathBuf>,
    /// Its signature by `onelook sign`, for a device that asks for one
    /// [default: the model's name and .sig, where that is there].
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Send it although the device uses this very model.
    #[arg(long)]
    force: bool,
    /// Give up an update that was begun.
    #[arg(long, conflicts_with_all = ["model", "signature", "force"])]
    abort: bool,
}

#[derive(Serialize)]
struct Updated {
    /// The fingerprint of the model that is now in use.
    model: String,
    /// Whether the device had it before.
    was_there: bool,
    samples: u16,
}

pub(super) fn update_model(common: &Common, args: &UpdateArgs) -> Result<Verdict, Failure> {
    let Some(path) = &args.model else {
        let mut device = common.connect()?;
        device.ask(|client| client.update_abort())?;
        println!("the update is given up; the device keeps its model");
        return Ok(Verdict::Success);
    };
    let model = ModelFile::read(path)?;
    let wished = model.fingerprint()?;
    let signature = signature(path, args.signature.as_deref())?;
    let mut device = common.connect()?;
    let was_there = device.client.greeting().model.as_ref() == Some(&wished);
    if !was_there || args.force {
        device = replace(device, path, model.bytes(), signature.as_deref(), &wished)?;
    }
    let samples = await_embeddings(&mut device)?;
    let words = if was_there && !args.force {
        format!("the device uses this very model already ({wished}); --force sends it again\n")
    } else {
        format!("the device uses {wished}; {samples} samples are embedded by it\n")
    };
    let updated = Updated {
        model: wished,
        was_there,
        samples,
    };
    common.report(&updated, &words)?;
    Ok(Verdict::Success)
}

/// The signature that was named, or the one beside the model. A device that asks for none ignores it.
fn signature(model: &Path, named: Option<&Path>) -> Result<Option<Vec<u8>>, Failure> {
    let beside = signature_path(model);
    let beside = beside.is_file().then_some(beside.as_path());
    let Some(path) = named.or(beside) else {
        return Ok(None);
    };
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| Failure::Usage(format!("{shown}: {error}")))?;
    if bytes.len() == SIGNATURE_LEN {
        return Ok(Some(bytes));
    }
    let why = format!(
        "{shown} has {} bytes, a signature has {SIGNATURE_LEN}",
        bytes.len()
    );
    Err(Failure::Usage(format!(
        "{why}\nnext: name the file that `onelook sign` wrote"
    )))
}

/// Sends the model, lets the device start again, and makes sure that it uses it.
fn replace(
    mut device: Device,
    path: &Path,
    model: &[u8],
    signature: Option<&[u8]>,
    wished: &str,
) -> Result<Device, Failure> {
    let max = device.ask(|client| client.info())?.max_model as usize;
    if max == 0 || model.len() > max {
        return Err(Failure::Work(format!(
            "{}: {} has {} bytes, the device takes {max}\nnext: {}",
            device.address,
            path.display(),
            model.len(),
            match max {
                0 => "build the model into the firmware and flash that",
                _ => "train one that fits: `train-export --max-flash`",
            }
        )));
    }
    let bar = ProgressBar::new(model.len() as u64);
    if let Ok(style) =
        ProgressStyle::with_template("sending [{wide_bar}] {bytes}/{total_bytes}, {eta} left")
    {
        bar.set_style(style);
    }
    let sent = device
        .ask(|client| client.send_model(model, &mut |done, _| bar.set_position(u64::from(done))));
    bar.finish_and_clear();
    sent?;
    device.ask(|client| client.update_commit(signature))?;
    eprintln!("the model is on the device; it starts again");
    device.ask(|client| client.restart())?;
    let start = Instant::now();
    loop {
        device = device.reconnect(START)?;
        if device.client.greeting().model.as_deref() == Some(wished) {
            return Ok(device);
        }
        // It may have answered just before it went down.
        if start.elapsed() > START {
            return Err(Failure::Work(format!(
                "{}: the device started again, but not with the new model ({wished})\nnext: see why with `onelook device log`, then run the same command again",
                device.address
            )));
        }
    }
}

/// Waits until every sample is embedded by the model in use; how many there are.
fn await_embeddings(device: &mut Device) -> Result<u16, Failure> {
    let mut info = device.ask(|client| client.info())?;
    let bar = ProgressBar::new(info.samples.into());
    let (mut stale, mut since) = (info.stale, Instant::now());
    while info.stale > 0 {
        bar.set_position(u64::from(info.samples.saturating_sub(info.stale)));
        device.ask(|client| client.listen(Duration::from_millis(500)))?;
        info = device.ask(|client| client.info())?;
        if info.stale < stale {
            (stale, since) = (info.stale, Instant::now());
        } else if since.elapsed() > EMBED {
            return Err(Failure::Work(format!(
                "{}: {stale} samples still wait for an embedding by the new model, and none was done for {} s\nnext: look at `onelook device log`; the pictures are kept",
                device.address,
                EMBED.as_secs()
            )));
        }
    }
    bar.finish_and_clear();
    Ok(info.samples)
}

#[derive(Debug, clap::Args)]
pub(super) struct SelftestArgs {
    /// The model that should be on the device; its digest is computed here and compared
    /// [default: the one that ships, if it is on the device].
    #[arg(long, value_name = "NAME|model.onelook")]
    model: Option<PathBuf>,
    /// Draws the pictures.
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

#[derive(Serialize)]
struct Tested {
    seed: u32,
    /// The device's digest.
    digest: String,
    /// What it must be with the model that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    /// The fingerprint of the device's model.
    model: Option<String>,
}

/// The shipped network with that fingerprint.
fn shipped_as(fingerprint: Option<&str>) -> Result<Option<ModelFile>, Failure> {
    for Shipped { name, .. } in SHIPPED {
        let file = ModelFile::read(name.as_ref())?;
        if fingerprint == Some(&file.fingerprint()?) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

pub(super) fn selftest(common: &Common, args: &SelftestArgs) -> Result<Verdict, Failure> {
    let seed = args.seed;
    let named = args.model.as_deref().map(ModelFile::read).transpose()?;
    let mut device = common.connect()?;
    let found = device.ask(|client| client.selftest(seed))?;
    let model = device.client.greeting().model.clone();
    let expected = match named.or(shipped_as(model.as_deref())?) {
        Some(file) => digest(file.bytes(), seed).zip(Some(file.fingerprint()?)),
        None => None,
    };
    let (words, verdict) = match &expected {
        None => (
            "give --model to compare it with what this computer computes".to_owned(),
            Verdict::Success,
        ),
        Some((digest, _)) if *digest == found => {
            ("this computer computes the same".to_owned(), Verdict::Success)
        }
        Some((digest, wished)) if Some(wished) == model.as_ref() => (
            format!("WRONG: this computer computes {digest:08x} with the same model\nnext: flash the firmware again; if that does not help, the board is broken"),
            Verdict::Mismatch,
        ),
        Some(_) => (
            "the device uses another model, so nothing can be said\nnext: name its model, or send this one with `onelook device update-model`".to_owned(),
            Verdict::Mismatch,
        ),
    };
    let tested = Tested {
        seed,
        digest: format!("{found:08x}"),
        expected: expected.map(|(digest, _)| format!("{digest:08x}")),
        model,
    };
    let words = format!("digest {found:08x} for seed {seed}\n{words}\n");
    common.report(&tested, &words)?;
    Ok(verdict)
}
