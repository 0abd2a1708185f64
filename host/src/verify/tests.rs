//! Engines on tiny random networks: equal when they must be, and a fault is found where it is.

use std::sync::Arc;

use super::*;
use crate::dataset::Drawing;
use crate::engine::Input;
use crate::engine::onnxruntime::{LIBRARY, Level, Onnxruntime, library};
use crate::engine::tract::Tract;
use crate::quantize::{QuantNet, quantize};
use crate::spec::{Framing, LayerSpec, NetSpec};
use crate::untrained::untrained;

fn conv(c_out: usize, stride: usize) -> LayerSpec {
    LayerSpec::conv(c_out, 3, stride, 1)
}

const POOL: LayerSpec = LayerSpec::max_pool(2, 2);

/// Shapes that catch mixed-up axes: no two extents alike, a single channel, an odd kernel, and an
/// embedding with several rows, columns and channels.
fn specs() -> [NetSpec; 5] {
    let five = LayerSpec::conv(4, 5, 1, 2);
    let one = LayerSpec::conv(1, 1, 1, 0);
    let overlapping = LayerSpec::MaxPool {
        kernel: 3,
        stride: 2,
        pad: 1,
    };
    [
        NetSpec {
            input_side: 16,
            framing: Framing::Picture,
            layers: vec![conv(6, 2), conv(7, 1), POOL, conv(5, 1)],
        },
        NetSpec {
            input_side: 9,
            framing: Framing::Picture,
            layers: vec![five, POOL, one, conv(3, 1)],
        },
        NetSpec {
            input_side: 12,
            framing: Framing::Picture,
            layers: vec![POOL, conv(8, 1), POOL],
        },
        NetSpec {
            input_side: 16,
            framing: Framing::Picture,
            layers: vec![
                conv(6, 2),
                LayerSpec::depthwise(3, 1, 1),
                overlapping,
                conv(5, 1),
                LayerSpec::GlobalAveragePool,
                LayerSpec::linear(7),
            ],
        },
        NetSpec {
            input_side: 11,
            framing: Framing::Picture,
            layers: vec![
                LayerSpec::conv(3, 11, 1, 5),
                LayerSpec::depthwise(5, 2, 4),
                LayerSpec::linear(12),
                LayerSpec::linear(9),
            ],
        },
    ]
}

fn drawings(count: usize) -> Vec<Arc<Drawing>> {
    let drawing = |index: usize| {
        let pixel = |at: usize| {
            let (y, x) = (at / 21, at % 21);
            u8::from((x * (index + 2) / 3 + y * (index % 5 + 1)) % 7 < 2) * 255
        };
        Arc::new(Drawing {
            h: 23,
            w: 21,
            ink: (0..23 * 21).map(pixel).collect(),
        })
    };
    (0..count).map(drawing).collect()
}

/// `trials` 5-way decisions with two shots per class.
fn trial_set(trials: usize) -> TrialSet {
    let trial = |index: usize| Trial {
        support: (0..5)
            .map(|class| vec![(index + class) % 31, (index + 3 * class + 7) % 31])
            .collect(),
        query: (index * 11 + 5) % 31,
        answer: index % 5,
    };
    TrialSet {
        protocol: "made up".to_owned(),
        images: drawings(31),
        trials: (0..trials).map(trial).collect(),
    }
}

fn export(spec: &NetSpec, seed: u64) -> (RunFiles, QuantNet) {
    let float = untrained(spec, seed).unwrap();
    let set = trial_set(1);
    let calibration = network_inputs(&set.images, Input::of_spec(spec)).unwrap();
    let (quantized, _) = quantize(&float, &calibration).unwrap();
    let bundle = RunFiles::new(&float, &quantized, "a test", "00").unwrap();
    (bundle, quantized)
}

fn run(files: &RunFiles, trials: usize, engines: &[&dyn Engine]) -> VerifyReport {
    verify(files, &trial_set(trials), engines, &ProgressBar::hidden()).unwrap()
}

fn assert_equal(report: &VerifyReport) {
    assert_eq!(report.verdict(), Verdict::Equal, "{report:#?}");
}

#[test]
fn tract_equals_shared() {
    for (seed, spec) in (1..).zip(&specs()) {
        let (files, _) = export(spec, seed);
        let report = run(&files, 9, &[&Tract::new(&files).unwrap()]);
        assert_equal(&report);
        assert_eq!((report.pairs, report.images, report.trials), (90, 31, 9));
    }
}

#[test]
fn onnxruntime_equals_shared() {
    let Some(library) = library() else {
        eprintln!("SKIPPED: onnxruntime_equals_shared, because {LIBRARY} is not set");
        return;
    };
    for (seed, spec) in (1..).zip(&specs()) {
        let (files, _) = export(spec, seed);
        let all = Onnxruntime::new(&files, &library, Level::All).unwrap();
        let disabled = Onnxruntime::new(&files, &library, Level::Disabled).unwrap();
        assert_equal(&run(&files, 9, &[&all, &disabled]));
    }
}

