//! Requests of browsers, and what is answered.
//!
//! In: HTTP requests. Out: the page, its pictures, the state as JSON; or an order for the device, answered
//! when it is done. Only pages of this very server may order: a page from elsewhere that a browser has
//! open at the same time must not drive the device, nor read what its camera sees.

use std::io::{Cursor, Read};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::link::MAX_LABEL;
use tiny_http::{Header, Method, Request, Response, Server};

use super::keeper::{Order, Task, locked};
use super::state::State;
use super::trouble::Trouble;
use crate::device::images::Grey;

/// The page; its style and its script are in it.
pub(super) const PAGE: &str = include_str!("page.html");
/// How long is waited for a request before it is looked whether to end.
const WAIT: Duration = Duration::from_millis(200);
/// Most bytes of a picture file.
const MOST_PICTURE: usize = 16 << 20;
/// Most bytes of a request in JSON.
const MOST_JSON: usize = 4 << 10;

/// The page loads nothing from anywhere and is shown in no other page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Reply = Response<Cursor<Vec<u8>>>;

/// One of the threads that answer.
pub(super) struct Answerer {
    pub(super) server: Arc<Server>,
    pub(super) state: Arc<Mutex<State>>,
    pub(super) tasks: SyncSender<Task>,
    pub(super) stop: Arc<AtomicBool>,
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

#[derive(Serialize)]
struct Refused<N> {
    error: N,
}

impl Answerer {
    /// Answers until it is told to stop.
    pub(super) fn run(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            match self.server.recv_timeout(WAIT) {
                Ok(Some(mut request)) => {
                    let reply = self.reply(&mut request).unwrap_or_else(|trouble| {
                        let error = trouble.notice();
                        json(&Refused { error }).with_status_code(trouble.status())
                    });
                    // A browser that has gone needs no answer.
                    request.respond(guarded(reply)).ok();
                }
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    fn reply(&self, request: &mut Request) -> Result<Reply, Trouble> {
        let header = |name| value(request.headers(), name);
        let is_order = *request.method() == Method::Post;
        let caller = Caller {
            host: header("Host"),
            origin: header("Origin"),
            site: header("Sec-Fetch-Site"),
        };
        caller.check(is_order)?;
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

/// Who asks, as a browser says it; other programs leave out what they like.
struct Caller {
    host: Option<String>,
    origin: Option<String>,
    site: Option<String>,
}

impl Caller {
    /// Refuses pages of another origin, and names that lead here but are not this computer's: a page whose
    /// own name is made to point here would otherwise count as this one.
    fn check(&self, is_order: bool) -> Result<(), Trouble> {
        let host = self.host.as_deref().unwrap_or_default();
        if !is_plain(host) {
            let why = format!("`{host}` is neither an IP address nor localhost");
            return Err(Trouble::Foreign(why));
        }
        if !is_order {
            return Ok(());
        }
        let is_own = match (&self.origin, self.site.as_deref()) {
            (Some(origin), _) => {
                let own = origin.strip_prefix("http://");
                own.is_some_and(|own| own.eq_ignore_ascii_case(host))
            }
            (None, Some(site)) => matches!(site, "same-origin" | "none"),
            (None, None) => true,
        };
        if is_own {
            return Ok(());
        }
        let origin = self.origin.as_deref().unwrap_or("another page");
        Err(Trouble::Foreign(format!(
            "{origin} may not drive the device"
        )))
    }
}

/// Whether the host of an address is one that nobody else can give to his own page.
fn is_plain(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|v6| v6.strip_suffix(']'));
    name.eq_ignore_ascii_case("localhost") || bare.unwrap_or(name).parse::<IpAddr>().is_ok()
}

fn value(headers: &[Header], name: &'static str) -> Option<String> {
    let mut found = headers.iter().filter(|header| header.field.equiv(name));
    found.next().map(|header| header.value.as_str().to_owned())
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

fn body<T: DeserializeOwned>(request: &mut Request) -> Result<T, Trouble> {
    let bytes = read(request, MOST_JSON)?;
    serde_json::from_slice(&bytes).map_err(|error| Trouble::Request(error.to_string()))
}

fn read(request: &mut Request, most: usize) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    let mut reader = request.as_reader().take(most as u64 + 1);
    let read = reader.read_to_end(&mut bytes);
    read.map_err(|error| Trouble::Request(error.to_string()))?;
    if bytes.len() > most {
        return Err(Trouble::TooLarge { most });
    }
    Ok(bytes)
}

/// The number in `after=NUMBER`; 0 when there is none.
fn after(query: &str) -> Result<u64, Trouble> {
    let Some(number) = query.strip_prefix("after=") else {
        return Ok(0);
    };
    let wrong = |_| Trouble::Request(format!("`{number}` is no number of a line"));
    number.parse().map_err(wrong)
}

fn json(value: &impl Serialize) -> Reply {
    // None of the types here has what JSON has not.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    typed("application/json", bytes)
}

fn typed(kind: &str, bytes: Vec<u8>) -> Reply {
    with(Response::from_data(bytes), "Content-Type", kind)
}

/// The reply with what keeps it to this page.
fn guarded(reply: Reply) -> Reply {
    let headers = [
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", POLICY),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
    ];
    let add = |reply, (name, value)| with(reply, name, value);
    headers.into_iter().fold(reply, add)
}

fn with(reply: Reply, name: &str, value: &str) -> Reply {
    match Header::from_bytes(name, value) {
        Ok(header) => reply.with_header(header),
        // Only for what is not ASCII, and all of it is written in this file.
        Err(()) => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(host: &str, origin: Option<&str>, site: Option<&str>) -> Caller {
        Caller {
            host: Some(host.into()),
            origin: origin.map(Into::into),
            site: site.map(Into::into),
        }
    }

    #[test]
    fn only_the_page_itself_may_order() {
        let here = "127.0.0.1:8017";
        let own = [
            caller(here, None, None),
            caller(here, Some("http://127.0.0.1:8017"), Some("same-origin")),
            caller("LOCALHOST:1", Some("http://localhost:1"), None),
            caller("[::1]:80", Some("http://[::1]:80"), None),
            caller("192.168.1.7", None, Some("none")),
        ];
        for caller in own {
            assert!(caller.check(true).is_ok(), "{:?}", caller.origin);
        }
        let foreign = [
            caller(here, Some("http://evil.example"), None),
            caller(here, Some("https://127.0.0.1:8017"), None),
            caller(here, Some("http://127.0.0.1:8018"), None),
            caller(here, Some("null"), None),
            caller(here, None, Some("cross-site")),
            caller(here, None, Some("same-site")),
        ];
        for caller in foreign {
            let error = caller.check(true).unwrap_err();
            assert_eq!(error.status(), 403);
            assert!(caller.check(false).is_ok());
        }
    }

    /// Also for reading: a foreign name that was made to lead here.
    #[test]
    fn a_foreign_name_is_refused() {
        for host in [
            "evil.example",
            "evil.example:8017",
            "",
            "127.0.0.1.evil.example",
            "[::1",
        ] {
            let origin = format!("http://{host}");
            assert!(
                caller(host, Some(&origin), None).check(false).is_err(),
                "{host}"
            );
        }
    }

    #[test]
    fn labels() {
        assert_eq!(checked("  Å b ").unwrap(), "Å b");
        assert!(checked(&"x".repeat(MAX_LABEL)).is_ok());
        for wrong in ["", " \n", &"é".repeat(17), "a\nb"] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
    }
}
