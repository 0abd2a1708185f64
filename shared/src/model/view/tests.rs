//! Every refusal has a file that earns it; no bytes whatever make the reader panic.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::model::format::{HeadRepr, LayerRepr, ModelRepr};
use crate::net::Encoder;

/// A legal model with both operators: 6×6×1 → conv 3×3 → 6×6×2 → pool → 3×3×2.
fn small_model() -> Vec<u8> {
    emit(&[1; 18], &[5, -5], &[3, 4], &[-2; 18], 7)
}

fn emit(weight: &[i8], bias: &[i32], shift: &[u8], head: &[i8], head_bias: i32) -> Vec<u8> {
    let layers = [
        LayerRepr::Conv2d {
            window: Window {
                kernel: 3,
                stride: 1,
                pad: 1,
            },
            weight,
            bias,
            shift,
            out_exponent: 6,
        },
        LayerRepr::MaxPool2d {
            kernel: 2,
            stride: 2,
        },
    ];
    let model = ModelRepr {
        input: Hwc::new(6, 6, 1),
        input_exponent: 8,
        preprocessing: Preprocessing::ResampleArea,
        layers: &layers,
        head: HeadRepr {
            weight: head,
            bias: head_bias,
            logit_exponent: 12,
        },
        provenance: "a test",
    };
    let mut bytes = vec![0xa5; model.buffer_len()];
    model.emit(&mut bytes, |_| [7; 32]).unwrap();
    bytes
}

/// Changes bytes and repairs the CRC, as a hostile writer would.
fn forge(mut bytes: Vec<u8>, at: usize, value: &[u8]) -> Vec<u8> {
    bytes[at..at + value.len()].copy_from_slice(value);
    let crc = CRC.checksum(&bytes[field::CRC.end..]);
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
    assert_eq!(model.arena_len(), 36 + 72);
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
        .channels()
        .map(|(w, b, s)| (w.to_vec(), b, s))
        .collect();
    assert_eq!(channels, [(vec![1; 9], 5, 3), (vec![1; 9], -5, 4)]);
}

#[test]
fn a_longer_flash_slot_is_fine() {
    let mut bytes = small_model();
    bytes.extend([0xff; 100]);
    assert!(ModelView::new_checked(&bytes).is_ok());
}

#[test]
fn truncated_at_every_byte() {
    let bytes = small_model();
    for len in 0..bytes.len() {
        assert!(
            matches!(refusal(&bytes[..len]), FormatError::Truncated { .. }),
            "at {len}"
        );
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let good = small_model();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _ = refusal(&bytes);
    }
}

#[test]
fn each_refusal_has_its_file() {
    let good = small_model;
    let layer = |index: usize, field: Range<usize>| {
        field::HEADER_LEN + index * field::layer::LEN + field.start
    };
    assert!(matches!(
        refusal(&forge(good(), 0, b"ELF!")),
        FormatError::Magic { .. }
    ));
    assert_eq!(
        refusal(&forge(good(), field::VERSION.start, &[9, 0])),
        FormatError::Version { got: 9 }
    );
    let header = [
        (field::N_LAYERS, &[0, 0][..], Field::NLayers),
        (field::INPUT_C, &[2], Field::Input),
        (field::INPUT_EXPONENT, &[24], Field::InputExponent),
        (field::PREPROCESSING, &[2], Field::Preprocessing),
        (field::RESERVED, &[1], Field::Reserved),
        (field::EMBEDDING_LEN, &[17], Field::EmbeddingLen),
        (field::LOGIT_EXPONENT, &[24], Field::LogitExponent),
    ];
    for (at, value, expected) in header {
        assert_eq!(
            refusal(&forge(good(), at.start, value)),
            FormatError::Field(expected)
        );
    }
    let layers = [
        (layer(0, field::layer::OPERATOR), 3, 0, Field::Operator),
        (
            layer(0, field::layer::OUT_EXPONENT),
            24,
            0,
            Field::OutExponent,
        ),
        (layer(1, field::layer::C_OUT), 3, 1, Field::COut),
        (layer(1, field::layer::PAD), 1, 1, Field::Pad),
        (
            layer(1, field::layer::OUT_EXPONENT),
            5,
            1,
            Field::OutExponent,
        ),
        (layer(1, field::layer::WEIGHT), 4, 1, Field::Reserved),
        (layer(0, field::layer::RESERVED_8), 1, 0, Field::Reserved),
    ];
    for (at, value, layer, field) in layers {
        assert_eq!(
            refusal(&forge(good(), at, &[value])),
            FormatError::Layer { layer, field }
        );
    }
    let stuck = forge(good(), layer(0, field::layer::STRIDE), &[0]);
    assert!(matches!(
        refusal(&stuck),
        FormatError::Shape { layer: 0, .. }
    ));
    let overlap = forge(
        good(),
        layer(0, field::layer::BIAS),
        &[field::HEADER_LEN as u8],
    );
    assert!(matches!(refusal(&overlap), FormatError::Offset { .. }));
    let small_arena = forge(good(), field::ARENA_LEN.start, &[107]);
    assert_eq!(
        refusal(&small_arena),
        FormatError::Arena {
            expected: 108,
            got: 107
        }
    );
    let mut text = good();
    let end = text.len();
    text = forge(text, end - 4, &[0xff]);
    assert_eq!(refusal(&text), FormatError::Field(Field::Provenance));
}

