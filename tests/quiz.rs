//! `onelook quiz`, taken through a pipe and through a browser.
//!
//! In: generated glyphs, the network that ships. Out: what a person sees, the record, the report.
//! `ONELOOK_SCREENSHOTS` names a folder that keeps pictures of the page.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tests::browser::Browser;
use tests::{onelook, refused, run_onelook};

/// The same trials in every test.
const TRIALS: [&str; 6] = ["--dataset", "synthetic", "--seed", "7", "--trials", "4"];

/// A quiz that ends with its test, also when that fails.
struct Sitting(Child);

impl Drop for Sitting {
    fn drop(&mut self) {
        // It has ended already, or the system keeps it.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// `onelook quiz` in `folder`, with pipes.
fn start(folder: &Path, arguments: &[&str]) -> Sitting {
    let started = Command::new(onelook())
        .arg("quiz")
        .args(arguments)
        .current_dir(folder)
        .env("ONELOOK_CACHE", folder.join("cache"))
        .env_remove("ONELOOK_DATA")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Sitting(started.unwrap())
}

/// The same with lines on stdin, to its end.
fn take(folder: &Path, arguments: &[&str], lines: &str) -> Output {
    let mut quiz = start(folder, arguments);
    let mut stdin = quiz.0.stdin.take().unwrap();
    // It may have refused before it reads.
    stdin.write_all(lines.as_bytes()).ok();
    drop(stdin);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut errors = quiz.0.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        errors.read_to_end(&mut stderr).unwrap();
        stderr
    });
    let mut reports = quiz.0.stdout.take().unwrap();
    reports.read_to_end(&mut stdout).unwrap();
    Output {
        status: quiz.0.wait().unwrap(),
        stdout,
        stderr: reader.join().unwrap(),
    }
}

/// Ctrl-C.
fn interrupt(quiz: &Sitting) {
    let pid = quiz.0.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.unwrap().success());
}