#[test]
fn a_missing_onnxruntime_is_named() {
    let (files, _) = export(&specs()[0], 1);
    let missing = std::path::Path::new("/nowhere/libonnxruntime.so");
    let error = Onnxruntime::new(&files, missing, Level::All).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("/nowhere/libonnxruntime.so: there is no such file"),
        "{error}"
    );
}

/// The sums of one channel are off by one unit of its output in the ONNX files.
#[test]
fn a_fault_is_located() {
    let (files, mut quantized) = export(&specs()[0], 4);
    let filters = quantized.layers[1].filters.as_mut().unwrap();
    filters.bias[3] += 1 << filters.shift[3];
    let faulty = files.with_int8_of(&quantized);
    let report = run(&faulty, 2, &[&Tract::new(&faulty).unwrap()]);
    assert_eq!(report.verdict(), Verdict::Different);
    let engine = &report.engines[0];
    assert!(
        engine.differing_embeddings > 0 && engine.differing_logits > 0,
        "{engine:?}"
    );
    let layer = engine
        .first_difference
        .as_ref()
        .unwrap()
        .layer
        .as_ref()
        .unwrap();
    assert_eq!(
        (layer.layer, layer.operator.as_str(), layer.channel),
        (1, "Conv2d", 3)
    );
    assert_eq!(layer.got, f32::from(layer.expected) + 1.0);
}

#[test]
fn a_fault_in_the_head_is_in_no_layer() {
    let (files, mut quantized) = export(&specs()[0], 5);
    quantized.head.bias += 1;
    let faulty = files.with_int8_of(&quantized);
    let report = run(&faulty, 2, &[&Tract::new(&faulty).unwrap()]);
    assert_eq!(report.verdict(), Verdict::Different);
    let engine = &report.engines[0];
    assert_eq!(
        (engine.differing_embeddings, engine.differing_logits),
        (0, report.pairs)
    );
    let difference = engine.first_difference.as_ref().unwrap();
    assert!(difference.layer.is_none() && difference.logits.is_some());
}

#[test]
fn nothing_compared_is_not_equal() {
    let (files, _) = export(&specs()[0], 6);
    assert_eq!(run(&files, 1, &[]).verdict(), Verdict::Different);
}

#[test]
fn not_a_number_is_the_largest_error() {
    assert!(largest([0.5, f64::NAN, 1.0].into_iter()).is_nan());
    assert_eq!(largest([0.5, -2.0].into_iter()), 2.0);
}

/// tract gives the logits of `shared`; another network's are noticed.
#[test]
fn float_networks_are_compared() {
    let linear = LayerSpec::Linear {
        c_out: 20,
        norm: crate::spec::Norm::None,
        activation: crate::spec::Activation::Sigmoid,
    };
    let spec = NetSpec {
        input_side: 16,
        framing: Framing::Picture,
        layers: vec![conv(6, 2), POOL, linear],
    };
    let net = untrained(&spec, 1).unwrap();
    let bundle = RunFiles::of_float(&net, "", "").unwrap();
    let data = crate::glyphs::synthetic(5, "evaluation", 2, 8);
    let set = crate::trials::within_alphabet(&data, 5, 1, 20, 1).unwrap();
    let case = float::FloatCase::new(&net, &set).unwrap();
    let graphs = [
        crate::engine::Graph::FloatEncoder,
        crate::engine::Graph::FloatPair,
    ];
    let tract = Tract::of(&bundle, &graphs).unwrap();
    let encoder = crate::engine::graph::FloatGraphEncoder::new(&tract, &net).unwrap();
    let mut report = case.report(&bundle);
    assert_eq!(report.verdict(), Verdict::Different, "nothing was compared");
    report.float.push(case.compare(&encoder).unwrap());
    let pairs = case.pair_graph(&tract, &indicatif::ProgressBar::hidden());
    report.float.push(pairs.unwrap());
    assert_eq!(
        (report.pairs, report.verdict()),
        (100, Verdict::Equal),
        "{report}"
    );
    assert!(report.to_string().contains("within the tolerance"));

    let other = untrained(&spec, 2).unwrap();
    let wrong = case.compare(&Float::new(&other).unwrap()).unwrap();
    assert!(
        !wrong.equal() && wrong.differing_decisions != Some(0),
        "{wrong}"
    );
    // The same decisions by other logits are no agreement either.
    let mut shifted = net.clone();
    shifted.head.bias += 0.01;
    let wrong = case.compare(&Float::new(&shifted).unwrap()).unwrap();
    assert!(
        !wrong.equal() && wrong.differing_decisions == Some(0),
        "{wrong}"
    );
}
