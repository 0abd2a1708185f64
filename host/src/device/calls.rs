//! A method for each command that fits one message.
//!
//! In: a connected [`Client`]. Out: what the device answers, owned.

use std::io::{Read, Write};

use shared::link::{Captured, Command, Enrolled, Info, Reply, Settings, Target};

use super::answers::{Decision, Listed, Picture};
use super::{Client, DeviceError};

impl<S: Read + Write> Client<'_, S> {
    /// The device's state.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn info(&mut self) -> Result<Info, DeviceError> {
        self.ask(Command::Info, |reply| match reply {
            Reply::Info(info) => Some(info),
            _ => None,
        })
    }

    /// Takes a picture with the device's camera into its buffer.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when the camera gives none.
    pub fn capture(&mut self) -> Result<Picture, DeviceError> {
        self.ask(Command::Capture, captured)
    }

    /// Keeps the picture in the buffer as an example of `label`.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when it is not good enough and `force` is not set.
    pub fn enrol(&mut self, label: &str, force: bool) -> Result<Enrolled, DeviceError> {
        self.ask(Command::Enrol { label, force }, |reply| match reply {
            Reply::Enrolled(enrolled) => Some(enrolled),
            _ => None,
        })
    }

    /// Keeps the picture in the buffer whatever speaks against it, but not twice: for what was enrolled
    /// before, when somebody has decided about its quality.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when the very same picture is there already.
    pub fn teach(&mut self, label: &str) -> Result<Enrolled, DeviceError> {
        match self.enrol(label, false) {
            // A forced enrolment does not look for the same picture; this one has.
            Err(DeviceError::Refused(refusal)) if refusal.can_be_forced() => {
                self.enrol(label, true)
            }
            other => other,
        }
    }

    /// Which class the picture in the buffer belongs to.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when nothing is enrolled.
    pub fn score(&mut self) -> Result<Decision, DeviceError> {
        self.ask(Command::Score, |reply| match reply {
            Reply::Scored(verdict) => Some(verdict.into()),
            _ => None,
        })
    }

    /// All samples, in order of enrolment.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn list(&mut self) -> Result<Vec<Listed>, DeviceError> {
        let samples = self.info()?.samples;
        let one = |index| {
            self.ask(Command::List { index }, |reply| match reply {
                Reply::Sample(sample) => Some(sample.into()),
                _ => None,
            })
        };
        (0..samples).map(one).collect()
    }

    /// Forgets a sample, a class or everything; how many samples that were.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when there is no such thing.
    pub fn forget(&mut self, target: Target<'_>) -> Result<u16, DeviceError> {
        self.ask(Command::Forget { target }, done)
    }

    /// Gives a class another name; how many samples it has.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when there is no such class.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<u16, DeviceError> {
        self.ask(Command::Rename { from, to }, done)
    }

    /// Takes back the last change of the support set; how many samples it concerned.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when there is none.
    pub fn undo(&mut self) -> Result<u16, DeviceError> {
        self.ask(Command::Undo, done)
    }

    /// The settings.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn settings(&mut self) -> Result<Settings, DeviceError> {
        self.ask(Command::Settings, settings)
    }

    /// Changes the settings; what they are now.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when one is out of range.
    pub fn configure(&mut self, new: Settings) -> Result<Settings, DeviceError> {
        self.ask(Command::Configure { settings: new }, settings)
    }

    /// The digest of the device's selftest.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when there is no model.
    pub fn selftest(&mut self, seed: u32) -> Result<u32, DeviceError> {
        self.ask(Command::Selftest { seed }, |reply| match reply {
            Reply::Selftest { digest } => Some(digest),
            _ => None,
        })
    }

    /// Microseconds that embedding the picture in the buffer takes.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when there is no picture or no model.
    pub fn bench(&mut self) -> Result<u32, DeviceError> {
        self.ask(Command::Bench, |reply| match reply {
            Reply::Bench { microseconds } => Some(microseconds),
            _ => None,
        })
    }

    /// Starts the device again. Say [`Client::hello`] next, or open the port anew where it went away.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn restart(&mut self) -> Result<(), DeviceError> {
        self.ask(Command::Restart, done).map(drop)
    }

    /// Uses the model that was sent from the next start on.
    ///
    /// # Errors
    /// [`DeviceError`]; refused when the device does not take the model.
    pub fn update_commit(&mut self, signature: Option<&[u8]>) -> Result<(), DeviceError> {
        self.ask(Command::UpdateCommit { signature }, done)
            .map(drop)
    }

    /// Gives a begun update up.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn update_abort(&mut self) -> Result<(), DeviceError> {
        self.ask(Command::UpdateAbort, done).map(drop)
    }
}

pub(super) fn captured(reply: Reply<'_>) -> Option<Picture> {
    match reply {
        Reply::Captured(Captured { h, w, quality }) => Some(Picture { h, w, quality }),
        _ => None,
    }
}

fn settings(reply: Reply<'_>) -> Option<Settings> {
    match reply {
        Reply::Settings(settings) => Some(settings),
        _ => None,
    }
}

fn done(reply: Reply<'_>) -> Option<u16> {
    match reply {
        Reply::Done { samples } => Some(samples),
        _ => None,
    }
}
