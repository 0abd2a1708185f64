//! Every figure of small synthetic inputs, in both formats.

use shared::model::ModelView;

use super::accuracy::{self, AccuracyFigure, Protocol, Series};
use super::alphabets::AlphabetSheet;
use super::canvas::{Figure, png, svg};
use super::errors::{Gallery, Row};
use super::page::{Shown, html, mention};
use super::record::{self, Folder, Kind, Numbers};
use super::tasks::{Task, TaskSheet};
use super::threshold::{self, ThresholdFigure};
use super::training::{self, TrainingFigure};
use super::*;
use crate::dataset::Dataset;
use crate::engine::shared::Shared;
use crate::evaluate::alphabets::Catalogue;
use crate::evaluate::confusions::confusions;
use crate::evaluate::evaluate;
use crate::glyphs;
use crate::metrics::Metrics;
use crate::quantize::QuantNet;
use crate::report::Report;
use crate::spec::NetSpec;
use crate::trials::within_alphabet;

fn data(half: &str) -> Dataset {
    glyphs::synthetic(3, half, 3, 10)
}

/// A network that says the same of every pair: quick, and wrong nearly always.
fn model(calibrated: bool) -> Vec<u8> {
    let mut net = QuantNet::blank(&NetSpec::preset("nano").unwrap()).unwrap();
    // A blank network comes with a calibration.
    if !calibrated {
        net.calibration = None;
    }
    net.to_model_bytes("").unwrap()
}

fn metrics(averaged: bool) -> Vec<Metrics> {
    let line = |step: usize| Metrics {
        step: 100 * step,
        loss: 3.0 / step as f64,
        learning_rate: 0.001,
        validation_accuracy: 0.5 + 0.05 * step as f64,
        validation_standard_error: 0.01,
        unaveraged_accuracy: averaged.then_some(0.5),
        seconds: step as f64,
        images_per_second: 100.0,
    };
    (1..=4).map(line).collect()
}

/// Whether the SVG is XML and has all these texts; whether the PNG has ink.
fn renders(figure: &impl Figure, texts: &[&str]) {
    let drawn = svg(figure).unwrap();
    let tree = roxmltree::Document::parse(&drawn).unwrap();
    let found: Vec<&str> = tree.descendants().filter_map(|node| node.text()).collect();
    for text in texts {
        assert!(
            found.iter().any(|found| found.contains(text)),
            "{text}: {found:?}"
        );
    }
    assert!(found.contains(&figure.title().as_str()));
    has_ink(&png(figure).unwrap(), figure.size().map(|units| 2 * units));
}

fn has_ink(bytes: &[u8], [w, h]: [u32; 2]) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert_eq!((reader.info().width, reader.info().height), (w, h));
    let dark = pixels.iter().filter(|&&value| value < 100).count();
    let white = pixels.iter().filter(|&&value| value == 255).count();
    assert!(
        dark > 500 && white > pixels.len() / 2,
        "{dark} dark, {white} white"
    );
}

#[test]
fn accuracy_has_four_curves_and_both_protocols() {
    let bytes = model(false);
    let view = ModelView::new_checked(&bytes).unwrap();
    let data = [&data("evaluation"), &data("background")];
    let figures = accuracy::measure(&Shared::new(view), data, 30, 1).unwrap();
    for (protocol, rows) in &figures {
        // Ten characters in an alphabet, thirty in all.
        let n_ways = if *protocol == Protocol::Within { 5 } else { 9 };
        assert_eq!(rows.len(), 4 * n_ways);
        let chance = |row: &accuracy::Row| (row.accuracy - 1.0 / row.n_way as f64).abs() < 1e-12;
        assert!(
            rows.iter()
                .filter(|row| row.series == Series::Chance)
                .all(chance)
        );
        let figure = AccuracyFigure {
            protocol: *protocol,
            rows,
            trials: 30,
            trained_here: true,
        };
        let axes = ["N, classes to choose from", "accuracy (%)"];
        renders(&figure, &axes);
        renders(
            &figure,
            &[
                "trained on",
                "evaluation",
                "pixels",
                "chance",
                protocol.name(),
            ],
        );
        let table = csv(rows).unwrap();
        let header = "protocol,series,n_way,alphabets,correct,trials,accuracy,standard_error\n";
        assert!(table.starts_with(header), "{table}");
        assert_eq!(table.lines().count(), rows.len() + 1);
    }
}

#[test]
fn training_shows_the_average_where_there_is_one() {
    for averaged in [false, true] {
        let rows = training::rows(&metrics(averaged));
        let figure = TrainingFigure { rows: &rows };
        renders(
            &figure,
            &[
                "accuracy (%)",
                "training loss",
                "learning rate",
                "optimizer step",
            ],
        );
        let drawn = svg(&figure).unwrap();
        assert_eq!(drawn.contains("weights of the step itself"), averaged);
        let table = csv(&rows).unwrap();
        assert!(
            table.starts_with("step,seconds,validation_accuracy,"),
            "{table}"
        );
    }
    let first = training::rows(&metrics(false)[..1]);
    renders(&TrainingFigure { rows: &first }, &["training loss"]);
}

