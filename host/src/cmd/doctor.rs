//! `onelook doctor`: what on this computer may keep Onelook from working.

use comfy_table::{Table, presets::ASCII_MARKDOWN};

use super::device::PortArg;
use super::{Failure, Verdict};
use crate::doctor::{Finding, State, examine};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    at: PortArg,
    /// Print the findings as JSON on stdout.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let port = args.at.named()?;
    let bar = super::spinner("looking at this computer");
    let findings = examine(port.as_ref());
    bar.finish_and_clear();
    if args.json {
        let text = serde_json::to_string_pretty(&findings).map_err(Failure::work)?;
        println!("{text}");
    } else {
        print!("{}", words(&findings));
    }
    let failed: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.state == State::Fail)
        .map(|finding| finding.code)
        .collect();
    if failed.is_empty() {
        return Ok(Verdict::Success);
    }
    Err(Failure::Work(format!(
        "{} failed; docs/doctor.md says more about each code",
        failed.join(", ")
    )))
}

fn words(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["code", "what", "", "found"]);
    let mut fixes = String::new();
    for finding in findings {
        let Finding {
            code,
            title,
            state,
            found,
            fix,
        } = finding;
        let state = match state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "FAIL",
        };
        table.add_row([code, title, state, found]);
        if let Some(fix) = fix {
            fixes += &format!("{code} {title}: {fix}\n");
        }
    }
    if fixes.is_empty() {
        return format!("{table}\n");
    }
    format!("{table}\n\n{fixes}")
}
