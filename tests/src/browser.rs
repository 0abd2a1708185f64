//! A Chromium without a window that does what a person would: looks, clicks, types.
//!
//! In: a page's address. Out: what the page shows, a picture of it, the addresses that it asked for and the
//! errors of its script. It is driven over its DevTools protocol; clicks and letters go the way of a real
//! mouse and keyboard.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "only tests call this"
)]

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tools::{Progress, chromium};
use tungstenite::{Message, WebSocket};

/// How long anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last_id: u64,
    requests: Vec<String>,
    errors: Vec<String>,
    _folder: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It has ended already, or the system keeps it.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Browser {
    /// Opens `url` in a window of so many pixels.
    #[must_use]
    pub fn open(url: &str, size: [u32; 2]) -> Self {
        let program = chromium::provide(&Progress::stderr()).unwrap_or_else(|e| panic!("{e}"));
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.args(["--headless", "--remote-debugging-port=0", "--disable-gpu"]);
        // Tests run in containers and as root; they open no page but our own.
        command.args(["--no-sandbox", "--disable-dev-shm-usage", "--no-first-run"]);
        command.args(["--hide-scrollbars", "--disable-background-networking"]);
        let profile = format!("--user-data-dir={}", folder.path().display());
        command.arg(profile).arg("about:blank");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let mut browser = Self {
            child,
            socket: connect(folder.path()),
            session: None,
            last_id: 0,
            requests: Vec::new(),
            errors: Vec::new(),
            _folder: folder,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", target);
        browser.session = attached["sessionId"].as_str().map(Into::into);
        for domain in ["Page", "Runtime", "Network", "DOM"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.resize(size);
        browser.call("Page.navigate", json!({ "url": url }));
        let loaded = "document.readyState === 'complete' && location.protocol === 'http:'";
        browser.wait_for(loaded);
        browser
    }

    /// Another size of the window.
    pub fn resize(&mut self, [width, height]: [u32; 2]) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Whether the person likes it dark.
    pub fn darken(&mut self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": value });
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        );
    }

    /// Calls a method of the DevTools protocol.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.socket
            .send(Message::text(message.to_string()))
            .unwrap();
        loop {
            let message = self.socket.read().unwrap();
            let Ok(text) = message.to_text() else {
                continue;
            };
            let mut message: Value = serde_json::from_str(text).unwrap();
            if message["id"] == json!(id) {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].take();
            }
            self.hear(&message);
        }
    }

    /// Keeps what is asked about at the end.
    fn hear(&mut self, event: &Value) {
        match event["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                let url = event["params"]["request"]["url"].as_str();
                self.requests.push(url.unwrap_or_default().into());
            }
            Some("Runtime.exceptionThrown") => {
                self.errors
                    .push(event["params"]["exceptionDetails"].to_string());
            }
            _ => {}
        }
    }

    /// The addresses that the page asked for.
    #[must_use]
    pub fn requests(&self) -> &[String] {
        &self.requests
    }

    /// What its script did not catch.
    #[must_use]
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// The value of a JavaScript expression.
    pub fn eval(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut result = self.call("Runtime.evaluate", asked);
        assert_eq!(result["exceptionDetails"], Value::Null, "{expression}");
        result["result"]["value"].take()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait_for(&mut self, expression: &str) {
        let start = Instant::now();
        while self.eval(&format!("!!({expression})")) != true {
            if start.elapsed() > PATIENCE {
                let page = self.eval("document.body.innerText");
                panic!("`{expression}` has not come; the page shows {page}");
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The text of an element.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector('{selector}').innerText"));
        text.as_str().unwrap_or_default().into()
    }

    /// Clicks into the middle of an element, which must be the one that is there.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let place = self.eval(&format!(
            "(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView({{ block: 'nearest' }});
               const b = e.getBoundingClientRect(), x = b.x + b.width / 2, y = b.y + b.height / 2;
               return e.disabled || !e.contains(document.elementFromPoint(x, y)) ? null : [x, y]; }})()"
        ));
        let at = |axis: usize| place[axis].as_f64();
        let Some((x, y)) = at(0).zip(at(1)) else {
            panic!("`{selector}` cannot be clicked");
        };
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Clicks into a field and types, in place of what is there.
    #[track_caller]
    pub fn type_into(&mut self, selector: &str, text: &str) {
        self.click(selector);
        self.eval(&format!("document.querySelector('{selector}').select()"));
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Presses a key that writes nothing, such as `Enter`.
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let text = if key == "Enter" { "\r" } else { "" };
            let event = json!({ "type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Chooses a file in a file field.
    pub fn choose_file(&mut self, selector: &str, file: &Path) {
        // Chromium does not read through `..`.
        let file = file.canonicalize().unwrap();
        let document = self.call("DOM.getDocument", json!({}));
        let root = &document["root"]["nodeId"];
        let asked = json!({ "nodeId": root, "selector": selector });
        let node = self.call("DOM.querySelector", asked);
        let files = json!({ "nodeId": node["nodeId"], "files": [file] });
        self.call("DOM.setFileInputFiles", files);
    }

    /// The whole page as a PNG file.
    pub fn screenshot(&mut self) -> Vec<u8> {
        let asked = json!({ "format": "png", "captureBeyondViewport": true });
        let shot = self.call("Page.captureScreenshot", asked);
        BASE64_STANDARD
            .decode(shot["data"].as_str().unwrap())
            .unwrap()
    }
}

/// The line to a browser that works in `folder`, where it writes its port when it is ready.
fn connect(folder: &Path) -> WebSocket<TcpStream> {
    let start = Instant::now();
    loop {
        let text = std::fs::read_to_string(folder.join("DevToolsActivePort")).unwrap_or_default();
        let mut lines = text.lines();
        if let (Some(port), Some(path)) = (lines.next(), lines.next()) {
            let stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let url = format!("ws://127.0.0.1:{port}{path}");
            return tungstenite::client(url, stream).unwrap().0;
        }
        assert!(start.elapsed() < PATIENCE, "Chromium does not start");
        std::thread::sleep(Duration::from_millis(30));
    }
}
