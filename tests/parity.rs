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
use std::sync::atomic::{AtomicU64, Ordering};

use host::dataset::Drawing;
use host::engine::onnxruntime::{Level, Onnxruntime, library};
use host::engine::tract::Tract;
use host::engine::{Engine, Graph, Input, network_input};
use host::export::Bundle;
use host::quantize::exact::float_only;
use host::quantize::{INPUT_EXPONENT, QuantNet, quantize};
use host::spec::{Framing, LayerSpec, NetSpec};
use host::trials::{Trial, TrialSet, within_alphabet};
use host::untrained::untrained;
use host::verify::{Verdict, VerifyReport, first_differences, verify};
use host::{evaluate, glyphs};
use indicatif::ProgressBar;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shared::episode_file::{EpisodeRepr, TrialRepr};
use shared::quant::{ACC_LIMIT, MAX_SHIFT, bound};
use tests::run_device;
use tools::firmware::AN386;

const N_WAY: usize = 20;
const N_TRIALS: usize = 24;

/// The shipped network's shape with random weights: nothing of parity depends on training.
fn export(set: &TrialSet) -> Bundle {
    let spec = NetSpec::preset("micro").unwrap();
    let net = untrained(&spec, 7).unwrap();
    let inputs = evaluate::network_inputs(&set.images, Input::of_spec(&spec)).unwrap();
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
    let library = onnxruntime_library();
    for_each_seed("ONELOOK_NETS", 200, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let spec = random_net(&mut rng);
        let set = adversarial_trials(spec.input_side, &mut rng);
        let net = untrained(&spec, seed).unwrap();
        let inputs = evaluate::network_inputs(&set.images, Input::of_spec(&spec)).unwrap();
        let (quantized, _) = quantize(&net, &inputs).unwrap();
        let bundle = Bundle::new(&net, &quantized, "random", "no configuration").unwrap();
        let report = compare(&bundle, &set, &library);
        assert_eq!(
            report.verdict(),
            Verdict::Equal,
            "seed {seed}, {spec:?}\n{report}"
        );
    });
}

/// Operators by themselves, with weights that training would give and with weights at the edge of
/// what the certificate allows. `ONELOOK_OPERATORS` sets how many.
#[test]
fn random_operators_agree_on_adversarial_images() {
    let library = onnxruntime_library();
    let graphs = [Graph::Encoder];
    for_each_seed("ONELOOK_OPERATORS", 2000, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let spec = random_operator(&mut rng);
        let set = adversarial_trials(spec.input_side, &mut rng);
        let inputs = evaluate::network_inputs(&set.images, Input::of_spec(&spec)).unwrap();
        let net = untrained(&spec, seed).unwrap();
        let quantized = if rng.random() {
            quantize(&net, &inputs).unwrap().0
        } else {
            extreme(&spec, &mut rng)
        };
        let bundle = Bundle::new(&net, &quantized, "random", "no configuration").unwrap();
        let tract = Tract::of(&bundle, &graphs).unwrap();
        let [optimised, as_written] = [Level::All, Level::Disabled]
            .map(|level| Onnxruntime::of(&bundle, &library, level, &graphs).unwrap());
        let engines: [&dyn Engine; 3] = [&tract, &optimised, &as_written];
        let differences = first_differences(&bundle, &inputs, &engines).unwrap();
        for (engine, difference) in engines.iter().zip(differences) {
            if let Some(difference) = difference {
                panic!("seed {seed}, {}, {spec:?}: {difference}", engine.name());
            }
        }
    });
}

/// Runs `case` for as many seeds as the environment variable says, on every core.
fn for_each_seed(variable: &str, default: u64, case: impl Fn(u64) + Sync) {
    let count = std::env::var(variable).map_or(default, |count| count.parse().unwrap());
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        return;
                    }
                    case(seed);
                }
            });
        }
    });
}

/// One operator, sometimes behind a convolution that gives it more than one channel, and sometimes
/// in front of a max pooling.
fn random_operator(rng: &mut ChaCha8Rng) -> NetSpec {
    loop {
        let mut layers = Vec::new();
        if rng.random_range(0..3) > 0 {
            let kernel = rng.random_range(1..=3);
            layers.push(LayerSpec::conv(
                rng.random_range(1..=40),
                kernel,
                1,
                kernel / 2,
            ));
        }
        layers.push(random_layer(rng));
        if rng.random_range(0..4) == 0 {
            layers.push(random_pool(rng));
        }
        // Means need a power of two of pixels.
        let sides = [rng.random_range(1..=20), 1 << rng.random_range(0..=4)];
        let input_side = sides[rng.random_range(0..2)];
        let spec = NetSpec {
            input_side,
            framing: Framing::Picture,
            layers,
        };
        if float_only(&spec).is_ok_and(|refused| refused.is_empty()) {
            return spec;
        }
    }
}

