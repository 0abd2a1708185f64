//! A model file of any bytes.
//!
//! What is accepted keeps every promise of `shared/FORMAT.md`: it runs, every layer's kernel gives
//! the bits of its specification, and no sum can leave 24 bits.

use shared::decide::Policy;
use shared::model::ModelView;
use shared::net::Encoder;
use shared::ops::Operator;

use crate::source::stretch;

/// Work of one model, in multiplications and bytes; what costs more is parsed but not run.
const MAX_COST: u64 = 8_000;

/// The target.
pub fn run(bytes: &[u8]) {
    if let Ok(model) = ModelView::new_checked(bytes) {
        keeps_its_promises(&model);
    }
}

/// Runs an accepted model on inputs derived from its bytes; panics when a promise does not hold.
pub fn keeps_its_promises(model: &ModelView<'_>) {
    let mut shape = model.input();
    let mut cost = Encoder::new(*model).observed_arena_len() as u64;
    for layer in model.layers() {
        let operator = &layer.operator;
        assert_eq!(operator.input(), shape, "a layer reads what is before it");
        shape = operator.output();
        let bound = operator.filters().map_or(0, |filters| filters.bound());
        assert!(bound < 1 << 24, "an accepted sum can reach {bound}");
        cost = cost.saturating_add(work(operator));
    }
    assert_eq!(shape.len(), model.embedding_len());
    assert!(model.layers().count() > 0);
    if cost > MAX_COST {
        return;
    }
    let noise = stretch(model.bytes(), model.input().len());
    let first = embed(model, &noise);
    let second = embed(model, &vec![255; noise.len()]);
    same_logit_as_the_formula(model, &first, &second);
    thresholds_rise(model);
}

/// Multiplications, or comparisons, of one run of the specification.
fn work(operator: &Operator<'_>) -> u64 {
    let per_output = match operator {
        Operator::MaxPool2d(pool) => pool.window().kernel.pow(2) as u64,
        Operator::GlobalAveragePool(_) => (operator.input().h * operator.input().w) as u64,
        _ => 0,
    };
    let outputs = operator.output().len() as u64;
    operator
        .macs()
        .saturating_add(outputs.saturating_mul(per_output + 1))
}

/// The embedding: layer by layer, each compared with its specification, and as a device runs it.
fn embed(model: &ModelView<'_>, image: &[u8]) -> Vec<u8> {
    let encoder = Encoder::new(*model);
    let mut arena = vec![0xa5; encoder.observed_arena_len()];
    let mut embedding = vec![0x5a; model.embedding_len()];
    let mut expected = image.to_vec();
    let ran = encoder.embed_observed(image, &mut arena, &mut embedding, |index, layer, output| {
        let input = std::mem::replace(&mut expected, vec![0; output.len()]);
        let specified = layer.operator.reference(&input, &mut expected);
        assert_eq!(specified, Ok(()), "layer {index}");
        assert!(output == expected, "layer {index}: kernel != reference");
    });
    assert_eq!(ran, Ok(()), "an accepted model runs");
    assert!(embedding == expected, "the embedding is the last output");
    embedding.fill(0x5a);
    let mut arena = vec![0xa5; model.arena_len()];
    let ran = encoder.embed(image, &mut arena, &mut embedding);
    assert_eq!(ran, Ok(()), "an accepted model runs in its arena");
    assert!(
        embedding == expected,
        "two layers in one give the same bits"
    );
    embedding
}

/// More classes or a smaller rate never lower the threshold, and the expected accepts are a share.
fn thresholds_rise(model: &ModelView<'_>) {
    for far_ppm in [0, 1, 5_000, 10_000, 77_777, u32::MAX] {
        let at = |classes, far_ppm| {
            model
                .thresholds()
                .at(classes, None, Policy { far_ppm, offset: 0 })
        };
        for classes in 0..70 {
            let threshold = at(classes, far_ppm);
            assert!(threshold <= at(classes + 1, far_ppm));
            assert!(far_ppm == 0 || threshold >= at(classes, far_ppm.saturating_mul(3)));
            if let Some(calibration) = model.calibration() {
                assert!(calibration.expected_accepts_permille(threshold) <= 1000);
            }
        }
    }
}

/// The head, read from the file by the offsets in `FORMAT.md` and computed without limits.
fn same_logit_as_the_formula(model: &ModelView<'_>, a: &[u8], b: &[u8]) {
    let word = |at: usize| {
        let bytes = model
            .bytes()
            .get(at..at + 4)
            .and_then(|b| b.try_into().ok());
        u32::from_le_bytes(bytes.unwrap_or_default())
    };
    let weights = model.bytes().get(word(48) as usize..).unwrap_or(&[]);
    let terms = a.iter().zip(b).zip(weights);
    let terms = terms.map(|((&a, &b), &w)| i64::from(a.abs_diff(b)) * i64::from(w as i8));
    let expected = i64::from(word(52) as i32) + terms.sum::<i64>();
    let (decider, wrong) = (model.decider(), "the head");
    assert_eq!(decider.logit(a, b).map(i64::from), Ok(expected), "{wrong}");
    assert_eq!(decider.logit(b, a).map(i64::from), Ok(expected), "{wrong}");
    assert!(expected.abs() < 1 << 24, "a logit of {expected}");
    let probability = decider.probability(expected as i32);
    assert!((0.0..=1.0).contains(&probability), "{probability}");
}
