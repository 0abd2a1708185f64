//! `onelook import`: files of PyTorch become runs that every engine agrees on; what is refused is
//! named and leaves nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::{refused, run_onelook};

/// A file that `tools/golden_onnx.py` made.
fn golden(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src/import/golden");
    folder.join(name)
}

fn import(folder: &Path, file: &Path, arguments: &[&str]) -> std::process::Output {
    let mut all = vec!["import", file.to_str().unwrap(), "--dataset", "synthetic"];
    all.extend(arguments);
    run_onelook(folder, &all)
}

/// Imports, and returns the report.
#[track_caller]
fn imported(folder: &Path, file: &Path, arguments: &[&str]) -> Value {
    let mut all = vec!["--json"];
    all.extend(arguments);
    let output = import(folder, file, &all);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_siamese_network_becomes_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // The weights are random, so the head may say the opposite: that has tests of its own.
    let file = golden("siamese-dynamo.onnx");
    let first = import(at, &file, &["--json"]);
    let turned: &[&str] = match first.status.code() {
        Some(2) => &["--label-one", "different"],
        _ => &["--name", "again"],
    };
    let report = imported(at, &file, turned);
    assert_eq!(report["import"]["file"], "siamese-dynamo.onnx");
    assert_eq!(report["import"]["head"], "the file's own");
    assert!(report["import"]["check"]["max_error"].as_f64().unwrap() < 1e-4);
    assert_eq!(report["parity"]["pairs"], 8000);
    for engine in report["parity"]["engines"].as_array().unwrap() {
        assert_eq!(engine["differing_logits"], 0);
        assert_eq!(engine["differing_embeddings"], 0);
    }
    let rows = report["accuracy"].as_array().unwrap();
    let float = rows.iter().filter(|row| row["engine"] == "float");
    assert_eq!(float.count(), 2, "Lake's protocol and the drawn one");

    let run = if turned[0] == "--name" {
        "again"
    } else {
        "siamese-dynamo"
    };
    let run = at.join("runs").join(run);
    for file in [
        "model.onelook",
        "model.onnx",
        "model-int8.onnx",
        "encoder-int8.onnx",
        "checkpoint.safetensors",
        "config.toml",
        "report.json",
        "report.md",
    ] {
        assert!(run.join(file).exists(), "{file} is missing");
    }
    // The checkpoint is one: the same model comes of it.
    let model = fs::read(run.join("model.onelook")).unwrap();
    let export = ["export", run.to_str().unwrap(), "--dataset", "synthetic"];
    assert!(run_onelook(at, &export).status.success());
    assert_eq!(fs::read(run.join("model.onelook")).unwrap(), model);
}

/// An embedding with negative values, a head that is fitted or read, black ink, bytes.
#[test]
fn an_encoder_takes_a_head_and_a_look() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let file = golden("encoder-torchscript.onnx");
    let report = imported(at, &file, &["--ink", "black", "--name", "fitted"]);
    assert_eq!(
        report["import"]["head"],
        "fitted to the background alphabets"
    );
    assert!(report["import"]["check"]["max_error"].as_f64().unwrap() < 1e-4);

    // More different means less alike: a head that any embedding agrees with.
    fs::write(
        at.join("head.toml"),
        "weight = [-1.0, -1.0, -1.0, -1.0, -1.0]\nbias = 1.0\n",
    )
    .unwrap();
    let head = [
        "--head",
        "head.toml",
        "--mean",
        "0.1",
        "--std",
        "0.3",
        "--name",
        "read",
    ];
    let report = imported(at, &file, &head);
    assert_eq!(report["import"]["head"], "from head.toml");
    let turned = ["--head", "head.toml", "--label-one", "different"];
    refused(
        &import(at, &file, &turned),
        2,
        &["larger for different characters", "--label-one same"],
    );

    // A layer in front, because the network pads what is not zero for it.
    let report = imported(at, &golden("mean-dynamo.onnx"), &["--range", "-1..1"]);
    let notes = report["import"]["notes"].as_array().unwrap();
    assert!(
        notes[0].as_str().unwrap().contains("pads with zeros"),
        "{notes:?}"
    );
}

#[test]
fn refusals_name_the_file_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let file = golden("siamese-torchscript.onnx");
    refused(
        &import(at, Path::new("absent.onnx"), &[]),
        2,
        &["absent.onnx"],
    );
    refused(
        &import(at, &file, &["--ink", "blue"]),
        2,
        &["blue", "white", "black"],
    );
    refused(&import(at, &file, &["--mean", "0.5"]), 2, &["--std"]);
    refused(
        &import(at, &file, &["--mean", "0.5", "--std", "0"]),
        2,
        &["--std"],
    );
    refused(
        &import(at, &file, &["--head", "h.json"]),
        2,
        &["a head of its own"],
    );
    refused(
        &import(at, &file, &["--max-flash", "100"]),
        2,
        &["--max-flash"],
    );
    refused(
        &import(at, &golden("expected.json"), &[]),
        2,
        &["expected.json", "not a whole ONNX file"],
    );

    let bytes = fs::read(&file).unwrap();
    fs::write(at.join("cut.onnx"), &bytes[..bytes.len() / 2]).unwrap();
    refused(
        &import(at, Path::new("cut.onnx"), &[]),
        2,
        &["cut.onnx", "not a whole ONNX file"],
    );
    // Every ReLU is another operator, of a name as long.
    let mut other = bytes.clone();
    for at in 0..other.len() - 4 {
        if &other[at..at + 4] == b"Relu" {
            other[at] = b'G';
        }
    }
    fs::write(at.join("gelu.onnx"), &other).unwrap();
    refused(
        &import(at, Path::new("gelu.onnx"), &[]),
        2,
        &["gelu.onnx", "Gelu", "nn.ReLU()"],
    );

    let encoder = golden("encoder-dynamo.onnx");
    fs::write(at.join("short.json"), r#"{"weight": [1], "bias": 0}"#).unwrap();
    refused(
        &import(at, &encoder, &["--head", "short.json"]),
        2,
        &["short.json", "weighs 1 differences"],
    );
    fs::create_dir(at.join("empty")).unwrap();
    refused(
        &import(at, &encoder, &["--calibration", "empty"]),
        2,
        &["empty", "PNGs"],
    );
    assert!(
        !at.join("runs").exists(),
        "a refused import leaves no folder"
    );
    // A folder that cannot be written, also for root.
    refused(
        &import(at, &encoder, &["--out", "short.json"]),
        1,
        &["short.json", "--out"],
    );
}
