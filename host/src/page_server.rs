//! A page of this program in a browser: what serves [`crate::live`] and [`crate::quiz`].
//!
//! In: where to listen, and what answers a request. Out: a [`PageServer`], which answers until it is let go,
//! and the parts of an answer. Only pages of this very server may order: a page from elsewhere that a
//! browser has open at the same time must not drive a device, nor read what is shown here.

use std::io::{Cursor, Read};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tiny_http::{Header, Method, Request, Response, Server};

/// Threads that answer browsers: while some wait for their answer, others go on.
const ANSWERERS: usize = 4;
/// How long is waited for a request before it is looked whether to end.
const WAIT: Duration = Duration::from_millis(200);
/// Most bytes of a request in JSON.
const MOST_JSON: usize = 4 << 10;

/// The page loads nothing from anywhere and is shown in no other page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a browser is sent.
pub type Reply = Response<Cursor<Vec<u8>>>;

/// The page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or none of this computer's.
    #[error("cannot listen at {address}: {source}\nnext: use --listen 127.0.0.1:0 for a free port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start to serve: {0}\nnext: close other programs and try again")]
    Start(#[from] std::io::Error),
}

/// What no page of this program asks.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Another page than one of this server asks.
    #[error("{0}")]
    Foreign(String),
    /// A request that is not understood.
    #[error("{0}")]
    Request(String),
    /// Too many bytes.
    #[error("at most {most} bytes are taken")]
    TooLarge {
        /// How many may come.
        most: usize,
    },
}

/// A page that is being served, until it is let go.
#[derive(Debug)]
pub struct PageServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl PageServer {
    /// Serves at `listen` what `answer` says.
    ///
    /// # Errors
    /// [`ServeError`] when nothing can be served there.
    pub fn start(
        listen: SocketAddr,
        answer: impl Fn(&mut Request) -> Reply + Send + Sync + 'static,
    ) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let server = Server::from_listener(listener, None)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        let (server, answer) = (Arc::new(server), Arc::new(answer));
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..ANSWERERS {
            let (server, answer, stop) = (server.clone(), answer.clone(), stop.clone());
            let thread = std::thread::Builder::new().name("page".into());
            thread.spawn(move || run(&server, &*answer, &stop))?;
        }
        Ok(Self { address, stop })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to type into a browser of this computer.
    #[must_use]
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}/")
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        // The answerers end, and with the last of them what they answer from.
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn run(server: &Server, answer: &impl Fn(&mut Request) -> Reply, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        match server.recv_timeout(WAIT) {
            Ok(Some(mut request)) => {
                let reply = answer(&mut request);
                // A browser that has gone needs no answer.
                request.respond(guarded(reply)).ok();
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// Refuses who must not ask what this request asks.
///
/// # Errors
/// [`Fault::Foreign`].
pub fn check_caller(request: &Request) -> Result<(), Fault> {
    let header = |name| value(request.headers(), name);
    let caller = Caller {
        host: header("Host"),
        origin: header("Origin"),
        site: header("Sec-Fetch-Site"),
    };
    caller.check(*request.method() == Method::Post)
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
    fn check(&self, is_order: bool) -> Result<(), Fault> {
        let host = self.host.as_deref().unwrap_or_default();
        if !is_plain(host) {
            let why = format!("`{host}` is neither an IP address nor localhost");
            return Err(Fault::Foreign(why));
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
        Err(Fault::Foreign(format!(
            "{origin} is another page, which may not order anything here"
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

/// The JSON in a request.
///
/// # Errors
/// [`Fault`] when it is no such JSON.
pub fn body<T: DeserializeOwned>(request: &mut Request) -> Result<T, Fault> {
    let bytes = read(request, MOST_JSON)?;
    serde_json::from_slice(&bytes).map_err(|error| Fault::Request(error.to_string()))
}

/// The bytes in a request.
///
/// # Errors
/// [`Fault`] when there are more than `most`.
pub fn read(request: &mut Request, most: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let mut reader = request.as_reader().take(most as u64 + 1);
    let read = reader.read_to_end(&mut bytes);
    read.map_err(|error| Fault::Request(error.to_string()))?;
    if bytes.len() > most {
        return Err(Fault::TooLarge { most });
    }
    Ok(bytes)
}

/// An answer in JSON.
#[must_use]
pub fn json(value: &impl Serialize) -> Reply {
    // None of the types here has what JSON has not.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    typed("application/json", bytes)
}

/// What a page shows instead of an answer: `{"error": …}` with a status of HTTP.
#[must_use]
pub fn refusal(status: u16, error: &impl Serialize) -> Reply {
    #[derive(Serialize)]
    struct Refused<'e, E> {
        error: &'e E,
    }
    json(&Refused { error }).with_status_code(status)
}

/// Bytes of some kind.
#[must_use]
pub fn typed(kind: &str, bytes: Vec<u8>) -> Reply {
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
        // Only for what is not ASCII, and all of it is written in this program.
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
            assert!(matches!(error, Fault::Foreign(_)), "{error}");
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
}
