//! Every refusal has a file that earns it; no bytes whatever make the reader panic.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::decide::CalibrationRepr;
use crate::model::format::{FiltersRepr, HeadRepr, LayerRepr, ModelRepr};
use crate::model::record::Layer;
use crate::net::Encoder;
use crate::ops::Operator;
use crate::ops::problem::STEP;
use crate::shape::{ShapeError, Window};

mod hostile;
mod refusals;
mod worked_example;

const PADDED: Window = Window {
    kernel: 3,
    stride: 1,
    pad: 1,
};
const HALVING: Window = Window {
    kernel: 2,
    stride: 2,
    pad: 0,
};

/// A legal model: 6×6×1 → conv 3×3 → 6×6×2 → pool → 3×3×2.
fn small_model() -> Vec<u8> {
    emit(&[1; 18], &[5, -5], &[3, 4], &[-2; 18], 7)
}

fn emit(weight: &[i8], bias: &[i32], shift: &[u8], head: &[i8], head_bias: i32) -> Vec<u8> {
    let filters = FiltersRepr {
        weight,
        bias,
        shift,
        out_exponent: 6,
    };
    let layers = [
        LayerRepr::Conv2d {
            window: PADDED,
            filters,
        },
        LayerRepr::MaxPool2d { window: HALVING },
    ];
    emit_layers(6, &layers, head, head_bias)
}

