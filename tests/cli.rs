//! The command line: bad input is named, nothing half-written stays, exit codes mean something.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

use std::fs;
use std::path::Path;

use tests::{refused, run_onelook as onelook};

#[test]
fn usage_errors_name_the_field_and_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let train = |arguments: &[&str]| {
        let mut all = vec!["train-export", "--dataset", "synthetic"];
        all.extend(arguments);
        onelook(at, &all)
    };
    refused(&train(&["--preset", "mikro"]), 2, &["mikro", "micro"]);
    let config = at.join("c.toml");
    fs::write(&config, "[train]\nlerning_rate = 0.1\n").unwrap();
    let output = train(&["--config", "c.toml"]);
    refused(&output, 2, &["c.toml", "lerning_rate", "`learning_rate`"]);
    fs::write(&config, "[train]\nn_way = 1\n").unwrap();
    refused(
        &train(&["--config", "c.toml"]),
        2,
        &["c.toml", "train.n_way", "2 to 64"],
    );
    refused(&train(&["--config", "absent.toml"]), 2, &["absent.toml"]);
    refused(&train(&["--minutes", "-1"]), 2, &[]);
    refused(
        &train(&["--resume", "--name", "nothing"]),
        2,
        &["nothing", "--name"],
    );
    refused(&onelook(at, &["fly"]), 2, &["fly"]);
    assert!(!at.join("runs").exists(), "a refused run leaves no folder");
    // A folder that cannot be written, also for root.
    refused(&train(&["--out", "c.toml"]), 1, &["c.toml", "--out"]);
    refused(&train(&["--device", "cuda"]), 2, &["CUDA", "--device cpu"]);
}

/// Before any build, download or training: which layer, and the way out.
#[test]
fn a_network_that_cannot_run_on_the_device_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let train = |arguments: &[&str]| onelook(at, &[&["train-export"], arguments].concat());
    // The paper's network stays in floating point, which is fine until somebody asks for a device.
    let koch = train(&["--preset", "koch", "--max-ram", "64KiB"]);
    refused(&koch, 2, &["network.layers[7] (linear)", "sigmoid", "relu"]);
    let sigmoid = "[network]\ninput_side = 9\nlayers = [{ op = \"linear\", c_out = 2, activation = \"sigmoid\" }]";
    fs::write(at.join("sigmoid.toml"), sigmoid).unwrap();
    let words = ["network.layers[0] (linear)", "sigmoid", "relu"];
    refused(&train(&["--config", "sigmoid.toml"]), 2, &words);
    let average = "[network]\ninput_side = 9\nlayers = [{ op = \"global_average_pool\" }]";
    fs::write(at.join("average.toml"), average).unwrap();
    let words = [
        "network.layers[0] (global_average_pool)",
        "9×9 = 81 pixels",
        "linear",
    ];
    refused(&train(&["--config", "average.toml"]), 2, &words);
    let flash = train(&["--max-flash", "64KiB"]);
    refused(
        &flash,
        2,
        &["--max-flash allows 65536", "network.layers[6]", "--preset"],
    );
    let ram = train(&["--preset", "nano", "--max-ram", "4000"]);
    refused(
        &ram,
        2,
        &["--max-ram allows 4000", "network.layers[", "arena"],
    );
    refused(&train(&["--max-ram", "64kb"]), 2, &["--max-ram", "64KiB"]);
    assert!(!at.join("runs").exists(), "a refused run leaves no folder");
}

#[test]
fn a_plan_is_shown_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let inspect = |arguments: &[&str]| {
        let output = onelook(folder.path(), &[&["inspect", "--json"], arguments].concat());
        assert!(output.status.success());
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let nano = inspect(&["--preset", "nano"]);
    assert_eq!(
        (&nano["parameters"], &nano["macs"]),
        (&56_969.into(), &3_283_200.into())
    );
    assert!(nano["file_bytes"].as_u64().unwrap() < 64 * 1024);
    assert!(nano["float_only"].as_array().unwrap().is_empty());
    let koch = inspect(&["--preset", "koch"]);
    assert_eq!(koch["parameters"], 38_951_745);
    assert_eq!(koch["float_only"][0]["layer"], 7);
    assert!(koch.get("arena_bytes").is_none());
    refused(
        &onelook(folder.path(), &["inspect"]),
        2,
        &["--preset", "model.onelook"],
    );
}

#[test]
fn the_network_in_the_readme_runs_on_the_device() {
    let readme = include_str!("../README.md");
    let (_, text) = readme.split_once("```toml\n").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("readme.toml"), text).unwrap();
    let output = onelook(folder.path(), &["inspect", "--config", "readme.toml"]);
    let words = String::from_utf8_lossy(&output.stdout);
    for word in [
        "DepthwiseConv2d",
        "Pointwise",
        "GlobalAveragePool",
        "Linear",
        "bytes of flash",
    ] {
        assert!(words.contains(word), "`{word}` is not in: {words}");
    }
}

