//! The thread that has the line to the device: the device does one thing after the other, and so does it.
//!
//! In: orders of pages. Out: the state that all pages show. Between orders it listens, so that a button
//! press, a restart or a lost line is shown without being asked for. A lost line is opened again by the
//! next order.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::link::{Event, Target};

use super::Setup;
use super::seen::seen;
use super::state::{Device, Kind, Scores, Shown, State};
use super::trouble::Trouble;
use crate::device::answers::{Happening, Listed, Picture};
use crate::device::client::EventSink;
use crate::device::images::Grey;
use crate::device::words::{decision_words, event_words, remark};
use crate::device::{Client, DeviceError, PortError};

/// How long the line is listened to before the next order is looked for.
const LISTEN: Duration = Duration::from_millis(40);
/// How long is waited for an order while there is no line.
const WAIT: Duration = Duration::from_millis(500);

/// What a page may ask for.
#[derive(Debug)]
pub(super) enum Order {
    /// Open the line where it is not, and ask again what is enrolled.
    Connect,
    /// Take a picture, or take over this one, and say what it is.
    Look(Option<Grey>),
    /// Keep the picture that is shown, or else one from the camera.
    Enrol {
        /// The class.
        label: String,
        /// Also when its quality or its likeness to another class speaks against it.
        force: bool,
    },
    /// Forget a class.
    Forget {
        /// The class.
        label: String,
    },
    /// Take back the last change.
    Undo,
}

impl Order {
    /// What is being done meanwhile.
    const fn busy(&self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::Look(None) => "taking a picture",
            Self::Look(Some(_)) => "sending the picture",
            Self::Enrol { .. } => "enrolling",
            Self::Forget { .. } => "forgetting",
            Self::Undo => "taking back",
        }
    }
}

/// An order, and where its end is told.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) order: Order,
    pub(super) answer: Sender<Result<(), Trouble>>,
}

/// The state, also when a thread has failed that had it.
pub(super) fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the line.
pub(super) struct Keeper<S, O> {
    open: O,
    setup: Setup,
    state: Arc<Mutex<State>>,
    client: Option<Client<'static, S>>,
    samples: Vec<Listed>,
    pictures: u64,
}

impl<S: Read + Write, O: FnMut() -> Result<S, PortError>> Keeper<S, O> {
    pub(super) const fn new(open: O, setup: Setup, state: Arc<Mutex<State>>) -> Self {
        Self {
            open,
            setup,
            state,
            client: None,
            samples: Vec::new(),
            pictures: 0,
        }
    }

    /// Carries out orders until nobody can give one.
    pub(super) fn run(mut self, tasks: &Receiver<Task>) {
        // A device that is not there yet is shown, and asked again by the first order.
        self.obey(Order::Connect).ok();
        while let Ok(task) = self.next(tasks) {
            if let Some(Task { order, answer }) = task {
                let done = self.obey(order);
                // A page that was closed does not wait for it.
                answer.send(done).ok();
            }
        }
    }

    /// The next order; `None` when there was none for a while.
    fn next(&mut self, tasks: &Receiver<Task>) -> Result<Option<Task>, TryRecvError> {
        match tasks.try_recv() {
            Err(TryRecvError::Empty) => {}
            result => return result.map(Some),
        }
        let Some(client) = &mut self.client else {
            return match tasks.recv_timeout(WAIT) {
                Err(RecvTimeoutError::Timeout) => Ok(None),
                Err(RecvTimeoutError::Disconnected) => Err(TryRecvError::Disconnected),
                Ok(task) => Ok(Some(task)),
            };
        };
        let heard = client.listen(LISTEN).map_err(Trouble::from);
        if let Err(trouble) = heard.and_then(|()| self.catch_up()) {
            self.failed(&trouble);
        }
        Ok(None)
    }

    /// Does as asked, and writes down how it ended.
    fn obey(&mut self, order: Order) -> Result<(), Trouble> {
        self.state().busy = Some(order.busy());
        let done = self.carry_out(order);
        if let Err(trouble) = &done {
            self.failed(trouble);
        }
        self.state().busy = None;
        done
    }

    fn carry_out(&mut self, order: Order) -> Result<(), Trouble> {
        self.connect()?;
        self.catch_up()?;
        match order {
            Order::Connect => return self.refresh(),
            Order::Look(picture) => {
                self.look(picture)?;
                return self.score(true);
            }
            Order::Enrol { label, force } => self.enrol(&label, force)?,
            Order::Forget { label } => {
                let forgotten = self.ask(|client| client.forget(Target::Class(&label)));
                if forgotten
                    .as_ref()
                    .is_err_and(|trouble| !trouble.is_of_the_line())
                {
                    // The page's list was old.
                    self.refresh()?;
                }
                self.done(&format!("forgot {label}"), forgotten?);
            }
            Order::Undo => {
                let samples = self.ask(Client::undo)?;
                self.done("took back the last change", samples);
            }
        }
        self.refresh()?;
        self.score(false)
    }

    /// Opens the line where there is none.
    fn connect(&mut self) -> Result<(), Trouble> {
        if self.client.is_some() {
            return Ok(());
        }
        let stream = (self.open)()?;
        let sink = listener(Arc::clone(&self.state));
        let client = Client::connect(stream, self.setup.pace, sink)?;
        let words = format!("connected to {}", client.greeting().board);
        self.client = Some(client);
        let mut state = self.state();
        // Whatever was in its buffer, this program has not seen it.
        state.forget_picture();
        (state.connected, state.trouble, state.changed) = (true, None, false);
        state.say(Kind::Link, words);
        drop(state);
        self.refresh()
    }

