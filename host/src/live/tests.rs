//! The page's requests, asked by a real client, against the session that every board runs.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::model::ModelView;

use super::seen::seen;
use super::web::PAGE;
use super::{KnownModel, Live, Setup};
use crate::device::desk;
use crate::device::fake::End;
use crate::device::images::Grey;
use crate::device::{Pace, PortError};

/// A line that can be cut.
struct Line {
    end: End,
    cut: Arc<AtomicBool>,
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.cut.load(Ordering::SeqCst) {
            true => Ok(0),
            false => self.end.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.end.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.end.flush()
    }
}

/// A page, and what cuts the line to its device.
struct Page {
    live: Live,
    cut: Arc<AtomicBool>,
}

impl Page {
    /// Serves a page of as many devices, one after the other, as `devices` says.
    fn of(devices: usize, models: Vec<KnownModel>) -> Self {
        let cut = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&cut);
        let mut left = devices;
        let open = move || {
            left = left.checked_sub(1).ok_or(PortError::NoSimulator)?;
            let (end, _) = desk::start(desk::model(1));
            flag.store(false, Ordering::SeqCst);
            let cut = Arc::clone(&flag);
            Ok(Line { end, cut })
        };
        let setup = Setup {
            port: "desk".into(),
            pace: Pace::default(),
            models,
        };
        let live = Live::start("127.0.0.1:0".parse().unwrap(), setup, open).unwrap();
        Self { live, cut }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.live.url().trim_end_matches('/'))
    }

    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let mut response = agent().get(self.url(path)).call().unwrap();
        let bytes = response.body_mut().read_to_vec().unwrap();
        (response.status().as_u16(), bytes)
    }

    fn post(&self, path: &str, body: &[u8]) -> (u16, Value) {
        self.post_as(path, body, &[])
    }

    fn post_as(&self, path: &str, body: &[u8], headers: &[(&str, &str)]) -> (u16, Value) {
        let mut request = agent().post(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        let value = serde_json::from_str(&text).unwrap();
        (response.status().as_u16(), value)
    }

    fn enrol(&self, label: &str, force: bool) -> (u16, Value) {
        let body = json!({ "label": label, "force": force }).to_string();
        self.post("/api/enrol", body.as_bytes())
    }

    fn forget(&self, label: &str) -> (u16, Value) {
        let body = json!({ "label": label }).to_string();
        self.post("/api/forget", body.as_bytes())
    }

    fn json(&self, path: &str) -> Value {
        let (status, bytes) = self.get(path);
        assert_eq!(status, 200, "{path}");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// The state, once `is_so`.
    fn state_when(&self, is_so: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let state = self.json("/api/state");
            if is_so(&state) {
                return state;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{state}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What is answered to a request that is written as it stands.
    fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.live.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.build().into()
}

/// A stroke of ink on paper; `turn` leans it.
fn mark(turn: usize) -> Grey {
    let side = 48;
    let pixels = (0..side * side).map(|index| {
        let (y, x) = (index / side, index % side);
        let middle = 12 + y * turn / 4;
        let ink = (10..38).contains(&y) && (middle..middle + 4).contains(&x);
        if ink { 30 } else { 210 + (index % 5) as u8 }
    });
    Grey::new(side, side, pixels.collect()).unwrap()
}

fn labels(state: &Value) -> Vec<&str> {
    let classes = state["classes"].as_array().unwrap().iter();
    classes
        .map(|class| class["label"].as_str().unwrap())
        .collect()
}

/// The model of the desk's device.
fn known() -> KnownModel {
    let model = desk::model(1);
    KnownModel::of("desk's own", &ModelView::new_checked(&model).unwrap())
}

#[test]
fn teach_ask_forget_and_take_back() {
    let page = Page::of(1, vec![known()]);
    // Connected for a moment before it has said who it is.
    let state = page.state_when(|state| state["device"].is_object());
    assert_eq!(
        (&state["device"]["board"], &state["port"]),
        (&json!("desk"), &json!("desk"))
    );
    assert_eq!(state["device"]["model_name"], "desk's own");
    for (turn, label) in [(0, "upright"), (2, "<i>leaning</i>")] {
        let (status, shown) = page.post("/api/show", &mark(turn).to_png().unwrap());
        assert_eq!(status, 200, "{shown}");
        assert_eq!(shown["picture"]["source"], "file");
        // Another class looks alike to this tiny model.
        assert_eq!(page.enrol(label, true).0, 200);
    }
    let (_, state) = page.post("/api/show", &mark(0).to_pgm());
    assert_eq!(state["picture"]["seen"], json!([16, 16]));
    let (_, file) = page.get("/api/capture.png");
    assert_eq!(Grey::decode(&file).unwrap(), mark(0));
    let (_, file) = page.get("/api/seen.png");
    let expected = seen(&mark(0), known().input).unwrap();
    assert_eq!(Grey::decode(&file).unwrap(), expected);
    let scores = &state["scores"];
    assert_eq!(scores["best"]["label"], "upright");
    let ranked = scores["classes"].as_array().unwrap();
    assert_eq!(ranked.len(), 2);
    for (own, told) in ranked.iter().zip([&scores["best"], &scores["second"]]) {
        assert_eq!(own, told, "what is pooled here is what the device says");
    }
    let (_, state) = page.forget("upright");
    assert_eq!(labels(&state), ["<i>leaning</i>"]);
    assert_eq!(
        state["scores"]["best"]["label"], "<i>leaning</i>",
        "scored again"
    );
    let (_, state) = page.post("/api/undo", b"");
    assert_eq!(labels(&state).len(), 2);
    let log = page.json("/api/log?after=0");
    let said = log.to_string();
    for words in [
        "connected to desk",
        "upright is enrolled as sample",
        "forgot upright: 1 sample",
        "took back",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
    let last = log.as_array().unwrap().len() as u64;
    assert_eq!(page.json(&format!("/api/log?after={last}")), json!([]));
}

#[test]
fn what_is_refused_says_why_and_what_to_do() {
    let page = Page::of(1, Vec::new());
    page.state_when(|state| state["connected"] == true);
    let blank = Grey::new(20, 20, vec![200; 400]).unwrap().to_pgm();
    let large = vec![b'x'; (16 << 20) + 1];
    let long = "x".repeat(33);
    let post = |path: &str, body: &[u8]| page.post(path, body);
    let refused = [
        (post("/api/look", b""), 409, "camera does not answer"),
        (post("/api/undo", b""), 409, "nothing to take back"),
        (page.forget("nobody"), 409, "no class of that name"),
        (page.forget(&"y".repeat(2000)), 400, "does not fit"),
        (page.enrol(" ", false), 400, "needs a name"),
        (page.enrol(&long, false), 400, "33 bytes"),
        (page.enrol("A", false), 409, "camera"),
        (post("/api/show", b"no picture"), 400, "no picture"),
        (post("/api/show", b""), 400, "it is empty"),
        (post("/api/show", &large), 413, "too large"),
        (post("/api/enrol", b"{"), 400, "not understood"),
        (
            post("/api/enrol", br#"{"label":"A","farce":true}"#),
            400,
            "farce",
        ),
        (post("/api/nothing", b""), 404, "/api/nothing"),
    ];
    for ((status, answer), expected, words) in refused {
        assert_eq!(status, expected, "{answer}");
        let error = &answer["error"];
        let what = error["what"].as_str().unwrap();
        assert!(what.contains(words), "{words} in {what}");
        assert!(!error["next"].as_str().unwrap().is_empty(), "{answer}");
        assert_eq!(error["can_force"], false, "{answer}");
    }
    for path in ["/api/look", "/api/capture.png", "/api/seen.png", "/nothing"] {
        assert_eq!(page.get(path).0, 404, "{path}");
    }
    assert_eq!(page.get("/api/log?after=x").0, 400);

    // What speaks against a picture can be overruled.
    assert_eq!(
        page.post("/api/show", &blank).1["picture"]["quality"],
        "empty"
    );
    let (status, answer) = page.enrol("A", false);
    assert_eq!((status, &answer["error"]["can_force"]), (409, &json!(true)));
    let (status, state) = page.enrol("A", true);
    assert_eq!((status, labels(&state)), (200, vec!["A"]));
    // This model is not known here, so nothing is made up about what it sees.
    assert_eq!(state["picture"]["seen"], Value::Null);
    assert_eq!(state["device"]["model_name"], Value::Null);
}

#[test]
fn pages_from_elsewhere_do_not_drive_the_device() {
    let page = Page::of(1, Vec::new());
    page.state_when(|state| state["connected"] == true);
    page.post("/api/show", &mark(0).to_pgm());
    let body = br#"{"label":"A","force":true}"#;
    let own = page.url("");
    for foreign in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        let (status, answer) = page.post_as("/api/enrol", body, &[foreign]);
        assert_eq!(status, 403, "{answer}");
    }
    let rebound = "GET /api/state HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(page.raw(rebound).starts_with("HTTP/1.1 403"));
    assert!(labels(&page.json("/api/state")).is_empty());
    let (status, state) = page.post_as("/api/enrol", body, &[("Origin", &own)]);
    assert_eq!((status, labels(&state)), (200, vec!["A"]));
}

#[test]
fn a_lost_line_is_shown_and_opened_again() {
    let page = Page::of(2, Vec::new());
    page.state_when(|state| state["connected"] == true);
    page.post("/api/show", &mark(0).to_pgm());
    assert_eq!(page.enrol("A", true).0, 200);
    page.cut.store(true, Ordering::SeqCst);
    let state = page.state_when(|state| state["connected"] == false);
    let trouble = state["trouble"]["what"].as_str().unwrap();
    assert!(trouble.contains("the link was lost"), "{trouble}");
    // What was in the buffer is gone with the link.
    assert_eq!(state["picture"], Value::Null);
    let (status, state) = page.post("/api/show", &mark(0).to_pgm());
    assert_eq!(status, 200, "{state}");
    assert_eq!(
        (&state["connected"], &state["trouble"]),
        (&json!(true), &Value::Null)
    );
    assert!(labels(&state).is_empty(), "it is another device");
    page.cut.store(true, Ordering::SeqCst);
    page.state_when(|state| state["connected"] == false);
    let (status, answer) = page.post("/api/undo", b"");
    assert_eq!(status, 502);
    assert!(
        answer["error"]["what"]
            .as_str()
            .unwrap()
            .contains("no simulator")
    );
}

#[test]
fn the_page_needs_nothing_else() {
    let page = Page::of(0, Vec::new());
    let state = page.state_when(|state| state["trouble"].is_object());
    assert_eq!(state["connected"], false);
    let mut response = agent().get(page.url("/")).call().unwrap();
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(response.body_mut().read_to_string().unwrap(), PAGE);
    for outside in ["http:", "https:", "src=\"/", "@import", "url("] {
        assert!(!PAGE.contains(outside), "{outside}");
    }
}

#[test]
fn an_address_that_is_taken_is_refused() {
    let page = Page::of(0, Vec::new());
    let setup = Setup {
        port: "desk".into(),
        pace: Pace::default(),
        models: Vec::new(),
    };
    let open = || Err::<Line, _>(PortError::NoSimulator);
    let error = Live::start(page.live.address(), setup, open).unwrap_err();
    assert!(
        error.to_string().contains("--listen 127.0.0.1:0"),
        "{error}"
    );
}