/// The answers of a record.
fn answers(record: &Path) -> Vec<Value> {
    let text = fs::read_to_string(record).unwrap();
    let lines = text.lines().skip(1);
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The right answers: those of a quiz that was answered anyhow.
fn truths(folder: &Path) -> Vec<String> {
    let record = folder.join("truths.jsonl");
    let flags = ["--record", "truths.jsonl"];
    let output = take(folder, &[&TRIALS[..], &flags].concat(), "1\n1\n1\n1\n");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answers = answers(&record);
    answers
        .iter()
        .map(|answer| answer["truth"].to_string())
        .collect()
}

#[test]
fn an_interrupted_quiz_goes_on_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let truths = truths(at);

    // Ctrl-C while it waits: what was answered is reported, and kept.
    let mut child = start(at, &[&TRIALS[..], &["--json"]].concat());
    let mut stdin = child.0.stdin.take().unwrap();
    writeln!(stdin, "{}", truths[0]).unwrap();
    let mut stderr = BufReader::new(child.0.stderr.take().unwrap());
    let mut shown = String::new();
    while !shown.contains("trial 2 of 4, the query") {
        assert!(stderr.read_line(&mut shown).unwrap() > 0, "{shown}");
    }
    assert!(shown.contains("Right."), "{shown}");
    interrupt(&child);
    let mut stdout = String::new();
    child
        .0
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut stdout)
        .unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(130));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&report["answered"], &report["person"]["correct"]),
        (&1.into(), &1.into())
    );
    let record = at.join("runs/quiz.jsonl");
    assert_eq!(answers(&record).len(), 1);

    // Another quiz is another file; without a flag the last that is not finished goes on.
    let lines = format!("x\n?\n{}\n{}\n", truths[1], truths[2]);
    let output = take(at, &["--resume", "--hide-feedback", "--json"], &lines);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("`x` is no answer") && !stderr.contains("Right"),
        "{stderr}"
    );
    assert!(stderr.contains("next: go on with `onelook quiz --resume --record runs/quiz.jsonl`"));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["answered"], &report["person"]["mean"]),
        (&3.into(), &1.0.into())
    );
    assert_eq!((&report["seed"], &report["n_way"]), (&7.into(), &20.into()));
    assert_eq!(report["model"]["trials"], 3, "the model on the same trials");

    let output = take(at, &["--resume"], &format!("{}\n", truths[3]));
    let stdout = String::from_utf8_lossy(&output.stdout);
    for words in [
        "4 of 4 trials answered",
        "| you ",
        "100.0 %",
        "model micro",
        "5.0 %",
    ] {
        assert!(stdout.contains(words), "`{words}` is not in {stdout}");
    }
    refused(&take(at, &["--resume"], ""), 2, &["unfinished", "--record"]);
    let output = take(at, &TRIALS, "q\n");
    assert!(String::from_utf8_lossy(&output.stdout).contains("No trial was answered"));
    assert!(
        !at.join("runs/quiz-2.jsonl").exists(),
        "an empty record is not left"
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let quiz = |arguments: &[&str]| run_onelook(at, &[&["quiz"], arguments].concat());
    let glyphs = |arguments: &[&str]| quiz(&[&["--dataset", "synthetic"], arguments].concat());
    refused(
        &glyphs(&["--n-way", "5"]),
        2,
        &["--n-way", "--protocol within"],
    );
    refused(
        &glyphs(&["--protocol", "within", "--n-way", "21"]),
        2,
        &["21 characters", "20"],
    );
    refused(&glyphs(&["--trials", "401"]), 2, &["401", "400"]);
    refused(&glyphs(&["--trials", "0"]), 2, &["--trials", "1 to 1000"]);
    refused(
        &glyphs(&["--model", "absent.onelook"]),
        2,
        &["absent.onelook", "micro"],
    );
    refused(
        &quiz(&["--resume", "--seed", "3"]),
        2,
        &["--resume", "--seed"],
    );
    refused(
        &quiz(&["--resume", "--record", "absent.jsonl"]),
        2,
        &["absent.jsonl", "--record"],
    );
    refused(&quiz(&["--listen", "127.0.0.1:0"]), 2, &["--web"]);
    assert!(!at.join("runs").exists(), "a refused quiz leaves nothing");

    let record = at.join("quiz.jsonl");
    let named = ["--record", "quiz.jsonl"];
    take(at, &[&TRIALS[..], &named].concat(), "1\n2\n");
    refused(&glyphs(&named), 2, &["quiz.jsonl", "--resume"]);
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, &text[..text.len() - 20]).unwrap();
    let resumed = take(at, &["--resume", "--record", "quiz.jsonl"], "");
    refused(&resumed, 2, &["quiz.jsonl, line 3", "cut off", "remove it"]);
    assert_eq!(
        fs::read_to_string(&record).unwrap(),
        text[..text.len() - 20]
    );
}

/// Keeps a picture of the page, where that is asked for.
fn keep(browser: &mut Browser, name: &str) {
    let shot = browser.screenshot();
    assert!(shot.starts_with(b"\x89PNG") && shot.len() > 5000, "{name}");
    if let Some(folder) = std::env::var_os("ONELOOK_SCREENSHOTS") {
        fs::create_dir_all(&folder).unwrap();
        fs::write(Path::new(&folder).join(name), shot).unwrap();
    }
}

const ASKED: &str = "!busy && !told && !document.querySelector('#trial').hidden";

/// Waits for a trial.
fn asked(browser: &mut Browser, trial: usize) {
    browser.wait_for(&format!("{ASKED} && trial === {trial}"));
    let drawn = "[...document.images].every(i => i.complete && (i.naturalWidth === 105 || !i.src))";
    browser.wait_for(drawn);
}

/// Types a number as a person would.
fn type_number(browser: &mut Browser, number: &str) {
    for digit in number.chars() {
        browser.press(&digit.to_string(), u32::from(digit));
    }
}

