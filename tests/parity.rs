//! One exported model, N-way trials, every engine: shared, tract, onnxruntime at two levels, and
//! the firmware in QEMU. The logits are the same bits.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use host::dataset::Drawing;
use host::engine::onnxruntime::{Level, Onnxruntime, library};
use host::engine::tract::Tract;
use host::engine::{Engine, network_input};
use host::export::Bundle;
use host::quantize::quantize;
use host::spec::{LayerSpec, NetSpec};
use host::trials::{Trial, TrialSet, within_alphabet};
use host::untrained::untrained;
use host::verify::{Verdict, VerifyReport, verify};
use host::{evaluate, glyphs};
use indicatif::ProgressBar;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shared::episode_file::{EpisodeRepr, TrialRepr};
use tests::run_device;
use tools::firmware::AN386;

const N_WAY: usize = 20;
const N_TRIALS: usize = 24;

/// The shipped network's shape with random weights: nothing of parity depends on training.
fn export(set: &TrialSet) -> Bundle {
    let spec = NetSpec::preset("micro").unwrap();
    let net = untrained(&spec, 7).unwrap();
    let inputs = evaluate::network_inputs(&set.images, spec.input()).unwrap();
    let (quantized, _) = quantize(&net, &inputs).unwrap();
    Bundle::new(&net, &quantized, "tests", "no configuration").unwrap()
}

fn trials() -> TrialSet {
    let data = glyphs::synthetic(11, "evaluation", 2, N_WAY);
    within_alphabet(&data, N_WAY, 1, N_TRIALS, 5).unwrap()
}

fn onnxruntime_library() -> PathBuf {
    let Some(library) = library() else {
        panic!("ORT_DYLIB_PATH is not set: `cargo xtask test` installs onnxruntime and sets it");
    };
    library
}

/// Every desktop engine on every pair of the trials.
fn compare(bundle: &Bundle, set: &TrialSet, library: &Path) -> VerifyReport {
    let tract = Tract::new(bundle).unwrap();
    let optimised = Onnxruntime::new(bundle, library, Level::All).unwrap();
    let as_written = Onnxruntime::new(bundle, library, Level::Disabled).unwrap();
    let engines: [&dyn Engine; 3] = [&tract, &optimised, &as_written];
    verify(bundle, set, &engines, &ProgressBar::hidden()).unwrap()
}

#[test]
fn desktop_engines_agree() {
    let set = trials();
    let report = compare(&export(&set), &set, &onnxruntime_library());
    assert_eq!(report.pairs, N_TRIALS * N_WAY);
    assert_eq!(report.engines.len(), 3);
    assert_eq!(report.verdict(), Verdict::Equal, "{report}");
}

/// Networks that nobody would design, on images that nobody would draw. `ONELOOK_NETS` sets how
/// many.
#[test]
fn random_nets_agree_on_adversarial_images() {
    let nets = std::env::var("ONELOOK_NETS").map_or(200, |count| count.parse().unwrap());
    let library = onnxruntime_library();
    for seed in 0..nets {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let spec = random_spec(&mut rng);
        let set = adversarial_trials(spec.input_side, &mut rng);
        let net = untrained(&spec, seed).unwrap();
        let inputs = evaluate::network_inputs(&set.images, spec.input()).unwrap();
        let (quantized, _) = quantize(&net, &inputs).unwrap();
        let bundle = Bundle::new(&net, &quantized, "random", "no configuration").unwrap();
        let report = compare(&bundle, &set, &library);
        assert_eq!(
            report.verdict(),
            Verdict::Equal,
            "seed {seed}, {spec:?}\n{report}"
        );
    }
}

