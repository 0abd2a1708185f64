//! What may go wrong between a page and its device, in words for who sits before the page.
//!
//! In: a fault of the device, of the line, or of what the page asked. Out: what is wrong, what to do next
//! in this very page, and the status of the HTTP answer. What the page cannot do is told as on the command
//! line.

use serde::Serialize;
use shared::link::Fault;

use crate::device::refusal::quality_words;
use crate::device::{DeviceError, PortError};
use crate::page_server;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// The line cannot be opened.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The device does not answer, or says no.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// What was sent as a picture is none.
    #[error("this is no picture that can be read: {0}\nnext: choose a PNG, JPEG, BMP or PGM file")]
    Picture(String),
    /// A label that no class can have.
    #[error("{0}\nnext: give it a name of 1 to 32 bytes: a letter takes one, an emoji four")]
    Label(String),
    /// A request that is not understood.
    #[error(
        "the request is not understood: {0}\nnext: reload the page; docs/live.md has the requests"
    )]
    Request(String),
    /// Another page than this one asks.
    #[error("{0}\nnext: open this page itself, by the address that `onelook live` printed")]
    Foreign(String),
    /// There is nothing at an address.
    #[error("there is nothing at {0}\nnext: open / for the page; docs/live.md has the requests")]
    Nowhere(String),
    /// Too many bytes.
    #[error("this is too large: at most {most} bytes are taken\nnext: choose a smaller picture")]
    TooLarge {
        /// How many may come.
        most: usize,
    },
    /// Others wait for the device.
    #[error("the device is busy, and something waits for it already\nnext: try again in a moment")]
    Busy,
    /// The thread that had the line is gone.
    #[error("the program that served this page has a fault\nnext: start `onelook live` again")]
    Gone,
}

impl From<page_server::Fault> for Trouble {
    fn from(fault: page_server::Fault) -> Self {
        use page_server::Fault;
        match fault {
            Fault::Foreign(why) => Self::Foreign(why),
            Fault::Request(why) => Self::Request(why),
            Fault::TooLarge { most } => Self::TooLarge { most },
        }
    }
}

/// A trouble as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// What is wrong.
    pub what: String,
    /// What to do next.
    pub next: String,
    /// Whether the same can be asked with `force`.
    pub can_force: bool,
}

impl Trouble {
    /// The status of an HTTP answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Picture(_)
            | Self::Label(_)
            | Self::Request(_)
            | Self::Device(DeviceError::TooLong { .. }) => 400,
            Self::Foreign(_) => 403,
            Self::Nowhere(_) => 404,
            Self::Device(DeviceError::Refused(_)) => 409,
            Self::TooLarge { .. } => 413,
            Self::Device(_) | Self::Port(_) => 502,
            Self::Busy | Self::Gone => 503,
        }
    }

    /// Whether nothing more can be asked over this line.
    pub(super) const fn is_of_the_line(&self) -> bool {
        self.status() == 502
    }

    /// What the page shows.
    #[must_use]
    pub fn notice(&self) -> Notice {
        let text = self.to_string();
        let (what, next) = text.split_once("\nnext: ").unwrap_or((&text, ""));
        let refusal = match self {
            Self::Device(error) => error.refusal(),
            _ => None,
        };
        let own = refusal.and_then(|refusal| here(&refusal.fault, &refusal.label));
        let next = match own {
            Some(own) => own,
            None if self.is_of_the_line() => {
                // The button that the page has for the command line's way.
                next.replace("run the same command again", "connect again")
            }
            None => next.into(),
        };
        Notice {
            what: what.into(),
            next,
            can_force: refusal.is_some_and(|refusal| refusal.can_be_forced()),
        }
    }
}

/// The next step where the page has it; the command line's words name commands.
fn here(fault: &Fault<'_>, label: &str) -> Option<String> {
    let next = match fault {
        Fault::Quality(quality) => {
            let (_, next) = quality_words(*quality);
            return Some(format!("{next}, or enrol it all the same"));
        }
        Fault::LooksLike(_) => {
            return Some(format!(
                "if it is {label}, enrol it under that name; if not, draw the mark more differently, or enrol it all the same"
            ));
        }
        Fault::Duplicate { .. } => "show another picture of the mark",
        Fault::NoCapture => "press Look, or give a picture file",
        Fault::NoSuchClass | Fault::NoSuchSample => "the list of classes now shows those there are",
        Fault::NothingEnrolled => "show it a mark, name it and press Enrol",
        Fault::Full => "forget a class; `onelook device export` keeps a copy of all first",
        Fault::Busy => "wait a moment and press the button again",
        Fault::Camera(shared::link::CameraFault::Absent) => {
            "check its six wires and its power, then reset the device; without a camera, give a picture file"
        }
        _ => return None,
    };
    Some(next.into())
}

#[cfg(test)]
mod tests {
    use shared::link::{CameraFault, Candidate, Quality};

    use super::*;
    use crate::device::refusal::Refusal;

    fn refused(fault: Fault<'_>) -> Notice {
        Trouble::Device(DeviceError::Refused(Refusal::new("do it", fault))).notice()
    }

    /// No next step in the page names an option of a command.
    #[test]
    fn the_page_s_next_steps_are_in_the_page() {
        let alike = Fault::LooksLike(Candidate {
            label: "kite",
            logit: 3,
        });
        let faults = [
            Fault::Quality(Quality::Faint),
            alike,
            Fault::Duplicate { sample: 3 },
            Fault::NoCapture,
            Fault::NoSuchClass,
            Fault::NothingEnrolled,
            Fault::Busy,
            Fault::Camera(CameraFault::Absent),
            Fault::NothingToUndo,
        ];
        for fault in faults {
            let notice = refused(fault);
            assert!(!notice.what.is_empty() && !notice.next.is_empty());
            let commands = ["--", "`", "command"];
            let command = commands.iter().find(|word| notice.next.contains(**word));
            assert_eq!(command, None, "{notice:?}");
        }
        assert!(refused(alike).next.contains("kite") && refused(alike).can_force);
        assert!(!refused(Fault::NoCapture).can_force);
    }

    #[test]
    fn a_lost_line_is_told_from_a_refusal() {
        let lost = Trouble::Device(DeviceError::LinkLost {
            what: "say hello",
            source: std::io::ErrorKind::BrokenPipe.into(),
        });
        assert!(lost.is_of_the_line());
        assert!(lost.notice().next.contains("connect again"));
        let no = Refusal::new("do it", Fault::Full);
        assert!(!Trouble::Device(DeviceError::Refused(no)).is_of_the_line());
    }
}
