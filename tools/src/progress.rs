//! Shows on stderr what is going on.
//!
//! In: messages, byte counts. Out: bars and spinners on a terminal, one plain line per step
//! elsewhere, nothing when asked to be quiet. Standard output stays free for results.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Where progress goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bars,
    Lines,
    Quiet,
}

impl Progress {
    /// Bars when stderr is a terminal, plain lines otherwise.
    #[must_use]
    pub fn stderr() -> Self {
        let style = if std::io::stderr().is_terminal() {
            Style::Bars
        } else {
            Style::Lines
        };
        Self { style }
    }

    /// Shows nothing.
    #[must_use]
    pub fn quiet() -> Self {
        Self {
            style: Style::Quiet,
        }
    }

    /// One line that stays.
    pub fn note(&self, message: &str) {
        if self.style != Style::Quiet {
            eprintln!("{message}");
        }
    }

    /// A bar that counts bytes up to `total`, or just counts when the total is unknown.
    #[must_use]
    pub fn bytes(&self, message: &str, total: Option<u64>) -> Bar {
        let template = match total {
            Some(_) => "{msg} [{wide_bar}] {bytes}/{total_bytes}, {eta} left",
            None => "{spinner} {msg} {bytes}",
        };
        self.start(message, template, total)
    }

    /// A spinner for work whose length is unknown.
    #[must_use]
    pub fn spinner(&self, message: &str) -> Bar {
        let bar = self.start(message, "{spinner} {msg} {elapsed}", None);
        bar.0.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    fn start(&self, message: &str, template: &str, total: Option<u64>) -> Bar {
        if self.style != Style::Bars {
            self.note(message);
            return Bar(ProgressBar::hidden());
        }
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(message.to_owned());
        Bar(bar)
    }
}

/// A bar or spinner; it vanishes when dropped.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// `bytes` more are done.
    pub fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