#[test]
fn engines_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let bench = |arguments: &[&str]| onelook(folder.path(), &[&["bench"], arguments].concat());
    let output = bench(&["--preset", "nano", "--seconds", "0", "--json"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["macs"], &report["threads"]),
        (&3_283_200.into(), &1.into())
    );
    let figures = report["figures"].as_array().unwrap();
    assert_eq!(figures.len(), 2 * 2 * 3);
    for figure in figures {
        let [low, high] = [0, 1].map(|at| figure["quartiles_us"][at].as_f64().unwrap());
        let median = figure["median_us"].as_f64().unwrap();
        assert!(0.0 < low && low <= median && median <= high, "{figure}");
        assert_eq!(figure["rounds"], 5);
        if figure["engine"] == "shared" {
            assert_eq!(figure["shared_is_faster"], 1.0);
        }
    }
    refused(
        &bench(&["--preset", "koch"]),
        2,
        &["network.layers[7]", "sigmoid"],
    );
    refused(&bench(&["--preset", "mikro"]), 2, &["mikro", "micro"]);
    refused(&bench(&["absent"]), 1, &["absent/model.onelook"]);
    refused(&bench(&[]), 2, &["--preset", "RUN"]);
    refused(&bench(&["absent", "--threads", "0"]), 2, &["--threads"]);
}

#[test]
fn data_errors_name_the_file_and_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir_all(at.join("empty")).unwrap();
    fs::create_dir_all(at.join("broken")).unwrap();
    fs::write(at.join("broken/images_background.zip"), b"PK not a zip").unwrap();
    let train = |data: &str| onelook(at, &["train-export", "--steps", "1", "--data", data]);
    refused(&train("empty"), 2, &["empty", "images_background"]);
    refused(&train("absent"), 2, &["absent"]);
    refused(
        &train("broken"),
        1,
        &["images_background.zip", "download it again"],
    );
    let left = fs::read_dir(at.join("runs")).map_or(0, |runs| {
        runs.filter(|run| {
            run.as_ref()
                .is_ok_and(|run| run.path().join("model.onelook").exists())
        })
        .count()
    });
    assert_eq!(left, 0, "no model under its final name");
}

/// One run serves several tests' worth of questions: it costs a minute.
#[test]
fn a_run_leaves_its_files_and_refuses_damaged_ones() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let evaluate = |run: &str| onelook(at, &["evaluate", run, "--dataset", "synthetic"]);
    refused(&evaluate("absent"), 1, &["absent/model.onelook"]);

    let train = [
        "train-export",
        "--dataset",
        "synthetic",
        "--steps",
        "3",
        "--name",
        "tiny",
    ];
    let output = onelook(at, &train);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let files = [
        "model.onelook",
        "model.onnx",
        "model-int8.onnx",
        "encoder-int8.onnx",
    ];
    let more = [
        "config.toml",
        "metrics.jsonl",
        "checkpoint.safetensors",
        "report.json",
        "report.md",
    ];
    for file in files.iter().chain(&more) {
        assert!(
            at.join("runs/tiny").join(file).exists(),
            "{file} is missing"
        );
    }
    refused(
        &onelook(at, &train),
        2,
        &["runs/tiny", "--resume", "--name"],
    );
    let report = fs::read(at.join("runs/tiny/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["parity"]["pairs"], 8000);

    let output = onelook(at, &["inspect", "runs/tiny/model.onelook", "--json"]);
    let inspection: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(inspection["macs"], 18_745_344);
    let plan = onelook(
        at,
        &["inspect", "--config", "runs/tiny/config.toml", "--json"],
    );
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    for known in [
        "file_bytes",
        "arena_bytes",
        "embedding_bytes",
        "macs",
        "parameters",
    ] {
        assert_eq!(plan[known], inspection[known], "{known}");
    }
    assert_eq!(inspection["arena_bytes"], report["network"]["arena_bytes"]);

    let good = fs::read(at.join("runs/tiny/model.onelook")).unwrap();
    damaged_models_are_refused(at, &good);
    let output = onelook(at, &["export", "runs/tiny", "--dataset", "synthetic"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        fs::read(at.join("runs/tiny/model.onelook")).unwrap(),
        good,
        "the same checkpoint gives the same file"
    );
    a_changed_weight_is_a_mismatch(at);
}

/// One weight of the ONNX files is no longer the device's: exit code 3, and where it begins.
fn a_changed_weight_is_a_mismatch(at: &Path) {
    for file in ["model-int8.onnx", "encoder-int8.onnx"] {
        let path = at.join("runs/tiny").join(file);
        let mut bytes = fs::read(&path).unwrap();
        // The large convolutions lie in the middle of the file.
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x20;
        fs::write(&path, bytes).unwrap();
    }
    let output = onelook(at, &["verify", "runs/tiny", "--dataset", "synthetic"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{stdout}");
    for word in ["DIFFERENT", "layer", "Conv2d", "channel"] {
        assert!(stdout.contains(word), "`{word}` is not in: {stdout}");
    }
}

fn damaged_models_are_refused(at: &Path, good: &[u8]) {
    let model = at.join("runs/tiny/model.onelook");
    let damaged = |change: &dyn Fn(&mut Vec<u8>), words: &[&str]| {
        let mut bytes = good.to_vec();
        change(&mut bytes);
        fs::write(&model, bytes).unwrap();
        let evaluate = ["evaluate", "runs/tiny", "--dataset", "synthetic"];
        refused(&onelook(at, &evaluate), 1, words);
    };
    damaged(
        &|bytes| bytes.truncate(5000),
        &["model.onelook", "truncated"],
    );
    damaged(
        &|bytes| bytes[9000] ^= 4,
        &["model.onelook", "damaged", "CRC"],
    );
    damaged(
        &|bytes| bytes[4] = 9,
        &["model.onelook", "version 9", "export"],
    );
}
