//! Inputs reach engines as they should.

use super::*;

#[test]
fn drawings_are_resampled_to_the_input() {
    let drawing = Drawing {
        h: 4,
        w: 2,
        ink: vec![255, 255, 255, 255, 0, 0, 0, 0],
    };
    let input = Input {
        shape: Hwc::new(2, 1, 1),
        framing: Framing::Picture,
    };
    assert_eq!(network_input(&drawing, input), Ok(vec![255, 0]));
    let damaged = Drawing {
        h: 4,
        w: 3,
        ..drawing
    };
    assert!(network_input(&damaged, input).is_err());
}

/// Answers with the sum over each input.
struct Sums;

impl Engine for Sums {
    fn name(&self) -> &str {
        "sums"
    }

    fn run(&self, _: Graph, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EngineError> {
        Ok(inputs
            .iter()
            .map(|image| vec![image.iter().sum()])
            .collect())
    }
}

#[test]
fn pairs_keep_their_order() {
    let images: Vec<Vec<u8>> = (0..50).map(|image| vec![image, 0, image]).collect();
    let pairs: Vec<[usize; 2]> = (0..100).map(|i| [i % 50, (i * 7) % 50]).collect();
    let progress = ProgressBar::hidden();
    let outputs = run_pairs(&Sums, Graph::Int8Pair, &images, &pairs, &progress).unwrap();
    for (output, [a, b]) in outputs.iter().zip(&pairs) {
        assert_eq!(output.logit, *a as f32 / 128.0);
        assert_eq!(output.probability, *b as f32 / 128.0);
    }
    assert_eq!((outputs.len(), progress.position()), (100, 100));
    let embeddings = run_encoder(&Sums, &images, &progress).unwrap();
    assert_eq!(embeddings[49], [49.0 / 128.0]);
}

/// Answers with nothing.
struct Silent;

impl Engine for Silent {
    fn name(&self) -> &str {
        "silent"
    }

    fn run(&self, _: Graph, _: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EngineError> {
        Ok(vec![vec![]])
    }
}

#[test]
fn a_wrong_answer_is_an_error() {
    let progress = ProgressBar::hidden();
    let error = run_pairs(&Silent, Graph::Int8Pair, &[vec![0]], &[[0, 0]], &progress).unwrap_err();
    let expected = "silent: a logit and a probability expected, outputs have [0] values";
    assert_eq!(error.to_string(), expected);
}