fn emit_layers(side: usize, layers: &[LayerRepr<'_>], head: &[i8], head_bias: i32) -> Vec<u8> {
    emit_calibrated(side, layers, (head, head_bias), None)
}

fn emit_calibrated(
    side: usize,
    layers: &[LayerRepr<'_>],
    (head, head_bias): (&[i8], i32),
    calibration: Option<CalibrationRepr>,
) -> Vec<u8> {
    let model = ModelRepr {
        input: Hwc::new(side, side, 1),
        input_exponent: 8,
        framing: Framing::Picture,
        layers,
        head: HeadRepr {
            weight: head,
            bias: head_bias,
            logit_exponent: 12,
        },
        calibration,
        provenance: "a test",
    };
    let mut bytes = vec![0xa5; model.buffer_len()];
    model.emit(&mut bytes, |_| [7; 32]).unwrap();
    bytes
}

/// A legal model with every operator:
/// 8×8×1 → conv → 8×8×2 → depthwise → 8×8×2 → pool → 4×4×2 → 1×1 → 4×4×3 → mean → 3 → linear → 2.
fn every_operator() -> Vec<u8> {
    let filters = |weight, c_out| FiltersRepr {
        weight,
        bias: &[40, -5, 9][..c_out],
        shift: &[4, 5, 3][..c_out],
        out_exponent: 5,
    };
    let one_pixel = Window {
        kernel: 1,
        stride: 1,
        pad: 0,
    };
    let layers = [
        LayerRepr::Conv2d {
            window: PADDED,
            filters: filters(&[7; 18], 2),
        },
        LayerRepr::DepthwiseConv2d {
            window: PADDED,
            filters: filters(&[3; 18], 2),
        },
        LayerRepr::MaxPool2d { window: HALVING },
        LayerRepr::Conv2d {
            window: one_pixel,
            filters: filters(&[9, -2, 4, 5, -1, 8], 3),
        },
        LayerRepr::GlobalAveragePool { out_exponent: 7 },
        LayerRepr::Linear {
            filters: filters(&[3, 5, -2, 1, 1, 7], 2),
        },
    ];
    emit_calibrated(8, &layers, (&[-2; 2], 7), Some(example_calibration()))
}

/// Changes bytes and repairs the CRC, as a hostile writer would.
fn forge(mut bytes: Vec<u8>, at: usize, value: &[u8]) -> Vec<u8> {
    bytes[at..at + value.len()].copy_from_slice(value);
    let crc = crc32(&bytes[field::CRC.end..]);
    bytes[field::CRC].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn refusal(bytes: &[u8]) -> FormatError {
    ModelView::new_checked(bytes).expect_err("this file must be refused")
}

#[test]
fn emit_then_parse_is_identity() {
    let bytes = small_model();
    let model = ModelView::new_checked(&bytes).unwrap();
    assert_eq!(model.input(), Hwc::new(6, 6, 1));
    assert_eq!(model.layers().count(), 2);
    // Input, two rows of the convolution, the scratch of 9 taps, output of the pooling.
    assert_eq!(model.arena_len(), 36 + 24 + 100 + 18);
    assert_eq!((model.embedding_len(), model.fingerprint()), (18, [7; 16]));
    assert_eq!(model.provenance(), "a test");
    assert_eq!(model.decider().logit_exponent(), 12);
    let Some(Layer {
        operator: Operator::Conv2d(conv),
        out_exponent: 6,
    }) = model.layers().next()
    else {
        panic!("the first layer is the convolution")
    };
    let channels: Vec<_> = conv
        .filters()
        .unwrap()
        .channels()
        .map(|c| (c.weights().collect::<Vec<_>>(), c.bias, c.shift))
        .collect();
    assert_eq!(channels, [(vec![1; 9], 5, 3), (vec![1; 9], -5, 4)]);
}

#[test]
fn every_operator_is_written_read_and_run() {
    let bytes = every_operator();
    let model = ModelView::new_checked(&bytes).unwrap();
    let names: Vec<_> = model.layers().map(|layer| layer.operator.name()).collect();
    let expected = [
        "Conv2d",
        "DepthwiseConv2d",
        "MaxPool2d",
        "Pointwise",
        "GlobalAveragePool",
        "Linear",
    ];
    assert_eq!(names, expected);
    let image: Vec<u8> = (0..64).map(|pixel| pixel * 4).collect();
    let encoder = Encoder::new(model);
    let mut embedding = vec![0; 2];
    let mut arena = vec![0xa5; encoder.observed_arena_len()];
    let mut expected = image.clone();
    encoder
        .embed_observed(&image, &mut arena, &mut embedding, |_, layer, output| {
            let input = std::mem::replace(&mut expected, vec![0; output.len()]);
            layer.operator.reference(&input, &mut expected).unwrap();
            assert_eq!(output, expected);
        })
        .unwrap();
    assert_eq!(embedding, expected);
    let mut arena = vec![0xa5; model.arena_len()];
    embedding.fill(0);
    encoder.embed(&image, &mut arena, &mut embedding).unwrap();
    assert_eq!(embedding, expected);
    assert!(embedding.iter().any(|&value| value > 0 && value < 255));
}

#[test]
fn a_longer_flash_slot_is_fine() {
    let mut bytes = small_model();
    bytes.extend([0xff; 100]);
    assert!(ModelView::new_checked(&bytes).is_ok());
}

#[test]
fn truncated_at_every_byte() {
    let bytes = every_operator();
    for len in (0..bytes.len()).step_by(STEP) {
        assert!(
            matches!(refusal(&bytes[..len]), FormatError::Truncated { .. }),
            "at {len}"
        );
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let good = every_operator();
    for bit in (0..good.len() * 8).step_by(STEP) {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _ = refusal(&bytes);
    }
}

/// A hostile writer repairs the CRC: then a flipped bit is refused for what it means, or the model
/// is another legal one and runs.
#[test]
fn every_flipped_bit_behind_a_repaired_crc_is_refused_or_harmless() {
    let good = every_operator();
    let mut harmless = 0;
    for bit in (field::CRC.end * 8..good.len() * 8).step_by(STEP) {
        let flipped = good[bit / 8] ^ 1 << (bit % 8);
        let bytes = forge(good.clone(), bit / 8, &[flipped]);
        let Ok(model) = ModelView::new_checked(&bytes) else {
            continue;
        };
        harmless += 1;
        let image = vec![200; model.input().len()];
        let mut arena = vec![0; model.arena_len()];
        let mut embedding = vec![0; model.embedding_len()];
        let ran = Encoder::new(model).embed(&image, &mut arena, &mut embedding);
        assert_eq!(ran, Ok(()), "bit {bit}");
    }
    // Weights, biases, text and the fingerprint may be others; the structure may not.
    assert!(
        (100 / STEP..good.len() * 8).contains(&harmless),
        "{harmless}"
    );
}

proptest! {
    #![proptest_config(crate::ops::problem::cases(20_000))]
    /// Whatever the bytes: an error, or a model that runs.
    #[test]
    fn forged_bytes_never_panic(
        edits in prop::collection::vec((0..600_usize, any::<u8>()), 1..4),
        image in prop::collection::vec(any::<u8>(), 64),
    ) {
        let mut bytes = every_operator();
        for (at, value) in edits {
            let at = at % bytes.len();
            bytes = forge(bytes, at, &[value]);
        }
        if let Ok(model) = ModelView::new_checked(&bytes) {
            let (arena, embedding) = (model.arena_len(), model.embedding_len());
            let (mut arena, mut embedding) = (vec![0; arena], vec![0; embedding]);
            let ran = Encoder::new(model).embed(&image, &mut arena, &mut embedding);
            prop_assert_eq!(ran.is_ok(), model.input().len() == image.len());
        }
    }
}

/// Thresholds that rise by 16 for each doubling and by 64 for each rate; quantiles by 32.
fn example_calibration() -> CalibrationRepr {
    CalibrationRepr {
        draws: 20_000,
        pairs: 10_000,
        thresholds: core::array::from_fn(|row| {
            core::array::from_fn(|column| 16 * row as i32 + 64 * column as i32 - 256)
        }),
        genuine: core::array::from_fn(|i| 32 * i as i32 + 256),
    }
}
