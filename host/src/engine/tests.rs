//! Inputs reach engines as they should.

use super::*;

#[test]
fn drawings_are_resampled_to_the_input() {
    let drawing = Drawing {
        h: 4,
        w: 2,
        ink: vec![255, 255, 255, 255, 0, 0, 0, 0],
    };
    assert_eq!(network_input(&drawing, Hwc::new(2, 1, 1)), Ok(vec![255, 0]));
    let damaged = Drawing {
        h: 4,
        w: 3,
        ..drawing
    };
    assert!(network_input(&damaged, Hwc::new(2, 1, 1)).is_err());
}

/// Answers with its inputs: the sums over each image as logit and probability.
struct Sums;

impl Engine for Sums {
    fn name(&self) -> &str {
        "sums"
    }

    fn run(&self, _: Graph, n: usize, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EngineError> {
        let sums = |input: &Vec<f32>| {
            input
                .chunks(input.len() / n)
                .map(|image| image.iter().sum())
                .collect()
        };
        Ok(inputs.iter().map(sums).collect())
    }
}

#[test]
fn batches_keep_the_order_of_pairs() {
    let images: Vec<Vec<u8>> = (0..50).map(|image| vec![image, 0, image]).collect();
    let pairs: Vec<[usize; 2]> = (0..BATCH * 3 + 1).map(|i| [i % 50, (i * 7) % 50]).collect();
    let progress = ProgressBar::hidden();
    let outputs = run_pairs(&Sums, Graph::Int8Pair, &images, &pairs, &progress).unwrap();
    for (output, [a, b]) in outputs.iter().zip(&pairs) {
        assert_eq!(output.logit, *a as f32 / 128.0);
        assert_eq!(output.probability, *b as f32 / 128.0);
    }
    assert_eq!(
        (outputs.len(), progress.position()),
        (pairs.len(), pairs.len() as u64)
    );
    let embeddings = run_encoder(&Sums, &images, &progress).unwrap();
    assert_eq!(embeddings[49], [49.0 / 128.0]);
}