#[test]
fn uncertified_models_are_refused() {
    let mut weight = [1; 18];
    weight[9] = 65;
    let bytes = emit(&weight, &[5, -5], &[3, 4], &[-2; 18], 7);
    let reason = CertificateError::Weight { got: 65 };
    assert_eq!(
        refusal(&bytes),
        FormatError::Uncertified {
            layer: Some(0),
            channel: 1,
            reason
        }
    );
    let bytes = emit(&[1; 18], &[1 << 24, 0], &[3, 4], &[-2; 18], 7);
    let reason = CertificateError::Bound {
        got: (1 << 24) + 255 * 9,
    };
    assert_eq!(
        refusal(&bytes),
        FormatError::Uncertified {
            layer: Some(0),
            channel: 0,
            reason
        }
    );
    let bytes = emit(&[1; 18], &[0, 0], &[3, 24], &[-2; 18], 7);
    let reason = CertificateError::Shift { got: 24 };
    assert_eq!(
        refusal(&bytes),
        FormatError::Uncertified {
            layer: Some(0),
            channel: 1,
            reason
        }
    );
    let bytes = emit(&[1; 18], &[0, 0], &[3, 4], &[-2; 18], i32::MIN);
    assert!(matches!(
        refusal(&bytes),
        FormatError::Uncertified { layer: None, .. }
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    /// Whatever the bytes: an error, or a model that runs.
    #[test]
    fn forged_bytes_never_panic(
        edits in prop::collection::vec((0..200_usize, any::<u8>()), 1..4),
        image in prop::collection::vec(any::<u8>(), 36),
    ) {
        let mut bytes = small_model();
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

/// The file of `FORMAT.md`, byte for byte: read, run and written again.
#[test]
fn worked_example_of_the_specification() {
    let page = include_str!("../../../FORMAT.md");
    let block = page
        .split("```hex")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let bytes: Vec<u8> = block
        .lines()
        .filter(|line| !line.is_empty())
        .flat_map(|line| {
            let hex = line.chars().skip(6).take(47).collect::<String>();
            let bytes = hex
                .split_whitespace()
                .map(|byte| u8::from_str_radix(byte, 16).unwrap());
            bytes.collect::<Vec<u8>>()
        })
        .collect();
    let model = ModelView::new_checked(&bytes).unwrap();
    assert_eq!(model.bytes().len(), 128);
    let image: Vec<u8> = (0..16).map(|pixel| 16 * pixel).collect();
    let (mut arena, mut embedding) = (vec![0; model.arena_len()], vec![0; 4]);
    Encoder::new(model)
        .embed(&image, &mut arena, &mut embedding)
        .unwrap();
    assert_eq!(embedding, [7, 20, 50, 80]);
    assert_eq!(model.decider().logit(&embedding, &[0; 4]), Ok(659));

    let layers = [LayerRepr::Conv2d {
        window: Window {
            kernel: 3,
            stride: 2,
            pad: 1,
        },
        weight: &[1, 2, 1, 2, 4, 2, 1, 2, 1],
        bias: &[-16],
        shift: &[5],
        out_exponent: 6,
    }];
    let repr = ModelRepr {
        input: Hwc::new(4, 4, 1),
        input_exponent: 8,
        preprocessing: Preprocessing::ResampleArea,
        layers: &layers,
        head: HeadRepr {
            weight: &[-3, -2, -2, -1],
            bias: 900,
            logit_exponent: 12,
        },
        provenance: "worked example",
    };
    let mut written = vec![0; repr.buffer_len()];
    repr.emit(&mut written, |content| Sha256::digest(content).into())
        .unwrap();
    assert_eq!(written, bytes);
}
