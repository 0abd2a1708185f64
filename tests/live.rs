//! `onelook live`, used through a browser, with a device in QEMU.
//!
//! In: the device's ELF, named by `ONELOOK_DEVICE_AN386`, the network that ships, the drawings in
//! `examples/marks` before its camera. Out: what the page shows. `ONELOOK_SCREENSHOTS` names a folder that
//! keeps pictures of it; `docs/figures/live.png` is one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use host::device::images::Grey;
use host::device::simulator::Simulator;
use host::shipped;
use shared::support_set::MAX_CAPTURE;
use tests::browser::Browser;
use tests::life::Life;
use tests::onelook;
use tools::firmware::AN386;
use tools::qemu::Running;

/// `onelook live` for a device.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start(life: &Life) -> Self {
        let mut child = Command::new(onelook())
            .args(["live", "--listen", "127.0.0.1:0"])
            .env("ONELOOK_CACHE", cache(life))
            .env_remove("ONELOOK_PORT")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Self { child, url }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The folder that `onelook` looks for the running simulator in.
fn cache(life: &Life) -> PathBuf {
    life.folder().join("cache")
}

/// Power on, as `onelook simulate` does it.
fn power_on(life: &Life) -> Running {
    let running = life.run().spawn().unwrap();
    let folder = cache(life).join("simulator");
    std::fs::create_dir_all(&folder).unwrap();
    let simulator = Simulator {
        port: format!("unix:{}", life.socket().display()),
        pid: running.pid(),
        board: AN386.name.into(),
        flash: life.flash(),
    };
    simulator.publish(&folder).unwrap();
    running
}

/// A drawing that ships.
fn drawing(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/marks");
    Path::new(folder).join(name)
}

/// Puts a drawing before the camera.
fn show(life: &Life, name: &str) {
    let camera = life.folder().join("camera");
    std::fs::create_dir_all(&camera).unwrap();
    let picture = Grey::read(&drawing(name)).unwrap().fit(MAX_CAPTURE);
    // Whole at once, because the device may look at any time.
    std::fs::write(camera.join("new"), picture.to_pgm()).unwrap();
    std::fs::rename(camera.join("new"), camera.join("shot.pgm")).unwrap();
}

/// Keeps a picture of the page, where that is asked for.
fn keep(browser: &mut Browser, name: &str) {
    let shot = browser.screenshot();
    assert!(shot.starts_with(b"\x89PNG") && shot.len() > 5000, "{name}");
    if let Some(folder) = std::env::var_os("ONELOOK_SCREENSHOTS") {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(Path::new(&folder).join(name), shot).unwrap();
    }
}

const IDLE: &str = "doing === 0";

/// Whether an element shows these words.
fn says(selector: &str, words: &str) -> String {
    format!("document.querySelector('{selector}').innerText.includes('{words}')")
}

/// Presses Look, and returns the verdict.
fn look(browser: &mut Browser) -> String {
    let before = browser.eval("state.picture ? state.picture.number : 0");
    browser.click("#look");
    browser.wait_for(&format!(
        "{IDLE} && state.picture && state.picture.number > {before} && document.querySelector('#capture').complete"
    ));
    browser.text("#verdict")
}

fn classes(browser: &mut Browser) -> Vec<String> {
    let labels =
        browser.eval("[...document.querySelectorAll('#classes button')].map(b => b.dataset.label)");
    let labels = labels.as_array().unwrap().iter();
    labels
        .map(|label| label.as_str().unwrap().to_owned())
        .collect()
}

/// Names what is shown, and enrols it.
fn enrol(browser: &mut Browser, label: &str) {
    browser.type_into("#label", label);
    browser.press("Enter", 13);
    browser.wait_for(&format!(
        "{IDLE} && document.querySelector('#label').value === ''"
    ));
}

