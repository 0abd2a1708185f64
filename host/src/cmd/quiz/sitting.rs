//! A quiz being taken: who types, who clicks, Ctrl-C, and the report at the end.
//!
//! In: a [`Quiz`]. Out: its report on stdout, and how to go on with it on stderr.

use std::io::{BufRead, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use super::super::{Failure, Verdict};
use super::Args;
use crate::page_server::ServeError;
use crate::quiz::Quiz;
use crate::quiz::report::Report;
use crate::quiz::terminal::{self, Ending, Heard, Screen};
use crate::quiz::web::Web;

/// How long is waited for a line before it is looked for Ctrl-C.
const WAIT: Duration = Duration::from_millis(100);

/// Asks in the terminal, or whoever else writes lines to stdin.
pub(super) fn in_terminal(args: &Args, mut quiz: Quiz) -> Result<Verdict, Failure> {
    let term = console::Term::stderr();
    let variable = |name: &str| std::env::var(name).ok();
    let mut screen = Screen {
        out: std::io::stderr(),
        columns: usize::from(term.size().1),
        pictures: args.pictures.resolved(term.is_term(), variable),
        feedback: !args.hide_feedback,
    };
    let (lines, stop) = (typed_lines(), interrupted()?);
    let said = terminal::run(&mut quiz, &mut screen, || hear(&lines, &stop));
    // Also after a failure: what was answered is worth its report.
    finish(args, &quiz.report(), || quiz.record().discard_if_empty())?;
    Ok(match said.map_err(Failure::work)? {
        Ending::Interrupted => Verdict::Interrupted,
        Ending::Done | Ending::Stopped => Verdict::Success,
    })
}

/// Lines of stdin, read by a thread of their own: Ctrl-C does not wait for the next one.
fn typed_lines() -> Receiver<String> {
    let (send, lines) = sync_channel(1);
    std::thread::spawn(move || {
        let read = std::io::stdin().lock().lines().map_while(Result::ok);
        // Nobody listens any more when the quiz has ended.
        read.map(|line| send.send(line))
            .take_while(Result::is_ok)
            .for_each(drop);
    });
    lines
}

fn hear(lines: &Receiver<String>, stop: &AtomicBool) -> Heard {
    loop {
        if stop.load(Ordering::SeqCst) {
            eprintln!();
            return Heard::Interrupt;
        }
        match lines.recv_timeout(WAIT) {
            Ok(line) => {
                if !std::io::stdin().is_terminal() {
                    // What a person sees who types.
                    eprintln!("{line}");
                }
                return Heard::Line(line);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                eprintln!();
                return Heard::End;
            }
        }
    }
}

/// Set when Ctrl-C is pressed.
fn interrupted() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::SeqCst)).map_err(Failure::work)?;
    Ok(stop)
}

/// Asks on a page.
pub(super) fn in_browser(args: &Args, quiz: Quiz) -> Result<Verdict, Failure> {
    let stop = interrupted()?;
    let web = Web::start(args.listen, quiz, !args.hide_feedback).map_err(|error| match error {
        ServeError::Listen { .. } => Failure::usage(error),
        ServeError::Start(_) => Failure::work(error),
    })?;
    if !web.server().address().ip().is_loopback() {
        eprintln!("note: everybody who reaches this address can answer");
    }
    let url = web.server().url();
    // Of programs that read the report, stdout has that alone.
    match args.json {
        true => eprintln!("{url}"),
        false => println!("{url}"),
    }
    eprintln!("open this address in a browser; Ctrl-C ends it");
    let mut done = false;
    while !stop.load(Ordering::SeqCst) {
        if web.is_done() && !done {
            eprintln!("done; the page stays until Ctrl-C");
        }
        done = web.is_done();
        std::thread::sleep(WAIT);
    }
    finish(args, &web.report(), || web.discard_if_empty())?;
    Ok(match web.is_done() {
        true => Verdict::Success,
        false => Verdict::Interrupted,
    })
}

/// Prints the report, and how to go on.
fn finish(args: &Args, report: &Report, discard: impl FnOnce()) -> Result<(), Failure> {
    discard();
    if args.json {
        let json = serde_json::to_string_pretty(report).map_err(Failure::work)?;
        println!("{json}");
    } else {
        println!("{}", report.words().trim_end());
    }
    let record: &Path = &report.record;
    if report.answered > 0 && report.answered < report.plan.trials {
        eprintln!(
            "next: go on with `onelook quiz --resume --record {}`",
            record.display()
        );
    }
    Ok(())
}
