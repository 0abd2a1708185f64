//! Each reason to refuse a file has a file that earns it.

use super::*;

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
        (field::FRAMING, &[3], Field::Framing),
        (field::FRAMING, &[0], Field::Framing),
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
        (layer(0, field::layer::OPERATOR), 6, 0, Field::Operator),
        (layer(0, field::layer::OPERATOR), 0, 0, Field::Operator),
        (layer(0, field::layer::KERNEL), 12, 0, Field::Kernel),
        (layer(0, field::layer::STRIDE), 12, 0, Field::Kernel),
        (layer(0, field::layer::OPERATOR), 4, 0, Field::Kernel),
        (layer(0, field::layer::C_OUT), 0, 0, Field::COut),
        (layer(0, field::layer::OPERATOR), 3, 0, Field::COut),
        (
            layer(0, field::layer::OUT_EXPONENT),
            24,
            0,
            Field::OutExponent,
        ),
        (layer(1, field::layer::C_OUT), 3, 1, Field::COut),
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
}

#[test]
fn shapes_places_and_the_arena_are_checked() {
    let good = small_model;
    let layer = |index: usize, field: Range<usize>| {
        field::HEADER_LEN + index * field::layer::LEN + field.start
    };
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
    for (at, name) in [
        (layer(0, field::layer::WEIGHT), "weights"),
        (layer(0, field::layer::BIAS), "biases"),
        (layer(0, field::layer::SHIFT), "shifts"),
        (field::HEAD_WEIGHT.start, "head"),
        (field::PROVENANCE.start, "text"),
    ] {
        // One byte further: neither aligned nor behind the section before it.
        let misaligned = forge(good(), at, &[good()[at] + 1]);
        let refused = refusal(&misaligned);
        assert!(matches!(refused, FormatError::Offset { .. }), "{name}");
    }
    for (got, value) in [(177, 177), (179, 179)] {
        let arena = forge(good(), field::ARENA_LEN.start, &[value]);
        let expected = 178;
        assert_eq!(refusal(&arena), FormatError::Arena { expected, got });
    }
    let mean = LayerRepr::GlobalAveragePool { out_exponent: 8 };
    let odd = emit_layers(3, &[mean], &[-2], 0);
    let error = ShapeError::Average {
        pixels: 9,
        finer: 0,
    };
    assert_eq!(refusal(&odd), FormatError::Shape { layer: 0, error });
    let coarser = emit_layers(
        4,
        &[LayerRepr::GlobalAveragePool { out_exponent: 7 }],
        &[-2],
        0,
    );
    let field = Field::OutExponent;
    assert_eq!(refusal(&coarser), FormatError::Layer { layer: 0, field });
    let mut text = good();
    let end = text.len();
    text = forge(text, end - 4, &[0xff]);
    // Nothing is computed from the text.
    assert_eq!(ModelView::new_checked(&text).unwrap().provenance(), "");
}

#[test]
fn uncertified_models_are_refused() {
    for got in [65, 127, -65, -127, -128] {
        let mut weight = [1; 18];
        weight[9] = got;
        let bytes = emit(&weight, &[5, -5], &[3, 4], &[-2; 18], 7);
        let reason = CertificateError::Weight { got };
        let refused = FormatError::Uncertified {
            layer: Some(0),
            channel: 1,
            reason,
        };
        assert_eq!(refusal(&bytes), refused);
    }
    // The weights of a depthwise channel are not neighbours.
    let mut weight = [1; 18];
    weight[17] = 100;
    let filters = FiltersRepr {
        weight: &weight,
        bias: &[0; 2],
        shift: &[3; 2],
        out_exponent: 6,
    };
    let first = FiltersRepr {
        weight: &[1; 2],
        ..filters
    };
    let layers = [
        LayerRepr::Conv2d {
            window: Window {
                kernel: 1,
                stride: 1,
                pad: 0,
            },
            filters: first,
        },
        LayerRepr::DepthwiseConv2d {
            window: PADDED,
            filters,
        },
    ];
    let refused = FormatError::Uncertified {
        layer: Some(1),
        channel: 1,
        reason: CertificateError::Weight { got: 100 },
    };
    assert_eq!(refusal(&emit_layers(3, &layers, &[0; 18], 0)), refused);
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