    /// Asks anew after the device has started or somebody has pressed its button.
    fn catch_up(&mut self) -> Result<(), Trouble> {
        if !std::mem::take(&mut self.state().changed) {
            return Ok(());
        }
        self.state().forget_picture();
        self.ask(Client::hello)?;
        self.refresh()
    }

    /// Asks who the device is and what is enrolled.
    fn refresh(&mut self) -> Result<(), Trouble> {
        let info = self.ask(Client::info)?;
        self.samples = self.ask(Client::list)?;
        let greeting = self.ask(|client| Ok(client.greeting().clone()))?;
        let model_name = self.model(greeting.model.as_deref());
        let model_name = model_name.map(|model| model.name.clone());
        let device = Device {
            greeting,
            model_name,
            info,
        };
        let mut state = locked(&self.state);
        state.device = Some(device);
        state.list(&self.samples);
        Ok(())
    }

    fn model(&self, fingerprint: Option<&str>) -> Option<&super::KnownModel> {
        let mut models = self.setup.models.iter();
        models.find(|model| Some(model.fingerprint.as_str()) == fingerprint)
    }

    /// Puts a picture into the device's buffer, and shows it.
    fn look(&mut self, picture: Option<Grey>) -> Result<(), Trouble> {
        // Should it fail half way, nobody knows what is in the buffer.
        self.state().forget_picture();
        let (source, picture, grey) = match picture {
            None => {
                let picture = self.ask(Client::capture)?;
                let grey = self.ask(|client| client.read_capture(picture))?;
                ("camera", picture, grey)
            }
            Some(grey) => {
                let info = self.ask(Client::info)?;
                let grey = grey.fit(info.max_capture as usize);
                let picture = self.ask(|client| client.write_capture(&grey))?;
                ("file", picture, grey)
            }
        };
        self.show(source, picture, &grey);
        Ok(())
    }

    fn show(&mut self, source: &'static str, picture: Picture, grey: &Grey) {
        let greeting = self.client.as_ref().map(Client::greeting);
        let fingerprint = greeting.and_then(|greeting| greeting.model.as_deref());
        let model = self.model(fingerprint);
        let seen = model.and_then(|model| seen(grey, model.input));
        self.pictures += 1;
        let shown = Shown::new(self.pictures, source, picture, grey, seen.as_ref());
        self.state().picture = Some(shown);
    }

    /// Keeps the picture that is shown.
    fn enrol(&mut self, label: &str, force: bool) -> Result<(), Trouble> {
        if self.state().picture.is_none() {
            self.look(None)?;
        }
        let enrolled = self.ask(|client| client.enrol(label, force))?;
        let words = format!(
            "{label} is enrolled as sample {}{}",
            enrolled.sample,
            remark(enrolled.quality)
        );
        self.state().say(Kind::Done, words);
        Ok(())
    }

    /// Lets the device say what the picture is that is shown; `aloud`, also in the log.
    fn score(&mut self, aloud: bool) -> Result<(), Trouble> {
        self.state().scores = None;
        if self.state().picture.is_none() {
            return Ok(());
        }
        if self.samples.is_empty() {
            if aloud {
                let words = "took a picture; nothing is enrolled to compare it with";
                self.state().say(Kind::Done, words);
            }
            return Ok(());
        }
        let decision = self.ask(Client::score)?;
        let logits = self.ask(Client::read_logits)?;
        if aloud {
            self.state().say(Kind::Done, decision_words(&decision));
        }
        self.state().scores = Some(Scores::new(decision, &self.samples, &logits));
        Ok(())
    }

    fn done(&self, what: &str, samples: u16) {
        let unit = if samples == 1 { "sample" } else { "samples" };
        let words = format!("{what}: {samples} {unit}");
        self.state().say(Kind::Done, words);
    }

    /// Writes down what went wrong; a line that is lost is closed.
    fn failed(&mut self, trouble: &Trouble) {
        let notice = trouble.notice();
        let lost = trouble.is_of_the_line();
        if lost {
            self.client = None;
        }
        let mut state = self.state();
        let kind = if lost { Kind::Lost } else { Kind::Refused };
        state.say(kind, format!("{} – {}", notice.what, notice.next));
        if lost {
            state.connected = false;
            state.trouble = Some(notice);
            state.forget_picture();
        }
    }

    fn ask<T>(
        &mut self,
        ask: impl FnOnce(&mut Client<'static, S>) -> Result<T, DeviceError>,
    ) -> Result<T, Trouble> {
        let client = self.client.as_mut().ok_or(Trouble::Gone)?;
        Ok(ask(client)?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

/// Writes down what the device says on its own.
fn listener(state: Arc<Mutex<State>>) -> EventSink<'static> {
    Box::new(move |event: Event<'_>| {
        let happening = Happening::from(event);
        let mut state = locked(&state);
        if matches!(happening, Happening::Started { .. } | Happening::Seen(_)) {
            state.changed = true;
        }
        let words = event_words(&happening);
        let text = words.strip_prefix("device: ").unwrap_or(&words);
        state.say(Kind::Device, text);
    })
}