#[test]
fn threshold_needs_a_calibration_and_shows_the_shipped_point() {
    let evaluation = glyphs::synthetic(3, "evaluation", 3, 22);
    let bytes = model(false);
    let view = ModelView::new_checked(&bytes).unwrap();
    let refused = threshold::measure(view, &evaluation, 20, 1).unwrap_err();
    assert!(refused.to_string().contains("onelook export"), "{refused}");
    let bytes = model(true);
    let view = ModelView::new_checked(&bytes).unwrap();
    let rows = threshold::measure(view, &evaluation, 20, 1).unwrap();
    assert_eq!(rows.iter().filter(|row| row.shipped).count(), 4);
    renders(
        &ThresholdFigure { rows: &rows },
        &["false accepts: ", "true accepts: ", "shipped"],
    );
    assert!(
        csv(&rows)
            .unwrap()
            .starts_with("n_way,unknown,shipped,threshold,false_accepts,")
    );
}

#[test]
fn sheets_show_drawings() {
    let bytes = model(false);
    let view = ModelView::new_checked(&bytes).unwrap();
    let evaluation = data("evaluation");
    let mut task = Task::draw(&evaluation, 9, 1).unwrap();
    let alone = ["9-way one-shot task", "query", "green: the right class"];
    renders(&TaskSheet::of(&task), &alone);
    assert!(!json(&task).unwrap().contains("probabilities"));
    task.ask(view).unwrap();
    let asked = ["9-way one-shot task", "query", "probability of the"];
    renders(&TaskSheet::of(&task), &asked);
    assert!(json(&task).unwrap().contains("\"probabilities\""));
    assert!(matches!(
        Task::draw(&evaluation, 25, 1),
        Err(PlotError::Trials(_))
    ));
    let alphabet = &evaluation.alphabets[0];
    let sheet = AlphabetSheet {
        alphabet,
        drawer: 0,
    };
    renders(&sheet, &["10 characters by drawer 1"]);
    assert!(
        csv(&sheet.rows())
            .unwrap()
            .starts_with("number,alphabet,character,drawer\n1,")
    );
    let set = within_alphabet(&evaluation, 5, 1, 20, 1).unwrap();
    let decided = evaluate(&set, &Shared::new(view)).unwrap().device;
    let catalogue = Catalogue::of(&evaluation);
    let confusions = confusions(&set, "shared", &decided, &catalogue, 9);
    assert!(!confusions.is_empty());
    let gallery = Gallery {
        set: &set,
        wrong: 20 - decided.accuracy.correct,
        confusions: &confusions,
    };
    renders(
        &gallery,
        &["wrong decisions in 20 trials", "taken for", "chosen"],
    );
    let rows: Vec<Row<'_>> = confusions.iter().map(Row::from).collect();
    assert!(
        csv(&rows)
            .unwrap()
            .starts_with("trial,alphabet,character,chosen_alphabet,")
    );
}

const REPORT: &str = r#"{"name":"a<b","version":"0","config_hash":"c","network":{"preset":"nano",
"parameters":1234567,"macs":1,"model_bytes":2,"arena_bytes":3,"embedding_bytes":4},"training":null,
"accuracy":[{"protocol":"p","engine":"shared","accuracy":{"correct":1,"trials":2,"mean":0.5,
"standard_error":0.35,"interval95":[0.1,0.9]},"ties":null}],
"quantization":{"images":1,"layers":[],"head_exponent":1,"logit_exponent":1,
"certificate":{"bound":1,"place":"head","channel":0}},"stages":[],
"parity":{"model_sha256":"m","protocol":"p","trials":1,"images":2,"pairs":1,"seconds_shared":0.1,
"engines":[],"float":[]},"new_field":1}"#;

/// The page holds its figures, and asks for no other file.
#[test]
fn a_page_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let missing = Report::read(at).unwrap_err().to_string();
    assert!(
        missing.contains("report.json") && missing.contains("onelook export"),
        "{missing}"
    );
    std::fs::write(at.join("report.json"), REPORT).unwrap();
    let report = Report::read(at).unwrap();
    let mut records = record::read(at).unwrap();
    assert!(records.is_empty());
    let place = Folder {
        path: at,
        model_sha256: Some("m".to_owned()),
    };
    let rows = training::rows(&metrics(true));
    let numbers = Numbers::Csv(csv(&rows).unwrap());
    let drawn = place.write(
        Kind::Training,
        "training",
        &TrainingFigure { rows: &rows },
        &numbers,
        "How.".to_owned(),
    );
    record::replace(at, &mut records, Kind::Training, vec![drawn.unwrap()]).unwrap();
    let evaluation = data("evaluation");
    let sheet = AlphabetSheet {
        alphabet: &evaluation.alphabets[0],
        drawer: 0,
    };
    let drawn = place.write(Kind::Alphabets, "alphabet", &sheet, &numbers, String::new());
    record::replace(at, &mut records, Kind::Alphabets, vec![drawn.unwrap()]).unwrap();
    assert_eq!(record::read(at).unwrap(), records);
    let shown = records
        .iter()
        .map(|record| Shown::read(at, record.clone()).unwrap());
    let page = html(&report, &shown.collect::<Vec<_>>());
    for text in [
        "<h1>a&lt;b</h1>",
        "1,234,567",
        "<svg",
        "data:image/png;base64,",
        "How.",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("src=\"http") && !page.contains("<script") && !page.contains("<link"));
    let once = mention("# a\n", "plots", &records);
    assert!(once.contains("(plots/training.png)"), "{once}");
    assert_eq!(mention(&once, "plots", &records), once);
}
