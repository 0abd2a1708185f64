//! `onelook device info|list|settings|log|restart`: what the device is like.

use std::time::{Duration, Instant};

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde::Serialize;
use shared::link::{Info, Settings};

use super::Common;
use crate::cmd::{Failure, Verdict};
use crate::device::answers::{Greeting, Happening, Listed};
use crate::device::words::event_words;

#[derive(Debug, clap::Args)]
pub(super) struct SettingsArgs {
    /// Unknown marks in a million that may be taken for a known one, over all classes together; 0 for
    /// "never unknown".
    #[arg(long, value_name = "PPM")]
    false_accepts: Option<u32>,
    /// Logits added to the threshold, in units of the model's logit: stricter above 0.
    #[arg(long, value_name = "LOGITS", allow_negative_numbers = true)]
    offset: Option<i32>,
}

#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// End after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

#[derive(Serialize)]
struct State<'s> {
    port: String,
    #[serde(flatten)]
    greeting: &'s Greeting,
    #[serde(flatten)]
    info: Info,
}

pub(super) fn info(common: &Common) -> Result<Verdict, Failure> {
    let mut device = common.connect()?;
    let info = device.ask(|client| client.info())?;
    let state = State {
        port: device.address.to_string(),
        greeting: device.client.greeting(),
        info,
    };
    common.report(&state, &info_words(&state))?;
    Ok(Verdict::Success)
}

fn info_words(state: &State<'_>) -> String {
    let State {
        port,
        greeting,
        info,
    } = state;
    let Greeting {
        board, firmware, ..
    } = greeting;
    let model = match &greeting.model {
        Some(fingerprint) => format!("{fingerprint}, input {}×{}", info.input[0], info.input[1]),
        None => "none; send one with `onelook device update-model FILE`".into(),
    };
    let slot = match info.max_model {
        0 => "cannot be replaced over this link".into(),
        max => format!("can be replaced by one of at most {max} bytes"),
    };
    let mut words = format!(
        "{port}: {board}, firmware {firmware}\nmodel {model}\nthe model {slot}\n{} of {} samples, {} classes\npictures of at most {} pixels\nflash: {} of {} bytes free, erased {} times\nup {:.1} s\n",
        info.samples,
        info.max_samples,
        info.classes,
        info.max_capture,
        info.flash_free,
        info.flash_bank,
        info.flash_epoch,
        f64::from(info.uptime) / 1000.0,
    );
    if info.stale > 0 {
        words += &format!(
            "{} samples still wait for an embedding by this model\n",
            info.stale
        );
    }
    if info.damaged > 0 {
        words += &format!(
            "{} damaged records were skipped at the last start; the rest is whole\n",
            info.damaged
        );
    }
    words
}

pub(super) fn list(common: &Common) -> Result<Verdict, Failure> {
    let mut device = common.connect()?;
    let samples = device.ask(|client| client.list())?;
    let words = if samples.is_empty() {
        "nothing is enrolled; show it a mark: `onelook device enrol --label A`\n".to_owned()
    } else {
        format!("{}\n", table(&samples))
    };
    common.report(&samples, &words)?;
    Ok(Verdict::Success)
}

fn table(samples: &[Listed]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["sample", "class", "picture", "embedding"]);
    for sample in samples {
        let embedding = if sample.fresh {
            "by this model"
        } else {
            "waits"
        };
        table.add_row([
            sample.sample.to_string(),
            sample.label.clone(),
            format!("{}×{}", sample.h, sample.w),
            embedding.to_owned(),
        ]);
    }
    table
}

pub(super) fn settings(common: &Common, args: &SettingsArgs) -> Result<Verdict, Failure> {
    let mut device = common.connect()?;
    let mut settings = device.ask(|client| client.settings())?;
    let wished = Settings {
        far_ppm: args.false_accepts.unwrap_or(settings.far_ppm),
        offset: args.offset.unwrap_or(settings.offset),
    };
    if wished != settings {
        settings = device.ask(|client| client.configure(wished))?;
    }
    let strictness = match settings.far_ppm {
        0 => "never says unknown".to_owned(),
        ppm => format!("at most {ppm} in a million unknown marks are taken for a known one"),
    };
    let words = format!("{strictness}\nthreshold {:+} logits\n", settings.offset);
    common.report(&settings, &words)?;
    Ok(Verdict::Success)
}

pub(super) fn log(common: &Common, args: &LogArgs) -> Result<Verdict, Failure> {
    let json = common.json;
    let show = move |event: shared::link::Event<'_>| {
        let happening = Happening::from(event);
        let line = if json {
            serde_json::to_string(&happening).unwrap_or_default()
        } else {
            event_words(&happening)
        };
        println!("{line}");
    };
    let mut device = common.connect_with(Box::new(show))?;
    eprintln!("listening; Ctrl-C ends it");
    let start = Instant::now();
    loop {
        let left = match args.seconds {
            Some(seconds) => Duration::from_secs(seconds).checked_sub(start.elapsed()),
            None => Some(Duration::from_secs(1)),
        };
        let Some(left) = left else {
            return Ok(Verdict::Success);
        };
        device.ask(|client| client.listen(left.min(Duration::from_secs(1))))?;
    }
}

pub(super) fn restart(common: &Common) -> Result<Verdict, Failure> {
    let mut device = common.connect()?;
    device.ask(|client| client.restart())?;
    let device = device.reconnect(Duration::from_secs(30))?;
    let greeting = device.client.greeting();
    let words = format!("{}: started again\n", device.address);
    common.report(greeting, &words)?;
    Ok(Verdict::Success)
}
