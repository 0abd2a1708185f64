//! The paper's and the post's recipe from end to end, on generated glyphs and tiny networks: training on pairs, export,
//! evaluation and comparison of a network that stays in floating point.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tests::{refused, run_onelook as onelook};

/// Layers as the paper's, in miniature.
const NETWORK: &str = r#"
[network]
input_side = 20
framing = "picture"
layers = [
    { op = "conv", c_out = 6, kernel = 5, stride = 1, pad = 0, norm = "none" },
    { op = "max_pool", kernel = 2, stride = 2 },
    { op = "linear", c_out = 24, norm = "none", activation = "sigmoid" },
]
"#;

fn synthetic(at: &Path, arguments: &[&str]) -> Output {
    onelook(at, &[arguments, &["--dataset", "synthetic"]].concat())
}

fn succeeded(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_papers_recipe_ends_with_a_float_network_that_all_engines_agree_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let recipe = "preset = \"koch\"\n[train]\nsteps = 60\nthreads = 1\n[pairs]\ncount = 500\nbatch = 16\nvalidate_every = 20\ninit = \"he\"\n";
    fs::write(at.join("paper.toml"), format!("{recipe}{NETWORK}")).unwrap();
    let train = [
        "train-export",
        "--config",
        "paper.toml",
        "--name",
        "paper",
        "--json",
    ];
    let report: Value = serde_json::from_str(&succeeded(&synthetic(at, &train))).unwrap();
    assert!(report.get("quantization").is_none() && report["network"].get("arena_bytes").is_none());
    let rows: Vec<&str> = report["accuracy"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["protocol"].as_str().unwrap())
        .collect();
    assert!(
        rows.contains(&"same_or_different_within_alphabet"),
        "{rows:?}"
    );
    // shared against tract, onnxruntime twice, each also with the pair graph, and libtorch.
    let engines = report["parity"]["float"].as_array().unwrap();
    assert_eq!(engines.len(), 7);
    for engine in engines {
        assert!(
            engine["max_logit_error"].as_f64().unwrap() <= 1e-4,
            "{engine}"
        );
        assert_ne!(engine["differing_decisions"], 1, "{engine}");
    }
    let run = at.join("runs/paper");
    assert!(run.join("model.onnx").exists() && !run.join("model.onelook").exists());
    assert!(
        !run.join("training.safetensors").exists(),
        "nothing is left to go on with"
    );
    assert_eq!(
        fs::read_to_string(run.join("metrics.jsonl"))
            .unwrap()
            .lines()
            .count(),
        3
    );

    let verified = succeeded(&synthetic(at, &["verify", "runs/paper"]));
    assert!(
        verified.contains("equal, within the tolerance"),
        "{verified}"
    );
    let evaluate = |engine| synthetic(at, &["evaluate", "runs/paper", "--engine", engine]);
    refused(
        &evaluate("shared"),
        1,
        &["floating point", "--engine float"],
    );
    let [float, ort] = ["float", "float-ort"].map(|engine| succeeded(&evaluate(engine)));
    let right = |page: &str| {
        page.lines()
            .find(|line| line.contains("float"))
            .unwrap()
            .split('|')
            .nth(4)
            .map(str::to_owned)
    };
    assert_eq!(right(&float), right(&ort));
    let plots = succeeded(&synthetic(at, &["plot", "runs/paper", "--trials", "20"]));
    for file in ["accuracy-within.svg", "training.svg", "report.html"] {
        assert!(plots.contains(file), "{file} is not in: {plots}");
    }
}

/// What the post did is there under a name that says so, and its figures say it too.
#[test]
fn who_peeks_makes_no_claim() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let recipe = "preset = \"seed\"\n[train]\nsteps = 20\nthreads = 1\n[pairs]\nvalidate_every = 10\ninit = \"he\"\nsplit = \"peek_at_evaluation\"\n";
    fs::write(at.join("post.toml"), format!("{recipe}{NETWORK}")).unwrap();
    let train = ["train-export", "--config", "post.toml", "--name", "post"];
    let table = succeeded(&synthetic(at, &train));
    let rows = || table.lines().filter(|line| line.contains("20way"));
    assert!(
        rows()
            .filter(|row| row.contains("float"))
            .all(|row| row.contains("NO CLAIM")),
        "{table}"
    );

    // Only Omniglot has the paper's ten alphabets.
    fs::write(
        at.join("split.toml"),
        format!("{}{NETWORK}", recipe.replace("peek_at_evaluation", "paper")),
    )
    .unwrap();
    refused(
        &synthetic(at, &["train-export", "--config", "split.toml"]),
        2,
        &["Atlantean"],
    );
}

#[test]
fn heads_are_compared_on_the_same_trials() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let heads = [
        "heads",
        "--steps",
        "2",
        "--only",
        "siamese,matching",
        "--json",
    ];
    let rows: Value = serde_json::from_str(&succeeded(&synthetic(at, &heads))).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["contestant"], &rows[1]["contestant"]),
        (&"siamese".into(), &"matching".into())
    );
    // The scale of the cosine instead of a weight for each component and a bias.
    let parameters = |row: &Value| row["parameters"].as_u64().unwrap();
    assert_eq!(parameters(&rows[0]) - parameters(&rows[1]), 192);
    refused(&synthetic(at, &["heads", "--steps", "0"]), 2, &["--steps"]);
    refused(
        &synthetic(at, &["heads", "--preset", "koch"]),
        2,
        &["episodes", "--preset nano"],
    );
    fs::write(at.join("three.toml"), "[train]\ndrawings = 3\n").unwrap();
    let three = ["heads", "--config", "three.toml"];
    refused(&synthetic(at, &three), 2, &["train.drawings must be 2"]);
}

/// docs/paper.md names figures of these.
#[test]
fn the_recipes_of_the_document_are_read() {
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/paper");
    let mut read = 0;
    for entry in fs::read_dir(&recipes).unwrap() {
        let recipe = entry.unwrap().path();
        let inspect = ["inspect", "--config", recipe.to_str().unwrap()];
        let words = succeeded(&onelook(&recipes, &inspect));
        let is_float = words.contains("stays in floating point");
        assert_eq!(is_float, !recipe.ends_with("heads.toml"), "{words}");
        read += 1;
    }
    assert!(read >= 3);
}
