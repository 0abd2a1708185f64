//! `onelook evaluate` from the outside, and what training must never see.
//!
//! In: an exported network with random weights, generated glyphs, pictures. Out: the figures are
//! counted right on every engine, the firmware in QEMU included, and a model does not change with
//! the evaluation half of its data.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

use std::fs;
use std::path::Path;

use host::calibration::calibrate;
use host::dataset::{Dataset, EVALUATION_ALPHABETS, VALIDATION_ALPHABETS};
use host::device::images::Grey;
use host::engine::Input;
use host::evaluate::figures::{Figures, Kind, Shots, Task};
use host::export::Bundle;
use host::quantize::{QuantNet, quantize};
use host::spec::NetSpec;
use host::untrained::untrained;
use host::{evaluate, glyphs};
use tests::{refused, run_onelook as onelook};

/// A run's folder with random weights, or with none at all.
fn run_folder(at: &Path, blank: bool) {
    let data = glyphs::synthetic(1, "background", 3, 6);
    let spec = NetSpec::preset("nano").unwrap();
    let net = untrained(&spec, 7).unwrap();
    let drawings: Vec<_> = data.characters().map(|c| c.drawings[0].clone()).collect();
    let inputs = evaluate::network_inputs(&drawings, Input::of_spec(&spec)).unwrap();
    let mut quantized = match blank {
        true => QuantNet::blank(&spec).unwrap(),
        false => quantize(&net, &inputs).unwrap().0,
    };
    quantized.calibration = calibrate(&quantized, &data).unwrap();
    let bundle = Bundle::new(&net, &quantized, "tests", "no configuration").unwrap();
    bundle.write(at).unwrap();
}