#[test]
fn two_classes_are_taught_and_a_third_is_unknown() {
    let micro = shipped::find(shipped::DEFAULT).unwrap();
    let life = Life::new(AN386, micro.model);
    let running = power_on(&life);
    let served = Served::start(&life);
    let mut browser = Browser::open(&served.url, [1040, 800]);
    let connected = says("#link", "● connected");
    browser.wait_for(&format!("state && state.connected && {connected}"));
    assert!(browser.text("#device").contains("model micro"));
    assert_eq!(browser.text("#verdict"), "–");

    for name in ["hook", "anchor"] {
        show(&life, &format!("enrol/{name}.png"));
        look(&mut browser);
        enrol(&mut browser, name);
    }
    let mut known = classes(&mut browser);
    known.sort();
    assert_eq!(known, ["anchor", "hook"]);

    show(&life, "try/hook-2.png");
    assert_eq!(look(&mut browser), "hook");
    assert_eq!(
        classes(&mut browser),
        ["hook", "anchor"],
        "the nearest first"
    );
    let widths = browser.eval(
        "[...document.querySelectorAll('#classes .fill')].map(fill => parseFloat(fill.style.width))",
    );
    let least = browser.eval("parseFloat(document.querySelector('.least').style.left)");
    let [hook, anchor, least] = [&widths[0], &widths[1], &least].map(|n| n.as_f64().unwrap());
    assert!(hook >= least && least > anchor, "{hook} {least} {anchor}");
    for (image, side) in [("capture", "state.picture.w"), ("seen", "48")] {
        let whole = format!("document.querySelector('#{image}').naturalWidth === {side}");
        browser.wait_for(&whole);
    }
    keep(&mut browser, "known.png");

    show(&life, "try/sprout-1.png");
    assert_eq!(look(&mut browser), "unknown");
    assert!(browser.text("#reason").contains("the nearest is"));
    keep(&mut browser, "unknown.png");

    browser.click("[data-label=anchor]");
    browser.wait_for(&format!(
        "{IDLE} && document.querySelectorAll('#classes li').length === 1"
    ));
    assert_eq!(classes(&mut browser), ["hook"]);
    browser.click("#undo");
    browser.wait_for(&format!(
        "{IDLE} && document.querySelectorAll('#classes li').length === 2"
    ));

    for words in [
        "hook is enrolled as sample",
        "unknown: the nearest is",
        "forgot anchor",
        "took back",
    ] {
        browser.wait_for(&says("#log", words));
    }
    refusals(&mut browser, &life);
    on_a_phone(&mut browser);

    running.kill();
    let lost = says("#alert", "the link was lost");
    browser.wait_for(&format!("!state.connected && {lost}"));
    keep(&mut browser, "lost.png");
    let _running = power_on(&life);
    browser.click("#connect");
    browser.wait_for(&format!(
        "{IDLE} && state.connected && document.querySelector('#alert').hidden"
    ));
    assert_eq!(
        classes(&mut browser).len(),
        2,
        "what was taught outlives it"
    );

    assert_eq!(browser.errors(), &[] as &[String]);
    let outside = |url: &&String| !url.starts_with(&served.url) && !url.starts_with("data:");
    assert_eq!(browser.requests().iter().find(outside), None);
    assert!(browser.requests().len() > 10);
}

/// What is not done says why, and what can be overruled has a button for it.
fn refusals(browser: &mut Browser, life: &Life) {
    let alert = "!document.querySelector('#alert').hidden";
    browser.type_into("#label", &"x".repeat(33));
    browser.click("#enrol");
    browser.wait_for(&format!("{IDLE} && {alert}"));
    assert!(browser.text("#alert").contains("33 bytes"));
    assert!(!browser.text("#alert").contains("all the same"));
    browser.click("#dismiss");

    // A picture file; under another name it looks like a class that is there.
    browser.choose_file("#file", &drawing("try/hook-3.png"));
    browser.wait_for(&format!("{IDLE} && state.picture.source === 'file'"));
    browser.type_into("#label", "<b>it</b>");
    browser.click("#enrol");
    browser.wait_for(&format!("{IDLE} && {alert}"));
    assert!(
        browser
            .text("#alert-what")
            .contains("looks like class `hook`")
    );
    keep(browser, "refused.png");
    browser.click("#force");
    browser.wait_for(&format!(
        "{IDLE} && document.querySelectorAll('#classes li').length === 3"
    ));
    assert!(
        classes(browser).contains(&"<b>it</b>".into()),
        "a label is text"
    );
    browser.click("#undo");
    browser.wait_for(&format!(
        "{IDLE} && document.querySelectorAll('#classes li').length === 2"
    ));

    // Watching looks again and again, until it is told to stop.
    show(life, "try/hook-2.png");
    let before = browser.eval("state.picture.number").as_u64().unwrap();
    browser.click("#watch");
    browser.wait_for(&format!(
        "state.picture && state.picture.number >= {}",
        before + 3
    ));
    browser.click("#watch");
    browser.wait_for(IDLE);
    assert_eq!(browser.text("#verdict"), "hook");
}

/// Nothing is wider than a phone, by day and by night.
fn on_a_phone(browser: &mut Browser) {
    browser.resize([390, 800]);
    browser.darken(true);
    let widest = browser.eval("document.documentElement.scrollWidth");
    assert!(widest.as_u64().unwrap() <= 390, "{widest}");
    keep(browser, "phone.png");
    browser.darken(false);
    browser.resize([1040, 800]);
}