/// One to five layers that fit, of every kind.
fn random_net(rng: &mut ChaCha8Rng) -> NetSpec {
    let mut spec = NetSpec {
        input_side: rng.random_range(6..=24),
        framing: Framing::Picture,
        layers: vec![],
    };
    let wanted = rng.random_range(1..=5);
    while spec.layers.len() < wanted {
        spec.layers.push(random_layer(rng));
        if !float_only(&spec).is_ok_and(|refused| refused.is_empty()) {
            spec.layers.pop();
        }
    }
    spec
}

/// Any layer: odd channels, kernels up to 11, strides up to 3, padding up to a whole kernel but one.
fn random_layer(rng: &mut ChaCha8Rng) -> LayerSpec {
    let kernel: usize = match rng.random_range(0..4) {
        0 => rng.random_range(1..=11),
        _ => rng.random_range(1..=5),
    };
    let (stride, pad) = (rng.random_range(1..=3), rng.random_range(0..kernel));
    match rng.random_range(0..8) {
        0..3 => LayerSpec::conv(rng.random_range(1..=20), kernel, stride, pad),
        3..5 => LayerSpec::depthwise(kernel, stride, pad),
        5 => random_pool(rng),
        6 => LayerSpec::linear(rng.random_range(1..=20)),
        _ => LayerSpec::GlobalAveragePool,
    }
}

fn random_pool(rng: &mut ChaCha8Rng) -> LayerSpec {
    let kernel = rng.random_range(1..=4);
    LayerSpec::MaxPool {
        kernel,
        stride: rng.random_range(1..=3),
        pad: rng.random_range(0..kernel),
    }
}

/// Weights and biases that use up the certificate, exponents anywhere.
fn extreme(spec: &NetSpec, rng: &mut ChaCha8Rng) -> QuantNet {
    let mut net = QuantNet::blank(spec).unwrap();
    let shapes = spec.shapes().unwrap();
    let mut exponent = INPUT_EXPONENT;
    for ((layer, input), spec) in net.layers.iter_mut().zip(&shapes).zip(&spec.layers) {
        layer.out_exponent = match spec {
            LayerSpec::MaxPool { .. } => exponent,
            LayerSpec::GlobalAveragePool => {
                let finest = exponent + (input.h * input.w).trailing_zeros() as u8;
                rng.random_range(exponent..=finest.min(MAX_SHIFT))
            }
            _ => rng.random_range(0..=MAX_SHIFT),
        };
        exponent = layer.out_exponent;
        if let Some(filters) = &mut layer.filters {
            let taps = filters.weight_ohwi.len() / filters.bias.len();
            let channels = filters.weight_ohwi.chunks_mut(taps);
            for ((weight, bias), shift) in channels.zip(&mut filters.bias).zip(&mut filters.shift) {
                extreme_channel(weight, bias, shift, rng);
            }
        }
    }
    net
}

fn extreme_channel(weight: &mut [i8], bias: &mut i32, shift: &mut u8, rng: &mut ChaCha8Rng) {
    let pattern = rng.random_range(0..5);
    for (tap, weight) in weight.iter_mut().enumerate() {
        *weight = match pattern {
            0 => -64,
            1 => 63,
            2 if tap.is_multiple_of(2) => 63,
            2 => -64,
            3 => rng.random_range(-64..64),
            _ => rng.random_range(-1..=1),
        };
    }
    // Up to |bias| = 2^24 - 1 - 255 Σ|w|; where the weights alone go beyond, some of them go.
    let room = |weight: &[i8]| ACC_LIMIT - 1 - bound(weight.iter().copied(), 0);
    let mut last = weight.len();
    while room(weight) < 0 {
        last -= 1;
        weight[last] = 0;
    }
    let room = room(weight) as i32;
    *bias = match rng.random_range(0..3) {
        0 => rng.random_range(-room..=room),
        1 => *[-room, room].choose(rng).unwrap(),
        _ => rng.random_range(-300..300).clamp(-room, room),
    };
    // Mostly such that outputs are neither all zero nor all full.
    let reach = bound(weight.iter().copied(), *bias)
        .max(1)
        .ilog2()
        .saturating_sub(9) as u8;
    *shift = match rng.random_range(0..4) {
        0 => rng.random_range(0..=MAX_SHIFT),
        _ => reach + rng.random_range(0..3),
    };
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
        image(&|_, rng| if rng.random() { 255 } else { 0 }),
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
    fs::write(folder.path().join("model.onelook"), bundle.model().unwrap()).unwrap();
    fs::write(folder.path().join("trials.bin"), trials_file(&set, &view)).unwrap();

    let output = run_device(AN386, folder.path()).unwrap();
    let lines: Vec<&str> = output.stdout.lines().skip(1).collect();
    assert_eq!(lines.len(), N_TRIALS);
    let shared = host::engine::shared::Shared::new(view);
    let decisions = evaluate::evaluate(&set, &shared).unwrap().mean.decisions;
    for (index, (line, trial)) in lines.iter().zip(&set.trials).enumerate() {
        let embed = |image: usize| {
            let input = network_input(&set.images[image], Input::of(&view)).unwrap();
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
    let inputs = evaluate::network_inputs(&set.images, Input::of(view)).unwrap();
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
