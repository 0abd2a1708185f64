//! The steps that build, weigh and try the firmware.
//!
//! In: the workbench. Out: what each board's programs are and do.

use std::fmt::Display;

use tools::firmware::{self, AN386, AN547, BOARDS, Board, Program, REAL_BOARDS};

use super::{Built, Outcome, Result, Workbench, broke};

pub(super) fn build(bench: &mut Workbench) -> Result<Outcome> {
    let mut notes = Vec::new();
    for built in bench.firmware()? {
        let Built {
            board,
            trials,
            device,
        } = built;
        let functions = firmware::audit(trials)? + firmware::audit(device)?;
        let kernels = firmware::kernels(trials, *board)?;
        let size = firmware::size(device)?;
        let (name, flash, ram) = (board.name, size.flash(), size.ram());
        notes.push(format!(
            "{name}: {functions} symbols, {kernels} DSP or Helium instructions in kernels, the device has flash {flash}, RAM {ram}"
        ));
    }
    let signed = bench.signed()?;
    firmware::audit(&signed)?;
    let flash = firmware::size(&signed)?.flash();
    notes.push(format!("with a key for models {flash} on {}", AN386.name));
    for board in REAL_BOARDS {
        notes.push(build_real(board, bench)?);
    }
    let notes = notes.join("; ");
    Ok(Outcome::passed(format!("no heap, no panic; {notes}")))
}

/// The programs of a board that one can buy: what QEMU's boards are asked, and whether it could run them.
fn build_real(board: Board, bench: &Workbench) -> Result<String> {
    let device = firmware::build(board, Program::Device, &bench.progress)?;
    let bringup = firmware::build(board, Program::Bringup, &bench.progress)?;
    let functions = firmware::audit(&device)? + firmware::audit(&bringup)?;
    let kernels = firmware::kernels(&device, board)?;
    firmware::image(board, bringup)?;
    let image = firmware::image(board, device)?;
    bench
        .progress
        .note(&format!("{}:\n{}", board.name, image.layout));
    let (name, flash, ram) = (board.name, image.layout.flash, image.layout.ram);
    Ok(format!(
        "{name} (not run on hardware): {functions} symbols, {kernels} DSP instructions in kernels, the device has flash {flash} with its model, RAM {ram}"
    ))
}

/// Every operator against its reference, on the target.
pub(super) fn selftest(bench: &Workbench) -> Outcome {
    on_every_board("problems solved on", |board| {
        firmware::selftest(board, &bench.progress)
    })
}

/// Link, clock, flash, camera, sleep and watchdog, with a power cut in between.
pub(super) fn devices(bench: &Workbench) -> Outcome {
    on_every_board("right answers of", |board| {
        firmware::devices(board, &bench.progress)
    })
}

/// A count from each board, or the first board's error.
fn on_every_board<E: Display>(
    what: &str,
    count: impl Fn(Board) -> std::result::Result<u64, E>,
) -> Outcome {
    let mut notes = Vec::new();
    for board in BOARDS {
        match count(board) {
            Ok(count) => notes.push(format!("{}: {count}", board.name)),
            Err(error) => return broke(&error),
        }
    }
    Outcome::passed(format!("{what} {}", notes.join(", ")))
}

/// What parsing, encoding and deciding take of the flash.
pub(super) fn weigh_engines(bench: &Workbench) -> Result<Outcome> {
    let mut notes = Vec::new();
    for board in [AN386, AN547] {
        let report = super::super::engine::report(board, &bench.progress)?;
        bench.progress.note(&report.text);
        notes.push(format!("{}: {} bytes", board.name, report.portable));
    }
    Ok(Outcome::passed(format!("portable, {}", notes.join("; "))))
}

/// Instructions against the baselines, after every operator was checked on the target.
pub(super) fn measure(bench: &Workbench) -> Outcome {
    let checked = match super::super::bench::check(&BOARDS, &bench.progress) {
        Ok(checked) => checked,
        Err(error) => return broke(&error),
    };
    bench.progress.note(&checked.text);
    Outcome {
        passed: checked.compared.saturating_sub(checked.failures),
        failed: checked.failures,
        note: checked.summary(),
    }
}

pub(super) fn build_shared(bench: &Workbench) -> Result<Outcome> {
    for target in firmware::SHARED_TARGETS {
        firmware::build_shared(target, &bench.progress)?;
    }
    Ok(Outcome::passed(firmware::SHARED_TARGETS.join(", ")))
}