#[test]
fn a_quiz_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let truths = truths(at);
    let flags = ["--web", "--listen", "127.0.0.1:0"];
    let mut child = start(at, &[&TRIALS[..], &flags].concat());
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
    let mut url = String::new();
    stdout.read_line(&mut url).unwrap();
    let mut browser = Browser::open(url.trim(), [1040, 800]);

    with_the_mouse(&mut browser, &truths[0]);
    assert_eq!(
        answers(&at.join("runs/quiz.jsonl")).len(),
        1,
        "kept at once"
    );
    browser.press("Enter", 13);
    with_the_keyboard(&mut browser, &truths[1]);
    browser.press("Enter", 13);

    // Stopped, and gone on with, also after the page was loaded again.
    asked(&mut browser, 3);
    browser.click("#stop");
    browser.wait_for("!busy && !document.querySelector('#result').hidden");
    let people = browser.text("#people");
    assert!(people.contains("1 of 2"), "{people}");
    browser.eval("window.left = true; location.reload()");
    browser.wait_for("!window.left && typeof busy === 'boolean' && !busy && state");
    browser.wait_for("!document.querySelector('#result').hidden");
    browser.click("#go-on");
    for trial in [3, 4] {
        asked(&mut browser, trial);
        type_number(&mut browser, &truths[trial - 1]);
        browser.press("Enter", 13);
        browser.wait_for("!busy && told");
        browser.press("Enter", 13);
    }
    result(&mut browser);
    assert_eq!(browser.errors(), &[] as &[String]);
    let outside = |asked: &&String| !asked.starts_with(url.trim()) && !asked.starts_with("data:");
    assert_eq!(browser.requests().iter().find(outside), None);

    // Done, so Ctrl-C is no interruption; the report is on stdout.
    interrupt(&child);
    let mut report = String::new();
    stdout.read_to_string(&mut report).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    for words in ["3 of 4", "model micro", "runs like Lake's"] {
        assert!(report.contains(words), "`{words}` is not in {report}");
    }
}

/// Nothing is told before, and an answer is two clicks.
fn with_the_mouse(browser: &mut Browser, truth: &str) {
    asked(browser, 1);
    assert_eq!(browser.text("#count"), "trial 1 of 4");
    let choices = browser.eval("document.querySelectorAll('.class').length");
    assert_eq!(choices, 20);
    let betrayed = browser.eval("document.querySelectorAll('.truth, .wrong').length");
    let disabled = browser.eval("document.querySelector('#answer').disabled");
    assert_eq!((betrayed, disabled), (0.into(), true.into()));
    browser.click(&format!(".class:nth-child({truth})"));
    assert_eq!(browser.text("#verdict"), format!("Number {truth}?"));
    keep(browser, "quiz-trial.png");
    browser.click("#answer");
    browser.wait_for("!busy && told");
    let verdict = browser.text("#verdict");
    assert!(verdict.starts_with("Right."), "{verdict}");
}

/// Digits, arrows, Enter. A wrong answer shows both.
fn with_the_keyboard(browser: &mut Browser, truth: &str) {
    asked(browser, 2);
    let wrong = truth.parse::<usize>().unwrap() % 20 + 1;
    type_number(browser, &wrong.to_string());
    assert_eq!(browser.eval("chosen"), wrong - 1);
    browser.press("ArrowUp", 38);
    browser.press("ArrowDown", 40);
    browser.press("Backspace", 8);
    assert_eq!(browser.eval("chosen"), Value::Null);
    browser.press("Enter", 13);
    assert_eq!(browser.text("#count"), "trial 2 of 4", "nothing was chosen");
    type_number(browser, &wrong.to_string());
    browser.press("Enter", 13);
    browser.wait_for("!busy && told");
    let verdict = browser.text("#verdict");
    assert!(
        verdict.starts_with(&format!("Wrong: it is {truth}.")),
        "{verdict}"
    );
    assert_eq!(browser.text(".class.truth"), truth);
    assert_eq!(browser.text(".class.wrong"), wrong.to_string());
    keep(browser, "quiz-wrong.png");
    on_a_phone(browser, "quiz-phone.png");
}

fn result(browser: &mut Browser) {
    browser.wait_for("!busy && !document.querySelector('#result').hidden");
    let result = browser.text("#result");
    let words = [
        "You",
        "75.0 %",
        "3 of 4",
        "Model micro",
        "chance, 5.0 %",
        "By alphabet",
    ];
    for words in words {
        assert!(result.contains(words), "`{words}` is not in {result}");
    }
    keep(browser, "quiz-result.png");
    on_a_phone(browser, "quiz-result-phone.png");
}

/// Nothing is wider than a phone, by night.
fn on_a_phone(browser: &mut Browser, name: &str) {
    browser.resize([390, 800]);
    browser.darken(true);
    let widest = browser.eval("document.documentElement.scrollWidth");
    assert!(widest.as_u64().unwrap() <= 390, "{widest}");
    keep(browser, name);
    browser.darken(false);
    browser.resize([1040, 800]);
}
