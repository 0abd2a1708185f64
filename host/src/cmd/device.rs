//! `onelook device`: everything that a device can be asked for.

mod backup;
mod look;
mod state;
mod teach;
mod update;

use std::time::{Duration, Instant};

use clap::Subcommand;
use serde::Serialize;
use shared::link::Event;

use super::{Failure, Verdict};
use crate::device::client::EventSink;
use crate::device::images::Grey;
use crate::device::words::event_words;
use crate::device::{Address, Client, Pace, Port, port, simulator};

/// Names the port, so that it need not be typed with every command.
const PORT_VARIABLE: &str = "ONELOOK_PORT";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    action: Action,
}

/// What all actions share.
#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    at: PortArg,
    /// Print what is reported as JSON on stdout.
    #[arg(long, global = true)]
    json: bool,
}

/// Where the device is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct PortArg {
    /// Where the device is: /dev/ttyACM0 (or COM3), unix:/path, tcp:HOST:PORT, or sim for the running
    /// simulator [default: ONELOOK_PORT, then the simulator, then the only serial port].
    #[arg(long, global = true, value_name = "PORT")]
    port: Option<Address>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the board, the firmware, the model, and what is enrolled.
    Info,
    /// Take a picture with the device's camera and save it as PNG.
    Capture(look::CaptureArgs),
    /// Teach it a mark from the camera, a picture, or a folder of pictures.
    Enrol(teach::EnrolArgs),
    /// Which mark is this? From the camera, a picture, or a folder of pictures.
    Score(look::ScoreArgs),
    /// List what is enrolled.
    List,
    /// Forget a class, a sample, or everything.
    Forget(teach::ForgetArgs),
    /// Give a class another name.
    Rename(teach::RenameArgs),
    /// Take back the last enrolment, forgetting or renaming.
    Undo,
    /// Save everything that is enrolled in a folder.
    Export(backup::ExportArgs),
    /// Teach it what was exported.
    Import(backup::ImportArgs),
    /// Show or change how strict it is.
    Settings(state::SettingsArgs),
    /// Replace the model; what is enrolled stays.
    UpdateModel(update::UpdateArgs),
    /// Let it check its own arithmetic.
    Selftest(update::SelftestArgs),
    /// Measure how long it takes to embed a picture.
    Bench(look::BenchArgs),
    /// Show what it says, until Ctrl-C.
    Log(state::LogArgs),
    /// Start it again, as after power-on.
    Restart,
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let Args { common, action } = args;
    match action {
        Action::Info => state::info(common),
        Action::List => state::list(common),
        Action::Settings(args) => state::settings(common, args),
        Action::Log(args) => state::log(common, args),
        Action::Restart => state::restart(common),
        Action::Capture(args) => look::capture(common, args),
        Action::Score(args) => look::score(common, args),
        Action::Bench(args) => look::bench(common, args),
        Action::Enrol(args) => teach::enrol(common, args),
        Action::Forget(args) => teach::forget(common, args),
        Action::Rename(args) => teach::rename(common, args),
        Action::Undo => teach::undo(common),
        Action::Export(args) => backup::export(common, args),
        Action::Import(args) => backup::import(common, args),
        Action::UpdateModel(args) => update::update_model(common, args),
        Action::Selftest(args) => update::selftest(common, args),
    }
}

impl PortArg {
    /// The port that was named on the command line or by the variable.
    pub(super) fn named(&self) -> Result<Option<Address>, Failure> {
        if self.port.is_some() {
            return Ok(self.port.clone());
        }
        let text = std::env::var(PORT_VARIABLE).unwrap_or_default();
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = |error| Failure::Usage(format!("{PORT_VARIABLE} is `{text}`: {error}"));
        text.parse().map(Some).map_err(wrong)
    }

    /// The port that was named, or the one that is meant.
    pub(super) fn address(&self) -> Result<Address, Failure> {
        if let Some(address) = self.named()? {
            return Ok(address);
        }
        if simulator::running().is_some() {
            eprintln!("port: sim, the running simulator");
            return Ok(Address::Simulator);
        }
        match port::available().as_slice() {
            [only] => {
                eprintln!("port: {}, the only one", only.display());
                Ok(Address::Serial(only.clone()))
            }
            ports => Err(Failure::Usage(format!(
                "which device? Name its port with --port, or set {PORT_VARIABLE}\nnext: {}; without a device, start `onelook simulate` and use --port sim",
                port::ports_in_words(ports)
            ))),
        }
    }
}

/// A device under its port's name.
struct Device {
    client: Client<'static, Port>,
    address: Address,
}

impl Common {
    /// The device; what it says on its own goes to stderr.
    fn connect(&self) -> Result<Device, Failure> {
        self.connect_with(Box::new(show_event))
    }

    fn connect_with(&self, on_event: EventSink<'static>) -> Result<Device, Failure> {
        Device::connect(self.at.address()?, Pace::default(), on_event)
    }

    /// Prints `value` as JSON, or else `words`.
    fn report(&self, value: &impl Serialize, words: &str) -> Result<(), Failure> {
        if self.json {
            let text = serde_json::to_string_pretty(value).map_err(Failure::work)?;
            println!("{text}");
        } else {
            print!("{words}");
        }
        Ok(())
    }
}

impl Device {
    fn connect(
        address: Address,
        pace: Pace,
        on_event: EventSink<'static>,
    ) -> Result<Self, Failure> {
        let port = Port::open(&address).map_err(Failure::work)?;
        let client = Client::connect(port, pace, on_event).map_err(at(&address))?;
        Ok(Self { client, address })
    }

    /// Asks the client for something; its error names the port.
    fn ask<T>(
        &mut self,
        ask: impl FnOnce(&mut Client<'static, Port>) -> Result<T, crate::device::DeviceError>,
    ) -> Result<T, Failure> {
        ask(&mut self.client).map_err(at(&self.address))
    }

    /// Opens the port anew until the device answers: USB goes away while a device starts.
    fn reconnect(self, limit: Duration) -> Result<Self, Failure> {
        let Self { client, address } = self;
        drop(client);
        let start = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let quick = Pace {
                patience: Duration::from_secs(3),
                ..Pace::default()
            };
            match Self::connect(address.clone(), quick, Box::new(show_event)) {
                Ok(device) => return Ok(device),
                Err(error) if start.elapsed() > limit => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Puts a picture into the device's buffer, made smaller where it must be.
    fn show(&mut self, picture: &std::path::Path, max_pixels: u32) -> Result<(), Failure> {
        let grey = Grey::read(picture).map_err(Failure::usage)?;
        let grey = grey.fit(max_pixels as usize);
        self.ask(|client| client.write_capture(&grey)).map(drop)
    }
}

fn at(address: &Address) -> impl Fn(crate::device::DeviceError) -> Failure {
    move |error| Failure::Work(format!("{address}: {error}"))
}

/// One line on stderr.
fn show_event(event: Event<'_>) {
    eprintln!("{}", event_words(&event.into()));
}