/// The JSON that a successful evaluation printed.
#[track_caller]
fn figures(at: &Path, arguments: &[&str]) -> Figures {
    let output = onelook(at, &[&["evaluate", "run", "--json"], arguments].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn with_run(blank: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("run")).unwrap();
    run_folder(&folder.path().join("run"), blank);
    folder
}

/// N too large for every alphabet is left out and named; everything else is there for every engine
/// and baseline, with one number for each alphabet.
#[test]
fn accuracy_against_n_on_several_engines() {
    let folder = with_run(false);
    let at = folder.path();
    let arguments = "--dataset synthetic --protocol within,mixed --ways 2,20,30 --shots 1,5 \
        --trials 60 --engine float,tract --baselines --per-alphabet --confusions worst.png";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let found = figures(at, &arguments);
    let left_out: Vec<_> = found
        .skipped
        .iter()
        .map(|s| (s.task, s.n_way, s.k_shot))
        .collect();
    let task = Task::WithinAlphabet;
    assert_eq!(left_out, [(task, 30, 1), (task, 30, 5)]);
    // Three engines with one or three ways to pool, three baselines, the untrained network.
    let (one_shot, five_shots) = (3 + 3 + 1, 3 * 3 + 3 + 3);
    assert_eq!(found.figures.len(), 5 * (one_shot + five_shots));
    assert_eq!(found.curves.len(), 2 * (one_shot + five_shots));
    for figure in &found.figures {
        let trials: usize = figure
            .per_alphabet
            .iter()
            .map(|row| row.accuracy.trials)
            .sum();
        assert_eq!((figure.accuracy.trials, trials), (60, 60));
        assert!((figure.chance * figure.n_way as f64 - 1.0).abs() < 1e-9);
    }
    let compared: Vec<_> = found
        .agreement
        .iter()
        .filter(|a| a.engine == "tract")
        .collect();
    assert_eq!(compared.len(), 10);
    assert!(compared.iter().all(|a| a.differing_logits == Some(0)));
    // An untrained network errs: there is something to show.
    assert!(!found.confusions.is_empty());
    assert!(Grey::read(&at.join("worst.png")).unwrap().h > 100);
    assert_eq!(found.data, "synthetic");
    assert!(
        found
            .figures
            .iter()
            .any(|f| f.shots == Shots::Device && f.kind == Kind::Engine)
    );
}

/// The same question, printed for people.
#[test]
fn tables_for_people() {
    let folder = with_run(false);
    let arguments = "evaluate run --dataset synthetic --protocol within --ways 2,5 --trials 20";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let output = onelook(folder.path(), &arguments);
    let stdout = String::from_utf8_lossy(&output.stdout);
    for words in [
        "within alphabet",
        "| N ",
        "shared, 1 shot",
        "1-nearest-neighbour",
    ] {
        assert!(stdout.contains(words), "`{words}` is not in: {stdout}");
    }
}

/// The trap of public code: where the right class always stood first, this would score 100 %.
#[test]
fn a_constant_network_scores_chance() {
    let folder = with_run(true);
    let found = figures(folder.path(), &["--dataset", "synthetic"]);
    let blank = &found.figures[0];
    assert_eq!((blank.by.as_str(), blank.accuracy.correct), ("shared", 20));
    assert_eq!((blank.accuracy.trials, blank.ties), (400, Some(400)));
    assert_eq!((blank.alphabets, blank.characters), (10, 200));
}

#[test]
fn what_does_not_go_together_is_refused() {
    let folder = with_run(true);
    let evaluate = |arguments: &str| {
        let all = format!("evaluate run --dataset synthetic {arguments}");
        onelook(folder.path(), &all.split_whitespace().collect::<Vec<_>>())
    };
    refused(&evaluate("--ways 5"), 2, &["--ways", "--protocol within"]);
    refused(
        &evaluate("--alphabets training"),
        2,
        &["evaluation alphabets"],
    );
    refused(
        &evaluate("--protocol within --ways 0"),
        2,
        &["--ways", "1 to"],
    );
    let large = evaluate("--protocol within --ways 21,60");
    refused(&large, 2, &["60 characters", "the most is 20", "--ways"]);
    refused(&evaluate("--engine abacus"), 2, &["abacus", "shared"]);
    refused(
        &evaluate("--images somewhere"),
        2,
        &["--images", "--dataset"],
    );
}

/// The firmware in QEMU decides all of Lake's trials (here: glyphs) as shared does.
#[test]
fn the_device_answers_every_trial() {
    let folder = with_run(false);
    // The firmware was built for the tests; without it this would build it, or fail.
    assert!(tests::device_elf(tools::firmware::AN386).is_file());
    let found = figures(
        folder.path(),
        &["--dataset", "synthetic", "--engine", "device"],
    );
    let [shared, device] = [0, 1].map(|place| &found.figures[place]);
    assert!(device.by.contains("QEMU"), "{}", device.by);
    assert_eq!(device.accuracy, shared.accuracy);
    let agreement = &found.agreement[0];
    assert_eq!((agreement.trials, agreement.differing_decisions), (400, 0));
    assert_eq!(agreement.differing_logits, Some(0));
}

#[test]
fn marks_of_one_s_own() {
    let folder = with_run(false);
    let at = folder.path();
    let data = glyphs::synthetic(5, "own", 2, 3);
    for alphabet in &data.alphabets {
        for character in &alphabet.characters {
            let class = at.join("marks").join(&alphabet.name).join(&character.name);
            write_pictures(&class, &character.drawings[..4]);
        }
    }
    let found = figures(
        at,
        &[
            "--images",
            "marks",
            "--protocol",
            "within,mixed",
            "--trials",
            "30",
        ],
    );
    let ways: Vec<usize> = found.figures.iter().map(|figure| figure.n_way).collect();
    assert_eq!(ways, [3, 6, 3, 6], "as many classes as there are");
    assert_eq!(
        (found.data.as_str(), found.alphabets.as_str()),
        ("images", "images")
    );
    let one = at
        .join("marks")
        .join(&data.alphabets[0].name)
        .join("character01/0.png");
    fs::write(one, b"no picture").unwrap();
    let output = onelook(at, &["evaluate", "run", "--images", "marks"]);
    refused(&output, 2, &["character01", "0.png", "next:"]);
    let output = onelook(at, &["evaluate", "run", "--images", "nowhere"]);
    refused(&output, 2, &["nowhere", "next:"]);
    let lake = [
        "evaluate",
        "run",
        "--images",
        "marks",
        "--protocol",
        "lake20",
    ];
    refused(&onelook(at, &lake), 2, &["--protocol within"]);
}

/// Simulated captures, seen at once and from a folder of pictures.
#[test]
fn captures_are_evaluated() {
    let folder = with_run(false);
    let at = folder.path();
    let ask = ["--protocol", "within", "--ways", "5", "--trials", "20"];
    for (how, name) in [
        ("developed", "captures_within_alphabet_5way_1shot"),
        ("plain", "plain_captures_within_alphabet_5way_1shot"),
    ] {
        let seen = [&["--dataset", "synthetic", "--captures", how], &ask[..]].concat();
        assert_eq!(figures(at, &seen).figures[0].protocol, name);
    }
    let write = |out: &str| {
        let arguments = "capture-sim --dataset synthetic --drawers 2 --out";
        let mut arguments: Vec<&str> = arguments.split(' ').collect();
        arguments.push(out);
        let output = onelook(at, &arguments);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(stdout.starts_with("400 captures in"), "{stdout}");
        let first = at
            .join(out)
            .join("synthetic_evaluation_00/character01/01.png");
        fs::read(first).unwrap()
    };
    assert_eq!(write("one"), write("two"));
    let found = figures(at, &[&["--images", "one"], &ask[..]].concat());
    assert_eq!(found.figures[0].accuracy.trials, 20);
}

/// Drawings as pictures: dark on light.
fn write_pictures(folder: &Path, drawings: &[std::sync::Arc<host::dataset::Drawing>]) {
    fs::create_dir_all(folder).unwrap();
    for (index, drawing) in drawings.iter().enumerate() {
        let paper = drawing.ink.iter().map(|ink| 255 - ink).collect();
        let picture = Grey::new(drawing.h, drawing.w, paper).unwrap();
        picture
            .write_png(&folder.join(format!("{index}.png")))
            .unwrap();
    }
}

/// Background alphabets as files, under names that training knows.
fn background(at: &Path, training: &str) -> Dataset {
    let mut data = glyphs::synthetic(9, "background", 1 + VALIDATION_ALPHABETS.len(), 20);
    let names = [training].into_iter().chain(VALIDATION_ALPHABETS);
    for (alphabet, name) in data.alphabets.iter_mut().zip(names) {
        name.clone_into(&mut alphabet.name);
        for character in &alphabet.characters {
            let half = at.join("images_background").join(&alphabet.name);
            write_pictures(&half.join(&character.name), &character.drawings[..4]);
        }
    }
    data
}

fn train(at: &Path, name: &str) -> std::process::Output {
    let arguments =
        format!("train-export --preset nano --steps 2 --threads 1 --data data --name {name}");
    onelook(at, &arguments.split_whitespace().collect::<Vec<_>>())
}

/// Training, choice of the checkpoint, quantization and calibration see no evaluation drawing: they
/// end well where the evaluation half and Lake's runs are poison, and the model is the same, byte
/// for byte, whatever lies there. Only the report asks for them.
#[test]
fn no_evaluation_alphabet_enters_training_or_selection() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    background(&at.join("data"), "Greek");
    refused(&train(at, "without"), 1, &["all_runs"]);
    let poison = ["images_evaluation.zip", "all_runs.zip"];
    for part in poison {
        fs::write(at.join("data").join(part), b"poison").unwrap();
    }
    refused(&train(at, "poisoned"), 1, &["all_runs.zip"]);
    for file in [
        "checkpoint.safetensors",
        "model.onelook",
        "model.onnx",
        "model-int8.onnx",
    ] {
        let [without, poisoned] = ["without", "poisoned"]
            .map(|run| fs::read(at.join("runs").join(run).join(file)).unwrap());
        assert!(without == poisoned, "{file} differs");
    }
}

/// An evaluation alphabet that was put among the background ones by mistake: any of them, in any
/// spelling of case, ends the command before it trains.
#[test]
fn an_evaluation_alphabet_among_the_background_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    background(&at.join("data"), "Tengwar");
    refused(&train(at, "run"), 1, &["Tengwar", "evaluation alphabet"]);
    assert!(!at.join("runs").exists(), "nothing was trained");
    for name in EVALUATION_ALPHABETS.map(str::to_lowercase) {
        let mut data = glyphs::synthetic(9, "background", 2, 1);
        data.alphabets[1].name.clone_from(&name);
        let split = host::dataset::Background::new(data, &["synthetic_background_00"]);
        assert!(split.unwrap_err().to_string().contains(&name));
    }
}
