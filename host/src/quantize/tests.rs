//! The integer network follows the float one, and every refusal names its place.

use shared::model::ModelView;
use shared::net::Encoder;

use super::*;
use crate::float_net::FloatHead;
use crate::spec::{Framing, NetSpec};

fn spec() -> NetSpec {
    let conv = |c_out, stride| LayerSpec::conv(c_out, 3, stride, 1);
    let pool = LayerSpec::max_pool(2, 2);
    NetSpec {
        input_side: 12,
        framing: Framing::Picture,
        layers: vec![conv(6, 1), pool, conv(8, 2), conv(5, 1)],
    }
}

fn net() -> FloatNet {
    crate::untrained::untrained(&spec(), 7).unwrap()
}

fn images(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|image| {
            (0..144)
                .map(|pixel| ((pixel * 37 + image * 91) % 256) as u8)
                .collect()
        })
        .collect()
}

#[test]
fn integers_follow_the_float_network() {
    let (net, images) = (net(), images(20));
    let (quantized, report) = quantize(&net, &images).unwrap();
    let bytes = quantized.to_model_bytes("a test").unwrap();
    let model = ModelView::new_checked(&bytes).unwrap();
    let mut arena = vec![0; model.arena_len()];
    let scale = (-f32::from(quantized.embedding_exponent())).exp2();
    let float = net.encoder().unwrap();
    let (mut error, mut power) = (0.0, 0.0);
    for image in &images {
        let mut embedding = vec![0; model.embedding_len()];
        let encoder = Encoder::new(model);
        encoder.embed(image, &mut arena, &mut embedding).unwrap();
        let real: Vec<f32> = image.iter().map(|&q| f32::from(q) / 256.0).collect();
        for (q, real) in embedding.iter().zip(float.embed(&real).unwrap()) {
            error += (f32::from(*q) * scale - real).powi(2);
            power += real * real;
        }
    }
    assert!(power > 0.0 && error < 0.01 * power, "{error} of {power}");
    assert_eq!(report.layers.len(), 3);
    assert!(
        report
            .layers
            .iter()
            .all(|layer| layer.mean_squared_error > 0.0)
    );
    assert_eq!(model.provenance(), "a test");
}

/// A depthwise convolution, a mean over 4×4 pixels and two fully connected layers.
fn every_kind() -> NetSpec {
    NetSpec {
        input_side: 12,
        framing: Framing::Picture,
        layers: vec![
            LayerSpec::conv(6, 3, 3, 1),
            LayerSpec::depthwise(3, 1, 1),
            LayerSpec::GlobalAveragePool,
            LayerSpec::linear(9),
            LayerSpec::linear(5),
        ],
    }
}

#[test]
fn every_layer_kind_follows_the_float_network() {
    let net = crate::untrained::untrained(&every_kind(), 3).unwrap();
    let (quantized, report) = quantize(&net, &images(20)).unwrap();
    let float = net.encoder().unwrap();
    let bytes = quantized.to_model_bytes("").unwrap();
    let model = ModelView::new_checked(&bytes).unwrap();
    let encoder = Encoder::new(model);
    let mut arena = vec![0; encoder.observed_arena_len()];
    let mut worst = [0.0_f32; 5];
    for image in images(20) {
        let real: Vec<f32> = image.iter().map(|&q| f32::from(q) / 256.0).collect();
        let mut expected = Vec::new();
        float
            .embed_observed(&real, |_, values| expected.push(values.to_vec()))
            .unwrap();
        let mut embedding = vec![0; model.embedding_len()];
        encoder
            .embed_observed(
                &image,
                &mut arena,
                &mut embedding,
                |index, layer, values| {
                    let scale = (-f32::from(layer.out_exponent)).exp2();
                    for (&q, real) in values.iter().zip(&expected[index]) {
                        worst[index] = worst[index].max((f32::from(q) * scale - real).abs());
                    }
                },
            )
            .unwrap();
    }
    for (layer, worst) in report.layers.iter().zip(worst) {
        assert!(worst < 0.05 * layer.max, "{layer:?}: off by {worst}");
    }
    // A mean is kept finer than its terms, within what its sum has.
    let [terms, mean] = [1, 2].map(|layer: usize| quantized.layers[layer].out_exponent);
    assert!((terms..=terms + 4).contains(&mean), "{terms} {mean}");
}

#[test]
fn a_layer_without_exact_integers_is_refused() {
    let mut spec = every_kind();
    spec.input_side = 9;
    let net = crate::untrained::untrained(&spec, 3).unwrap();
    let image = vec![0; 81];
    let error = quantize(&net, &[image]).unwrap_err().to_string();
    assert!(
        error.starts_with("network.layers[2] (global_average_pool)"),
        "{error}"
    );
}

#[test]
fn certificate_is_the_largest_bound() {
    let (mut quantized, report) = quantize(&net(), &images(4)).unwrap();
    assert!(report.certificate.bound < 1 << 24);
    let filters = quantized.layers[2].filters.as_mut().unwrap();
    filters.bias[3] = -(1 << 24);
    let certificate = quantized.certificate();
    assert_eq!(
        (certificate.place, certificate.channel),
        (Place::Layer(2), 3)
    );
    let refusal = quantized.to_model_bytes("").unwrap_err().to_string();
    assert!(
        refusal.contains("layer 2, channel 3 is not certified"),
        "{refusal}"
    );
}

#[test]
fn an_uncertifiable_channel_is_named() {
    let mut net = net();
    net.filters[1].bias[4] = 1e12;
    let error = quantize(&net, &images(2)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("layer 2, channel 4 cannot be certified"),
        "{error}"
    );
    net.filters[1].bias[4] = 0.0;
    net.head.bias = -1e30;
    let error = quantize(&net, &images(2)).unwrap_err();
    assert!(
        error.to_string().starts_with("the head, channel 0 cannot"),
        "{error}"
    );
}

#[test]
fn not_a_number_is_named() {
    let mut net = net();
    net.filters[2].weight_oihw[8 * 9 * 3] = f32::NAN;
    let expected = QuantizeError::NotFinite {
        place: Place::Layer(3),
        what: "weight",
        channel: 3,
    };
    assert_eq!(quantize(&net, &images(2)), Err(expected));
}

#[test]
fn wrong_lengths_are_named() {
    let (mut short, mut long) = (net(), net());
    short.filters.pop();
    let error = quantize(&short, &images(2)).unwrap_err().to_string();
    assert_eq!(error, "layer 3: 0 values of weight, the layer asks for 360");
    long.filters.push(FloatFilters {
        weight_oihw: Vec::new(),
        bias: Vec::new(),
    });
    let error = quantize(&long, &images(2)).unwrap_err();
    assert_eq!(
        error,
        QuantizeError::Net(FloatNetError::Filters {
            expected: 3,
            got: 4
        })
    );
    let mut head = net();
    head.head = FloatHead {
        weight_hwc: vec![0.0; 3],
        bias: 0.0,
    };
    let error = quantize(&head, &images(2)).unwrap_err().to_string();
    assert_eq!(error, "the head: 3 values of weight, the layer asks for 45");
}

#[test]
fn calibration_images_are_checked() {
    assert_eq!(quantize(&net(), &[]), Err(QuantizeError::NoCalibration));
    let expected = QuantizeError::Calibration {
        index: 1,
        expected: 144,
        got: 3,
    };
    assert_eq!(quantize(&net(), &[vec![0; 144], vec![0; 3]]), Err(expected));
}
