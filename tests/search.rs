//! `onelook search` as somebody types it: refused, interrupted, killed and resumed, several at once.
#![allow(
    clippy::unwrap_used,
    reason = "a test file is nothing but tests and what they call"
)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{onelook, refused, run_onelook};

/// A network that learns a step in milliseconds.
const CONFIG: &str = r#"
[train]
episodes = 1
n_way = 5
threads = 1
precision = "float32"
validation_trials = 20
validations = 1

[network]
input_side = 16
layers = [
    { op = "conv", c_out = 4, kernel = 3, stride = 2, pad = 1 },
    { op = "max_pool", kernel = 2, stride = 2 },
]
"#;

/// A kernel of more than 18 does not fit, a rate of 1 may diverge.
const SPACE: &str = r#"
parameters = [
    { field = "train.learning_rate", kind = "log", low = 1e-3, high = 1.0 },
    { field = "network.layers[0].kernel", kind = "integer", low = 3, high = 23, step = 2 },
]
"#;

const SEARCH: [&str; 11] = [
    "search",
    "--dataset",
    "synthetic",
    "--config",
    "base.toml",
    "--space",
    "space.toml",
    "--rungs",
    "10,40",
    "--trials",
    "6",
];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("base.toml"), CONFIG).unwrap();
    fs::write(folder.path().join("space.toml"), SPACE).unwrap();
    folder
}

fn search(at: &Path, more: &[&str]) -> Output {
    run_onelook(at, &[&SEARCH[..], more].concat())
}

fn started(at: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(onelook());
    command
        .args(arguments)
        .current_dir(at)
        .stderr(Stdio::null())
        .stdout(Stdio::null());
    command
        .env("ONELOOK_CACHE", at.join("cache"))
        .env_remove("ONELOOK_DATA")
        .spawn()
        .unwrap()
}

/// Waits until the journal has so many events of a kind.
fn journal_has(at: &Path, count: usize, kind: &str) {
    let path = at.join("runs/search/journal.jsonl");
    let words = format!("\"event\":\"{kind}\"");
    let begin = Instant::now();
    while !fs::read_to_string(&path).is_ok_and(|text| text.matches(&words).count() >= count) {
        assert!(
            begin.elapsed() < Duration::from_secs(300),
            "{kind} is not in {}",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What JSON says of the trials, but how long they took.
fn trials(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let mut json: Value = serde_json::from_slice(&output.stdout).unwrap();
    for trial in json["trials"].as_array_mut().unwrap() {
        if let Some(score) = trial["score"].as_object_mut() {
            score.remove("seconds");
        }
    }
    json
}

#[test]
fn an_interrupted_search_goes_on_as_if_it_had_not_been() {
    let (whole, pieces) = (folder(), folder());
    let expected = trials(&search(whole.path(), &["--json"]));
    let fitting = |trial: &&Value| trial["state"].get("does_not_fit").is_none();
    assert_eq!(
        expected["trials"]
            .as_array()
            .unwrap()
            .iter()
            .filter(fitting)
            .count(),
        6
    );

    let at = pieces.path();
    // Ctrl-C in a training.
    let mut child = started(at, &SEARCH);
    journal_has(at, 1, "started");
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // A process that dies in another, and leaves half of a line.
    let resume = ["search", "--dataset", "synthetic", "--resume"];
    let mut child = started(at, &resume);
    journal_has(at, 2, "scored");
    child.kill().unwrap();
    child.wait().unwrap();
    let journal = at.join("runs/search/journal.jsonl");
    let mut text = fs::read_to_string(&journal).unwrap();
    text.push_str("{\"event\":\"pro");
    fs::write(&journal, text).unwrap();
    assert_eq!(
        trials(&run_onelook(at, &[&resume[..], &["--json"]].concat())),
        expected
    );

    let run = at.join("runs/search");
    for file in ["trials.csv", "trials.svg", "trials.png", "best.toml"] {
        let same = |at: &Path| fs::read(at.join("runs/search").join(file)).unwrap();
        let timed = file == "trials.csv";
        assert!(timed || same(at) == same(whole.path()), "{file}");
    }
    // The best is a configuration that can be trained.
    let best = run.join("best.toml");
    let best = best.to_str().unwrap();
    let inspected = run_onelook(at, &["inspect", "--config", best]);
    assert_eq!(
        inspected.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&inspected.stderr)
    );
    // Two more at once for another four trials.
    let more = [&resume[..], &["--trials", "10"]].concat();
    let mut children = [started(at, &more), started(at, &more)];
    for child in &mut children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let all = trials(&run_onelook(at, &[&resume[..], &["--json"]].concat()));
    let all = all["trials"].as_array().unwrap();
    assert_eq!(all.iter().filter(fitting).count(), 10);
    assert!(
        all.iter().all(|trial| trial["state"] != "unfinished"),
        "{all:?}"
    );
    // Nothing else may change on the way.
    refused(
        &search(at, &["--seed", "2"]),
        2,
        &["--seed (1, not 2)", "--name"],
    );
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let folder = folder();
    let at = folder.path();
    refused(&search(at, &["--rungs", "40,10"]), 2, &["--rungs"]);
    refused(&search(at, &["--name", "../x"]), 2, &["--name"]);
    refused(
        &run_onelook(at, &["search", "--resume"]),
        2,
        &["runs/search holds no search"],
    );
    fs::write(
        at.join("space.toml"),
        SPACE.replace("learning_rate", "lerning_rate"),
    )
    .unwrap();
    let words = ["space.toml", "parameters[0]", "`train.learning_rate`"];
    refused(&search(at, &[]), 2, &words);
    fs::write(
        at.join("peek.toml"),
        "preset = \"koch\"\n[pairs]\nsplit = \"paper\"",
    )
    .unwrap();
    let peek = run_onelook(
        at,
        &["search", "--dataset", "synthetic", "--config", "peek.toml"],
    );
    refused(&peek, 2, &["pairs.split must be held_out"]);
    assert!(!at.join("runs").exists());
    let printed = run_onelook(at, &["search", "--preset", "koch", "--print-space"]);
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(
        printed.contains("pairs.optimizer.layers[5].momentum"),
        "{printed}"
    );
    // Another's folder stays as it is; the space file must not be what is refused first.
    fs::write(at.join("space.toml"), SPACE).unwrap();
    fs::create_dir_all(at.join("runs/taken")).unwrap();
    fs::write(at.join("runs/taken/config.toml"), "somebody's run").unwrap();
    let words = ["runs/taken holds something else"];
    refused(&search(at, &["--name", "taken"]), 2, &words);
    let kept = fs::read_to_string(at.join("runs/taken/config.toml")).unwrap();
    assert_eq!(kept, "somebody's run");
}
