//! Requests of browsers, and what is answered.
//!
//! In: HTTP requests. Out: the page, its pictures, the state as JSON; or an order for the device, answered
//! when it is done. Pages from elsewhere are refused by [`page_server`](crate::page_server).

use std::sync::mpsc::{SyncSender, TrySendError, channel};
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use shared::link::MAX_LABEL;
use tiny_http::{Method, Request};

use super::keeper::{Order, Task, locked};
use super::state::State;
use super::trouble::Trouble;
use crate::device::images::Grey;
use crate::page_server::{Reply, body, check_caller, json, read, refusal, typed};

/// The page; its style and its script are in it.
pub(super) const PAGE: &str = include_str!("page.html");
/// Most bytes of a picture file.
const MOST_PICTURE: usize = 16 << 20;

/// What answers: it knows the state, and hands orders to the thread that has the line.
pub(super) struct Answerer {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) tasks: SyncSender<Task>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrol {
    label: String,
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forget {
    label: String,
}

impl Answerer {
    /// Answers a request, also with why not.
    pub(super) fn answer(&self, request: &mut Request) -> Reply {
        self.reply(request)
            .unwrap_or_else(|trouble| refusal(trouble.status(), &trouble.notice()))
    }

    fn reply(&self, request: &mut Request) -> Result<Reply, Trouble> {
        check_caller(request)?;
        let url = request.url().to_owned();
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        match (request.method(), path) {
            (Method::Get, "/") => Ok(typed("text/html; charset=utf-8", PAGE.into())),
            (Method::Get, "/api/state") => Ok(json(&*locked(&self.state))),
            (Method::Get, "/api/log") => Ok(json(&locked(&self.state).log_after(after(query)?))),
            (Method::Get, "/api/capture.png") => self.picture(path, |[capture, _]| capture),
            (Method::Get, "/api/seen.png") => self.picture(path, |[_, seen]| seen),
            (Method::Post, "/api/connect") => self.order(Order::Connect),
            (Method::Post, "/api/look") => self.order(Order::Look(None)),
            (Method::Post, "/api/show") => self.order(Order::Look(Some(sent_picture(request)?))),
            (Method::Post, "/api/enrol") => {
                let Enrol { label, force } = body(request)?;
                let label = checked(&label)?.to_owned();
                self.order(Order::Enrol { label, force })
            }
            (Method::Post, "/api/forget") => {
                let Forget { label } = body(request)?;
                self.order(Order::Forget { label })
            }
            (Method::Post, "/api/undo") => self.order(Order::Undo),
            (method, _) => Err(Trouble::Nowhere(format!("{method} {path}"))),
        }
    }

    /// Lets the device do it, and answers with the state that this leaves.
    fn order(&self, order: Order) -> Result<Reply, Trouble> {
        let (answer, done) = channel();
        let sent = self.tasks.try_send(Task { order, answer });
        sent.map_err(|error| match error {
            TrySendError::Full(_) => Trouble::Busy,
            TrySendError::Disconnected(_) => Trouble::Gone,
        })?;
        done.recv().map_err(|_| Trouble::Gone)??;
        Ok(json(&*locked(&self.state)))
    }

    fn picture(
        &self,
        path: &str,
        choose: impl Fn(&[Option<Arc<[u8]>>; 2]) -> &Option<Arc<[u8]>>,
    ) -> Result<Reply, Trouble> {
        let state = locked(&self.state);
        let shown = state.picture.as_ref();
        let file = shown.and_then(|shown| choose(&shown.files).clone());
        let file = file.ok_or_else(|| Trouble::Nowhere(format!("{path}, for now")))?;
        Ok(typed("image/png", file.to_vec()))
    }
}

/// A label that a class can have, without white space around it.
fn checked(label: &str) -> Result<&str, Trouble> {
    let label = label.trim();
    if label.is_empty() {
        return Err(Trouble::Label("a class needs a name".into()));
    }
    if label.len() > MAX_LABEL {
        let why = format!("this name is too long: it has {} bytes", label.len());
        return Err(Trouble::Label(why));
    }
    if label.chars().any(char::is_control) {
        return Err(Trouble::Label("a name is one line of text".into()));
    }
    Ok(label)
}

/// The picture in a request.
fn sent_picture(request: &mut Request) -> Result<Grey, Trouble> {
    let bytes = read(request, MOST_PICTURE)?;
    if bytes.is_empty() {
        return Err(Trouble::Picture("it is empty".into()));
    }
    Grey::decode(&bytes).map_err(Trouble::Picture)
}

/// The number in `after=NUMBER`; 0 when there is none.
fn after(query: &str) -> Result<u64, Trouble> {
    let Some(number) = query.strip_prefix("after=") else {
        return Ok(0);
    };
    let wrong = |_| Trouble::Request(format!("`{number}` is no number of a line"));
    number.parse().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert_eq!(checked("  Å b ").unwrap(), "Å b");
        assert!(checked(&"x".repeat(MAX_LABEL)).is_ok());
        for wrong in ["", " \n", &"é".repeat(17), "a\nb"] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
    }
}
