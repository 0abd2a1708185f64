//! Which networks ship: the model file of a finished run, and where it comes from.
//!
//! In: the folder of a run. Out: `models/<preset>.onelook`, the `.toml` that trained it and a `.json` with
//! the run's report, the revision of the code and the model's checksum.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{SetupError, repo};

/// Puts a run's model where the program takes it from; the files.
///
/// # Errors
/// A file of the run is not there or says that its network must not ship, or a file cannot be written.
pub fn ship(run: &Path) -> Result<Vec<PathBuf>, SetupError> {
    let model = read(&run.join("model.onelook"))?;
    let config = read(&run.join("config.toml"))?;
    let report_path = run.join("report.json");
    let report: Value = serde_json::from_slice(&read(&report_path)?)
        .map_err(|error| refuse(&report_path, &error.to_string()))?;
    let preset = presentable(&report).map_err(|why| refuse(&report_path, &why))?;
    let revision = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .current_dir(repo::root())
        .output();
    let revision = revision.ok().filter(|said| said.status.success());
    let revision = revision.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned());
    let sha256: String = Sha256::digest(&model)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let origin = json!({
        "model_sha256": sha256,
        "shipped_at_revision": revision,
        "run": report,
    });
    let origin = format!("{origin:#}\n");
    let files = [
        ("onelook", model.as_slice()),
        ("toml", config.as_slice()),
        ("json", origin.as_bytes()),
    ];
    let write = |(extension, bytes): (&str, &[u8])| {
        let path = repo::root()
            .join("models")
            .join(format!("{preset}.{extension}"));
        std::fs::write(&path, bytes).map_err(|error| SetupError::io("write", &path, error))?;
        Ok(path)
    };
    files.into_iter().map(write).collect()
}

/// The preset of a network that may ship: it was trained in this very run, and every engine computes the
/// same with it.
fn presentable(report: &Value) -> Result<&str, String> {
    let preset = report["network"]["preset"].as_str().unwrap_or_default();
    if !["micro", "nano"].contains(&preset) {
        return Err(format!("its preset is `{preset}`; micro and nano ship"));
    }
    if !report["training"].is_object() {
        return Err("the run does not say how it was trained: it was exported again".into());
    }
    let engines = report["parity"]["engines"].as_array();
    let agree = |engine: &Value| {
        let differing =
            ["logits", "embeddings", "decisions"].map(|what| format!("differing_{what}"));
        differing.iter().all(|count| engine[count] == 0)
    };
    match engines.is_some_and(|engines| !engines.is_empty() && engines.iter().all(agree)) {
        true => Ok(preset),
        false => Err("the engines do not agree about it".into()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SetupError> {
    std::fs::read(path).map_err(|error| SetupError::io("read", path, error))
}

fn refuse(path: &Path, why: &str) -> SetupError {
    SetupError::Missing {
        what: format!("{}: {why}", path.display()),
        next: "name the folder of a finished `onelook train-export`".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_run_ships() {
        let engine = |logits| json!({ "differing_logits": logits, "differing_embeddings": 0, "differing_decisions": 0 });
        let mut report = json!({
            "network": { "preset": "nano" },
            "training": { "steps": 1 },
            "parity": { "engines": [engine(0), engine(0)] },
        });
        assert_eq!(presentable(&report), Ok("nano"));
        for (field, wrong) in [
            ("network", json!({ "preset": "custom" })),
            ("training", Value::Null),
            ("parity", json!({ "engines": [engine(0), engine(1)] })),
            ("parity", json!({ "engines": [] })),
        ] {
            let right = report[field].take();
            report[field] = wrong;
            assert!(presentable(&report).is_err(), "{field}");
            report[field] = right;
        }
    }
}
