//! `onelook live`: a page in a browser that teaches a device and asks it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::device::PortArg;
use super::model_file::ModelFile;
use super::{Failure, Verdict};
use crate::device::{Pace, Port};
use crate::live::{KnownModel, Live, Setup};
use crate::page_server::ServeError;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    at: PortArg,
    /// Where the page is served; port 0 takes a free one. Another address than this computer's own lets
    /// everybody in the network teach the device.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8017")]
    listen: SocketAddr,
    /// The device's model, where it is not one that ships: without it the page cannot show what the network
    /// sees.
    #[arg(long, value_name = "NAME|model.onelook")]
    model: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let mut models = KnownModel::shipped();
    if let Some(path) = &args.model {
        let file = ModelFile::read(path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        models.push(KnownModel::of(&name, &file.view()?));
    }
    let address = args.at.address()?;
    let setup = Setup {
        port: address.to_string(),
        pace: Pace::default(),
        models,
    };
    let live = Live::start(args.listen, setup, move || Port::open(&address));
    let live = live.map_err(|error| match error {
        ServeError::Listen { .. } => Failure::usage(error),
        ServeError::Start(_) => Failure::work(error),
    })?;
    if !live.address().ip().is_loopback() {
        eprintln!(
            "note: everybody who reaches this address can teach the device and see its pictures"
        );
    }
    println!("{}", live.url());
    eprintln!("open this address in a browser; Ctrl-C ends it");
    until_interrupted()
}

fn until_interrupted() -> Result<Verdict, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::SeqCst)).map_err(Failure::work)?;
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(Verdict::Interrupted)
}