/// One to four layers whose windows fit, odd channels and kernels up to 7 included.
fn random_spec(rng: &mut ChaCha8Rng) -> NetSpec {
    let mut spec = NetSpec {
        input_side: rng.random_range(6..=24),
        layers: vec![],
    };
    let wanted = rng.random_range(1..=4);
    while spec.layers.len() < wanted {
        let kernel = rng.random_range(1..=7);
        let stride = rng.random_range(1..=3);
        let layer = if rng.random_range(0..3) == 0 {
            LayerSpec::MaxPool {
                kernel: kernel.min(3),
                stride,
            }
        } else {
            let (c_out, pad) = (rng.random_range(1..=9), rng.random_range(0..kernel));
            LayerSpec::Conv {
                c_out,
                kernel,
                stride,
                pad,
            }
        };
        spec.layers.push(layer);
        if spec.shapes().is_err() {
            spec.layers.pop();
        }
    }
    spec
}

/// Paper, ink, a checkerboard and noise, each against each.
fn adversarial_trials(side: usize, rng: &mut ChaCha8Rng) -> TrialSet {
    let mut image = |pixel: &dyn Fn(usize, &mut ChaCha8Rng) -> u8| {
        let ink = (0..side * side).map(|at| pixel(at, rng)).collect();
        Arc::new(Drawing {
            h: side,
            w: side,
            ink,
        })
    };
    let images = vec![
        image(&|_, _| 0),
        image(&|_, _| 255),
        image(&|at, _| {
            if (at / side + at % side).is_multiple_of(2) {
                255
            } else {
                0
            }
        }),
        image(&|_, rng| rng.random()),
        image(&|_, rng| rng.random()),
    ];
    let support: Vec<Vec<usize>> = (0..images.len()).map(|index| vec![index]).collect();
    let trial = |query| Trial {
        support: support.clone(),
        query,
        answer: query,
    };
    let trials = (0..images.len()).map(trial).collect();
    TrialSet {
        protocol: "adversarial".to_owned(),
        images,
        trials,
    }
}

#[test]
fn device_agrees_with_the_desktop() {
    let set = trials();
    let bundle = export(&set);
    let view = bundle.view().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.onelook"), bundle.model()).unwrap();
    fs::write(folder.path().join("trials.bin"), trials_file(&set, &view)).unwrap();

    let output = run_device(AN386, folder.path()).unwrap();
    let lines: Vec<&str> = output.stdout.lines().skip(1).collect();
    assert_eq!(lines.len(), N_TRIALS);
    let shared = host::engine::shared::Shared::new(view);
    let decisions = evaluate::evaluate(&set, &shared).unwrap().mean.decisions;
    for (index, (line, trial)) in lines.iter().zip(&set.trials).enumerate() {
        let embed = |image: usize| {
            let input = network_input(&set.images[image], view.input()).unwrap();
            host::engine::Embedder::embed(&shared, &input).unwrap()
        };
        let query = embed(trial.query);
        let logits = trial.support.iter().map(|shots| {
            let logit = view.decider().logit(&query, &embed(shots[0])).unwrap();
            format!(" {logit}")
        });
        let class = decisions[index];
        let expected = format!(
            "trial {index} answer {class} logits{}",
            logits.collect::<String>()
        );
        assert_eq!(*line, expected);
    }
}

/// The trials as the firmware reads them.
fn trials_file(set: &TrialSet, view: &shared::model::ModelView<'_>) -> Vec<u8> {
    let inputs = evaluate::network_inputs(&set.images, view.input()).unwrap();
    let narrow = |index: usize| u16::try_from(index).unwrap();
    let supports: Vec<Vec<u16>> = set
        .trials
        .iter()
        .map(|trial| {
            trial
                .support
                .iter()
                .flatten()
                .copied()
                .map(narrow)
                .collect()
        })
        .collect();
    let trials: Vec<TrialRepr<'_>> = set
        .trials
        .iter()
        .zip(&supports)
        .map(|(trial, supports)| TrialRepr {
            query: narrow(trial.query),
            supports,
        })
        .collect();
    let repr = EpisodeRepr {
        image: view.input(),
        images: &inputs.concat(),
        n_way: narrow(N_WAY),
        k_shot: 1,
        trials: &trials,
    };
    let mut bytes = vec![0; repr.buffer_len().unwrap()];
    repr.emit(&mut bytes).unwrap();
    bytes
}
