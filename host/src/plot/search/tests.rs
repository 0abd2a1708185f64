//! The figure of a made-up search.

use super::*;
use crate::plot::canvas::{png, svg};
use crate::search::space::Space;
use crate::search::study::{Event, Score, tests::settings};

#[test]
fn every_trial_and_parameter_is_there() {
    let mut settings = settings(&[10, 30], 2);
    let parameter = |field: &str, range| Parameter {
        field: field.to_owned(),
        range,
    };
    let values = ["he", "koch"]
        .map(|word| Value::Word(word.to_owned()))
        .into();
    settings.space = Space {
        parameters: vec![
            parameter(
                "train.learning_rate",
                Range::Log {
                    low: 1e-4,
                    high: 1e-1,
                },
            ),
            parameter(
                "network.layers[0].c_out",
                Range::Integer {
                    low: 16,
                    high: 64,
                    step: 16,
                },
            ),
            parameter("pairs.init", Range::Choice { values }),
            parameter(
                "train.dropout",
                Range::Linear {
                    low: 0.0,
                    high: 0.5,
                },
            ),
        ],
    };
    let mut study = Study::new(settings);
    let empty = svg(&SearchFigure { study: &study }).unwrap();
    roxmltree::Document::parse(&empty).unwrap();
    for trial in 0..5 {
        let values = vec![
            Value::Real(1e-3),
            Value::Whole(32),
            Value::Word("koch".to_owned()),
            Value::Real(0.1),
        ];
        study.follow(Event::Proposed { trial, values }).unwrap();
        let accuracy = 0.1 * trial as f64;
        let score = Score {
            step: 10,
            accuracy,
            standard_error: 0.01,
            seconds: 1.0,
        };
        study
            .follow(Event::Scored {
                trial,
                rung: 0,
                score,
            })
            .unwrap();
    }
    let text = svg(&SearchFigure { study: &study }).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    // One in the legend, and each trial in every panel.
    let circles = document
        .descendants()
        .filter(|node| node.has_tag_name("circle"));
    assert_eq!(circles.count(), 1 + 5 * 5);
    for words in [
        "learning_rate",
        "c_out",
        "he",
        "koch",
        "1e-3",
        "finished after 30 steps",
    ] {
        assert!(text.contains(words), "{words}");
    }
    assert!(png(&SearchFigure { study: &study }).unwrap().len() > 1000);
}
