//! libtorch and the float operators of `shared` compute the same network.

use super::*;
use crate::engine::real;
use crate::spec::Framing;
use crate::spec::Norm;

/// Every layer kind, extents that differ, padding beyond half a kernel, both normalizations.
fn spec() -> NetSpec {
    let pool = |kernel, stride, pad| LayerSpec::MaxPool {
        kernel,
        stride,
        pad,
    };
    let plain = |c_out, kernel| LayerSpec::Conv {
        c_out,
        kernel,
        stride: 1,
        pad: 1,
        norm: Norm::None,
        activation: Activation::Sigmoid,
    };
    let linear = |c_out, norm, activation| LayerSpec::Linear {
        c_out,
        norm,
        activation,
    };
    NetSpec {
        input_side: 23,
        framing: Framing::Picture,
        layers: vec![
            LayerSpec::conv(5, 4, 2, 3),
            LayerSpec::depthwise(3, 1, 2),
            pool(3, 2, 2),
            plain(7, 3),
            pool(2, 1, 1),
            linear(12, Norm::Batch, Activation::Relu),
            LayerSpec::GlobalAveragePool,
            linear(9, Norm::None, Activation::Sigmoid),
        ],
    }
}

/// As after training: no statistic and no bias stands where it started.
fn disturb(net: &Net) {
    tch::no_grad(|| {
        for (name, tensor) in net.state() {
            let mut tensor = tensor.detach();
            let noise = tensor.rand_like();
            if name.ends_with("variance") || name.ends_with("gamma") {
                tensor.copy_(&(noise + 0.5));
            } else if !name.ends_with("weight") {
                tensor.copy_(&(noise - 0.5));
            }
        }
    });
}

#[test]
fn libtorch_agrees_with_the_float_network() {
    tch::manual_seed(3);
    let mut spec = spec();
    // Once with the mean over several pixels, once with the layer behind a single one.
    for _ in 0..2 {
        let net = Net::new(&spec, Precision::Float32, Device::Cpu).unwrap();
        disturb(&net);
        let side = spec.input_side;
        let images: Vec<Vec<u8>> = (0..4_usize)
            .map(|image| {
                (0..side * side)
                    .map(|at| (at * (image + 7) % 251) as u8)
                    .collect()
            })
            .collect();
        let batch = crate::train::state::images(&images.concat(), side, Device::Cpu).unwrap();
        let embeddings = values(&net.embed(&batch, Mode::Evaluate).unwrap()).unwrap();
        let folded = net.fold().unwrap();
        let encoder = folded.encoder().unwrap();
        let expected = images
            .iter()
            .map(|image| encoder.embed(&real(image)).unwrap());
        let expected = expected.collect::<Vec<_>>().concat();
        assert_eq!(embeddings.len(), expected.len());
        assert!(expected.iter().any(|value| *value > 0.0));
        for (got, expected) in embeddings.iter().zip(&expected) {
            assert!((got - expected).abs() < 1e-4, "{got} {expected}");
        }
        spec.layers.remove(5);
    }
}
