//! What PyTorch exported, against what PyTorch computed.

use prost::Message;
use serde_json::Value;
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{ModelProto, StringStringEntryProto};

use crate::engine::real;
use crate::float_net::{FloatHead, FloatNet};
use crate::import::fold::{Folded, Ink, Look, fold};
use crate::import::{External, ImportError, Output, external_files, parse, parse_with};
use crate::layout::hwc_to_chw;

/// White ink from 0 to 1, as the files were made for.
pub(super) const PLAIN: Look = Look {
    ink: Ink::White,
    scale: 1.0,
    shift: 0.0,
};

macro_rules! files {
    ($name:literal) => {
        [
            include_bytes!(concat!("../golden/", $name, "-dynamo.onnx")).as_slice(),
            include_bytes!(concat!("../golden/", $name, "-unoptimized.onnx")).as_slice(),
            include_bytes!(concat!("../golden/", $name, "-torchscript.onnx")).as_slice(),
        ]
    };
}

fn expected() -> Value {
    serde_json::from_str(include_str!("../golden/expected.json")).unwrap()
}

pub(super) fn numbers(value: &Value) -> Vec<f32> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap() as f32).collect()
}

/// The two images, ink 255.
fn images() -> Vec<Vec<u8>> {
    let ink = &expected()["ink"];
    let images = ink.as_array().unwrap().iter();
    images
        .map(|image| numbers(image).into_iter().map(|ink| ink as u8).collect())
        .collect()
}

/// Embedding of an image `[c][h][w]`, as the file has it but for a constant.
pub(super) fn embed(folded: &Folded, image: &[u8]) -> Vec<f32> {
    let shape = folded.spec.embedding().unwrap();
    let net = FloatNet {
        spec: folded.spec.clone(),
        filters: folded.filters.clone(),
        head: FloatHead {
            weight_hwc: vec![0.0; shape.len()],
            bias: 0.0,
        },
    };
    let embedding = net.encoder().unwrap().embed(&real(image)).unwrap();
    let embedding = hwc_to_chw(&embedding, shape)
        .into_iter()
        .zip(&folded.embedding_scale);
    embedding.map(|(value, scale)| value * scale).collect()
}

#[track_caller]
pub(super) fn close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-5, "{got} is not {expected}");
    }
}

#[test]
fn a_siamese_network_gives_pytorchs_probability() {
    let (images, expected) = (images(), expected());
    for file in files!("siamese") {
        let parsed = parse(file).unwrap();
        assert_eq!(parsed.output, Output::Probability);
        let folded = fold(parsed.image, &parsed.encoder, PLAIN).unwrap();
        let [a, b] = [embed(&folded, &images[0]), embed(&folded, &images[1])];
        let head = parsed.head.unwrap();
        let terms = a.iter().zip(&b).zip(&head.weight);
        let logit = head.bias + terms.map(|((a, b), w)| (a - b).abs() * w).sum::<f32>();
        let probability = 1.0 / (1.0 + (-logit).exp());
        close(&[probability], &numbers(&expected["siamese"][0]));
        let names: Vec<&str> = folded
            .spec
            .layers
            .iter()
            .map(|layer| layer.name())
            .collect();
        assert_eq!(
            names,
            ["conv", "depthwise", "max_pool", "conv", "depthwise"]
        );
        assert_eq!((folded.open, folded.notes.len()), (None, 0));
    }
}

/// The embedding has no ReLU behind it: what folding cut off is all that differs.
#[test]
fn an_open_embedding_is_cut_off_at_zero_and_says_so() {
    let expected = expected();
    for file in files!("encoder") {
        let parsed = parse(file).unwrap();
        assert_eq!((parsed.output, &parsed.head), (Output::Embedding, &None));
        let folded = fold(parsed.image, &parsed.encoder, PLAIN).unwrap();
        assert_eq!(folded.open, Some(folded.spec.layers.len() - 1));
        for (image, expected) in images().iter().zip(expected["encoder"].as_array().unwrap()) {
            let expected = numbers(expected);
            assert!(expected.iter().any(|&value| value < 0.0));
            let cut: Vec<f32> = expected.iter().map(|value| value.max(0.0)).collect();
            close(&embed(&folded, image), &cut);
        }
    }
}

/// Zeros around an image whose paper is not zero: a layer in front makes them zeros again.
#[test]
fn padding_behind_a_normalization_of_the_image_is_exact() {
    let expected = expected();
    for file in files!("mean") {
        let parsed = parse(file).unwrap();
        let folded = fold(parsed.image, &parsed.encoder, PLAIN).unwrap();
        assert_eq!(folded.notes.len(), 1, "{:?}", folded.notes);
        for (image, expected) in images().iter().zip(expected["mean"].as_array().unwrap()) {
            close(&embed(&folded, image), &numbers(expected));
        }
    }
}

/// The newer exporter puts large weights into a file of their own.
#[test]
fn weights_beside_the_file_are_read() {
    let [file, ..] = files!("siamese");
    let mut model = ModelProto::decode(file).unwrap();
    let mut content = vec![0xaa; 7];
    for tensor in &mut model.graph.as_mut().unwrap().initializer {
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: key.to_owned(),
            value,
        };
        tensor.external_data = vec![
            entry("location", "weights.data".to_owned()),
            entry("offset", content.len().to_string()),
            entry("length", tensor.raw_data.len().to_string()),
        ];
        tensor.data_location = Some(DataLocation::External as i32);
        content.append(&mut tensor.raw_data);
    }
    let bytes = model.encode_to_vec();
    assert_eq!(external_files(&bytes), Ok(vec!["weights.data".to_owned()]));
    let mut external = External::from([("weights.data".to_owned(), content)]);
    assert_eq!(
        parse_with(&bytes, &external).unwrap().encoder,
        parse(file).unwrap().encoder
    );

    let missing = parse(&bytes).unwrap_err().to_string();
    assert!(
        missing.contains("weights.data") && missing.contains("external_data=False"),
        "{missing}"
    );
    external.get_mut("weights.data").unwrap().truncate(100);
    let short = parse_with(&bytes, &external).unwrap_err().to_string();
    assert!(short.contains("beyond the end"), "{short}");
    let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
    tensor.external_data[0].value = "../weights.data".to_owned();
    let outside = external_files(&model.encode_to_vec());
    assert!(matches!(outside, Err(ImportError::File(_))), "{outside:?}");
}
